"""Preparation of any folder of audio: what is found, left out and survived.

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

from d2v_sb import audio_files
from d2v_sb.audio_folder import ENDINGS, prepare_audio_folder
from d2v_sb.errors import DataError
from d2v_sb.manifest import read_rows
from d2v_sb.train_dev import COLUMNS

ROOT = Path(__file__).parents[2]


def write(path, seconds=2.0, rate=16000, **options):
    """Writes quiet white noise, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate))
    sf.write(path, noise, rate, **options)
    return path


def rows(folder, name):
    """Rows of a CSV that was prepared."""
    return read_rows(folder / f"{name}.csv", COLUMNS)


def ids(folder, name):
    """Their IDs."""
    return [row["ID"] for row in rows(folder, name)]


@pytest.fixture
def data(tmp_path):
    """Twelve clips in nested folders."""
    for i in range(12):
        write(tmp_path / "data" / f"s{i % 2}" / f"b{i % 3}" / f"{i:02d}.flac")
    return tmp_path / "data"


@pytest.fixture
def out(tmp_path):
    """Where the CSVs go."""
    return tmp_path / "csv"


@pytest.fixture
def prepare(data, out):
    """Prepares ``data``; returns the IDs of train and of dev."""

    def run(train=".", dev=(), **kwargs):
        prepare_audio_folder(data, out, train, list(dev), **kwargs)
        return ids(out, "train"), ids(out, "dev")

    return run


@pytest.fixture
def opened(monkeypatch):
    """Ids of the audio files that were opened."""
    names, examine = [], audio_files.examine

    def spy(id_, path):
        names.append(id_)
        return examine(id_, path)

    monkeypatch.setattr(audio_files, "examine", spy)
    return names


def test_rows_hold_relative_ids_true_durations_and_paths(data, out, prepare):
    """In the order of the ids, and nothing but CSVs is left."""
    write(data / "s0" / "long.flac", 2.5)
    prepare("s0", ["s1"])
    table = rows(out, "train")
    assert [row["ID"] for row in table] == [
        *("s0/b0/00", "s0/b0/06", "s0/b1/04", "s0/b1/10"),
        *("s0/b2/02", "s0/b2/08", "s0/long"),
    ]
    assert [row["duration"] for row in table] == ["2.0"] * 6 + ["2.5"]
    assert all(row["wav"] == f"{data / row['ID']}.flac" for row in table)
    names = sorted(path.name for path in out.iterdir())
    assert names == ["audio.csv", "dev.csv", "train.csv"]


def test_csv_is_read_by_speechbrain(out, prepare):
    from speechbrain.dataio.dataset import DynamicItemDataset

    names, _ = prepare()
    dataset = DynamicItemDataset.from_csv(
        out / "train.csv", output_keys=["id", "duration", "wav"]
    )
    assert [item["id"] for item in dataset] == names
    assert dataset[0]["duration"] == 2.0


FORMATS = {
    "a.wav": {},
    "b.FLAC": {},
    "c.ogg": {},
    "d.mp3": {},
    "e.opus": {"format": "OGG", "subtype": "OPUS"},
    "f.sph": {"format": "NIST"},
    "g.aif": {"format": "AIFF"},
    "h.W64": {},
}


def test_every_format_that_libsndfile_reads_is_found(tmp_path, out):
    """In capitals too; text and hidden files and folders are no audio."""
    for name, options in FORMATS.items():
        write(tmp_path / "data" / name, **options)
        write(tmp_path / "data" / f".{name}", **options)
        write(tmp_path / "data" / ".hidden" / name, **options)
        (tmp_path / "data" / f"{name}.txt").touch()
    prepare_audio_folder(tmp_path / "data", out, ".", [])
    assert sorted(ids(out, "train") + ids(out, "dev")) == list("abcdefgh")
    assert {Path(name).suffix.lower() for name in FORMATS} <= ENDINGS


def test_files_that_differ_by_ending_keep_it_and_stay_together(tmp_path, out):
    """One recording in two formats must not be both train and dev."""
    for i in range(20):
        write(tmp_path / "data" / f"{i}.flac")
        write(tmp_path / "data" / f"{i}.wav")
    write(tmp_path / "data" / "0.wav.ogg")
    prepare_audio_folder(tmp_path / "data", out, ".", [], valid_percent=0.3)
    train, dev = ids(out, "train"), ids(out, "dev")
    assert {"0.flac", "0.wav", "0.wav.ogg"} <= {*train, *dev}
    assert len({*train, *dev}) == 41
    pairs = [
        {Path(x).stem for x in side if x.count(".") == 1}
        for side in (train, dev)
    ]
    assert len(pairs[0] | pairs[1]) == 20
    assert len(pairs[1]) > 1 and not pairs[0] & pairs[1]


# What is left out.


def test_bad_files_are_dropped_and_listed(data, out, prepare, caplog):
    (data / "s0" / "empty.flac").touch()
    write(data / "s1" / "slow.wav", rate=8000)
    os.symlink("nowhere", data / "s1" / "gone.wav")
    train, dev = prepare()
    assert len(train + dev) == 12
    assert "12 utterances, 0.01 hours, 3 dropped (listed in" in caplog.text
    _, *lines = (out / "audio.bad.txt").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == [
        *("s0/empty", "s1/gone", "s1/slow")
    ]


def test_error_stops_and_convert_keeps(data, prepare):
    write(data / "s1" / "slow.wav", rate=8000)
    with pytest.raises(DataError, match="1 of 13 .*\n.*slow.wav: 8000 Hz"):
        prepare(on_bad_audio="error")
    assert "s1/slow" in sum(prepare(on_bad_audio="convert"), [])


def test_short_clips_are_left_out_counted_and_not_bad(
    data, out, prepare, caplog
):
    """Even those that are too short for a frame, and even under `error`."""
    write(data / "s0" / "short.flac", 1.99)
    write(data / "s0" / "tiny.flac", 0.01)
    train, dev = prepare(on_bad_audio="error")
    assert len(train + dev) == 12
    assert "2 shorter than 2.0 s left out" in caplog.text
    assert not (out / "audio.bad.txt").exists()


def test_other_choices_among_the_same_files_open_none(prepare, opened):
    """Which folders are dev, or what share is."""
    prepare(["s1", "s0"])
    assert len(prepare("s0", ["s1"])[1]) == 6
    assert len(prepare("s1", ["s0/b0", "s0"])[1]) == 6
    prepare(valid_percent=0.5)
    assert len(opened) == 12


def test_another_min_seconds_opens_no_file_again(data, prepare, opened):
    write(data / "s0" / "short.flac", 1.5)
    write(data / "s0" / "tiny.flac", 0.01)
    counts = [
        len(sum(prepare(min_seconds=least), [])) for least in (2.0, 1.5, 0)
    ]
    assert counts == [12, 13, 13] and len(opened) == 14


def test_names_that_no_list_can_hold_are_listed_as_bad(data, out, prepare):
    """A variable to SpeechBrain, a line break, and bytes that are no UTF-8;
    the others pass, and none is opened again."""
    write(data / "s0" / "x.flac")
    folder = os.fsencode(data / "s0") + b"/"
    for name in (b"$a.flac", b"b\n.flac", b"c\xff.flac"):
        os.link(folder + b"x.flac", folder + name)
    for name in ("5 $ .flac", "é, 'ü'　.flac"):
        os.link(data / "s0" / "x.flac", data / "s0" / name)
    train, dev = prepare()
    assert len(train + dev) == 15
    assert {"s0/5 $ ", "s0/é, 'ü'　"} <= {*train, *dev}
    assert "s0/b\\n\t" in (out / "audio.bad.txt").read_text()
    written = (out / "audio.csv").stat().st_mtime_ns
    assert prepare() == (train, dev)
    assert (out / "audio.csv").stat().st_mtime_ns == written


# Train and dev.


def test_held_out_files_stay_when_others_are_added(data, prepare):
    """Disjoint, about as many as asked for, and the same each time."""
    for i in range(60):
        write(data / "s0" / f"{i}.wav", 0.1)
    options = {"valid_percent": 0.25, "min_seconds": 0.1}
    train, dev = prepare(**options)
    assert len(train + dev) == 72 and not set(train) & set(dev)
    assert 9 <= len(dev) <= 27
    assert prepare(**options) == (train, dev)
    for i in range(60, 90):
        write(data / "s1" / f"{i}.wav", 0.1)
    more_train, more_dev = prepare(**options)
    assert set(train) < set(more_train) and set(dev) < set(more_dev)


@pytest.mark.parametrize("share, sizes", [(1e-9, (1, 1)), (0.999, (1, 1))])
def test_either_side_has_a_file_whatever_the_share(tmp_path, out, share, sizes):
    for name in "ab":
        write(tmp_path / "data" / f"{name}.flac")
    prepare_audio_folder(tmp_path / "data", out, ".", [], share)
    assert (len(ids(out, "train")), len(ids(out, "dev"))) == sizes


def test_dev_splits_are_dev_and_nothing_is_held_out(data, prepare):
    """Also in a train split that holds them, and valid_percent is not read."""
    train, dev = prepare(["s0/", "./s1"], ["s1/b1"], valid_percent=None)
    assert dev == ["s1/b1/01", "s1/b1/07"]
    assert len(train) == 10 and not set(train) & set(dev)
    assert sorted(prepare(".", "s1/b1".split())[0]) == sorted(train)


def test_overlapping_train_splits_list_a_file_once(prepare):
    train, dev = prepare(["s0/b1", "s0", "."])
    assert len(set(train + dev)) == len(train + dev) == 12


# Errors.


def test_missing_audio_says_the_way_out(tmp_path, out):
    """No folder, no split, one folder too high, or no audio in it."""
    data = tmp_path / "data"

    def expect(text, train=".", dev=()):
        with pytest.raises(DataError, match=text) as caught:
            prepare_audio_folder(data, out, train, dev)
        message = str(caught.value)
        assert "`--download true`" in message and "`make demo`" in message
        assert "--data_folder" in message

    expect("data does not exist")
    data.mkdir()
    expect("'a': no such folder in .*found there: nothing", "a")
    (data / "LibriSpeech" / "a").mkdir(parents=True)
    expect("'a': no such .*Did you mean --data_folder .*data/LibriSpeech?", "a")
    expect(r"no audio in \. \(found there: no files\)")
    (data / "b.m4a").touch()
    expect(r"no audio in \. \(found there: 1 .m4a\).*\.flac")
    assert not out.exists()


def test_options_that_can_not_be_are_refused(data, prepare, opened):
    for train, dev, text in [
        ([], ["s0"], "train_splits is empty"),
        ("../x", [], "train_splits: ../x is not in the data folder"),
        (".", ["/x"], "dev_splits: /x is not in the data folder"),
    ]:
        with pytest.raises(DataError, match=text):
            prepare(train, dev)
    for share in (0, 1, -0.1):
        with pytest.raises(DataError, match=f"valid_percent is {share}"):
            prepare(valid_percent=share)
    with pytest.raises(DataError, match="on_bad_audio is 'skip'"):
        prepare(on_bad_audio="skip")
    assert opened == []


def test_nothing_left_is_an_error(tmp_path, data, out, prepare):
    """All short, all bad, or nothing for one side; it says what helps."""
    with pytest.raises(DataError, match="each of the 12 .* longest has 2.0 s"):
        prepare(min_seconds=3)
    with pytest.raises(DataError, match="none is left for train"):
        prepare("s0", ["."])
    for path in data.glob("*/*/*.flac"):
        write(path, rate=8000)
    (out / "audio.csv").unlink()
    with pytest.raises(DataError, match="none of .* convert would keep 12"):
        prepare()
    write(tmp_path / "one" / "a.flac")
    with pytest.raises(DataError, match="none is left for dev"):
        prepare_audio_folder(tmp_path / "one", out, ".", [])


def test_skip_prep_touches_nothing(out):
    prepare_audio_folder("nowhere", out, ".", [], skip_prep=True)
    assert not out.exists()


# Again, and after a kill.


def test_same_files_are_not_opened_again(data, prepare, opened):
    """Whatever was dropped; a new file is found."""
    (data / "s0" / "empty.flac").touch()
    first = prepare()
    assert prepare() == first and len(opened) == 13
    write(data / "s0" / "new.flac")
    assert "s0/new" in sum(prepare(), [])


KILLED = """
import os, sys, time
sys.path.insert(0, {root!r})
from d2v_sb import audio_files, journal
from d2v_sb.audio_folder import prepare_audio_folder

journal.INTERVAL = 0
examine, calls = audio_files.examine, []

def stop(id_, path):
    calls.append(id_)
    if len(calls) > 8:
        os.write(1, b"STOPPED\\n")
        time.sleep(60)
    return examine(id_, path)

audio_files.examine = stop
prepare_audio_folder({data!r}, {out!r}, ".", [], num_workers=1)
"""


def test_run_that_was_killed_goes_on_where_it_was(data, out, prepare, opened):
    """SIGKILL, which no handler sees; a file that changed is opened again, and
    so is one whose line was torn."""
    code = KILLED.format(root=str(ROOT), data=str(data), out=str(out))
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert line == b"STOPPED\n"
    assert [path.name for path in out.iterdir()] == ["audio.examined.jsonl"]

    journal = out / "audio.examined.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    os.utime(data / "s0" / "b0" / "00.flac", ns=(1, 1))
    train, dev = prepare()
    assert len(set(train + dev)) == 12
    order = sorted(train + dev)
    assert sorted(opened) == [order[0], *order[7:]]
    assert not journal.exists()


def test_stop_at_bad_audio_keeps_what_was_examined(data, prepare, opened):
    """Only the bad file is opened again, to see whether it was mended."""
    path = data / "s0" / "bad.flac"
    path.touch()
    for _ in range(2):
        with pytest.raises(DataError, match="1 of 13.*\n.*0 bytes"):
            prepare(on_bad_audio="error")
    write(path)
    train, dev = prepare(on_bad_audio="error")
    assert len(train + dev) == 13
    assert len(opened) == 15 and opened.count("s0/bad") == 3


def test_summary_says_files_and_hours_of_both(prepare, caplog):
    with caplog.at_level(logging.INFO):
        prepare("s0", ["s1"])
    assert "12 audio files found" in caplog.text
    assert (
        "train: 6 files, 0.00 hours; dev: 6 files, 0.00 hours; 0 shorter than "
        "2.0 s left out" in caplog.text
    )


def test_real_speech_is_prepared(corpora, tmp_path):
    """167 readers of LibriSpeech, a clip each, one of them short."""
    prepare_audio_folder(
        corpora / "unlabelled", tmp_path, "train-clean-100", None, 0.1
    )
    train, dev = rows(tmp_path, "train"), rows(tmp_path, "dev")
    assert len(train) + len(dev) == 166 and 5 <= len(dev) <= 30
    for row in (train[0], dev[-1]):
        samples, rate = sf.read(row["wav"])
        assert float(row["duration"]) == len(samples) / rate
