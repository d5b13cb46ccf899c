"""Common Voice preparation: which sentences and clips are taken, and how.

Authors
 * The d2v_sb developers 2026
"""

import csv
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf
import torch

from d2v_sb import audio_files
from d2v_sb.dataio import read_audio
from d2v_sb.errors import DataError
from tests.layouts.clips import an4_clips
from tests.layouts.commonvoice import joined, line, make_common_voice, write_mp3

RECIPE = Path(__file__).parents[2] / "recipes" / "CommonVoice"


@pytest.fixture
def recipe(monkeypatch):
    """The preparation script as a module, as a recipe imports it."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import commonvoice_prepare

    return commonvoice_prepare


@pytest.fixture
def data(corpora, tmp_path):
    """Folder of a language of four speakers."""
    return make_common_voice(tmp_path / "data", an4_clips(corpora))


@pytest.fixture
def prepare(recipe, data, tmp_path):
    """Prepares it and gives the rows of a split."""

    def run(split, **kwargs):
        recipe.prepare_common_voice(data, tmp_path / "csv", **kwargs)
        return rows(tmp_path / "csv" / f"{split}.csv")

    return run


@pytest.fixture
def add(data):
    """Adds a clip of some seconds of noise, and its line, to a split."""

    def write(split, name, sentence, seconds=1.0):
        noise = 0.1 * torch.randn(int(seconds * 16000))
        write_mp3(data / "clips" / f"{name}.mp3", noise, 48000)
        with open(data / f"{split}.tsv", "a", encoding="utf-8") as file:
            file.write(line("else", f"{name}.mp3", sentence))

    return write


def rows(path):
    """Rows of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_has_what_the_list_says(recipe, data, prepare):
    """Clips in place, client as speaker, the sentence as it is."""
    table = prepare("dev")
    with open(data / "dev.tsv", newline="", encoding="utf-8") as file:
        lines = [each.rstrip("\n").split("\t") for each in file][1:]
    assert len(table) == len(lines) >= 2
    assert list(table[0]) == recipe.COLUMNS
    for row, cells in zip(table, lines):
        assert row["ID"] == cells[1].removesuffix(".mp3")
        assert row["wav"] == str(data / "clips" / cells[1])
        assert (row["spk_id"], row["wrd"]) == (cells[0], cells[2])


def test_duration_of_an_mp3_is_that_of_the_clip_it_was_made_of(
    corpora, prepare
):
    """And so is what is read, at 48 and 32 kHz: the mistakes are to count its
    samples as if at 16 kHz, and to leave the encoder's delay in it."""
    speakers = dict.fromkeys(clip.speaker for clip in an4_clips(corpora))
    sounds = [
        sound
        for speaker in [*speakers][::3]  # those in train
        for sound, _ in joined(
            clip for clip in an4_clips(corpora) if clip.speaker == speaker
        )
    ]
    rates = set()
    for row, sound in zip(prepare("train"), sounds, strict=True):
        rates.add(sf.info(row["wav"]).samplerate)
        assert float(row["duration"]) == pytest.approx(len(sound) / 16000)
        read = read_audio(row["wav"], convert=True)
        assert len(read) == len(sound)
        torch.testing.assert_close(read, sound, atol=0.1, rtol=0)
        late = torch.roll(sound, 600)  # about the delay of an MP3 encoder
        assert (read - late).norm() > 4 * (read - sound).norm()
    assert rates == {48000, 32000}


def test_text_keeps_accents_case_quotes_and_punctuation(add, prepare):
    """Only spaces go, where there are several or at an end."""
    add("test", "a", ' "Tŷ  â, Ŵy\' ÔL!" ')
    add("test", "b", '"Un quote only here')
    words = {row["ID"]: row["wrd"] for row in prepare("test")}
    assert words["a"] == '"Tŷ â, Ŵy\' ÔL!"'
    assert words["b"] == '"Un quote only here'


def test_sentences_of_two_words_are_left_out_and_counted(
    add, prepare, caplog, tmp_path
):
    """Two spaces do not make a third word, and a hyphen does not part one."""
    add("dev", "a", "Bore  da")
    add("dev", "b", "Dydd-da i chi")
    with caplog.at_level(logging.INFO):
        ids = [row["ID"] for row in prepare("dev")]
    assert "a" not in ids and "b" in ids
    assert "dev: 1 sentences of fewer than 3 words" in caplog.text
    assert "a" in [row["ID"] for row in prepare("dev", fewest_words=2)]
    assert not (tmp_path / "csv" / "dev.examined.jsonl").exists()


def test_clips_of_more_than_10_s_are_only_tested_on(add, prepare):
    """Just 10 s is trained on."""
    for split in ("train", "dev", "test"):
        add(split, f"{split}_just", "un dau tri", 10.0)
        add(split, f"{split}_long", "un dau tri", 10.1)
    ids = [row["ID"] for row in prepare("train")]
    assert "train_just" in ids and "train_long" not in ids
    for split in ("dev", "test"):
        assert f"{split}_long" in [row["ID"] for row in prepare(split)]
    assert "train_long" in [
        row["ID"] for row in prepare("train", longest_seconds=11)
    ]
    with pytest.raises(DataError, match="longest_seconds, 0.1. Set that"):
        prepare("train", longest_seconds=0.1)


def test_columns_of_other_releases_are_taken(data, prepare):
    """In another order, with others; without a needed one it is named."""
    path = data / "test.tsv"
    before = prepare("test")
    lines = [x.split("\t") for x in path.read_text("utf-8").splitlines()]
    lines[0][7] = "accent"
    newer = [["sentence_domain", *x[2::-1], "variant"] for x in lines]
    path.write_text("\n".join("\t".join(x) for x in newer), "utf-8")
    assert prepare("test") == before
    path.write_text(path.read_text("utf-8").replace("client_id", "speaker"))
    with pytest.raises(DataError, match="test.tsv .*no column client_id"):
        prepare("test")


def test_faults_are_listed_and_the_rest_is_kept(data, add, prepare, tmp_path):
    """A clip that is missing, one cut off, one twice, and half a line."""
    before = prepare("dev")
    add("dev", "cut", "un dau tri")
    path = data / "clips" / "cut.mp3"
    path.write_bytes(path.read_bytes()[:3000])
    with open(data / "dev.tsv", "a", encoding="utf-8") as file:
        file.write(line("else", "gone.mp3", "un dau tri"))
        file.write(line("else", "gone.mp3", "un dau tri"))
        file.write("else\thalf.mp3\n")
    assert prepare("dev") == before
    listed = (tmp_path / "csv" / "dev.bad.txt").read_text()
    for text in (
        "cut.mp3\ttruncated",
        "gone.mp3\tunreadable",
        "duplicate clip, first in",
        "\tno sentence",
    ):
        assert text in listed
    with pytest.raises(DataError, match="48000 Hz, not 16000"):
        prepare("dev", on_bad_audio="error")


def test_again_no_clip_is_opened(prepare, monkeypatch):
    """And a clip that was too long before is trained on if it may be."""
    table = prepare("train")
    opened, examine = [], audio_files.examine
    monkeypatch.setattr(
        audio_files, "examine", lambda *x: opened.append(x) or examine(*x)
    )
    assert prepare("train") == table
    shortest = min(float(row["duration"]) for row in table)
    assert len(prepare("train", longest_seconds=shortest)) < len(table)
    assert prepare("train") == table and opened == []


def test_language_is_found_in_the_folder_it_is_in(recipe, data, tmp_path):
    """By its code; another one, or the release alone, is an error."""
    for folder, language in [(data.parent, "cy"), (data, "cy"), (data, None)]:
        out = tmp_path / f"{folder.name}-{language}"
        recipe.prepare_common_voice(folder, out, language)
        assert (out / "train.csv").is_file()

    def expect(folder, language, text):
        with pytest.raises(DataError, match=text):
            recipe.prepare_common_voice(folder, tmp_path / "csv", language)
        assert not (tmp_path / "csv").exists()

    expect(data.parent, "eu", "eu does not exist .*: cy.*commonvoice.mozilla")
    expect(data.parent, None, "no train.tsv, dev.tsv, test.tsv, clips in it")
    expect(data, "eu", "cy/eu does not exist")
    (data / "test.tsv").write_text("client_id\tpath\tsentence\n")
    expect(data, "cy", "3 words or more in test.tsv .*fewest_words to 1")


def test_skip_prep_touches_nothing(recipe, tmp_path):
    """Not even a check of the folder."""
    recipe.prepare_common_voice("nowhere", tmp_path / "csv", skip_prep=True)
    assert not (tmp_path / "csv").exists()


def test_command_prepares(recipe, data, tmp_path):
    """With its options."""
    options = ["--longest_seconds", "2"]
    recipe.main([str(data.parent), str(tmp_path / "csv"), "cy", *options])
    table = rows(tmp_path / "csv" / "train.csv")
    assert 0 < len(table) < len(rows(tmp_path / "csv" / "train-all.csv"))


def test_command_says_errors_plainly(data, tmp_path):
    """As a script, from anywhere; a language that is not there."""
    done = subprocess.run(
        [
            sys.executable,
            str(RECIPE / "commonvoice_prepare.py"),
            str(data.parent),
            "csv",
            "eu",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "eu does not exist" in done.stderr
