"""Buckeye preparation: MP3S's utterances, from folders and from zips.

Authors
 * The d2v_sb developers 2026
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb.errors import DataError
from tests.layouts.buckeye import make_buckeye, words_file, zip_buckeye
from tests.layouts.clips import an4_clips

RECIPE = Path(__file__).parents[2] / "recipes" / "Buckeye"
SPLITS = ("train", "dev", "test")


@pytest.fixture
def recipe(monkeypatch):
    """The preparation script as a module, as a recipe imports it."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import buckeye_prepare

    return buckeye_prepare


@pytest.fixture
def words(recipe):
    """The module that cuts."""
    import buckeye_words

    return buckeye_words


@pytest.fixture
def data(corpora, tmp_path):
    """Four speakers' recordings, of real clips."""
    return make_buckeye(tmp_path / "data", an4_clips(corpora))


@pytest.fixture
def written(monkeypatch, recipe):
    """Names of the clips that are written."""
    import buckeye_clips

    names, write = [], buckeye_clips.sf.write

    def spy(path, *args, **kwargs):
        names.append(path.name)
        write(path, *args, **kwargs)

    monkeypatch.setattr(buckeye_clips.sf, "write", spy)
    return names


def rows(folder, split):
    """Rows of a CSV."""
    with open(folder / f"{split}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def segments(words, tokens):
    """(begin, end, words) of what is made of (end, word)."""
    found = words.segment(words.read_tokens(words_file("s0101a", tokens)))
    return [(each.begin, each.end, each.words) for each in found]


def between_cuts(tokens, pause_counts=True):
    """The rules once more, in other words: what lies between two cuts."""
    cuts = [
        n for n, (_, word) in enumerate(tokens) if "<" in word or word == "uh"
    ]
    found = []
    for before, cut in zip(cuts, cuts[1:]):
        begin, end = tokens[before][0], tokens[cut - 1][0]
        said = [word for _, word in tokens[before + 1 : cut]]
        length = tokens[cut if pause_counts else cut - 1][0] - begin
        if length > 2 and len(said) >= 3:
            found.append((begin, end, " ".join(said).upper()))
    return found


CONVERSATION = [
    (0.25, "{B_TRANS}"),
    (1.0, "so"),
    (1.5, "i"),
    (4.0, "know"),
    (4.5, "<SIL>"),
    (5.0, "we"),
    (5.5, "were"),
    (6.0, "there"),
    (7.0, "<VOCNOISE>"),
    (8.0, "it's"),
    (9.5, "uh-huh"),
    (10.0, "uh"),
    (10.5, "and"),
    (11.0, "then"),
    (11.5, "we"),
    (12.0, "<LAUGH-left>"),
    (13.0, "yknow"),
    (14.0, "that's"),
    (15.0, "it"),
    (15.5, "{E_TRANS}"),
]


def test_utterances_are_those_of_the_rules_by_hand(words):
    """Lost: what comes before the first cut and after the last one, two words,
    and 1.5 s with its pause; kept: 1.5 s that the pause makes 2.5."""
    assert segments(words, CONVERSATION) == [(4.5, 6.0, "WE WERE THERE")]


def test_pause_behind_an_utterance_counts_towards_its_length(words):
    """Against the rules in other words; to leave it out is the mistake."""
    rng = np.random.default_rng(3)
    choices = ["the", "cat", "yknow", "uh", "<SIL>", "uh-huh", "{B_TRANS}"]
    ends = 0.25 + np.cumsum(rng.integers(1, 8, 3000) / 8).round(3)
    tokens = [(float(end), str(rng.choice(choices))) for end in ends]
    found = segments(words, tokens)
    assert len(found) > 100
    assert found == between_cuts(tokens)
    assert found != between_cuts(tokens, pause_counts=False)


def test_first_word_at_second_0_loses_its_sound(words):
    """A beginning at 0 is no beginning to MP3S."""
    ends = [(0.0, "<SIL>"), (1.0, "a"), (2.0, "b"), (3.0, "c"), (4.0, "uh")]
    assert segments(words, ends) == [(1.0, 3.0, "A B C")]
    later = [(end + 0.5, word) for end, word in ends]
    assert segments(words, later) == [(0.5, 3.5, "A B C")]


def test_lines_of_other_forms_are_read_as_mp3s_reads_them(words):
    """No word, no semicolon, a word of two, no pronunciation."""
    text = (
        "header\n#\n 1.0 122 <SIL>; S\n 2.0 122\n 2.5 122 cats\n"
        " 3.0 122 ice cream; x\n 4.0 122 too;\n\n 9 122 <EXT-i know>; x\n"
    )
    (found,) = words.segment(words.read_tokens(text))
    assert found == words.Utterance(1.0, 4.0, "CAT IC TOO")


def test_csvs_have_the_speakers_of_each_split(recipe, data, tmp_path):
    """IDs as MP3S's, durations of the clips."""
    recipe.prepare_buckeye(data, tmp_path / "csv")
    speakers = {}
    for split in SPLITS:
        table = rows(tmp_path / "csv", split)
        assert list(table[0]) == recipe.COLUMNS
        speakers[split] = {row["spk_id"] for row in table}
        for row in table:
            assert float(row["duration"]) == sf.info(row["wav"]).duration
    assert speakers == {
        "train": {"s01", "s02"},
        "dev": {"s36"},
        "test": {"s38"},
    }
    assert rows(tmp_path / "csv", "dev")[0]["ID"] == "s3601a_0"
    assert rows(tmp_path / "csv", "dev")[0]["wrd"] == "C Z D Z W EIGHT"


def test_clip_is_the_sound_between_its_times(recipe, corpora, data, tmp_path):
    """Sample by sample the clip that was joined; one word later is not."""
    recipe.prepare_buckeye(data, tmp_path / "csv")
    row = rows(tmp_path / "csv", "dev")[0]
    speaker = an4_clips(corpora)[3].speaker
    first = next(c for c in an4_clips(corpora) if c.speaker == speaker)
    assert row["wrd"] == first.words
    heard, said = sf.read(row["wav"])[0], sf.read(first.path)[0]
    np.testing.assert_array_equal(heard, said)
    whole = sf.read(data / "s36" / "s3601a.wav")[0]
    late = whole[8000 + 8800 :][: len(said)]
    assert not np.array_equal(late, said)


@pytest.mark.parametrize("depth", ["all", "some"])
def test_zips_are_read_as_they_come(recipe, data, tmp_path, depth):
    """The same rows and sounds, whether zips hold zips or all is unzipped."""
    zips = zip_buckeye(data, tmp_path / "zips")
    if depth == "some":
        (zips / "s36").symlink_to(data / "s36")
        subprocess.run(
            [sys.executable, "-m", "zipfile", "-e", "s38.zip", "."],
            cwd=zips,
            check=True,
        )
    recipe.prepare_buckeye(data, tmp_path / "a")
    recipe.prepare_buckeye(zips, tmp_path / "b", tmp_path / "a" / "elsewhere")
    for split in SPLITS:
        for one, other in zip(
            rows(tmp_path / "a", split),
            rows(tmp_path / "b", split),
            strict=True,
        ):
            sounds = [sf.read(row.pop("wav"))[0] for row in (one, other)]
            np.testing.assert_array_equal(*sounds)
            assert one == other


def test_again_nothing_is_cut(recipe, data, tmp_path, written):
    """Save what comes from a recording, or from times, that changed."""
    recipe.prepare_buckeye(data, tmp_path / "csv")
    before = rows(tmp_path / "csv", "dev")
    assert len(written) == sum(len(rows(tmp_path / "csv", s)) for s in SPLITS)
    written.clear()
    recipe.prepare_buckeye(data, tmp_path / "csv")
    assert written == [] and rows(tmp_path / "csv", "dev") == before

    os.utime(data / "s36" / "s3601a.wav", (1, 1))
    recipe.prepare_buckeye(data, tmp_path / "csv")
    assert len(written) == len(before)
    written.clear()

    path = data / "s36" / "s3601a.words"
    path.write_text(path.read_text().replace(" 3.800000 ", " 3.700000 "))
    recipe.prepare_buckeye(data, tmp_path / "csv")
    after = rows(tmp_path / "csv", "dev")
    assert len(written) == 1 and after[1:] == before[1:]
    assert before[0]["duration"] == "3.3" and after[0]["duration"] == "3.2"


def test_bad_recordings_are_named_all_at_once(recipe, data, tmp_path):
    """Cut off, missing, or with words that are none; drop goes on."""
    wav = data / "s01" / "s0101a.wav"
    wav.write_bytes(wav.read_bytes()[:-1000])
    (data / "s02" / "s0201a.words").write_text("#\n soon 122 so; x\n")
    with pytest.raises(DataError) as caught:
        recipe.prepare_buckeye(data, tmp_path / "csv")
    message = str(caught.value)
    assert "s0101a.wav: truncated: 1000 bytes" in message
    assert "s0201a.words: line 2: 'soon' is no time" in message
    assert "'drop'" in message and not (tmp_path / "csv" / "train.csv").exists()

    (data / "s38" / "s3801b.words").write_bytes(
        (data / "s38" / "s3801a.words").read_bytes()
    )
    (data / "s01" / "s0102a.wav").write_bytes(
        (data / "s36" / "s3601a.wav").read_bytes()
    )
    (data / "s01" / "s0102a.words").write_bytes(
        (data / "s36" / "s3601a.words").read_bytes()
    )
    recipe.prepare_buckeye(data, tmp_path / "csv", on_bad_audio="drop")
    ids = [row["ID"] for row in rows(tmp_path / "csv", "train")]
    assert ids == ["s0102a_0", "s0102a_1", "s0102a_2"]
    assert "s3801b.wav" in (tmp_path / "csv" / "test.bad.txt").read_text()


def test_words_behind_the_end_of_the_sound_are_a_fault(recipe, data, tmp_path):
    """What begins before it is cut short, as MP3S would read it."""
    path = data / "s36" / "s3601a.wav"
    sound, rate = sf.read(path)
    sf.write(path, sound[: 6 * rate], rate)
    recipe.prepare_buckeye(data, tmp_path / "csv", on_bad_audio="drop")
    durations = [float(r["duration"]) for r in rows(tmp_path / "csv", "dev")]
    assert durations == [3.3, 1.7]
    listed = (tmp_path / "csv" / "dev.bad.txt").read_text()
    assert "s3601a_2\t" in listed and "has 6.00 s" in listed


def test_recordings_of_another_rate_are_treated_as_chosen(
    recipe, data, tmp_path
):
    """Error, or kept at that rate to be converted when read."""
    path = data / "s36" / "s3601a.wav"
    sf.write(path, np.repeat(sf.read(path)[0], 2), 32000)
    with pytest.raises(DataError, match="32000 Hz, not 16000"):
        recipe.prepare_buckeye(data, tmp_path / "csv")
    recipe.prepare_buckeye(data, tmp_path / "csv", on_bad_audio="convert")
    assert float(rows(tmp_path / "csv", "dev")[0]["duration"]) == 3.3


def test_missing_corpus_says_the_way_out(recipe, data, tmp_path):
    """No folder, nothing in it, no speaker of test, a damaged zip."""

    def expect(folder, text):
        with pytest.raises(DataError, match=text):
            recipe.prepare_buckeye(folder, tmp_path / "csv")
        assert not (tmp_path / "csv").exists()

    expect(tmp_path / "none", "none does not exist. .*buckeyecorpus.osu.edu")
    (tmp_path / "other" / "clips").mkdir(parents=True)
    expect(tmp_path / "other", "no recording of Buckeye.*found there: clips")
    (data / "s38" / "s3801a.words").unlink()
    expect(data, "no recording of any speaker of test: s38, s39, s40")
    (data / "s38.zip").write_bytes(b"PK")
    expect(data, "(?s)1 zips can not be read.*s38.zip: File is not a zip file")


def test_recordings_without_an_utterance_are_an_error(recipe, data, tmp_path):
    """Where a whole split has none."""
    path = data / "s38" / "s3801a.words"
    path.write_text(words_file("s3801a", [(1.0, "<SIL>"), (2.0, "hello")]))
    with pytest.raises(DataError, match="test: the recordings of its speakers"):
        recipe.prepare_buckeye(data, tmp_path / "csv")


def test_skip_prep_touches_nothing(recipe, tmp_path):
    """Not even a check of the folder."""
    recipe.prepare_buckeye("nowhere", tmp_path / "csv", skip_prep=True)
    assert not (tmp_path / "csv").exists()


def test_command_prepares(recipe, data, tmp_path):
    """With the utterances where it says."""
    options = ["--clips_folder", str(tmp_path / "clips")]
    recipe.main([str(data), str(tmp_path / "csv"), *options])
    path = Path(rows(tmp_path / "csv", "dev")[0]["wav"])
    assert path.is_file() and path.is_relative_to(tmp_path / "clips" / "s36")


def test_command_says_errors_plainly(tmp_path):
    """As a script, from anywhere."""
    command = [sys.executable, str(RECIPE / "buckeye_prepare.py")]
    done = subprocess.run(
        [*command, "nowhere", "csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "nowhere does not exist" in done.stderr
