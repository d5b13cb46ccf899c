"""Cosines and their normalisation: the definition, written out as loops.

Authors
 * The d2v_sb developers 2026
"""

import logging

import numpy as np
import pytest
import torch

from d2v_sb.errors import DataError
from d2v_sb.scoring import normalisation
from d2v_sb.scoring.normalisation import (
    adaptive_s_norm,
    cosine_scores,
    speaker_means,
)

NUM_TRIALS, NUM_CLIPS, NUM_COHORT, WIDTH = 40, 12, 30, 8


@pytest.fixture
def case():
    """Raw scores, sides of the trials, embeddings, and a cohort that lies to
    one side, so that normalisation matters."""
    torch.manual_seed(0)
    embeddings = torch.randn(NUM_CLIPS, WIDTH) + 0.5
    cohort = torch.randn(NUM_COHORT, WIDTH) + 0.5
    enrol = torch.randint(NUM_CLIPS, (NUM_TRIALS,))
    test = torch.randint(NUM_CLIPS, (NUM_TRIALS,))
    raw = cosine_scores(embeddings[enrol], embeddings[test])
    return raw, enrol, test, embeddings, cohort


def cosine(a, b):
    """Of two vectors."""
    a, b = a.double().numpy(), b.double().numpy()
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def by_loops(raw, enrol, test, embeddings, cohort, top, highest=True):
    """Matejka et al. 2017, eq. 4, a trial at a time."""
    scores = []
    for score, *sides in zip(raw.tolist(), enrol, test):
        halves = []
        for side in sides:
            others = [cosine(embeddings[side], other) for other in cohort]
            chosen = sorted(others, reverse=highest)[:top]
            halves.append((score - np.mean(chosen)) / np.std(chosen, ddof=1))
        scores.append(sum(halves) / 2)
    return np.array(scores)


def test_cosine_does_not_know_lengths():
    """Row by row, in float64."""
    torch.manual_seed(1)
    a, b = torch.randn(5, WIDTH), torch.randn(5, WIDTH)
    ours = cosine_scores(a, b)
    assert ours.dtype == torch.float64
    theirs = [cosine(x, y) for x, y in zip(a, b)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_allclose(cosine_scores(4 * a, b / 2), ours, atol=1e-12)


@pytest.mark.parametrize("top", [2, 10, NUM_COHORT])
def test_s_norm_equals_a_double_loop(case, top):
    """In one block and in many; the lowest scores are another thing."""
    ours = adaptive_s_norm(*case, top)
    np.testing.assert_allclose(ours, by_loops(*case, top), atol=1e-9)
    if top < NUM_COHORT:
        wrong = by_loops(*case, top, highest=False)
        assert np.abs(ours.numpy() - wrong).max() > 0.1


def test_blocks_change_nothing(case, monkeypatch):
    """A clip at a time."""
    ours = adaptive_s_norm(*case, 10)
    monkeypatch.setattr(normalisation, "BLOCK", 1)
    np.testing.assert_allclose(adaptive_s_norm(*case, 10), ours, atol=1e-12)


def test_sides_may_be_exchanged(case):
    """The S of s-norm."""
    raw, enrol, test, *rest = case
    there = adaptive_s_norm(raw, enrol, test, *rest, 10)
    back = adaptive_s_norm(raw, test, enrol, *rest, 10)
    np.testing.assert_allclose(there, back, atol=1e-12)


def test_top_beyond_the_cohort_is_all_of_it(case, caplog):
    """And is said."""
    with caplog.at_level(logging.WARNING):
        ours = adaptive_s_norm(*case, NUM_COHORT + 1)
    assert "30 speakers, fewer than the 31" in caplog.text
    assert torch.equal(ours, adaptive_s_norm(*case, NUM_COHORT))


def test_cohorts_that_can_not_normalise_are_refused(case):
    """One speaker, one score, or one speaker again and again."""
    *trials, cohort = case
    with pytest.raises(DataError, match="the cohort has 1 and top is 300"):
        adaptive_s_norm(*trials, cohort[:1])
    with pytest.raises(DataError, match="top is 1"):
        adaptive_s_norm(*trials, cohort, 1)
    with pytest.raises(DataError, match="12 of 12 clips have the same score"):
        adaptive_s_norm(*trials, cohort[:1].expand(5, -1))


def test_speaker_means_are_of_length_one_and_so_are_what_they_average():
    """A loud clip does not count more."""
    clips = torch.tensor([[100.0, 0.0], [0.0, 1.0], [0.0, -2.0]])
    means = speaker_means(clips, ["b", "b", "a"])
    half = 0.5**0.5
    expected = torch.tensor([[0.0, -1.0], [half, half]])
    torch.testing.assert_close(means, expected)
    raw_mean = clips[:2].mean(dim=0)
    assert cosine(raw_mean, means[1]) < 0.8
