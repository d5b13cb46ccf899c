"""Preparation of Fluent Speech Commands: intents, splits and speakers.

Authors
 * The d2v_sb developers 2026
"""

import csv
import importlib
import itertools
import sys
from pathlib import Path

import pytest
import soundfile as sf

from d2v_sb import audio_files
from d2v_sb.errors import DataError
from tests.layouts.clips import an4_clips
from tests.layouts.fluent_commands import make_fluent_commands

RECIPE = Path(__file__).resolve().parents[2] / "recipes/FluentSpeechCommands"
COLUMNS = ["ID", "duration", "wav", "spk_id", "label"]
SPLITS = {"train": "train", "dev": "valid", "test": "test"}  # CSV, list
SLOTS = ("action", "object", "location")


@pytest.fixture(scope="module")
def recipe():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("fluent_commands_prepare")


@pytest.fixture
def corpus(tmp_path, corpora):
    """Twelve real clips of four speakers in the corpus's layout."""
    make_fluent_commands(tmp_path / "data", an4_clips(corpora))
    return tmp_path / "data"


@pytest.fixture
def prepare(recipe, corpus, tmp_path):
    """Prepares it and gives the rows of the three CSVs."""

    def run(**kwargs):
        recipe.prepare_fluent_commands(corpus, tmp_path / "csv", **kwargs)
        return {x: rows(tmp_path / "csv" / f"{x}.csv") for x in SPLITS}

    return run


def rows(path):
    """Rows of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lines_of(corpus, name):
    """Rows of a list of the corpus, by split."""
    return rows(corpus / "data" / f"{SPLITS[name]}_data.csv")


def edit(corpus, name, change):
    """Rewrites the text of a list."""
    path = corpus / "data" / f"{SPLITS[name]}_data.csv"
    path.write_text(change(path.read_text()))


def test_each_command_is_a_row_with_its_speaker(corpus, prepare):
    """In the order of the lists, with the durations of the files."""
    for name, table in prepare().items():
        lines = lines_of(corpus, name)
        assert list(table[0]) == COLUMNS and len(table) == len(lines)
        for row, line in zip(table, lines, strict=True):
            assert row["wav"] == str(corpus / line["path"])
            assert row["spk_id"] == line["speakerId"]
            assert row["ID"] == f"{line['speakerId']}/{Path(row['wav']).stem}"
            seconds = sf.info(row["wav"]).duration
            assert float(row["duration"]) == pytest.approx(seconds)


def all_right(line, other, slots=SLOTS):
    """Whether SUPERB counts a command as right: each slot's classifier is."""
    return all(line[slot] == other[slot] for slot in slots)


def test_a_class_is_right_just_where_superbs_three_slots_are(corpus, prepare):
    """For each two commands, one being the guess for the other."""
    tables = prepare()
    table = [row for name in SPLITS for row in tables[name]]
    lines = [line for name in SPLITS for line in lines_of(corpus, name)]
    pairs = list(itertools.product(zip(table, lines, strict=True), repeat=2))
    classes = [row["label"] == other["label"] for (row, _), (other, _) in pairs]
    slots = [all_right(line, other) for (_, line), (_, other) in pairs]
    assert classes == slots
    # The mistake: the intent without its location.
    two = [all_right(x, y, SLOTS[:2]) for (_, x), (_, y) in pairs]
    assert classes != two
    assert {row["label"] for row in table} == {
        "activate|lights|none",
        "increase|heat|none",
        "increase|heat|kitchen",
    }


def test_listed_commands_that_are_absent_are_named(corpus, prepare, tmp_path):
    """All of them, by line and file; they count again once they are there."""
    paths = [corpus / line["path"] for line in lines_of(corpus, "dev")[:2]]
    for path in paths:
        path.rename(tmp_path / path.name)
    with pytest.raises(DataError, match="2 of 3 utterances") as caught:
        prepare()
    for number, path in enumerate(paths, 2):
        text = f"valid_data.csv, line {number}: missing: no {path}"
        assert text in str(caught.value)
    assert len(prepare(on_bad_audio="drop")["dev"]) == 1
    for path in paths:
        (tmp_path / path.name).rename(path)
    assert len(prepare(on_bad_audio="drop")["dev"]) == 3


def test_a_speaker_in_two_splits_is_an_error(corpus, prepare, tmp_path):
    """Who would be learned, and then tested; nothing is written."""
    line = lines_of(corpus, "test")[0]
    copy = ",".join(line.values()) + "\n"
    edit(corpus, "train", lambda text: text + copy)
    text = f"1 speakers .*: {line['speakerId']} in train and test"
    with pytest.raises(DataError, match=text):
        prepare()
    assert not (tmp_path / "csv").exists()


def test_an_intent_that_train_lacks_is_named(corpus, prepare):
    """Even one of slots that train has; dropped, it is in no CSV."""
    edit(
        corpus,
        "test",
        lambda text: text.replace("activate,lights,none", "activate,heat,none"),
    )
    reason = r"train has no 'activate\|heat\|none' to learn"
    with pytest.raises(DataError, match=reason):
        prepare()
    assert len(prepare(on_bad_audio="drop")["test"]) == 2


def test_lines_without_a_slot_or_listed_twice_are_faults(corpus, prepare):
    """Both at once, by line."""
    edit(
        corpus,
        "train",
        lambda text: (
            text.replace("heat,kitchen", "heat,", 1)
            + text.splitlines()[1]
            + "\n"
        ),
    )
    with pytest.raises(DataError, match="2 of 7 utterances") as caught:
        prepare()
    assert "train_data.csv, line 4: no location" in str(caught.value)
    assert "line 8: duplicate command, first in " in str(caught.value)
    assert "train_data.csv, line 2" in str(caught.value)


def test_a_list_of_other_columns_is_named(corpus, prepare):
    """With its header."""
    edit(corpus, "dev", lambda text: text.replace("speakerId", "speaker", 1))
    text = "valid_data.csv has no column speakerId: its header is ',path,sp"
    with pytest.raises(DataError, match=text):
        prepare()


def test_what_was_made_is_kept(prepare, monkeypatch):
    """No audio file is opened twice."""
    before = prepare()

    def refuse(id_, path):
        raise AssertionError(path)

    monkeypatch.setattr(audio_files, "examine", refuse)
    assert prepare() == before


def test_another_folder_says_what_is_there(recipe, corpus, tmp_path):
    """No folder, or one too high."""
    out = tmp_path / "csv"
    with pytest.raises(DataError, match="train_data.csv .no such folder"):
        recipe.prepare_fluent_commands(tmp_path / "absent", out)
    with pytest.raises(DataError, match="no data/train_data.csv .*there: data"):
        recipe.prepare_fluent_commands(tmp_path, out)


def test_the_command_takes_two_folders(recipe, corpus, tmp_path, monkeypatch):
    """And says errors plainly."""
    out = tmp_path / "csv"
    monkeypatch.setattr(sys, "argv", ["prepare", str(corpus), str(out)])
    recipe.main()
    assert len(rows(out / "train.csv")) == 6
    monkeypatch.setattr(sys, "argv", ["prepare", str(out), str(out)])
    with pytest.raises(SystemExit, match="has no data/train_data.csv"):
        recipe.main()
