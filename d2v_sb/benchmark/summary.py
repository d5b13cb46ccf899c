"""What a benchmark's results say: a cell for each task, head and encoder.

Where learning rates were tried there are two cells beside each other, that of
the default rate and that of the best one, chosen on dev.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass

from d2v_sb.benchmark.estimates import Estimate
from d2v_sb.benchmark.groups import groups_of, is_rate
from d2v_sb.benchmark.published import Reference, published

NOT_RUN = "not run"
NOT_PUBLISHED = "not published"
# How the learning rate of a cell came about; ONLY: there was no choice.
ONLY, DEFAULT, BEST = "", "default lr", "best lr on dev"


@dataclass(frozen=True)
class Cell:
    """What is known of a task, a head, an encoder and a mode.

    Arguments
    ---------
    task, head, encoder, mode : str
        By their names; the encoder by its source.
    chosen : str
        ``ONLY``, ``DEFAULT`` or ``BEST``.
    measure, split : str
        What the figure is.
    lr : float, optional
        The learning rate, where it is known and one.
    rates : tuple of int
        How many of how many learning rates were run.
    estimate : Estimate, optional
        None: not run.
    reference : Reference, optional
        None: not published.
    """

    task: str
    head: str
    encoder: str
    mode: str
    chosen: str
    measure: str
    split: str
    lr: float | None
    rates: tuple
    estimate: Estimate | None
    reference: Reference | None

    @property
    def difference(self):
        """Ours minus the published value, with the limits of ours less it.

        Returns
        -------
        tuple of float, or None
            The difference and its limits, which are None where ours are not
            known. The published value has no interval and is taken as exact.
        """
        if self.estimate is None or self.reference is None:
            return None
        theirs = self.reference.value
        difference = self.estimate.value - theirs
        if self.estimate.interval is None:
            return difference, None, None
        low, high, _ = self.estimate.interval
        return difference, low - theirs, high - theirs

    @property
    def gaps(self):
        """What is missing of it, in words; empty where nothing is."""
        parts = []
        if self.estimate and self.estimate.runs < self.estimate.expected:
            parts.append(
                f"{self.estimate.runs} of {self.estimate.expected} runs"
            )
        done, tried = self.rates
        if self.estimate and self.chosen == BEST and done < tried:
            parts.append(f"best of {done} of {tried} learning rates")
        return ", ".join(parts)


def summarise(table, results):
    """The cells of a table.

    Arguments
    ---------
    table : Table
        Of ``d2v_sb.benchmark.table``.
    results : list of Result
        Of its jobs.

    Returns
    -------
    list of Cell
        In the order of the table; those that were not run too.
    """
    return [
        cell
        for group in groups_of(table, results)
        for cell in cells_of(group, table.published)
    ]


def cells_of(group, benchmark=None):
    """The cells of a group: one, or that of the default rate and the best.

    Arguments
    ---------
    group : Group
        Of ``d2v_sb.benchmark.groups``.
    benchmark : str, optional
        Whose published figures stand beside.

    Returns
    -------
    list of Cell
    """
    measure, split = group.measure
    reference = published(
        benchmark, group.task, group.encoder, group.head, split, measure
    )

    def cell(chosen, lr, results, done):
        return Cell(
            *(group.task, group.head, group.encoder, group.mode),
            chosen,
            measure,
            split,
            lr,
            (done, len(group.lrs)),
            group.test(results),
            reference,
        )

    if not group.lrs:
        rates = {one.lr for one in group.results}
        lr = rates.pop() if len(rates) == 1 else None
        return [cell(ONLY, lr, group.results, 0)]
    best, done = group.best_rate(), len(group.sweep())
    chosen = {BEST: best}
    if group.default_lr is not None:
        chosen = {DEFAULT: group.default_lr, BEST: best}
    return [
        cell(name, lr, [r for r in group.results if is_rate(r.lr, lr)], done)
        for name, lr in chosen.items()
    ]
