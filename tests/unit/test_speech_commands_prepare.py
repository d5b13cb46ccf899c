"""Speech Commands' preparation: splits, classes, speakers and silence.

Authors
 * The d2v_sb developers 2026
"""

import csv
import hashlib
import importlib
import logging
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb import audio_files
from d2v_sb.errors import DataError
from tests.layouts.clips import an4_clips
from tests.layouts.speech_commands import make_speech_commands

RECIPE = Path(__file__).resolve().parents[2] / "recipes/SpeechCommands"
COLUMNS = ["ID", "duration", "wav", "spk_id", "label"]
WORDS = "yes no up down left right on off stop go".split()


@pytest.fixture(scope="module")
def recipe():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("speech_commands_prepare")


@pytest.fixture
def corpus(tmp_path, corpora):
    """Real clips of four speakers: the corpus's folder, and the test set's."""
    return make_speech_commands(tmp_path, an4_clips(corpora))


@pytest.fixture
def prepare(recipe, corpus, tmp_path):
    """Prepares it and gives the rows of the three CSVs."""

    def run(**kwargs):
        data, test = corpus
        recipe.prepare_speech_commands(data, tmp_path / "csv", test, **kwargs)
        names = ("train", "dev", "test")
        return {x: rows(tmp_path / "csv" / f"{x}.csv") for x in names}

    return run


def rows(path):
    """Rows of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def superb_split(name):
    """Where SUPERB puts a clip: by a hash of what is before ``_nohash_``."""
    speaker = name.partition("_nohash_")[0]
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27
    percent = number * 100 / (2**27 - 1)
    return "dev" if percent < 10 else "left out" if percent < 20 else "train"


def superb(data_folder):
    """(split, class, clip) of all clips of words, as SUPERB has them."""
    return {
        (
            superb_split(path.name),
            path.parent.name if path.parent.name in WORDS else "_unknown_",
            f"{path.parent.name}/{path.name}",
        )
        for path in data_folder.glob("[a-z]*/*.wav")
    }


def said(tables):
    """The same of CSVs, less silence and the test set."""
    return {
        (name, row["label"], "/".join(Path(row["wav"]).parts[-2:]))
        for name in ("train", "dev")
        for row in tables[name]
        if row["label"] != "_silence_"
    }


def test_words_are_split_and_named_as_superb_does(corpus, prepare):
    """By the lists, which its hash of speakers made."""
    wanted = superb(corpus[0])
    kept = {clip for clip in wanted if clip[0] != "left out"}
    assert len(kept) < len(wanted)  # the mistake: testing_list.txt is train
    assert said(prepare()) == kept
    # Both the layout's names and the rule are the corpus's own.
    for name, split in OFFICIAL.items():
        assert superb_split(name) == split


OFFICIAL = {
    "a69b9b3e_nohash_0.wav": "dev",  # of right, in validation_list.txt
    "409c962a_nohash_1.wav": "dev",
    "3ff840aa_nohash_0.wav": "left out",  # of yes, in the test set
    "26b28ea7_nohash_0.wav": "left out",
}


def test_the_test_set_is_taken_as_it_is(prepare):
    """Its folders are the classes; unknown words name their speakers too."""
    table = prepare()["test"]
    assert Counter(row["label"] for row in table) == {
        "yes": 1,
        "_unknown_": 1,
        "go": 1,
        "_silence_": 2,
    }
    speakers = {row["ID"]: row["spk_id"] for row in table}
    # Not bed_3ff840aa, who would be another one.
    assert speakers["_unknown_/bed_3ff840aa_nohash_0.wav"] == "3ff840aa"
    assert speakers["yes/3ff840aa_nohash_0"] == "3ff840aa"
    assert speakers["_silence_/104"] == "_silence_/104"


def test_the_test_set_is_found_beside_the_corpus(recipe, corpus, tmp_path):
    """By its version where there are two, and not guessed."""
    data, test = corpus
    beside = data.with_name("speech_commands_v0.01")
    data.rename(beside)
    out = tmp_path / "csv"
    with pytest.raises(DataError, match="not just one speech_commands_test"):
        recipe.prepare_speech_commands(beside, out)
    found = test.rename(beside / "speech_commands_test_set_v0.01")
    data.with_name("speech_commands_test_set_v0.02").mkdir()
    recipe.prepare_speech_commands(beside, out)
    wavs = [row["wav"] for row in rows(out / "test.csv")]
    assert len(wavs) == 5 and wavs[0].startswith(f"{found}/")


def test_silence_is_each_whole_second_of_a_noise(corpus, prepare):
    """Sample by sample, in one split, and what is left over is left out."""
    tables = prepare()
    pieces = {
        row["ID"]: (name, row)
        for name in ("train", "dev")
        for row in tables[name]
        if row["label"] == "_silence_"
    }
    noise = corpus[0] / "_background_noise_" / "white_noise.wav"
    samples = sf.read(noise, dtype="int16")[0]
    cut = [x for id_, x in sorted(pieces.items()) if "/white_noise/" in id_]
    assert [name for name, _ in cut] == ["train"] * 9 + ["dev", "train"]
    heard = [sf.read(row["wav"], dtype="int16")[0] for _, row in cut]
    assert np.array_equal(np.concatenate(heard), samples[: 11 * 16000])
    assert {row["spk_id"] for _, row in cut} == {"white_noise"}
    assert len(pieces) == 22
    assert list(tables["dev"][0]) == COLUMNS


def test_pieces_and_csvs_that_were_made_are_kept(
    corpus, prepare, tmp_path, monkeypatch
):
    """A piece that is gone is cut again, with its noise's others."""
    before = prepare()
    piece = tmp_path / "csv/clips/_silence_/white_noise/000.wav"
    other = tmp_path / "csv/clips/_silence_/running_tap/000.wav"
    made = [path.stat().st_mtime_ns for path in (piece, other)]

    opened, examine = [], audio_files.examine

    def spy(id_, path):
        opened.append(id_)
        return examine(id_, path)

    monkeypatch.setattr(audio_files, "examine", spy)
    assert prepare() == before and opened == []
    assert [path.stat().st_mtime_ns for path in (piece, other)] == made
    piece.with_name("003.wav").unlink()
    assert prepare() == before
    assert piece.with_name("003.wav").is_file()
    assert piece.stat().st_mtime_ns != made[0]
    assert other.stat().st_mtime_ns == made[1]


def test_pieces_go_where_they_are_told_to(prepare, tmp_path):
    """To share them between save folders."""
    table = prepare(clips_folder=tmp_path / "pieces")["dev"]
    assert table[-1]["wav"].startswith(f"{tmp_path}/pieces/_silence_/")
    assert not (tmp_path / "csv" / "clips").exists()


def test_damaged_noise_is_named(corpus, prepare):
    """Nothing is cut of it; the other is silence enough when it is dropped."""
    noise = corpus[0] / "_background_noise_" / "white_noise.wav"
    noise.write_bytes(noise.read_bytes()[:9000])
    with pytest.raises(DataError, match="white_noise.wav: truncated"):
        prepare()
    table = prepare(on_bad_audio="drop")["train"]
    assert sum(row["label"] == "_silence_" for row in table) == 10
    sf.write(noise, np.zeros(15999), 16000)
    with pytest.raises(DataError, match="white_noise.wav: too short"):
        prepare()


def test_listed_clips_that_are_absent_are_named(corpus, prepare):
    """All of them, by line."""
    lines = (corpus[0] / "validation_list.txt").read_text().split()
    for clip in lines[:2]:
        (corpus[0] / clip).unlink()
    with pytest.raises(DataError, match="2 of .* can not be used") as caught:
        prepare()
    for number, clip in enumerate(lines[:2], 1):
        text = f"validation_list.txt, line {number}: missing: no {corpus[0]}"
        assert f"{text}/{clip}" in str(caught.value)


def test_a_speaker_in_train_and_dev_is_an_error(corpus, prepare):
    """As where lines of the list were lost."""
    path = corpus[0] / "validation_list.txt"
    path.write_text("".join(path.read_text().splitlines(True)[1:]))
    with pytest.raises(DataError, match="1 speakers .*: a69b9b3e"):
        prepare()


def test_a_test_speaker_who_is_trained_on_is_warned_of(corpus, prepare, caplog):
    """The test set can not be changed, but belongs to another version."""
    path = corpus[0] / "testing_list.txt"
    path.write_text("".join(path.read_text().splitlines(True)[1:]))
    with caplog.at_level(logging.WARNING):
        prepare()
    assert "1 speakers of the test set are trained on" in caplog.text
    assert "3ff840aa" in caplog.text


def test_a_clip_in_both_lists_is_an_error(corpus, prepare):
    """Named."""
    path = corpus[0] / "testing_list.txt"
    path.write_text((corpus[0] / "validation_list.txt").read_text())
    with pytest.raises(DataError, match="3 clips .* yes/a69b9b3e_nohash_0.wav"):
        prepare()


def test_a_class_that_train_lacks_is_named(corpus, prepare):
    """Nothing could have learned it."""
    for path in (corpus[0] / "go").glob("0*.wav"):
        path.unlink()
    with pytest.raises(DataError, match="go/a69b9b3e.*no 'go' to learn"):
        prepare()
    tables = prepare(on_bad_audio="drop")
    labels = {row["label"] for table in tables.values() for row in table}
    assert "go" not in labels and "yes" in labels


def test_what_is_no_corpus_or_test_set_says_so(recipe, corpus, tmp_path):
    """No folder, one too high, no list, no noise, or the folders swapped."""
    data, test = corpus

    def expect(data, test, text):
        with pytest.raises(DataError, match=text):
            recipe.prepare_speech_commands(data, tmp_path / "csv", test)
        assert not (tmp_path / "csv").exists()

    expect(tmp_path / "absent", test, "absent does not exist")
    expect(tmp_path, test, "no folder of: down, .* there: commands, ")
    expect(data, data, "not the official .*: _background_noise_, bed, cat; ")
    expect(data, tmp_path, "not the official .* lacking: yes, no, ")
    expect(data, tmp_path / "absent", "absent does not exist.*test_set")
    expect(test, test, "validation_list.txt: the list can not be read")
    noises = data / "_background_noise_"
    for path in noises.glob("*.wav"):
        path.unlink()
    expect(data, test, "_background_noise_ has no .wav to cut silence of")


def test_the_command_takes_three_folders(recipe, corpus, tmp_path, monkeypatch):
    """And says errors plainly."""
    data, test = map(str, corpus)
    out = str(tmp_path / "csv")
    monkeypatch.setattr(sys, "argv", ["prepare", data, out, test])
    recipe.main()
    assert len(rows(tmp_path / "csv" / "test.csv")) == 5
    monkeypatch.setattr(sys, "argv", ["prepare", data, out, "absent"])
    with pytest.raises(SystemExit, match="absent does not exist"):
        recipe.main()
