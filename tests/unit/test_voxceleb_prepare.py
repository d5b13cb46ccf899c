"""VoxCeleb preparation: what it finds, writes, refuses, and survives.

Authors
 * The d2v_sb developers 2026
"""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb import audio_files, transcoding
from d2v_sb.errors import DataError
from d2v_sb.manifest import read_rows

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "VoxCeleb"
COLUMNS = ["ID", "duration", "wav", "spk_id"]


@pytest.fixture
def recipe(monkeypatch):
    """The preparation script as a module, as a recipe imports it."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import voxceleb_prepare

    return voxceleb_prepare


@pytest.fixture
def module(monkeypatch):
    """What finds clips."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import voxceleb_clips

    return voxceleb_clips


@pytest.fixture
def data(tmp_path):
    """Three speakers of three sessions of two clips, as VoxCeleb1 has them."""
    for speaker in ("id10001", "id10002", "id10003"):
        for session in "abc":
            for clip in "12":
                write(tmp_path / "data/wav" / speaker / session / f"{clip}.wav")
    return tmp_path / "data"


@pytest.fixture
def out(tmp_path):
    """Where the CSVs go."""
    return tmp_path / "csv"


@pytest.fixture
def prepare(recipe, data, out):
    """Prepares ``data``; returns the IDs of each CSV."""

    def run(**kwargs):
        recipe.prepare_voxceleb(data, out, **{"valid_percent": 0.5, **kwargs})
        return ids(out)

    return run


@pytest.fixture
def opened(monkeypatch):
    """Ids of the audio files that were opened, or sources that were decoded."""
    names, examine = [], audio_files.examine
    transcode = transcoding.transcode

    def spy(id_, path):
        names.append(id_)
        return examine(id_, path)

    def spy_source(source, target):
        names.append(source)
        return transcode(source, target)

    monkeypatch.setattr(audio_files, "examine", spy)
    monkeypatch.setattr(transcoding, "transcode", spy_source)
    return names


def write(path, seconds=0.5, rate=16000):
    """Writes quiet white noise, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate))
    sf.write(path, noise, rate)
    return path


def write_m4a(path, seconds=0.5):
    """Writes a tone as AAC."""
    av = pytest.importorskip("av", reason="m4a is written with PyAV")
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.sin(np.arange(int(seconds * 16000)) / 6)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.float32([samples]), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def write_list(path, *lines):
    """Writes a list, each line of it one of VoxCeleb's."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def rows(path):
    """Rows of a CSV that was prepared."""
    return read_rows(path, COLUMNS)


def ids(folder):
    """IDs in each CSV."""
    return {
        path.stem: [row["ID"] for row in rows(path)]
        for path in sorted(folder.glob("*.csv"))
    }


def sessions(keys):
    """Sessions of clips."""
    return {key.rpartition("/")[0] for key in keys}


def speakers(keys):
    """Speakers of clips."""
    return {key.split("/")[0] for key in keys}


# The corpus in VoxCeleb1's layout.


def test_real_corpus_is_prepared_to_identify(recipe, corpora, tmp_path):
    """All 40 speakers in each split, as the list says."""
    folder = corpora / "voxceleb_mini"
    recipe.prepare_voxceleb(folder, tmp_path, "iden_split.txt")
    made = ids(tmp_path)
    counts = {name: (len(x), len(speakers(x))) for name, x in made.items()}
    assert counts == {"train": (120, 40), "dev": (40, 40), "test": (80, 40)}
    listed = (folder / "iden_split.txt").read_text().split()
    for number, name in (("1", "train"), ("2", "dev"), ("3", "test")):
        names = [x for n, x in zip(listed[::2], listed[1::2]) if n == number]
        assert made[name] == sorted(x.removesuffix(".wav") for x in names)
    row = rows(tmp_path / "test.csv")[-1]
    samples, rate = sf.read(row["wav"])
    assert float(row["duration"]) == len(samples) / rate
    assert row["wav"] == str(folder / "wav" / f"{row['ID']}.wav")
    assert row["spk_id"] == row["ID"][:7] == "id10279"


def test_real_corpus_is_prepared_to_verify(recipe, corpora, tmp_path, caplog):
    """30 speakers to train on; none of them is in a trial."""
    with caplog.at_level(logging.INFO):
        recipe.prepare_voxceleb(
            corpora / "voxceleb_mini", tmp_path, trials=["veri_test.txt"]
        )
    made = ids(tmp_path)
    assert sorted(made) == ["dev", "train", "trials"]
    assert len(made["trials"]) == 60 and len(speakers(made["trials"])) == 10
    assert len(made["train"] + made["dev"]) == 180 and made["dev"]
    assert len(speakers(made["train"])) == 30
    assert not speakers(made["train"]) & speakers(made["trials"])
    assert "30 speakers to train on, 10 left out because they" in caplog.text


def test_csv_is_read_by_speechbrain(prepare, out):
    from speechbrain.dataio.dataset import DynamicItemDataset

    names = prepare()["train"]
    dataset = DynamicItemDataset.from_csv(
        out / "train.csv", output_keys=["id", "duration", "wav", "spk_id"]
    )
    assert [item["id"] for item in dataset] == names
    assert dataset[0]["duration"] == 0.5 and dataset[0]["spk_id"] == "id10001"


# No corpus.


def test_missing_corpus_says_the_way_out(recipe, module, tmp_path, out):
    """No folder, another layout, or no such folder to train on."""
    data = tmp_path / "data"

    def expect(text, **kwargs):
        with pytest.raises(DataError, match=text) as caught:
            recipe.prepare_voxceleb(data, out, **kwargs)
        return str(caught.value)

    def expect_way_out(text):
        message = expect(text)
        with pytest.raises(DataError, match=text):
            module.find_clips(data)
        assert "--data_folder" in message and module.URL in message

    expect_way_out("data does not exist")
    (data / "clips").mkdir(parents=True)
    (data / "clips" / "a.wav").touch()
    expect_way_out("no clip such as id10001/1zc.*<speaker>.*found there: clips")
    expect("train_folders: dev; .*data has: clips", train_folders=["dev"])
    expect("train_folders: none given", train_folders=[])
    expect("train_folders: ../x is not in", train_folders=["../x"])
    write(data / "wav/id10001/a/1.wav")
    expect("data has no clip in clips", train_folders=["clips"])
    assert not out.exists()


# To identify.


def test_faults_of_a_split_file_are_all_listed(prepare, data, out):
    """Wrong lines, missing clips, and speakers whom nobody is trained on;
    mended, no list of them stays."""
    path = data / "split.txt"
    good = ["1 id10001/a/1.wav", "2 id10001/b/1.wav", "3 id10001/c/1.wav"]
    bad = ["4 id10001/a/1.wav", "1 a/1.wav", "nonsense", "3 id10001/a/1.wav"]
    write_list(path, *good, "", *bad, *(f"x {i}" for i in range(30)))

    def expect(text, ending):
        with pytest.raises(DataError, match=text) as caught:
            prepare(split_file="split.txt")
        listed = (out / f"split.{ending}.txt").read_text().splitlines()
        shown = str(caught.value)
        assert all(line in shown for line in listed[:20])
        assert (f"and {len(listed) - 20} more" in shown) == (len(listed) > 20)
        return listed

    listed = expect("split.txt: 34 lines are wrong", "wrong")
    assert listed[0] == "line 5: '4 id10001/a/1.wav'" and len(listed) == 34
    assert "in another split before" in listed[3]

    write_list(path, *good, *(f"1 id10009/a/{i:02d}.wav" for i in range(25)))
    listed = expect("25 of its 28 clips are missing", "missing")
    assert listed[-1] == "id10009/a/24" and len(listed) == 25

    write_list(path, *good, "2 id10003/a/1.wav", "3 id10002/a/1.wav")
    listed = expect("2 clips are of speakers who have no clip in tr", "unknown")
    assert listed == ["id10003/a/1", "id10002/a/1"]

    write_list(path, *good[:2])
    with pytest.raises(DataError, match=r"no line begins with 3 \(test\)"):
        prepare(split_file=str(path))
    write_list(path, *good, *good)
    assert list(prepare(split_file=str(path)).values()) == [
        *(["id10001/b/1"], ["id10001/c/1"], ["id10001/a/1"])
    ]
    assert not list(out.glob("*.txt"))


def test_list_that_is_nowhere_is_named_with_where_to_get_it(prepare, data):
    for option in ("split_file", "trials"):
        with pytest.raises(DataError, match="no list x.txt.*data/x.txt is a.*"):
            prepare(**{option: "x.txt"})
    (data / "x.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="x.txt can not be read"):
        prepare(split_file="x.txt")


def test_speakers_of_the_trials_must_not_be_trained_on(prepare, data):
    """Nor must they be in the split file's train."""
    write_list(
        data / "split.txt",
        *("1 id10001/a/1.wav", "1 id10002/a/1.wav"),
        *("2 id10001/b/1.wav", "3 id10001/c/1.wav"),
    )
    write_list(
        data / "trials.txt",
        "1 id10002/b/1.wav id10002/c/1.wav",
        "0 id10002/b/1.wav id10003/c/1.wav",
    )
    with pytest.raises(DataError, match="1 speakers .* trials too: id10002. A"):
        prepare(split_file="split.txt", trials="trials.txt")
    write_list(data / "trials.txt", "1 id10003/b/1.wav id10003/c/1.wav")
    with open(data / "trials.txt", "a") as file:
        file.write("0 id10003/b/1.wav id10003/a/1.wav\n")
    made = prepare(split_file="split.txt", trials="trials.txt")
    assert made["trials"] == ["id10003/a/1", "id10003/b/1", "id10003/c/1"]
    assert made["train"] == ["id10001/a/1", "id10002/a/1"]


# To verify.


def test_sessions_are_never_split_and_each_speaker_is_trained_on(prepare):
    """At any share; a speaker's last session is not taken."""
    sizes = []
    for share in (0.3, 0.5, 0.999):
        made = prepare(valid_percent=share)
        assert len(made["train"] + made["dev"]) == 18
        assert not sessions(made["train"]) & sessions(made["dev"])
        assert len(speakers(made["train"])) == 3
        sizes.append(len(sessions(made["dev"])))
    assert sizes == sorted(sizes) and sizes[-1] == 6


def test_held_out_sessions_stay_when_clips_and_speakers_are_added(
    prepare, data
):
    before = prepare()
    for i in range(4, 9):
        for session in "abc":
            write(data / f"wav/id1000{i}/{session}/1.wav")
    write(data / "wav/id10001/a/3.wav")
    after = prepare()
    for side in ("train", "dev"):
        assert set(before[side]) < set(after[side])


def test_share_is_about_that_of_the_sessions(recipe):
    keys = [f"id{i:05d}/{j}/1" for i in range(300) for j in range(10)]
    splits = recipe.hold_out_sessions(keys, 0.05)
    assert 110 < len(splits["dev"]) < 190
    assert sorted(splits["train"] + splits["dev"]) == keys


def test_speaker_of_one_clip_is_trained_on_and_named(prepare, data, caplog):
    """One of a single session is trained on too, and is nothing special."""
    write(data / "wav/id10008/a/1.wav")
    for i in range(3):
        write(data / f"wav/id10009/a/{i}.wav")
    made = prepare(valid_percent=0.999)
    assert {"id10008/a/1", "id10009/a/0"} < set(made["train"])
    assert "1 speakers have a single clip" in caplog.text
    assert "id10008" in caplog.text and "id10009" not in caplog.text


def test_nothing_held_out_is_an_error_that_says_which_share_would(
    prepare, recipe
):
    with pytest.raises(DataError, match="valid_percent above 0.") as caught:
        prepare(valid_percent=0.0001)
    least = float(str(caught.value).split()[-1].rstrip("."))
    assert len(sessions(prepare(valid_percent=least + 1e-4)["dev"])) == 1
    for share in (0, 1):
        with pytest.raises(DataError, match=f"valid_percent is {share}, but"):
            prepare(valid_percent=share)
    with pytest.raises(DataError, match="No speaker has two"):
        recipe.hold_out_sessions(["id00001/a/1", "id00002/a/1"], 0.9)


def test_trials_that_leave_nobody_to_train_on_point_to_voxceleb2(
    prepare, data, out
):
    lines = [
        "1 id10001/a/1.wav id10001/b/1.wav",
        "0 id10001/a/1.wav id10002/b/1.wav",
    ]
    write_list(data / "hard.txt", *lines)
    with pytest.raises(DataError, match="leave 1 to train on.*VoxCeleb2"):
        prepare(trials="hard.txt")
    write_m4a(data / "vox2/dev/aac/id00012/a/1.m4a")
    write_m4a(data / "vox2/dev/aac/id00012/b/1.m4a")
    write_m4a(data / "vox2/dev/aac/id00015/a/1.m4a")
    made = prepare(
        trials="hard.txt", train_folders="vox2/dev", valid_percent=0.999
    )
    assert speakers(made["train"] + made["dev"]) == {"id00012", "id00015"}
    assert made["trials"] == ["id10001/a/1", "id10001/b/1", "id10002/b/1"]


def test_missing_clips_of_all_trials_are_one_error(prepare, data, out):
    """With the names of the lists; the rest is in a file."""
    for name, speaker in (("one.txt", "id10001"), ("two.txt", "id10002")):
        lines = [
            f"{i % 2} {speaker}/a/1.wav {speaker}/x/{i:02d}.wav"
            for i in range(15)
        ]
        write_list(data / name, *lines)
    with pytest.raises(DataError, match="one.txt, two.txt: 30 of") as caught:
        prepare(trials=["one.txt", "two.txt"])
    listed = (out / "trials.missing.txt").read_text().splitlines()
    assert len(listed) == 30 and listed[29] == "id10002/x/14.wav"
    assert listed[19] in str(caught.value) and "10 more" in str(caught.value)


# Bad audio.


def test_bad_audio_stops_or_is_dropped_and_silence_is_good(prepare, data, out):
    """Too short for a frame, and a broken m4a among good ones."""
    aac = data / "dev/aac"
    write_m4a(aac / "id00012/a/1.m4a")
    write_m4a(aac / "id00012/b/1.m4a").write_bytes(b"broken")
    write(data / "wav/id10001/c/2.wav", 0.02)
    sf.write(data / "wav/id10001/c/3.wav", np.zeros(8000), 16000)
    with pytest.raises(DataError, match="can not be used") as caught:
        prepare()
    assert "c/2.wav: too short" in str(caught.value)
    assert "b/1.m4a: unreadable" in str(caught.value)
    made = prepare(on_bad_audio="drop")
    got = made["train"] + made["dev"]
    assert len(got) == 17 + 1 + 1
    assert {"id00012/a/1", "id10001/c/3"} < set(got)
    listed = "".join(path.read_text() for path in out.glob("*.bad.txt"))
    assert f"id00012/b/1\t{aac}/id00012/b/1.m4a\tunreadable" in listed


def test_speaker_whose_train_clips_are_all_bad_leaves_dev_and_test(
    prepare, data, out
):
    """A classifier would meet a label that it has not; trials have none."""
    clips = [(1, "a/1"), (1, "a/2"), (2, "b/1"), (3, "c/1")]
    write_list(
        data / "split.txt",
        *(f"{n} id10001/{clip}.wav" for n, clip in clips),
        *(f"{n} id10002/{clip}.wav" for n, clip in clips),
    )
    for clip in "12":
        write(data / f"wav/id10001/a/{clip}.wav", 0.01)
    made = prepare(split_file="split.txt", on_bad_audio="drop")
    assert made["dev"] == ["id10002/b/1"] and made["test"] == ["id10002/c/1"]
    assert "its speaker in train was dropped" in (
        (out / "dev.bad.txt").read_text()
    )


def test_skip_prep_touches_nothing(recipe, out):
    recipe.prepare_voxceleb("nowhere", out, skip_prep=True)
    assert not out.exists()


# m4a, again, and after a kill.


@pytest.fixture
def aac(tmp_path):
    """VoxCeleb2's form: two speakers of two sessions."""
    for speaker in ("id00012", "id00015"):
        for session in "abc":
            write_m4a(tmp_path / "vox2/dev/aac" / speaker / session / "1.m4a")
    return tmp_path / "vox2"


@pytest.mark.parametrize("elsewhere", ["", "elsewhere", "by another name"])
def test_m4a_becomes_flac_once(recipe, aac, out, tmp_path, opened, elsewhere):
    """In the data folder, elsewhere, or in it by another name; a second run
    opens nothing."""
    options = {"train_folders": ["dev/aac"], "valid_percent": 0.6}
    folder = aac / "flac"
    if elsewhere:
        folder = options["converted_folder"] = tmp_path / "link"
        if elsewhere == "by another name":
            (aac / "made").mkdir()
            folder.symlink_to(aac / "made")
    recipe.prepare_voxceleb(aac, out, **options)
    table = rows(out / "train.csv") + rows(out / "dev.csv")
    assert len(table) == 6 and len(opened) == 12
    for row in table:
        assert row["wav"] == f"{folder}/{row['ID']}.flac"
        assert sf.info(row["wav"]).frames == 8000 and row["duration"] == "0.5"
    made = (out / "train.csv").stat().st_mtime_ns
    recipe.prepare_voxceleb(aac, out, **options)
    assert len(opened) == 12
    assert (out / "train.csv").stat().st_mtime_ns == made


def test_second_run_opens_nothing(prepare, data, opened):
    """Whatever was dropped."""
    write(data / "wav/id10001/a/1.wav", 0.01)
    lines = "1 id10003/a/1.wav id10003/b/1.wav", "0 id10003/a/1 id10003/c/1.wav"
    options = {"trials": write_list(data / "t.txt", *lines)}
    first = prepare(on_bad_audio="drop", **options)
    assert len(opened) == 12 + 3
    assert prepare(on_bad_audio="drop", **options) == first
    assert len(opened) == 12 + 3


def test_only_m4a_that_a_csv_needs_is_converted(prepare, data):
    """Not what lies beside the lists."""
    for clip in "123":
        write_m4a(data / f"dev/aac/id00012/a/{clip}.m4a")
    write_m4a(data / "dev/aac/id10001/a/1.m4a")  # is there as WAV
    write_list(
        data / "split.txt",
        *("1 id00012/a/1.m4a", "1 id10001/a/1.wav"),
        *("2 id00012/a/2.wav", "3 id10001/a/2.wav"),
    )
    prepare(split_file="split.txt")
    converted = sorted(path.name for path in data.rglob("*.flac"))
    assert converted == ["1.flac", "2.flac"]


def test_folder_that_can_not_be_written_names_the_option(recipe, aac, out):
    (aac / "flac").write_text("in the way")
    with pytest.raises(DataError, match="flac can not be .*--converted_folder"):
        recipe.prepare_voxceleb(aac, out, valid_percent=0.6)


def test_clips_already_converted_need_no_pyav(recipe, aac, out, monkeypatch):
    """And those that are not say what to install."""
    monkeypatch.setenv("PATH", str(out))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        with pytest.raises(DataError, match=r'pip install -e "\.\[av\]"'):
            recipe.prepare_voxceleb(aac, out, valid_percent=0.6)
    recipe.prepare_voxceleb(aac, out, valid_percent=0.6)
    monkeypatch.setitem(sys.modules, "av", None)
    recipe.prepare_voxceleb(aac, out, valid_percent=0.6)


KILLED = """
import os, sys, time
sys.path[:0] = [{root!r}, {recipe!r}]
import voxceleb_prepare
from d2v_sb import transcoding
write, calls = transcoding.sf.write, []

def stop(path, *args, **kwargs):
    write(path, *args, **kwargs)
    calls.append(path)
    if len(calls) > 2:
        os.truncate(path, 99)
        os.write(1, b"STOPPED\\n")
        time.sleep(60)

transcoding.sf.write = stop
voxceleb_prepare.prepare_voxceleb(
    {data!r}, {out!r}, valid_percent=0.6, num_workers=1
)
"""


def test_kill_while_converting_costs_only_what_was_not_done(
    recipe, aac, out, opened
):
    """SIGKILL, which no handler sees; the half file is not taken for whole."""
    code = KILLED.format(
        root=str(ROOT), recipe=str(RECIPE), data=str(aac), out=str(out)
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert line == b"STOPPED\n"
    assert len(list(aac.glob("flac/id*/*/1.flac"))) == 2
    recipe.prepare_voxceleb(aac, out, valid_percent=0.6)
    assert len(opened) == 4 + 6
    assert {sf.info(x).frames for x in aac.glob("flac/*/*/*")} == {8000}
    hidden = [x for _, x, _ in os.walk(aac) if any(n[0] == "." for n in x)]
    assert hidden == []
