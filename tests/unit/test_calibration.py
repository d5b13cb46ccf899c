"""Calibration: analytic ratios of Gaussians, and what can not be fitted.

Authors
 * The d2v_sb developers 2026
"""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from d2v_sb.errors import DataError
from d2v_sb.scoring import Calibration, cllr

MEAN, STD = 0.3, 0.2  # of target scores; impostors' have the mean -MEAN


def gaussians(seed, num_targets=20_000, num_impostors=60_000):
    """Scores of one spread: their log-likelihood ratio is a line."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_targets + num_impostors) < num_targets
    means = np.where(labels, MEAN, -MEAN)
    return generator.normal(means, STD), labels


@pytest.mark.parametrize("p_target", [0.01, 0.5])
def test_ratios_of_gaussians_are_the_analytic_ones(p_target):
    """log N(s; m, d) - log N(s; -m, d) = 2 m s / d^2, whatever the prior and
    the numbers of trials; unweighted, the offset would be that of the
    numbers."""
    scores, labels = gaussians(0)
    fitted = Calibration.fit(scores, labels, p_target)
    slope = 2 * MEAN / STD**2
    assert fitted.scale == pytest.approx(slope, rel=0.05)
    assert fitted.offset == pytest.approx(0, abs=0.25)
    wrong = LogisticRegression(C=1e9).fit(scores[:, None], labels).intercept_
    assert wrong[0] == pytest.approx(math.log(1 / 3), abs=0.25)


def test_fit_equals_scikit_learns_weighted_regression():
    """On trials that overlap, to the digits that it gives."""
    scores, labels = gaussians(1, 300, 900)
    p_target = 0.1
    weights = np.where(labels, p_target / 300, (1 - p_target) / 900) * 1200
    theirs = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000)
    theirs.fit(scores[:, None], labels, weights)
    offset = theirs.intercept_[0] - math.log(p_target / (1 - p_target))
    ours = Calibration.fit(scores, labels, p_target)
    assert ours.scale == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
    assert ours.offset == pytest.approx(offset, abs=1e-2)


def test_even_prior_makes_cllr_the_least():
    """On the trials of the fit: each way from it, it costs more."""
    scores, labels = gaussians(5, 100, 300)
    ours = Calibration.fit(scores, labels)
    least = cllr(ours.to_llr(scores), labels)
    for scale, offset in [(1.02, 0), (0.98, 0), (1, 0.1), (1, -0.1)]:
        other = Calibration(scale * ours.scale, ours.offset + offset)
        assert cllr(other.to_llr(scores), labels) > least


def test_scale_and_shift_of_scores_do_not_matter():
    """Ratios are the same, for scores of thousands too."""
    scores, labels = gaussians(2, 200, 400)
    ours = Calibration.fit(scores, labels).to_llr(scores)
    other = 1e4 * scores + 5e5
    again = Calibration.fit(other, labels).to_llr(other)
    np.testing.assert_allclose(again, ours, atol=1e-3)


def test_calibrated_scores_cost_less_than_scores():
    """On trials of another draw; saying nothing costs one bit."""
    scores, labels = gaussians(3)
    llrs = Calibration.fit(*gaussians(4)).to_llr(scores)
    assert cllr(llrs, labels) < 0.3 < cllr(scores, labels) < 1
    assert cllr(np.zeros(2), [True, False]) == 1.0
    # Natural logarithms: in bits they would be over-confident.
    assert cllr(llrs / math.log(2), labels) > cllr(llrs, labels)


def test_cllr_is_its_definition_and_does_not_overflow():
    """Brümmer and du Preez 2006, eq. 18; also for ratios of thousands."""
    llrs, labels = np.array([2.0, -1.0, 0.5]), [True, True, False]
    of_targets = (np.log2(1 + np.exp(-2.0)) + np.log2(1 + np.exp(1.0))) / 2
    of_impostors = np.log2(1 + np.exp(0.5))
    expected = (of_targets + of_impostors) / 2
    assert cllr(llrs, labels) == pytest.approx(expected)
    assert cllr([5000.0, -5000.0], [True, False]) == 0
    assert cllr([-5000.0, 5000.0], [True, False]) > 7000
    weights = [2, 1, 3]
    again = np.repeat(llrs, weights), np.repeat(labels, weights)
    assert cllr(llrs, labels, weights) == pytest.approx(cllr(*again))


def test_what_no_line_fits_is_refused():
    """Trials told apart without error, one score, one kind, NaN."""
    for scores in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0]):
        with pytest.raises(DataError, match="no finite scale"):
            Calibration.fit(scores, [False, True, True])
    with pytest.raises(DataError, match="2 targets, 0 impostors"):
        Calibration.fit([1.0, 2.0], [True, True])
    with pytest.raises(DataError, match="1 scores not finite"):
        Calibration.fit([1.0, float("nan")], [True, False])


def test_it_is_saved_to_the_bit(tmp_path):
    """And what is no calibration is refused."""
    path = tmp_path / "calibration.json"
    ours = Calibration(math.pi, -1 / 3)
    ours.save(path)
    assert Calibration.load(path) == ours
    for text in ("[1, 2]", '{"scale": 1}', "x"):
        path.write_text(text)
        with pytest.raises(DataError, match="no calibration"):
            Calibration.load(path)
    with pytest.raises(DataError, match="no calibration"):
        Calibration.load(tmp_path / "absent.json")
