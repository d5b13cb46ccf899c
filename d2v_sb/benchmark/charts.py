"""The charts of a task: its figures, and what learning rates gave.

Authors
 * The d2v_sb developers 2026
"""

from itertools import groupby

from d2v_sb.benchmark.plot import Dot, Sweep, draw_dots, draw_sweeps
from d2v_sb.benchmark.result import is_error
from d2v_sb.benchmark.texts import label, mode_names, unit
from d2v_sb.reporting.parts import Chart


class Names:
    """How a page calls encoders, and their colours.

    Arguments
    ---------
    shown : dict of str to str
        Names by source, of all encoders that the page has of its own.
    """

    def __init__(self, shown):
        self._shown = shown
        self._places = {name: n for n, name in enumerate(shown.values())}

    def __getitem__(self, source):
        return self._shown[source]

    def colour(self, name):
        """A place among the colours, the same in all charts of the page."""
        return self._places.setdefault(name, len(self._places))


def row_name(task, encoder, head):
    """What a row of a task is called; one head alone is understood.

    Arguments
    ---------
    task : Task
        Of a table.
    encoder, head : str
        Names; the head may be None.

    Returns
    -------
    str
    """
    return label(encoder, head if len(task.heads) > 1 else "")


def other_name(task, one, cells):
    """What the row of a published figure that no cell is beside is called.

    Arguments
    ---------
    task : Task
        Of a table.
    one : Reference
        The figure.
    cells : list of Cell
        Of the task.

    Returns
    -------
    str
        Of an encoder whose cell has another published figure, with a word on
        that.
    """
    again = any(
        cell.reference is not None
        and (cell.encoder, cell.reference.head) == (one.encoder, one.head)
        for cell in cells
    )
    return label(
        row_name(task, one.name, one.head), "another source" if again else ""
    )


def dot_charts(task, cells, others, names):
    """Draws ours and published figures of a task.

    Arguments
    ---------
    task : Task
        Of a table.
    cells : list of Cell
        Of the task.
    others : list of Reference
        Published figures that stand beside no cell.
    names : Names
        Of encoders.

    Returns
    -------
    list of Chart
        One, or none where there is nothing to draw.
    """
    measure, split = task.measure
    dots = _dots(task, cells, others, names)
    if not dots:
        return []
    title = f"{task.title}: {unit(measure)} on {split}"
    note = "Filled: measured here, with its interval. "
    if any(dot.published is not None for dot in dots):
        note += "Open: published. "
    note += _direction(measure)
    return [Chart(title, note, draw_dots(title, dots, unit(measure)))]


def sweep_charts(task, groups, names):
    """Draws a task's figures over the learning rate, head by head.

    Arguments
    ---------
    task : Task
        Of a table.
    groups : list of Group
        Of the task.
    names : Names
        Of encoders.

    Returns
    -------
    list of Chart
        Of heads with two rates or more.
    """
    modes, charts = mode_names(groups), []
    measure, _ = task.measure
    for head, own in groupby(groups, key=lambda group: group.head):
        sweeps = []
        for group in own:
            swept = group.sweep()
            if len(swept) > 1:
                dev, test = zip(*swept.values(), strict=True)
                sweeps.append(
                    Sweep(
                        label(names[group.encoder], modes[group.mode]),
                        list(swept),
                        [one.value for one in dev],
                        [one.value for one in test],
                    )
                )
        if sweeps:
            name = unit(measure)
            title = f"{task.title}, {head}: {name} by learning rate"
            note = (
                "Full lines: test. Dashed: dev, by which the best rate is "
                f"chosen. {_direction(measure)}"
            )
            charts.append(Chart(title, note, draw_sweeps(title, sweeps, name)))
    return charts


def _dots(task, cells, others, names):
    heads, modes, dots = list(task.heads), mode_names(cells), []
    for cell in cells:
        known = cell.estimate
        if known is None and cell.reference is None:
            continue
        name = names[cell.encoder]
        dots.append(
            Dot(
                label(
                    row_name(task, name, cell.head),
                    modes[cell.mode],
                    cell.chosen,
                ),
                known and known.value,
                known.interval[:2] if known and known.interval else None,
                cell.reference and cell.reference.value,
                names.colour(name),
                heads.index(cell.head),
            )
        )
    for one in others:
        colour = names.colour(one.name)
        row = other_name(task, one, cells)
        dots.append(Dot(row, None, None, one.value, colour, 0))
    return dots


def _direction(measure):
    return f"{'Lower' if is_error(measure) else 'Higher'} is better."
