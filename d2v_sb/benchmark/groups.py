"""A benchmark's results by what they are repetitions of.

Authors
 * The d2v_sb developers 2026
"""

import itertools
import math
from dataclasses import dataclass

from d2v_sb.benchmark.estimates import estimate
from d2v_sb.benchmark.published import references
from d2v_sb.benchmark.result import is_error


@dataclass(frozen=True)
class Group:
    """The runs of one task, head, encoder and mode.

    Arguments
    ---------
    task, head, encoder, mode : str
        By their names; the encoder by its source.
    measure : tuple of str
        What is shown of them: a measure's name and its split.
    expected : list of tuple
        The seeds and folds that there should be.
    results : list of Result
        What there is.
    lrs : tuple of float
        The learning rates that are tried; empty where there is no choice.
    default_lr : float, optional
        The one of them that is taken without a search.
    """

    task: str
    head: str
    encoder: str
    mode: str
    measure: tuple
    expected: list
    results: list
    lrs: tuple = ()
    default_lr: float | None = None

    def test(self, results=None):
        """What runs of the group say on the test set: an ``Estimate``.

        Arguments
        ---------
        results : list of Result, optional
            Some of the group's; all if not given.

        Returns
        -------
        Estimate or None
            None where nothing was run.
        """
        results = self.results if results is None else results
        return estimate(self._measured(results), self.expected)

    def sweep(self):
        """What each learning rate gave.

        Returns
        -------
        dict of float to tuple of Estimate
            On dev and on test, in the order of `lrs`; rates that were not run
            are left out.
        """
        found = {}
        for lr in self.lrs:
            own = [one for one in self.results if is_rate(one.lr, lr)]
            test = self.test(own)
            if test is not None:
                tested = self._measured(own)
                runs = {(one.seed, one.fold): one.dev for one in own}
                dev = {key: runs[key] for key in tested}
                found[lr] = estimate(dev, self.expected), test
        return found

    def best_rate(self):
        """The learning rate with the best mean on dev, never on test.

        It is one for all folds and seeds. Rates with fewer runs than others
        have are left out: means of other folds or seeds do not compare. Of
        equals the first counts.

        Returns
        -------
        float or None
            None where nothing was run.
        """
        swept = self.sweep()
        most = max((test.runs for _, test in swept.values()), default=0)
        known = [lr for lr, (_, test) in swept.items() if test.runs == most]
        if not known:
            return None
        sign = 1 if is_error(self.results[0].dev.name) else -1
        return min(known, key=lambda lr: sign * swept[lr][0].value)

    def _measured(self, results):
        return {
            (one.seed, one.fold): measure
            for one in results
            for measure in one.measures
            if (measure.name, measure.split) == tuple(self.measure)
        }


def is_rate(lr, other):
    """Whether two learning rates are the same; one may be None.

    Example
    -------
    >>> is_rate(1e-4, 0.1 * 1e-3), is_rate(None, 1e-4)
    (True, False)
    """
    return None not in (lr, other) and math.isclose(lr, other, rel_tol=1e-6)


def groups_of(table, results):
    """The groups of a table.

    Arguments
    ---------
    table : Table
        Of ``d2v_sb.benchmark.table``.
    results : list of Result
        Of its jobs. Those of no group are passed over, see ``outside``.

    Returns
    -------
    list of Group
        In the order of the table; those without a result too.
    """
    groups = []
    for task in table.tasks:
        ours = [one for one in results if _is_of(task, one)]
        for head, encoder, mode in itertools.product(
            task.heads, _encoders(table, task, ours), _modes(table, task, ours)
        ):
            key = (head, encoder, mode)
            own = [o for o in ours if (o.head, o.encoder, o.mode) == key]
            groups.append(
                Group(
                    task.name,
                    *key,
                    tuple(task.measure),
                    _expected(table, task, own),
                    own,
                    tuple(task.lrs),
                    task.default_lr,
                )
            )
    return groups


def outside(table, results):
    """The results that no group of a table counts.

    Arguments
    ---------
    table, results
        As of ``groups_of``.

    Returns
    -------
    list of Result
        Of a task, head, fold or the like that the table does not have.
    """
    counted = {
        id(one) for group in groups_of(table, results) for one in group.results
    }
    return [one for one in results if id(one) not in counted]


def _is_of(task, result):
    """Whether a result is of a task as the table has it."""
    return (
        result.task == task.name
        and result.fold in (task.folds or [None])
        and (not task.lrs or any(is_rate(result.lr, lr) for lr in task.lrs))
    )


def _expected(table, task, results):
    """Seeds and folds: those of the table, and seeds that were run beyond."""
    seeds = [one.seed for one in results]
    if "seed" in task.takes:
        seeds = [*table.seeds, *seeds]
    return list(
        itertools.product(dict.fromkeys(seeds) or [None], task.folds or [None])
    )


def _encoders(table, task, results):
    """By source. Where the task decides: those of its results, and before
    there is any, the data2vec of published rows, or one that is not known."""
    if "encoder" in task.takes:
        return list(table.encoders.values())
    found = [one.encoder for one in results]
    found = found or [
        one.encoder
        for one in references(table.published, task.name)
        if "data2vec" in one.encoder
    ]
    return list(dict.fromkeys(found)) or [""]


def _modes(table, task, results):
    modes = [one.mode for one in results]
    if "mode" in task.takes:
        modes = [*table.modes, *modes]
    return list(dict.fromkeys(modes)) or [""]
