"""Accuracies: scikit-learn's, from one confusion matrix.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
)

from d2v_sb.errors import DataError
from d2v_sb.scoring import (
    confusion,
    plot_confusion,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)

NUM = 5


def draw(seed, weighted):
    """Uneven classes: class 4 never occurs, class 3 is never predicted."""
    generator = np.random.default_rng(seed)
    targets = generator.choice(NUM, 80, p=[0.6, 0.2, 0.1, 0.1, 0.0])
    predictions = np.where(generator.random(80) < 0.5, targets, 0)
    predictions[predictions == 3] = 4
    weights = generator.integers(0, 4, 80) if weighted else None
    return targets, predictions, weights


@pytest.mark.parametrize("weighted", [False, True])
def test_measures_are_scikit_learns(weighted):
    """And no two of them are the same number here."""
    for seed in range(5):
        targets, predictions, weights = draw(seed, weighted)
        options = {"sample_weight": weights}
        matrix = confusion(targets, predictions, NUM, weights)
        theirs = confusion_matrix(
            targets, predictions, labels=range(NUM), **options
        )
        np.testing.assert_array_equal(matrix, theirs)
        wa, ua, f1 = (
            weighted_accuracy(matrix),
            unweighted_accuracy(matrix),
            weighted_f1(matrix),
        )
        assert wa == pytest.approx(
            accuracy_score(targets, predictions, **options)
        )
        assert f1 == pytest.approx(
            f1_score(
                targets,
                predictions,
                average="weighted",
                zero_division=0,
                **options,
            )
        )
        # It warns of class 4, which is predicted and not among the targets.
        with pytest.warns(UserWarning, match="not in y_true"):
            assert ua == pytest.approx(
                balanced_accuracy_score(targets, predictions, **options)
            )
        assert len({round(x, 4) for x in (wa, ua, f1)}) == 3


def test_rows_are_true_classes():
    """Exchanged, UA would be the mean precision."""
    matrix = confusion([0, 0, 0, 1], [0, 0, 1, 1], 2)
    assert matrix.tolist() == [[2, 1], [0, 1]]
    assert unweighted_accuracy(matrix) == pytest.approx((2 / 3 + 1) / 2)
    assert unweighted_accuracy(matrix.T) != unweighted_accuracy(matrix)


def test_classes_that_there_are_not_are_refused():
    """-1, which would count from the end, and one too many."""
    with pytest.raises(DataError, match=r"true classes \[-1\].*0 to 2"):
        confusion([0, -1], [0, 0], 3)
    with pytest.raises(DataError, match=r"predicted classes \[3, 7\]"):
        confusion([0, 1, 1], [0, 7, 3], 3)
    for targets in ([], [0, 1]):
        with pytest.raises(DataError, match="one of each"):
            confusion(targets, [], 2)


def test_confusion_is_drawn(tmp_path):
    """A class without utterances, too."""
    matrix = confusion([0, 0, 1], [0, 1, 1], 3)
    plot_confusion(matrix, ["angry", "happy", "sad"], tmp_path / "c.svg")
    assert (tmp_path / "c.svg").stat().st_size > 1000
