"""VoxCeleb's clips: what is found, and which file of a clip is taken.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "VoxCeleb"


@pytest.fixture
def module(monkeypatch):
    """The recipe's script as a module; recipes are no package."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import voxceleb_clips

    return voxceleb_clips


def test_clips_are_found_at_any_depth(module, tmp_path):
    """Capitals and links too; what is hidden or of another form is none."""
    data, far = tmp_path / "data", tmp_path / "far"
    for name in (
        "wav/id10001/a/1.wav",
        "vox1_dev_wav/wav/id10002/a/1.WAV",
        "dev/aac/id00012/a/1.m4a",
        "id10003/-b_c/00001.flac",
        "wav/id10001/a/._2.wav",
        "wav/id10001/a/3.txt",
        "wav/id10001/4.wav",
        "wav/id100019/a/5.wav",
        "wav/jd10001/a/6.wav",
        ".old/id10001/a/7.wav",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    (far / "id10004/a").mkdir(parents=True)
    (far / "id10004/a/1.wav").touch()
    (data / "linked").symlink_to(far)
    clips = module.find_clips(data)
    assert sorted(clips) == [
        "id00012/a/1",
        "id10001/a/1",
        "id10002/a/1",
        "id10003/-b_c/00001",
        "id10004/a/1",
    ]
    assert clips["id10004/a/1"] == data / "linked/id10004/a/1.wav"
    assert [*module.find_clips(data / "wav/id10001")] == ["id10001/a/1"]


def test_flac_is_taken_before_wav_before_m4a(module, tmp_path):
    """Whatever the order of the folders."""
    for folder, clip in (
        *(("a", "1.m4a"), ("b", "1.wav"), ("c", "1.flac"), ("d", "1.wav")),
        *(("a", "2.m4a"), ("b", "2.wav"), ("c", "2.m4a")),
    ):
        path = tmp_path / folder / "id10001/x" / clip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    paths = module.find_clips(tmp_path).values()
    found = [str(path.relative_to(tmp_path)) for path in paths]
    assert found == ["c/id10001/x/1.flac", "b/id10001/x/2.wav"]
