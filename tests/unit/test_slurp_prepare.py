"""SLURP's preparation: which recordings count, and who speaks.

Authors
 * The d2v_sb developers 2026
"""

import csv
import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf

from d2v_sb import audio_files
from d2v_sb.errors import DataError
from tests.layouts.clips import an4_clips
from tests.layouts.slurp import make_slurp

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "SLURP"
COLUMNS = ["ID", "duration", "wav", "spk_id", "label"]
SPLITS = {"train": "train", "dev": "devel", "test": "test"}  # CSV, list


@pytest.fixture(scope="module")
def recipe():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("slurp_prepare")


@pytest.fixture
def corpus(tmp_path, corpora):
    """Twelve real clips, each as two recordings, in SLURP's layout."""
    make_slurp(tmp_path / "data", an4_clips(corpora))
    return tmp_path / "data"


@pytest.fixture
def prepare(recipe, corpus, tmp_path):
    """Prepares it and gives the rows of the three CSVs by split."""

    def run(**kwargs):
        recipe.prepare_slurp(corpus, tmp_path / "csv", **kwargs)
        return {x: rows(tmp_path / "csv" / f"{x}.csv") for x in SPLITS}

    return run


def rows(path):
    """Rows of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sentences(corpus, name):
    """Lines of a ``.jsonl``."""
    path = corpus / "dataset" / "slurp" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(corpus, name, lines):
    """Writes the lines of a ``.jsonl``."""
    path = corpus / "dataset" / "slurp" / f"{name}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def mp3s(lines, counts=lambda recording: True):
    """(file, scenario) as MP3S makes them: a row for each recording, the
    scenario cut out of the text of a dictionary."""
    pairs = []
    for line in lines:
        entities = [{"type": "date", "filler": "x"}]
        meaning = {"scenario": line["scenario"], "action": line["action"]}
        text = str({**meaning, "entities": entities}).replace(",", "|")
        for recording in filter(counts, line["recordings"]):
            pairs.append((recording["file"], text.split("'")[3]))
    return pairs


def test_each_recording_of_each_sentence_counts_as_in_mp3s(corpus, prepare):
    """In order, with the durations of the files."""
    for name, table in prepare().items():
        lines = sentences(corpus, SPLITS[name])
        pairs = [(Path(row["wav"]).name, row["label"]) for row in table]
        assert pairs == mp3s(lines)
        # Mistakes: one microphone, or only what was understood.
        assert pairs != mp3s(lines, lambda x: "-headset" in x["file"])
        assert pairs != mp3s(lines, lambda x: x["wer"] == 0)
        assert list(table[0]) == COLUMNS
        assert len({row["label"] for row in table}) == 2
        for row in table:
            seconds = sf.info(row["wav"]).duration
            assert float(row["duration"]) == pytest.approx(seconds)


def test_speakers_are_those_of_the_metadata(prepare):
    """Both microphones of an utterance have one."""
    tables = prepare()
    of_file = {row["ID"]: row["spk_id"] for t in tables.values() for row in t}
    assert len(set(of_file.values())) == 4
    assert all(speaker.startswith("UNK-9") for speaker in of_file.values())
    for id_, speaker in of_file.items():
        assert of_file[id_.removesuffix("-headset")] == speaker


def test_without_metadata_a_recording_is_its_own_speaker(
    corpus, prepare, caplog
):
    """The same at both microphones, and it is said."""
    (corpus / "dataset" / "slurp" / "metadata.json").unlink()
    with caplog.at_level(logging.WARNING):
        table = prepare()["train"]
    assert f"of {len(table)} of {len(table)} recordings" in caplog.text
    assert "intervals over speakers are over recordings" in caplog.text
    assert len({row["spk_id"] for row in table}) == len(table) // 2


def test_damaged_metadata_is_named(corpus, prepare):
    """It must not mean that nobody is known."""
    path = corpus / "dataset" / "slurp" / "metadata.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match="metadata.json does not say who"):
        prepare()


def test_synthetic_speech_is_trained_on_only_if_asked_for(prepare):
    """After the real, and only there."""
    real = prepare()
    both = prepare(train_splits=["train_real", "train_synthetic"])
    assert both["train"][:-1] == real["train"] and both["dev"] == real["dev"]
    assert both["train"][-1]["ID"] == "slurp_synth/synthetic-0"
    assert both["train"][-1]["spk_id"] == "slurp_synth/synthetic-0"


def test_unknown_train_split_names_the_known_ones(prepare):
    """`train` is what the list is called, not the split."""
    with pytest.raises(DataError, match="train; .*train_real, train_synth"):
        prepare(train_splits="train")
    with pytest.raises(DataError, match="none given"):
        prepare(train_splits=[])


def test_lists_in_the_data_folder_and_audio_in_audio_are_found(corpus, prepare):
    """As MP3S downloads the ones, and SLURP's script the other."""
    before = prepare()
    for path in (corpus / "dataset" / "slurp").iterdir():
        path.rename(corpus / path.name)
    (corpus / "audio").mkdir()
    (corpus / "slurp_real").rename(corpus / "audio" / "slurp_real")
    after = prepare()
    for name, table in before.items():
        for row, moved in zip(table, after[name], strict=True):
            wav = row["wav"].replace("/slurp_real/", "/audio/slurp_real/")
            assert moved == {**row, "wav": wav}


def test_listed_recordings_that_are_absent_are_named(corpus, prepare, tmp_path):
    """All of them, by line and file; they count again once they are there."""
    files = [x["recordings"][0]["file"] for x in sentences(corpus, "devel")]
    hidden = {file: (corpus / "slurp_real" / file) for file in files[:2]}
    for file, path in hidden.items():
        path.rename(tmp_path / file)
    with pytest.raises(DataError, match="2 of .* can not be used") as caught:
        prepare()
    for number, path in enumerate(hidden.values(), 1):
        text = f"devel.jsonl, line {number}: missing: no {path}"
        assert text in str(caught.value)
    left = prepare(on_bad_audio="drop")["dev"]
    for file, path in hidden.items():
        (tmp_path / file).rename(path)
    assert len(prepare(on_bad_audio="drop")["dev"]) == len(left) + 2


def test_a_recording_in_two_splits_is_a_fault(corpus, prepare):
    """It would be trained on and tested."""
    line = sentences(corpus, "train")[0]
    rewrite(corpus, "test", [*sentences(corpus, "test"), line])
    with pytest.raises(DataError, match="duplicate .*train.jsonl, line 1"):
        prepare()


def test_a_scenario_that_train_lacks_is_named(corpus, prepare):
    """Nothing could have learned it; dropped, it is in no CSV."""
    lines = sentences(corpus, "devel")
    lines[0]["scenario"] = "qa"
    rewrite(corpus, "devel", lines)
    with pytest.raises(DataError, match="train has no 'qa' to learn"):
        prepare()
    table = prepare(on_bad_audio="drop")["dev"]
    assert len(table) == sum(len(x["recordings"]) for x in lines[1:])


def test_lines_that_are_no_annotations_are_named_at_once(corpus, prepare):
    """By number."""
    path = corpus / "dataset" / "slurp" / "train.jsonl"
    with open(path, "a") as file:
        file.write('{"scenario": "qa"}\nno json\n')
    count = len(path.read_text().splitlines())
    with pytest.raises(DataError, match="2 lines are no annotations") as caught:
        prepare()
    assert f"line {count - 1}: KeyError: 'recordings'" in str(caught.value)
    assert f"line {count}: JSONDecodeError" in str(caught.value)


def test_what_was_made_is_kept(prepare, monkeypatch):
    """No audio file is opened twice."""
    before = prepare()

    def refuse(id_, path):
        raise AssertionError(path)

    monkeypatch.setattr(audio_files, "examine", refuse)
    assert prepare() == before


def test_another_folder_says_where_to_get_the_corpus(recipe, tmp_path):
    """No folder, or one too high."""
    with pytest.raises(DataError, match="no such folder.*zenodo.org"):
        recipe.prepare_slurp(tmp_path / "absent", tmp_path / "csv")
    (tmp_path / "SLURP").mkdir()
    with pytest.raises(DataError, match="train.jsonl .*there: SLURP"):
        recipe.prepare_slurp(tmp_path, tmp_path / "csv")


def test_the_command_writes_the_csvs(corpus, tmp_path):
    """And says what is in them."""
    done = subprocess.run(
        [sys.executable, RECIPE / "slurp_prepare.py", corpus, tmp_path / "csv"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "train: 12 utterances" in done.stderr
    assert len(rows(tmp_path / "csv" / "train.csv")) == 12


def test_the_command_says_errors_plainly(recipe, tmp_path, monkeypatch):
    """As its last words, not as a traceback."""
    monkeypatch.setattr(sys, "argv", ["slurp", str(tmp_path), str(tmp_path)])
    with pytest.raises(SystemExit, match="train.jsonl is neither in"):
        recipe.main()
