"""What a page reads of SpeechBrain's WER files.

Authors
 * The d2v_sb developers 2026
"""

import random

import pytest
from speechbrain.utils.metric_stats import ErrorRateStats

from d2v_sb.errors import DataError
from d2v_sb.reporting.hypotheses import (
    choose_samples,
    frequent_errors,
    read_errors,
)

# Words that look like parts of the file.
WORDS = ["A", "ONE", "=", "S", ";", " ;", "<eps>", "%WER", "a\u2028b", "c\rd"]


def write(path, pairs):
    stats = ErrorRateStats()
    for n, (said, heard) in enumerate(pairs):
        stats.append([f"u{n}"], [heard], [said])
    with open(path, "w", encoding="utf-8") as stream:
        stats.write_stats(stream)
    return stats


def test_all_alignments_are_read_back(tmp_path):
    dice = random.Random(0)
    pairs = [
        [dice.choices(WORDS, k=dice.randint(0, 6)) for _ in range(2)]
        for _ in range(200)
    ]
    stats = write(tmp_path / "wer_x.txt", pairs)
    errors = read_errors(tmp_path / "wer_x.txt")
    summary = stats.summarize()
    assert errors.rate == pytest.approx(summary["error_rate"], abs=0.01)
    assert errors.substitutions == summary["substitutions"]
    assert errors.insertions == summary["insertions"]
    assert errors.deletions == summary["deletions"]
    assert errors.sentences == 200
    assert [one.name for one in errors.utterances] == [
        f"u{n}" for n in range(200)
    ]
    for one, (said, heard) in zip(errors.utterances, pairs, strict=True):
        got = [t.reference for t in one.tokens if t.kind != "insertion"]
        assert got == [word.strip() for word in said]
        got = [t.hypothesis for t in one.tokens if t.kind != "deletion"]
        assert got == [word.strip() for word in heard]
    # The plausible mistake: the words' own semicolons as separators.
    lines = (tmp_path / "wer_x.txt").read_text().split("\n")
    assert any(";" in said for said, _ in pairs)
    assert any(len(line.split(" ; ")) > 7 for line in lines)


def test_samples_are_the_worst_the_middle_and_the_best(tmp_path):
    words = "ABCDEFGHIJ"
    pairs = [(list(words), list(words[:n])) for n in range(11)]
    pairs.append(pairs[-1])  # the same again is not shown again
    write(tmp_path / "wer_x.txt", pairs)
    utterances = read_errors(tmp_path / "wer_x.txt").utterances
    groups = choose_samples(utterances, 2)
    rates = {k: [one.rate for one in some] for k, some in groups.items()}
    assert rates == {
        "best": [0, 10],
        "worst": [100, 90],
        "median": [50, 60],
    }
    few = choose_samples(utterances[:1], 2)
    assert [len(some) for some in few.values()] == [0, 0, 1]


def test_frequent_errors_are_counted_by_kind(tmp_path):
    pairs = [(["A", "B"], ["A", "C"])] * 3 + [(["A"], []), ([], ["X"])]
    write(tmp_path / "wer_x.txt", pairs)
    found = frequent_errors(read_errors(tmp_path / "wer_x.txt").utterances, 5)
    assert {
        kind: [(t.reference, t.hypothesis, n) for t, n in some]
        for kind, some in found.items()
    } == {
        "substitution": [("B", "C", 3)],
        "deletion": [("A", "", 1)],
        "insertion": [("", "X", 1)],
    }


def test_another_file_is_named(tmp_path):
    (tmp_path / "wer_x.txt").write_text("hello\n")
    with pytest.raises(DataError, match="wer_x.txt does not begin"):
        read_errors(tmp_path / "wer_x.txt")
