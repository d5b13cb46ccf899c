"""Alignment: against all paths one by one, and times in seconds.

Authors
 * The d2v_sb developers 2026
"""

import itertools
import math

import pytest
import torch

from d2v_sb.alignment import align, word_times
from d2v_sb.errors import DataError
from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.presets import PRESETS

LAYERS = PRESETS["base"].conv_feature_layers


def collapsed(path, blank):
    """What CTC makes of a path."""
    return [k for k, _ in itertools.groupby(path) if k != blank]


def spans_of(path, blank):
    """First and last frame of each run that is no blank."""
    spans, t = [], 0
    for label, run in itertools.groupby(path):
        length = len(list(run))
        if label != blank:
            spans.append((t, t + length - 1))
        t += length
    return spans


@pytest.mark.parametrize("blank", (0, 2))
@pytest.mark.parametrize("labels", ([1], [1, 1], [1, 3, 1], [3, 3, 1], []))
def test_the_path_is_the_best_of_all_paths(labels, blank):
    generator = torch.Generator().manual_seed(len(labels) + blank)
    for _ in range(5):
        log_probs = torch.randn(6, 4, generator=generator).log_softmax(-1)
        fitting = [
            path
            for path in itertools.product(range(4), repeat=6)
            if collapsed(path, blank) == labels
        ]
        best = max(
            fitting, key=lambda p: sum(log_probs[t, v] for t, v in enumerate(p))
        )
        assert align(log_probs, labels, blank) == spans_of(best, blank)


def test_equal_neighbours_need_a_blank_between():
    log_probs = torch.zeros(3, 2).log_softmax(-1)
    assert align(log_probs, [1, 1]) == [(0, 0), (2, 2)]
    with pytest.raises(DataError, match="2 frames .* 2 labels"):
        align(log_probs[:2], [1, 1])


def test_the_best_path_of_all_is_the_greedy_one():
    log_probs = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    log_probs = log_probs.log_softmax(-1)
    path = log_probs.argmax(-1).tolist()
    assert align(log_probs, collapsed(path, 0)) == spans_of(path, 0)


def sure(path, num_labels, sureness=0.9):
    """Log-probabilities that follow a path."""
    rest = (1 - sureness) / (num_labels - 1)
    probs = torch.full((len(path), num_labels), rest)
    probs[torch.arange(len(path)), torch.tensor(path)] = sureness
    return probs.log()


@pytest.mark.parametrize(
    "texts, path",
    [
        (["_", " ", "A", "B"], [0, 2, 2, 3, 0, 0, 1, 0, 3, 0]),
        (["_", "▁", "▁A", "B"], [0, 2, 2, 3, 0, 0, 1, 0, 3, 0]),
    ],
    ids=["letters", "subwords"],
)
def test_words_have_the_times_of_their_windows(texts, path):
    words = word_times(sure(path, 4), collapsed(path, 0), texts, LAYERS)
    assert [word.text for word in words] == ["AB", "B"]
    # Frame i sees the samples from 320 i to 320 i + 400.
    assert (words[0].start, words[0].end) == pytest.approx((0.02, 0.085))
    assert (words[1].start, words[1].end) == pytest.approx((0.16, 0.185))
    assert all(math.isclose(w.confidence, 0.9, rel_tol=1e-5) for w in words)


def test_the_last_word_ends_with_the_recording():
    samples = 16000
    T = num_frames(samples, LAYERS)
    log_probs = sure([0] * (T - 1) + [1], 2)
    (word,) = word_times(log_probs, [1], ["_", "A"], LAYERS)
    assert samples / 16000 - 0.02 < word.end <= samples / 16000


def test_a_doubtful_label_lowers_its_word_alone():
    log_probs = sure([2, 0, 1, 2, 0, 3], 4)
    log_probs[5] = torch.tensor([0.2, 0.2, 0.2, 0.4]).log()
    texts = ["_", " ", "A", "B"]
    first, second = word_times(log_probs, [2, 1, 2, 3], texts, LAYERS)
    assert first.confidence == pytest.approx(0.9)
    assert second.confidence == pytest.approx(math.sqrt(0.9 * 0.4))


def test_the_begin_of_a_word_may_be_a_label_of_its_own():
    path = [1, 2, 0, 1, 3]
    words = word_times(
        sure(path, 4), path[:2] + path[3:], ["_", "▁", "A", "B"], LAYERS
    )
    assert [word.text for word in words] == ["A", "B"]
