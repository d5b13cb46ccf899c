"""Intervals of 95 %: of several test folds, and of several seeds.

Two things make another laboratory find another figure: other speakers in the
test set, and another seed of the training. A result's own interval is of the
first, found by drawing speakers; it says nothing of the second.

Authors
 * The d2v_sb developers 2026
"""

import math
from statistics import mean, stdev
from typing import NamedTuple

LEVEL = 0.95
# Seeds or folds; of two Student's t is 12.7 and the interval says nothing.
FEWEST = 3
# Drawing two speakers again and again finds hardly more than both.
FEWEST_SPEAKERS = 5
SPEAKERS = "over speakers"
FOLDS = "over folds"
ONE_SEED = "over speakers, of a single seed, the widest"
SEEDS = "over seeds"
BOTH = "over speakers and seeds"


class Interval(NamedTuple):
    """Limits, and what they are an interval over."""

    low: float
    high: float
    over: str


def of_measure(measure):
    """A result's own, over the speakers of its test set.

    Arguments
    ---------
    measure : Measure
        Of ``d2v_sb.benchmark.result``.

    Returns
    -------
    Interval or None
        None where it has none, or is known to be of fewer than
        ``FEWEST_SPEAKERS``.

    Example
    -------
    >>> from d2v_sb.benchmark.result import Measure
    >>> of_measure(Measure("test", "WER", 9.0, 8.0, 11.0, 130, 20))
    Interval(low=8.0, high=11.0, over='over speakers')
    >>> of_measure(Measure("test", "WER", 9.0, 8.0, 11.0, 130, 2))
    """
    if None in (measure.low, measure.high):
        return None
    if measure.speakers is not None and measure.speakers < FEWEST_SPEAKERS:
        return None
    return Interval(measure.low, measure.high, SPEAKERS)


def of_folds(values):
    """Of the mean over folds, which share no test speaker: Student's t.

    A fold is often of two speakers or of one, so its own interval says next to
    nothing. What folds differ by is all that another laboratory's figure could:
    speakers, and the training. As the trainings share most of their speakers,
    the interval is still somewhat narrow.

    Arguments
    ---------
    values : list of float
        By fold; where there are several seeds, each the mean over them.

    Returns
    -------
    Interval or None
        None with fewer than ``FEWEST``.

    Example
    -------
    >>> low, high, over = of_folds([60.0, 65.0, 70.0])
    >>> f"{low:.1f} {high:.1f} {over}"
    '52.6 77.4 over folds'
    >>> of_folds([60.0, 65.0])
    """
    if len(values) < FEWEST:
        return None
    reach = _reach(values)
    return Interval(mean(values) - reach, mean(values) + reach, FOLDS)


def of_seeds(values, own):
    """Of the mean over seeds that were tested on the same speakers.

    From ``FEWEST`` seeds on, Student's t over them gives the part of the
    training. Seeds fail on the same speakers, so the part of the speakers does
    not shrink with their number: it is taken whole, from the seed where it is
    widest. Both parts are independent and add up as squares. With fewer seeds
    the part of the training is not known: the widest distances from a seed's
    figure to its limits are put around the mean, said to be of a single seed.

    Arguments
    ---------
    values : list of float
        By seed.
    own : list of Interval or None
        Of each seed alone.

    Returns
    -------
    Interval or None

    Example
    -------
    >>> own = [Interval(v - 3, v + 3, SPEAKERS) for v in (9.0, 10.0, 11.0)]
    >>> of_seeds([9.0], own[:1])
    Interval(low=6.0, high=12.0, over='over speakers')
    >>> low, high, over = of_seeds([9.0, 10.0, 11.0], own)
    >>> f"{low:.1f} {high:.1f} {over}"
    '6.1 13.9 over speakers and seeds'
    """
    known = [(v, i) for v, i in zip(values, own, strict=True) if i is not None]
    below = max((value - interval.low for value, interval in known), default=0)
    above = max((interval.high - value for value, interval in known), default=0)
    middle = mean(values)
    if len(values) < FEWEST:
        if not known:
            return None
        over = SPEAKERS if len(values) == 1 else ONE_SEED
        return Interval(middle - below, middle + above, over)
    of_training, over = _reach(values), BOTH
    if len(known) < len(values):
        below, above, over = 0.0, 0.0, SEEDS
    return Interval(
        middle - math.hypot(of_training, below),
        middle + math.hypot(of_training, above),
        over,
    )


def _reach(values):
    """Half of the interval of a mean by Student's t."""
    # Imported here: it takes a second, and many tables have a seed or two.
    from scipy.stats import t

    quantile = float(t.ppf(0.5 + LEVEL / 2, len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))
