"""The demo on a corpus that is there already.

Authors
 * The d2v_sb developers 2026
"""

import re
import sys

import pytest

from tests.integration.recipe_runs import ROOT, run

pytestmark = pytest.mark.integration


def demo(*words, **options):
    """Runs the demo's script."""
    script = ROOT / "recipes/LibriSpeech/demo.py"
    return run([sys.executable, str(script), *map(str, words)], **options)


def test_it_trains_twice_and_shows_what_was_said_and_heard(
    noise_corpus, tmp_path
):
    result = demo(
        *("--data_folder", noise_corpus),
        *("--output_folder", tmp_path / "out"),
        *("--number_of_updates", 4),
        cwd=tmp_path,
    )
    assert result.returncode == 0
    for encoder in ("d2v_sb/small", "small"):
        assert f"--encoder {encoder} " in result.stdout
    _, _, shown = result.stdout.rpartition("EncoderASR.from_hparams(source=")
    words = (noise_corpus / "test-clean/13/1/13-1.trans.txt").read_text()
    said = sorted(line.partition(" ")[2] for line in words.splitlines())
    row = r"^  said        (.+)\n  pretrained  .*\n  random      .*$"
    assert sorted(re.findall(row, shown, re.M)) == said
    assert "5 clips that no run trained" in shown
    for name in ("pretrained", "random"):
        line = rf"  {name} +CER +([0-9.]+) % +WER +([0-9.]+) %"
        cer, wer = re.search(line, shown).groups()
        assert float(wer) > 0 and float(cer) > 0
        for kind, figure in (("wer", wer), ("cer", cer)):
            path = tmp_path / f"out/{name}/{kind}_test-clean.txt"
            percent = float(re.match(r"%WER ([0-9.]+)", path.read_text())[1])
            assert percent == pytest.approx(float(figure), abs=0.06)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["missing", "empty", "without test"])
def test_a_folder_without_the_splits_is_explained(tmp_path, kind):
    folder = tmp_path / "corpus"
    if kind != "missing":
        folder.mkdir()
    if kind == "without test":
        (folder / "train-clean-5").mkdir()
        (folder / "dev-clean").mkdir()
    output = tmp_path / "out"
    result = demo("--data_folder", folder, "--output_folder", output)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout and not output.exists()
    expected = {
        "missing": f"no such folder: {folder}",
        "empty": f"{folder} has no folder train-*",
        "without test": f"{folder} has no folder test-*",
    }
    assert expected[kind] in result.stdout
