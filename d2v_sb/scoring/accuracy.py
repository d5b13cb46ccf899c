"""Accuracies of a classifier, all from one confusion matrix.

Written out because scikit-learn, which has the same, is needed by tests only.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np

from d2v_sb.errors import DataError


def confusion(targets, predictions, num_classes, weights=None):
    """Counts utterances by true and predicted class.

    Arguments
    ---------
    targets, predictions : array_like
        Indices of the true and of the predicted classes (N,).
    num_classes : int
        How many classes there are.
    weights : array_like, optional
        How much each utterance counts (N,), 1 by default.

    Returns
    -------
    np.ndarray
        Rows are true classes, columns predicted ones (C, C).

    Raises
    ------
    DataError
        If there is nothing to count, or a class that there is not.

    Example
    -------
    >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    if len(targets) != len(predictions) or len(targets) == 0:
        raise DataError(
            f"{len(targets)} true and {len(predictions)} predicted classes: "
            "each utterance needs one of each, and there must be some"
        )
    for name, classes in (("true", targets), ("predicted", predictions)):
        strange = np.unique(classes[(classes < 0) | (classes >= num_classes)])
        if len(strange):
            raise DataError(
                f"{name} classes {strange.tolist()[:20]} are not among "
                f"0 to {num_classes - 1}"
            )
    cells = np.bincount(
        targets * num_classes + predictions, weights, num_classes**2
    )
    return cells.reshape(num_classes, num_classes)


def weighted_accuracy(matrix):
    """WA: share of all utterances whose class is right.

    Arguments
    ---------
    matrix : array_like
        As of ``confusion`` (C, C).

    Returns
    -------
    float
        From 0 to 1.

    Example
    -------
    >>> weighted_accuracy([[6, 0], [2, 0]])
    0.75
    """
    matrix = np.asarray(matrix)
    return float(matrix.trace() / matrix.sum())


def unweighted_accuracy(matrix):
    """UA: mean of the classes' recalls, classes without utterances left out.

    Arguments
    ---------
    matrix : array_like
        As of ``confusion`` (C, C).

    Returns
    -------
    float
        From 0 to 1.

    Example
    -------
    >>> unweighted_accuracy([[6, 0], [2, 0]])
    0.5
    """
    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1)
    occurs = totals > 0
    return float((matrix.diagonal()[occurs] / totals[occurs]).mean())


def weighted_f1(matrix):
    """Mean of the classes' F1 scores, by the classes' shares of utterances.

    As scikit-learn's ``f1_score(average="weighted", zero_division=0)``.

    Arguments
    ---------
    matrix : array_like
        As of ``confusion`` (C, C).

    Returns
    -------
    float
        From 0 to 1.

    Example
    -------
    >>> round(weighted_f1([[6, 0], [2, 0]]), 4)
    0.6429
    """
    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1)
    # 2 * precision * recall / (precision + recall), without dividing by zero.
    both = totals + matrix.sum(axis=0)
    scores = 2 * matrix.diagonal() / np.where(both > 0, both, 1)
    return float((scores * totals).sum() / totals.sum())
