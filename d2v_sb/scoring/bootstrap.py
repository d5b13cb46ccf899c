"""How sure a score is: intervals by drawing speakers again and again.

Trials share speakers, and a system that fails on one speaker fails on all of
her trials: resampling trials takes them for independent and gives intervals
that are too narrow. So speakers are drawn, with replacement, and a trial
counts as often as its speakers were drawn.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np

from d2v_sb.errors import DataError
from d2v_sb.progress import Progress

NUM_RESAMPLES = 1000
LEVEL = 0.95
SEED = 1986


def speaker_interval(
    metric,
    scores,
    labels,
    speakers_a,
    speakers_b,
    num_resamples=NUM_RESAMPLES,
    level=LEVEL,
    seed=SEED,
):
    """Percentile interval of a measure of trials, over speakers.

    A trial of two speakers counts as often as both were drawn multiplied, a
    trial of one speaker as often as she was drawn: two copies of a speaker
    are two speakers, and there is no trial between them. With fewer than some
    20 speakers such intervals tend to be too narrow.

    Arguments
    ---------
    metric : callable
        Takes scores, labels and weights (N,) and gives a float, or several as
        an array: a curve is then made once for all of them.
    scores, labels : array_like
        As of ``detection.error_curve`` (N,).
    speakers_a, speakers_b : sequence of str
        Who speaks on either side of each trial (N,).
    num_resamples : int
        Draws. A draw without any target or any impostor trial is drawn again.
    level : float
        Share of the draws within the interval.
    seed : int
        Of the draws.

    Returns
    -------
    low, high : float or np.ndarray
        As the metric gives.

    Raises
    ------
    DataError
        If there is no target or no impostor trial.

    Example
    -------
    >>> from d2v_sb.scoring.detection import equal_error_rate
    >>> scores, labels = [0.9, 0.2, 0.8, 0.3], [1, 0, 1, 0]
    >>> speaker_interval(
    ...     equal_error_rate, scores, labels, "aabb", "abba", num_resamples=9
    ... )
    (0.0, 0.0)
    """
    scores = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(labels).astype(bool)
    if labels.all() or not labels.any():
        raise DataError("an interval needs target trials and impostor trials")
    _, speakers = np.unique([*speakers_a, *speakers_b], return_inverse=True)
    # Sorted once here, the metric's own stable sort has nothing left to do:
    # a thousand draws of VoxCeleb1-E take a minute instead of two.
    order = np.argsort(scores, kind="stable")
    scores, labels = scores[order], labels[order]
    side_a, side_b = speakers.reshape(2, -1)[:, order]
    one_speaker = side_a == side_b

    def draw(counts):
        weights = np.where(one_speaker, 1, counts[side_b]) * counts[side_a]
        if weights[labels].any() and weights[~labels].any():
            return metric(scores, labels, weights)
        return None

    num_speakers = int(speakers.max()) + 1
    return _interval(draw, num_speakers, num_resamples, level, seed)


def group_interval(
    metric,
    targets,
    predictions,
    groups,
    num_resamples=NUM_RESAMPLES,
    level=LEVEL,
    seed=SEED,
):
    """Percentile interval of a measure of utterances, over their speakers.

    Arguments
    ---------
    metric : callable
        Takes targets, predictions and weights (N,) and gives a float or an
        array.
    targets, predictions : array_like
        True and predicted classes (N,).
    groups : sequence of str
        Who speaks each utterance (N,).
    num_resamples, level, seed
        As of ``speaker_interval``.

    Returns
    -------
    low, high : float or np.ndarray
        As the metric gives.

    Raises
    ------
    DataError
        If all utterances are of one speaker.

    Example
    -------
    >>> def accuracy(targets, predictions, weights):
    ...     return np.average(targets == predictions, weights=weights)
    >>> group_interval(accuracy, [0, 1, 0, 1], [0, 1, 1, 0], "aabb")
    (0.0, 1.0)
    """
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    _, members = np.unique(list(groups), return_inverse=True)
    num_groups = int(members.max(initial=-1)) + 1
    if num_groups < 2:
        raise DataError(
            f"an interval over speakers needs two of them, not {num_groups}"
        )

    def draw(counts):
        return metric(targets, predictions, counts[members])

    return _interval(draw, num_groups, num_resamples, level, seed)


def error_rate_interval(
    errors,
    words,
    speakers,
    num_resamples=NUM_RESAMPLES,
    level=LEVEL,
    seed=SEED,
):
    """Percentile interval of an error rate over speakers.

    Arguments
    ---------
    errors : array_like
        Substitutions, insertions and deletions of each utterance (N,).
    words : array_like
        Words, or letters, of its reference (N,).
    speakers : sequence of str
        Who speaks it (N,).
    num_resamples, level, seed
        As of ``speaker_interval``.

    Returns
    -------
    low, high : float
        In percent.

    Raises
    ------
    DataError
        If all utterances are of one speaker.

    Example
    -------
    >>> error_rate_interval([0, 1, 2], [4, 4, 2], "aab")
    (12.5, 100.0)
    """

    def rate(errors, words, counts):
        return 100 * float((errors * counts).sum() / (words * counts).sum())

    return group_interval(
        rate, errors, words, speakers, num_resamples, level, seed
    )


def _interval(draw, num, num_resamples, level, seed):
    """Of what `draw` makes of counts (num,), unless it makes None of them."""
    generator = np.random.default_rng(seed)
    values = []
    with Progress("drawing speakers", num_resamples, "draw") as progress:
        while len(values) < num_resamples:
            counts = generator.multinomial(num, np.full(num, 1 / num))
            value = draw(counts)
            if value is not None:
                values.append(value)
                progress.update()
    tails = [50 * (1 - level), 50 * (1 + level)]
    low, high = np.percentile(values, tails, axis=0)
    return (low, high) if np.ndim(low) else (float(low), float(high))
