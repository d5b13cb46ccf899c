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
FEWEST = 3  # seeds; with two, Student's t is 12.7 and the interval says nothing
SPEAKERS = "over speakers"
FOLDS = "over speakers, folds put together"
ONE_SEED = "over speakers, of a single seed, the widest"
SEEDS = "over seeds"
BOTH = "over speakers and seeds"


class Interval(NamedTuple):
    """Limits, and what they are an interval over."""

    low: float
    high: float
    over: str


def of_folds(values, lows, highs):
    """Of the mean over folds that share no test speaker.

    Their errors are then independent, so distances to the limits add up as
    squares (Zou and Donner, 2008, with weights 1 / number of folds).

    Arguments
    ---------
    values : list of float
        By fold.
    lows, highs : list of float or None
        Limits by fold.

    Returns
    -------
    Interval or None
        None where a fold has none.

    Example
    -------
    >>> of_folds([10.0, 20.0], [7.0, 16.0], [13.0, 24.0])
    Interval(low=12.5, high=17.5, over='over speakers, folds put together')
    """
    if None in [*lows, *highs]:
        return None
    if len(values) == 1:
        return Interval(lows[0], highs[0], SPEAKERS)
    below = math.dist(values, lows) / len(values)
    above = math.dist(values, highs) / len(values)
    middle = mean(values)
    return Interval(middle - below, middle + above, FOLDS)


def of_seeds(values, own):
    """Of the mean over seeds that were tested on the same speakers.

    From ``FEWEST`` seeds on, Student's t over them gives the part of the
    training. Seeds fail on the same speakers, so the part of the speakers does
    not shrink with their number: it is taken whole, from the seed where it is
    widest. Both parts are independent and add up as squares. With fewer seeds
    the part of the training is not known, and the widest of their own
    intervals is given as what it is, that of a single seed.

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
    if len(values) < FEWEST:
        if not known:
            return None
        _, widest = max(known, key=lambda one: one[1].high - one[1].low)
        return widest if len(values) == 1 else widest._replace(over=ONE_SEED)
    # Imported here: it takes a second, and most tables have a seed or two.
    from scipy.stats import t

    of_training = t.ppf(0.5 + LEVEL / 2, len(values) - 1) * stdev(values)
    of_training = float(of_training) / math.sqrt(len(values))
    below = above = 0.0
    complete = len(known) == len(values)
    if complete:
        below = max(value - interval.low for value, interval in known)
        above = max(interval.high - value for value, interval in known)
    middle = mean(values)
    return Interval(
        middle - math.hypot(of_training, below),
        middle + math.hypot(of_training, above),
        BOTH if complete else SEEDS,
    )
