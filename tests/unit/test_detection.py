"""Error rates of trials: SpeechBrain's and scikit-learn's, at any size.

Authors
 * The d2v_sb developers 2026
"""

import time

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve
from speechbrain.utils.metric_stats import EER, minDCF

from d2v_sb.errors import DataError
from d2v_sb.scoring import equal_error_rate, error_curve, min_dcf


def draw(seed, num=64, levels=None, shift=1.5):
    """Scores and labels, as many targets as impostors; of few values (powers
    of two and their sums, exact in float32) where there are to be ties."""
    generator = np.random.default_rng(seed)
    labels = np.arange(2 * num) < num
    scores = generator.normal(size=2 * num) + shift * labels
    if levels:
        scores = np.round(scores * levels) / levels
    return scores.astype(np.float32), labels


def halves(scores, labels):
    """As SpeechBrain takes them."""
    scores = torch.from_numpy(scores)
    return scores[torch.from_numpy(labels)], scores[~torch.from_numpy(labels)]


def one_by_one(scores, labels):
    """The plausible mistake: trials of equal score on two sides."""
    labels = labels[np.argsort(scores, kind="stable")]
    misses = np.cumsum(labels) / labels.sum()
    false_alarms = 1 - np.cumsum(~labels) / (~labels).sum()
    best = np.abs(misses - false_alarms).argmin()
    return (misses[best] + false_alarms[best]) / 2


def counted_twice(scores, labels):
    """Another: a score at the threshold is rejected and accepted."""
    thresholds = np.unique(scores)[:, None]
    misses = (scores[labels] <= thresholds).mean(axis=1)
    false_alarms = (scores[~labels] >= thresholds).mean(axis=1)
    best = np.abs(misses - false_alarms).argmin()
    return (misses[best] + false_alarms[best]) / 2


@pytest.mark.parametrize("levels", [None, 4, 1])
def test_eer_equals_speechbrains(levels):
    """With ties too, which a walk over the trials would get wrong."""
    wrong = {one_by_one: 0, counted_twice: 0}
    for seed in range(10):
        scores, labels = draw(seed, levels=levels)
        ours = equal_error_rate(scores, labels)
        theirs, _ = EER(*halves(scores, labels))
        assert ours == pytest.approx(theirs, abs=1e-6)
        for mistake in wrong:
            wrong[mistake] += abs(mistake(scores, labels) - ours) > 1e-6
    assert levels is None or min(wrong.values()) > 5


@pytest.mark.parametrize("levels", [None, 4, 1])
def test_min_dcf_is_speechbrains_over_the_prior(levels):
    """The normaliser is the prior of the rarer kind; alone it is another."""
    for seed in range(10):
        scores, labels = draw(seed, levels=levels, shift=3)
        for p_target in (0.01, 0.05):
            theirs = minDCF(*halves(scores, labels), p_target=p_target)[0]
            ours = min_dcf(scores, labels, p_target)
            assert ours == pytest.approx(theirs / p_target, rel=1e-5)
            assert ours != pytest.approx(theirs, rel=0.5)


def test_costs_weigh_errors():
    """A dear false alarm moves the threshold; the normaliser follows."""
    scores, labels = draw(0, shift=3)
    theirs = minDCF(*halves(scores, labels), c_miss=10, c_fa=2, p_target=0.1)
    ours = min_dcf(scores, labels, 0.1, c_miss=10, c_fa=2)
    assert ours == pytest.approx(theirs[0] / min(10 * 0.1, 2 * 0.9), rel=1e-5)


def test_useless_scores_cost_one_whatever_the_prior():
    """Accepting all is a choice too where targets are frequent."""
    scores, labels = np.zeros(10), np.arange(10) < 5
    assert equal_error_rate(scores, labels) == 0.5
    for p_target in (0.01, 0.5, 0.9):
        assert min_dcf(scores, labels, p_target) == pytest.approx(1.0)


@pytest.mark.parametrize("levels", [None, 4])
def test_curve_is_scikit_learns(levels):
    """Point by point, from accepting all to accepting none."""
    scores, labels = draw(3, levels=levels)
    thresholds, misses, false_alarms = error_curve(scores, labels)
    accepted, caught, theirs = roc_curve(
        labels, scores, drop_intermediate=False
    )
    np.testing.assert_allclose(false_alarms, accepted[::-1], atol=1e-12)
    np.testing.assert_allclose(misses, 1 - caught[::-1], atol=1e-12)
    # Theirs accept the score at the threshold, ours reject it.
    np.testing.assert_array_equal(thresholds[1:], theirs[:0:-1])
    assert thresholds[0] == -np.inf


def test_weights_count_as_repetitions_do():
    """Also where a trial counts nothing."""
    scores, labels = draw(1, levels=4)
    weights = np.random.default_rng(0).integers(0, 4, len(scores))
    again = np.repeat(scores, weights), np.repeat(labels, weights)
    weighted = (scores, labels)
    assert equal_error_rate(*weighted, weights) == equal_error_rate(*again)
    ours = min_dcf(*weighted, weights=weights)
    assert ours == pytest.approx(min_dcf(*again), abs=1e-12)
    assert ours != pytest.approx(min_dcf(*weighted), abs=1e-6)


def test_order_of_trials_does_not_matter():
    """Nor does it where scores are tied."""
    scores, labels = draw(2, levels=1)
    order = np.random.default_rng(0).permutation(len(scores))
    ours = equal_error_rate(scores[order], labels[order])
    assert ours == equal_error_rate(scores, labels)


def test_voxceleb1_e_takes_a_moment():
    """SpeechBrain's would need terabytes, or a day."""
    scores, labels = draw(0, num=290_000)
    begin = time.monotonic()
    rate = equal_error_rate(scores, labels)
    assert time.monotonic() - begin < 5
    assert rate == pytest.approx(0.2266, abs=0.002)  # Phi(-0.75)


def test_what_can_not_be_measured_is_refused():
    """One kind of trial, NaN, or another number of labels."""
    with pytest.raises(DataError, match="no target trial"):
        equal_error_rate([1.0, 2.0], [0, 0])
    with pytest.raises(DataError, match="no impostor trial"):
        min_dcf([1.0, 2.0], [1, 1])
    with pytest.raises(DataError, match="no target trial among 0"):
        error_curve([], [])
    with pytest.raises(DataError, match="1 of 2 scores are NaN"):
        equal_error_rate([1.0, float("nan")], [0, 1])
    with pytest.raises(DataError, match="2 scores, 1 labels"):
        equal_error_rate([1.0, 2.0], [1])
