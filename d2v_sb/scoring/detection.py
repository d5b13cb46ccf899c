"""How well scores tell target trials from impostor trials.

SpeechBrain's ``EER`` walks over all thresholds in Python and its ``minDCF``
makes a matrix of thresholds times scores: the 580,000 trials of VoxCeleb1-E
would take hours, or terabytes. Here one sort gives the error rates at all
thresholds, and both measures are read off them; they equal SpeechBrain's.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np

from d2v_sb.errors import DataError

# Rates that differ by less are equal: without it, which of two equally good
# thresholds is taken would hang on rounding.
ROUNDING = 1e-12


def error_curve(scores, labels, weights=None):
    """Rates of misses and of false alarms at every threshold that matters.

    Arguments
    ---------
    scores : array_like
        Of the trials (N,), higher for the same speaker.
    labels : array_like
        True for target trials (N,).
    weights : array_like, optional
        How much each trial counts (N,), 1 by default.

    Returns
    -------
    thresholds : np.ndarray
        Minus infinity, where all is accepted, and each score once, rising
        (K,). A score that equals the threshold is rejected.
    misses, false_alarms : np.ndarray
        Shares of target trials rejected and of impostor trials accepted (K,).

    Raises
    ------
    DataError
        If scores are NaN, or no target or no impostor trial is there.

    Example
    -------
    >>> thresholds, misses, false_alarms = error_curve([1, 2, 3], [0, 1, 1])
    >>> misses.tolist(), false_alarms.tolist()
    ([0.0, 0.0, 0.5, 1.0], [1.0, 0.0, 0.0, 0.0])
    """
    scores = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(labels).astype(bool)
    if weights is None:
        weights = np.ones(len(scores))
    weights = np.asarray(weights, dtype=np.float64)
    if not len(scores) == len(labels) == len(weights):
        raise DataError(
            f"{len(scores)} scores, {len(labels)} labels and {len(weights)} "
            "weights: each trial needs one of each"
        )
    num_nan = np.isnan(scores).sum()
    if num_nan:
        raise DataError(
            f"{num_nan} of {len(scores)} scores are NaN: look for embeddings "
            "that are zero or not finite"
        )
    # Stable, for that takes linear time where the scores are sorted already.
    order = np.argsort(scores, kind="stable")
    scores, labels, weights = scores[order], labels[order], weights[order]
    targets = np.cumsum(np.where(labels, weights, 0.0))
    impostors = np.cumsum(np.where(labels, 0.0, weights))
    for name, sums in (("target", targets), ("impostor", impostors)):
        if not (len(sums) and sums[-1] > 0):
            raise DataError(
                f"there is no {name} trial among {len(scores)}: error rates "
                "need trials of one speaker and trials of two"
            )
    # Trials of equal score fall on one side together.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    thresholds = np.concatenate([[-np.inf], scores[last]])
    misses = np.append(0.0, targets[last] / targets[-1])
    accepted = impostors[-1] - impostors[last]
    false_alarms = np.append(1.0, accepted / impostors[-1])
    return thresholds, misses, false_alarms


def equal_error_rate(scores, labels, weights=None):
    """Error rate where misses and false alarms are equally frequent.

    As ``speechbrain.utils.metric_stats.EER``: the mean of both rates at the
    first threshold where they differ least.

    Arguments
    ---------
    scores, labels, weights
        As of ``error_curve``.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    DataError
        As of ``error_curve``.

    Example
    -------
    >>> equal_error_rate([0.1, 0.3, 0.2, 0.4], [0, 0, 1, 1])
    0.5
    """
    return eer_of_curve(*error_curve(scores, labels, weights)[1:])


def min_dcf(scores, labels, p_target=0.01, c_miss=1.0, c_fa=1.0, weights=None):
    """Least detection cost over all thresholds, normalised as NIST does.

    The cost is divided by that of the better of accepting all and rejecting
    all, so that 1 means a useless system. SpeechBrain's ``minDCF`` is not
    normalised: at equal costs and ``p_target`` 0.01 it is a hundredth of this.

    Arguments
    ---------
    scores, labels, weights
        As of ``error_curve``.
    p_target : float
        Prior probability of a target trial.
    c_miss, c_fa : float
        What a miss and a false alarm cost.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    DataError
        As of ``error_curve``.

    Example
    -------
    >>> min_dcf([0.1, 0.3, 0.2, 0.4], [0, 0, 1, 1])
    0.5
    """
    curve = error_curve(scores, labels, weights)
    return min_dcf_of_curve(*curve[1:], p_target, c_miss, c_fa)


def eer_of_curve(misses, false_alarms):
    """``equal_error_rate`` of rates that are known already.

    Arguments
    ---------
    misses, false_alarms : np.ndarray
        As from ``error_curve``.

    Returns
    -------
    float

    Example
    -------
    >>> eer_of_curve(np.array([0.0, 0.1, 1.0]), np.array([1.0, 0.2, 0.0]))
    0.15...
    """
    gaps = np.abs(false_alarms - misses)
    first = np.argmax(gaps <= gaps.min() + ROUNDING)
    return float((false_alarms[first] + misses[first]) / 2)


def min_dcf_of_curve(misses, false_alarms, p_target=0.01, c_miss=1.0, c_fa=1.0):
    """``min_dcf`` of rates that are known already.

    Arguments
    ---------
    misses, false_alarms : np.ndarray
        As from ``error_curve``.
    p_target, c_miss, c_fa : float
        As of ``min_dcf``.

    Returns
    -------
    float

    Example
    -------
    >>> min_dcf_of_curve(np.array([0.0, 0.1, 1.0]), np.array([1.0, 0.0, 0.0]))
    0.1
    """
    miss_cost, false_alarm_cost = c_miss * p_target, c_fa * (1 - p_target)
    costs = miss_cost * misses + false_alarm_cost * false_alarms
    return float(costs.min() / min(miss_cost, false_alarm_cost))
