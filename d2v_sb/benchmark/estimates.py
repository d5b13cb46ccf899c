"""The mean of several runs, and how sure it is.

Authors
 * The d2v_sb developers 2026
"""

from collections import defaultdict
from dataclasses import dataclass
from statistics import mean, stdev

from d2v_sb.benchmark.intervals import Interval, of_folds, of_measure, of_seeds


@dataclass(frozen=True)
class Estimate:
    """A figure of several runs.

    Arguments
    ---------
    value : float
        The mean over folds within a seed, then over seeds.
    std : float, optional
        Sample standard deviation over the seeds that have all folds; None
        with fewer than two.
    interval : Interval, optional
        Of 95 %, see ``d2v_sb.benchmark.intervals``; None where it is not known
        or folds are missing.
    runs, expected : int
        How many of how many there are, of folds times seeds.
    """

    value: float
    std: float | None
    interval: Interval | None
    runs: int
    expected: int


def estimate(measured, expected):
    """Puts runs together.

    Arguments
    ---------
    measured : dict of tuple to Measure
        By seed and fold; the fold is None where there are none.
    expected : list of tuple
        The seeds and folds that there should be.

    Returns
    -------
    Estimate or None
        None where nothing was measured.

    Example
    -------
    >>> from d2v_sb.benchmark.result import Measure
    >>> runs = {(1, None): Measure("test", "WER", 9.0, 8.0, 11.0)}
    >>> estimate(runs, [(1, None), (2, None)])
    Estimate(value=9.0, std=None, interval=Interval(...), runs=1, expected=2)
    """
    if not measured:
        return None
    by_seed, by_fold = defaultdict(list), defaultdict(list)
    for (seed, fold), one in measured.items():
        by_seed[seed].append(one)
        by_fold[fold].append(one.value)
    values = {s: mean(m.value for m in ms) for s, ms in by_seed.items()}
    num_folds = len({fold for _, fold in expected})
    whole = [values[s] for s, ms in by_seed.items() if len(ms) == num_folds]
    interval = None
    # The mean of some folds is of other speakers than that of all.
    if len(whole) == len(by_seed):
        if num_folds > 1:
            interval = of_folds([mean(own) for own in by_fold.values()])
        else:
            own = [of_measure(one) for (one,) in by_seed.values()]
            interval = of_seeds(whole, own)
    if interval is not None:
        interval = _possible(interval, next(iter(measured.values())).name)
    return Estimate(
        mean(values.values()),
        stdev(whole) if len(whole) > 1 else None,
        interval,
        len(measured),
        len(expected),
    )


def _possible(interval, name):
    """Within what the measure can be; word errors may be above 100 %."""
    high = min(100.0, interval.high) if name == "accuracy" else interval.high
    return interval._replace(low=max(0.0, interval.low), high=high)
