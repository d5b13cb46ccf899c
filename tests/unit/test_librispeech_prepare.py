"""LibriSpeech preparation: what it writes, refuses, and survives.

Authors
 * The d2v_sb developers 2026
"""

import csv
import importlib.util
import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb import audio_files
from d2v_sb.errors import DataError

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "LibriSpeech"
COLUMNS = ["ID", "duration", "wav", "spk_id", "wrd"]


@pytest.fixture
def recipe(monkeypatch):
    """The preparation script as a module, as a recipe imports it."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import librispeech_prepare

    return librispeech_prepare


@pytest.fixture
def prepare(recipe, tmp_path):
    """Prepares split ``dev`` of the folder of ``corpus``."""

    def run(**kwargs):
        recipe.prepare_librispeech(
            tmp_path / "data", tmp_path / "csv", [], "dev", [], **kwargs
        )
        return rows(tmp_path / "csv" / "dev.csv")

    return run


@pytest.fixture
def corpus(tmp_path):
    """A split ``dev`` of four good utterances in two chapters."""
    write_split(tmp_path / "data" / "dev", ["1-10", "2-20"])
    return tmp_path / "data" / "dev"


@pytest.fixture
def opened(monkeypatch):
    """Ids of the audio files that were opened."""
    ids, examine = [], audio_files.examine

    def spy(id_, path):
        ids.append(id_)
        return examine(id_, path)

    monkeypatch.setattr(audio_files, "examine", spy)
    return ids


def noise(num_samples=8000, seed=0):
    """Quiet white noise."""
    return 0.1 * np.random.default_rng(seed).standard_normal(num_samples)


def write_split(folder, chapters, num=2, ext="flac"):
    """Writes synthetic chapters in LibriSpeech's layout."""
    for name in chapters:
        chapter = folder / name.replace("-", "/")
        chapter.mkdir(parents=True)
        ids = [f"{name}-{i:04d}" for i in range(num)]
        lines = [f"{id_} hello number {i}\n" for i, id_ in enumerate(ids)]
        (chapter / f"{name}.trans.txt").write_text("".join(lines))
        for id_ in ids:
            sf.write(chapter / f"{id_}.{ext}", noise(), 16000)


def rows(path):
    """Rows of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def left_over(tmp_path):
    """Temporary folders beside the CSVs, less their random ending."""
    return [p.name.rpartition(".")[0] for p in (tmp_path / "csv").glob(".*")]


def test_csv_has_speechbrains_columns_and_true_values(corpus, prepare):
    """One row an utterance, in order, with what the files say."""
    table = prepare()
    assert list(table[0]) == COLUMNS
    assert [row["ID"] for row in table] == [
        "1-10-0000",
        "1-10-0001",
        "2-20-0000",
        "2-20-0001",
    ]
    assert float(table[0]["duration"]) == 0.5
    assert table[1]["wav"] == str(corpus / "1" / "10" / "1-10-0001.flac")
    assert table[1]["wrd"] == "HELLO NUMBER 1"
    assert table[2]["spk_id"] == "2-20"


def test_csv_is_read_by_speechbrain(corpus, prepare, tmp_path):
    """SpeechBrain's dataset takes the file as it is."""
    from speechbrain.dataio.dataset import DynamicItemDataset

    prepare()
    path = tmp_path / "csv" / "dev.csv"
    dataset = DynamicItemDataset.from_csv(
        path, output_keys=["id", "duration", "wav", "wrd"]
    )
    assert len(dataset) == 4
    assert dataset[0]["duration"] == 0.5
    assert Path(dataset[0]["wav"]).is_file()


def test_wav_is_taken_where_flac_is_absent(tmp_path, prepare):
    """FLAC wins where both are there."""
    folder = tmp_path / "data" / "dev"
    write_split(folder, ["1-10"], ext="wav")
    sf.write(folder / "1" / "10" / "1-10-0001.flac", noise(), 16000)
    suffixes = [Path(row["wav"]).suffix for row in prepare()]
    assert suffixes == [".wav", ".flac"]


def test_train_and_dev_csv_hold_all_their_splits(recipe, tmp_path):
    """In the order given; the others stay out."""
    for i, split in enumerate("abcdef"):
        write_split(tmp_path / "data" / split, [f"{i}-10"])
    out = tmp_path / "csv"
    recipe.prepare_librispeech(
        tmp_path / "data", out, ["b", "a"], ["d", "c"], ["e", "f"]
    )
    assert rows(out / "train.csv") == rows(out / "b.csv") + rows(out / "a.csv")
    assert rows(out / "dev.csv") == rows(out / "d.csv") + rows(out / "c.csv")
    assert len(list(out.iterdir())) == 6 + 2


def test_split_that_is_named_as_a_merged_csv_is_refused(recipe, tmp_path):
    """``dev.csv`` can not be both; alone it is itself."""
    for i, split in enumerate(["dev", "other"]):
        write_split(tmp_path / "data" / split, [f"{i}-10"])
    paths = tmp_path / "data", tmp_path / "csv"
    for dev, test in [(["other", "dev"], []), (["other"], ["dev"])]:
        with pytest.raises(DataError, match="both the split 'dev' and other"):
            recipe.prepare_librispeech(*paths, [], dev, test)
    recipe.prepare_librispeech(*paths, [], ["dev"], ["other"])
    assert len(rows(tmp_path / "csv" / "dev.csv")) == 2


def test_same_id_in_two_train_splits_is_refused(recipe, tmp_path):
    """SpeechBrain would stop later, and name no file."""
    for split in ["a", "b"]:
        write_split(tmp_path / "data" / split, ["1-10"])
    with pytest.raises(DataError, match="1-10-0000.*a.csv"):
        recipe.prepare_librispeech(
            tmp_path / "data", tmp_path / "csv", ["a", "b"], [], []
        )


def test_skip_prep_touches_nothing(recipe, tmp_path):
    """Not even a check of the folder."""
    recipe.prepare_librispeech(
        "nowhere", tmp_path / "csv", "a", [], [], skip_prep=True
    )
    assert not (tmp_path / "csv").exists()


FAULTS = {
    "missing": (Path.unlink, "missing: no 2-20-0000.flac"),
    "no bytes": (lambda p: p.write_bytes(b""), "empty: a file of 0 bytes"),
    "rate": (lambda p: sf.write(p, noise(), 8000), "8000 Hz, not 16000"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_bad_audio_stops_and_is_named(corpus, prepare, tmp_path, name):
    """The default: file, reason, list and choices; no CSV."""
    spoil, reason = FAULTS[name]
    spoil(corpus / "2" / "20" / "2-20-0000.flac")
    with pytest.raises(DataError, match=reason) as caught:
        prepare()
    message = str(caught.value)
    assert "1 of 4 utterances" in message and "dev.bad.txt" in message
    assert "2-20" in message and "'drop'" in message and "'convert'" in message
    assert not (tmp_path / "csv" / "dev.csv").exists()
    assert "2-20-0000" in (tmp_path / "csv" / "dev.bad.txt").read_text()


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("choice", ["drop", "convert"])
def test_drop_and_convert_keep_what_they_say(
    corpus, prepare, opened, name, choice
):
    """And are not asked again about the same corpus."""
    FAULTS[name][0](corpus / "2" / "20" / "2-20-0000.flac")
    table = prepare(on_bad_audio=choice)
    kept = choice == "convert" and name == "rate"
    assert ("2-20-0000" in [row["ID"] for row in table]) == kept
    assert len(table) == 3 + kept
    opened.clear()
    assert prepare(on_bad_audio=choice) == table and opened == []


def test_transcript_faults_are_listed(corpus, prepare, tmp_path):
    """An id twice, and an id without words."""
    with open(corpus / "1" / "10" / "1-10.trans.txt", "a") as file:
        file.write("1-10-0000 AGAIN\n\n1-10-0002\n")
    sf.write(corpus / "1" / "10" / "1-10-0002.flac", noise(), 16000)
    table = prepare(on_bad_audio="drop")
    assert len(table) == 4 and table[0]["wrd"] == "HELLO NUMBER 0"
    listed = (tmp_path / "csv" / "dev.bad.txt").read_text()
    assert "1-10.trans.txt, line 3\tduplicate id, first in" in listed
    assert "line 5\tempty transcript" in listed


def test_transcript_that_is_no_text_is_named(corpus, prepare):
    """A damaged transcript is an error under every choice."""
    (corpus / "1" / "10" / "1-10.trans.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="1-10.trans.txt: the transcript"):
        prepare(on_bad_audio="drop")


def test_audio_without_transcript_is_warned_of(corpus, prepare, caplog):
    """With a count and the first names; hidden files do not count."""
    for i in range(7):
        sf.write(corpus / "1" / "10" / f"1-10-1{i:03d}.flac", noise(), 16000)
    (corpus / "1" / "10" / "._1-10-0000.flac").write_bytes(b"mac")
    (corpus / "1" / "10" / "._1-10.trans.txt").write_bytes(b"\xff mac")
    with caplog.at_level(logging.WARNING):
        assert len(prepare()) == 4
    assert "7 audio files have no transcript" in caplog.text
    assert "1-10-1000.flac" in caplog.text


def test_unknown_choice_names_the_choices(corpus, prepare):
    """A typing error must not mean the default."""
    with pytest.raises(DataError, match="'skip'.*'error'.*'drop'.*'convert'"):
        prepare(on_bad_audio="skip")


def test_missing_corpus_says_the_way_out(recipe, tmp_path):
    """No folder, no split, one folder too high, or another layout."""
    data, out = tmp_path / "data", tmp_path / "csv"

    def expect(text):
        with pytest.raises(DataError, match=text) as caught:
            recipe.prepare_librispeech(data, out, [], ["dev"], [])
        message = str(caught.value)
        assert "`--download true`" in message and "`make demo`" in message

    expect("data does not exist")
    data.mkdir()
    expect("'dev': no such folder in .*found there: nothing")
    (data / "LibriSpeech" / "dev").mkdir(parents=True)
    expect("found there: LibriSpeech.*--data_folder .*data/LibriSpeech")
    (data / "dev" / "clips").mkdir(parents=True)
    expect("not laid out as LibriSpeech.*trans.txt.*found there: clips")
    assert not out.exists()


# Again, and after a kill.


def test_split_is_made_again_when_the_corpus_says_otherwise(
    corpus, prepare, opened
):
    """New words, a new utterance."""
    prepare()
    transcript = corpus / "1" / "10" / "1-10.trans.txt"
    transcript.write_text(transcript.read_text().replace("hello", "bye"))
    assert prepare()[0]["wrd"] == "BYE NUMBER 0"
    write_split(corpus, ["3-30"], num=1)
    assert len(prepare()) == 5
    assert len(opened) == 4 + 4 + 5


def test_split_of_another_data_folder_is_made_again(recipe, tmp_path, opened):
    """Same ids, same words, other files."""
    for name in ["one", "two", "two"]:
        if not (tmp_path / name).exists():
            write_split(tmp_path / name / "dev", ["1-10"])
        recipe.prepare_librispeech(
            tmp_path / name, tmp_path / "csv", [], ["dev"], []
        )
    assert len(opened) == 2 + 2
    assert f"{tmp_path}/two/" in rows(tmp_path / "csv" / "dev.csv")[0]["wav"]


KILLED = """
import os, sys, time
sys.path[:0] = [{root!r}, {recipe!r}]
import librispeech_prepare as recipe
from d2v_sb import audio_files

def stop(*_):
    os.write(1, b"STOPPED\\n")  # whole, though many threads write
    time.sleep(60)

{patch}
recipe.prepare_librispeech({data!r}, {csv!r}, ["train"], ["dev"], [])
"""


KILLS = {
    "while reading": ("audio_files.raise_if_damaged = stop", []),
    "while writing": ("os.replace = stop", [".train.csv"]),
}


def start(patch, folder):
    """A process that prepares a corpus and stops in the middle."""
    for split in ["train", "dev"]:
        write_split(folder / "data" / split, ["1-10"], num=40)
    paths = {"data": str(folder / "data"), "csv": str(folder / "csv")}
    code = KILLED.format(
        root=str(ROOT), recipe=str(RECIPE), patch=patch, **paths
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_kill_leaves_no_half_csv_and_a_rerun_mends_it(recipe, tmp_path):
    """SIGKILL, which no handler sees, at two moments (side by side)."""
    running = {
        moment: start(patch, tmp_path / moment)
        for moment, (patch, _) in KILLS.items()
    }
    for moment, process in running.items():
        with process:
            line = process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert line == b"STOPPED\n"
        folder = tmp_path / moment
        assert not list(folder.glob("csv/*.csv"))
        assert left_over(folder) == KILLS[moment][1]

        recipe.prepare_librispeech(
            folder / "data", folder / "csv", "train", "dev", []
        )
        assert len(rows(folder / "csv" / "train.csv")) == 40
        assert len(rows(folder / "csv" / "dev.csv")) == 40
        assert left_over(folder) == []


def test_temporary_of_a_split_no_longer_wanted_goes(corpus, prepare, tmp_path):
    """A killed run may have prepared other splits."""
    (tmp_path / "csv").mkdir()
    for name in [".other.csv.abc", ".other.bad.txt.abc", ".mine.abc"]:
        (tmp_path / "csv" / name).mkdir()
        (tmp_path / "csv" / name / "half").write_text("half")
    prepare()
    assert left_over(tmp_path) == [".mine"]


def test_real_corpus_is_prepared(recipe, corpora, tmp_path):
    """AN4 and LibriSpeech itself, in LibriSpeech's layout."""
    recipe.prepare_librispeech(
        corpora / "librispeech_mini",
        tmp_path,
        ["train-clean-5"],
        ["dev-clean"],
        ["test-clean", "test-other"],
    )
    counts = {path.stem: len(rows(path)) for path in tmp_path.glob("*.csv")}
    assert counts == {
        "train": 844,
        "train-clean-5": 844,
        "dev": 104,
        "dev-clean": 104,
        "test-clean": 130,
        "test-other": 100,
    }


def test_recipe_takes_a_split_given_as_a_string(recipe, tmp_path, monkeypatch):
    """`--dev_splits dev`, not the splits `d`, `e` and `v`; with a download."""
    spec = importlib.util.spec_from_file_location("recipe", RECIPE / "train.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    fetched = []

    def download(folder, splits):
        for i, split in enumerate(splits):
            fetched.append(split)
            write_split(folder / split, [f"{i}-10"])

    monkeypatch.setattr(script, "download_librispeech", download)
    script.prepare(
        {
            "data_folder": tmp_path / "data",
            "output_folder": tmp_path / "csv",
            "train_splits": "one",
            "dev_splits": ["two", "three"],
            "test_splits": None,
            "download": True,
            "on_bad_audio": "error",
            "skip_prep": False,
            "train_ids": None,
            "join_seconds": 0,
        }
    )
    assert fetched == ["one", "two", "three"]
    assert len(rows(tmp_path / "csv" / "train.csv")) == 2
