"""Manifests: what they hold, when they are made again, what a failure leaves.

Authors
 * The d2v_sb developers 2026
"""

import errno
import logging
import os

import pytest
import soundfile as sf

from d2v_sb import audio_files
from d2v_sb.audio_files import Fault
from d2v_sb.errors import DataError
from d2v_sb.manifest import make_manifest, merge, read_rows, write_rows

COLUMNS = ["ID", "duration", "wav", "label"]


@pytest.fixture
def rows(tmp_path):
    """Four sound files and their rows."""
    (tmp_path / "wav").mkdir()
    made = []
    for name in "abcd":
        path = tmp_path / "wav" / f"{name}.wav"
        sf.write(path, [0.1] * 8000, 16000)
        made.append({"ID": name, "wav": str(path), "label": f"l, {name}"})
    return made


@pytest.fixture
def csv(tmp_path):
    """Where the manifest goes."""
    return tmp_path / "csv" / "dev.csv"


@pytest.fixture
def make(rows, csv):
    """Makes the manifest of ``rows``; returns what it then holds."""

    def run(on_bad_audio="error", faults=()):
        make_manifest(csv, rows, COLUMNS, faults, on_bad_audio)
        return read_rows(csv, COLUMNS)

    return run


@pytest.fixture
def opened(monkeypatch):
    """Ids of the audio files that were opened."""
    ids, examine = [], audio_files.examine

    def spy(id_, path):
        ids.append(id_)
        return examine(id_, path)

    monkeypatch.setattr(audio_files, "examine", spy)
    return ids


def empty(row):
    """Makes an audio file useless."""
    open(row["wav"], "w").close()


def slow(row):
    """Gives an audio file another sample rate."""
    sf.write(row["wav"], [0.1] * 8000, 8000)


def test_rows_get_their_durations(rows, make):
    assert make() == [{**row, "duration": "0.5"} for row in rows]


def test_bad_audio_stops_and_is_listed(rows, csv, make):
    empty(rows[2])
    with pytest.raises(DataError, match="dev: 1 of 4 utterances.*\n.*0 bytes"):
        make()
    assert not csv.exists()
    assert "dropped\tc\t" in csv.with_name("dev.bad.txt").read_text()


@pytest.mark.parametrize("choice, ids", [("drop", "cd"), ("convert", "bcd")])
def test_drop_and_convert_keep_what_they_say(rows, csv, make, choice, ids):
    empty(rows[0])
    slow(rows[1])
    assert "".join(row["ID"] for row in make(choice)) == ids
    _, *lines = csv.with_name("dev.bad.txt").read_text().splitlines()
    fates = ["dropped", "kept" if choice == "convert" else "dropped"]
    assert [line.split("\t")[0] for line in lines] == fates


def test_faults_of_the_caller_count(csv, make, opened):
    """First in the list, and remembered as those of audio are."""
    faults = [Fault("x", "list.txt, line 7", "no such file")]
    with pytest.raises(DataError, match="1 of 5 utter.*\n.*line 7: no such"):
        make(faults=faults)
    assert len(make("drop", faults)) == 4
    assert len(make("drop", faults)) == 4
    assert len(opened) == 4
    faults.append(Fault("y", "list.txt, line 8", "no such file"))
    assert len(make("drop", faults)) == 4
    assert len(opened) == 8


def test_none_left_is_an_error(rows, csv, make):
    for row in rows:
        empty(row)
    with pytest.raises(DataError, match="dev: none of its 4 utterances"):
        make("drop")
    assert not csv.exists()


@pytest.mark.parametrize("choice", ["error", "drop", "convert"])
def test_complete_manifest_is_not_made_again(rows, make, opened, choice):
    """Whatever was dropped or kept."""
    if choice != "error":
        empty(rows[0])
        slow(rows[1])
    first = make(choice)
    assert make(choice) == first
    assert len(opened) == 4


def test_other_rows_make_the_manifest_again(rows, make, opened):
    """Another label, another path, a row less."""
    make()
    rows[0]["label"] = "other"
    assert make()[0]["label"] == "other"
    rows[0]["wav"] = rows[1]["wav"]
    assert make()[0]["wav"] == rows[1]["wav"]
    rows.pop()
    assert len(make()) == 3
    assert len(opened) == 4 + 4 + 4 + 3


def test_damaged_manifest_is_made_again(csv, make, opened):
    whole = make()
    for text in (csv.read_text()[:-9], "", "ID\na\n"):
        csv.write_text(text)
        assert make() == whole
    csv.write_bytes(b"\xff\xfe")
    assert make() == whole
    assert len(opened) == 4 * 5


def test_another_choice_makes_the_manifest_again(rows, csv, make):
    """What was dropped or kept before is no answer to `error`."""
    slow(rows[0])
    assert len(make("drop")) == 3
    assert len(make("convert")) == 4
    with pytest.raises(DataError, match="it would keep 1 of these"):
        make("error")
    assert not csv.exists()
    sf.write(rows[0]["wav"], [0.1] * 8000, 16000)
    assert len(make("error")) == 4
    assert not csv.with_name("dev.bad.txt").exists()


@pytest.mark.parametrize("choice, num", [("drop", 3), ("convert", 4)])
def test_fault_is_not_forgotten_with_the_opening(
    rows, csv, make, opened, choice, num
):
    """What `error` found is what another choice then goes by."""
    slow(rows[0])
    with pytest.raises(DataError, match="8000 Hz"):
        make()
    assert len(make(choice)) == num
    assert len(opened) == 4
    assert "\ta\t" in csv.with_name("dev.bad.txt").read_text()


def test_full_disk_names_the_file_and_leaves_no_part(
    csv, make, opened, monkeypatch
):
    """ENOSPC as the kernel gives it, while the CSV is written. What was found
    is kept, and the audio is not opened again."""

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="disk is full: .*dev.csv was not"):
            make()
    assert [p.name for p in csv.parent.iterdir()] == ["dev.examined.jsonl"]
    assert len(make()) == 4 == len(opened)
    assert list(csv.parent.iterdir()) == [csv]


def test_summary_says_utterances_hours_and_dropped(rows, make, caplog):
    """One line, again when nothing is done."""
    for row in rows:
        sf.write(row["wav"], [0.1] * 16000 * 12, 16000)
    empty(rows[0])
    for note in (" (listed in", ", made earlier (delete"):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            make("drop")
        assert f"dev: 3 utterances, 0.01 hours, 1 dropped{note}" in caplog.text


def test_unknown_choice_opens_nothing(make, opened):
    with pytest.raises(DataError, match="on_bad_audio is 'skip'"):
        make("skip")
    assert opened == []


def test_merge_refuses_an_id_twice_and_what_is_no_manifest(tmp_path):
    """SpeechBrain would stop later, and name no file."""
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    write_rows(a, [{"ID": "x"}], ["ID"])
    write_rows(b, [{"ID": "y"}, {"ID": "x"}], ["ID"])
    with pytest.raises(DataError, match="b.csv: the id 'x' is in .*a.csv too"):
        merge([a, b], tmp_path / "train.csv", ["ID"])
    with pytest.raises(DataError, match="c.csv is no CSV of ID"):
        merge([a, tmp_path / "c.csv"], tmp_path / "train.csv", ["ID"])
    assert not (tmp_path / "train.csv").exists()
