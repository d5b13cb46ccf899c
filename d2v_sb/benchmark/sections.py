"""The sections of a benchmark's page: all figures, and a task at a time.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

from d2v_sb.benchmark.charts import (
    dot_charts,
    other_name,
    row_name,
    sweep_charts,
)
from d2v_sb.benchmark.published import references
from d2v_sb.benchmark.summary import NOT_RUN
from d2v_sb.benchmark.texts import (
    difference,
    label,
    mode_names,
    number,
    ours,
    rate,
    theirs,
    unit,
    with_interval,
)
from d2v_sb.reporting.parts import Table, without_empty

NONE = "–"


class Box(NamedTuple):
    """A cell of the table of all figures."""

    ours: str
    gaps: str
    theirs: str
    difference: str


class Section(NamedTuple):
    """A task."""

    title: str
    lead: str
    charts: list
    table: Table


def overview(tasks, cells, names, benchmark):
    """The table of all figures: tasks and heads by encoders and modes.

    Arguments
    ---------
    tasks : list of Task
        Of the table.
    cells : list of Cell
        Of its summary.
    names : Names
        Of encoders.
    benchmark : str or None
        Whose published figures stand beside.

    Returns
    -------
    list of str
        Columns.
    list of tuple
        Name of the row, and a list of ``Box``, None where there is no cell.
    """
    titles = {task.name: task.title for task in tasks}
    modes = mode_names(cells)
    columns, rows = {}, {}
    for cell in cells:
        column = names[cell.encoder], cell.mode
        columns[column] = label(column[0], modes[cell.mode])
        name = label(titles[cell.task], cell.head, cell.chosen)
        row = f"{name}: {unit(cell.measure)}"
        rows.setdefault(row, {})[column] = _box(cell, benchmark)
    return list(columns.values()), [
        (name, [boxes.get(column) for column in columns])
        for name, boxes in rows.items()
    ]


def section(task, groups, cells, names, benchmark):
    """What there is to see of a task.

    Arguments
    ---------
    task : Task
        Of the table.
    groups : list of Group
        Of the task.
    cells : list of Cell
        Of these groups.
    names : Names
        Of encoders.
    benchmark : str or None
        Whose published figures stand beside.

    Returns
    -------
    Section
    """
    measure, split = task.measure
    corpora = {
        one.about["corpus"]
        for group in groups
        for one in group.results
        if one.about.get("corpus")
    }
    lead = f"{unit(measure)} on {split}; head: {' or '.join(task.heads)}"
    lead += f". Corpus: {', '.join(sorted(corpora))}" if corpora else ""
    others = _others(task, cells, benchmark)
    charts = dot_charts(task, cells, others, names)
    charts += sweep_charts(task, groups, names)
    table = _table(task, cells, others, names, benchmark)
    return Section(task.title, lead, charts, table)


def _box(cell, benchmark):
    text = NOT_RUN
    if cell.estimate is not None:
        text = with_interval(cell.estimate, cell.measure)
    if benchmark is None:
        return Box(text, cell.gaps, "", "")
    published = theirs(cell.reference)
    if cell.reference is not None:
        published = f"published {published}"
    gap = difference(cell)
    return Box(text, cell.gaps, published, "" if gap == NONE else gap)


def _others(task, cells, benchmark):
    """Published figures that stand beside no cell."""
    measure, split = task.measure
    found = [
        one
        for head in task.heads
        for one in references(benchmark, task.name, head, split, measure)
    ]
    beside = [cell.reference for cell in cells]
    return [one for one in dict.fromkeys(found) if one not in beside]


def _table(task, cells, others, names, benchmark):
    modes = mode_names(cells)
    columns = ["", "here", "published", "difference"]
    columns += ["deviation over seeds", "learning rate"]
    rows = [
        [
            label(
                row_name(task, names[cell.encoder], cell.head), modes[cell.mode]
            ),
            ours(cell),
            theirs(cell.reference),
            difference(cell),
            _spread(cell),
            rate(cell) or NONE,
        ]
        for cell in cells
    ]
    rows += [
        [other_name(task, one, cells), NONE, theirs(one), *[NONE] * 3]
        for one in others
    ]
    if benchmark is None:
        del columns[2:4]
        rows = [[*row[:2], *row[4:]] for row in rows]
    return Table("", _note(cells, others), *without_empty(columns, rows))


def _spread(cell):
    if cell.estimate is None or cell.estimate.std is None:
        return NONE
    return number(cell.estimate.std, cell.measure)


def _note(cells, others):
    """What the intervals are over, and where published figures are from."""
    known = [cell.estimate.interval for cell in cells if cell.estimate]
    over = dict.fromkeys(one.over for one in known if one is not None)
    found = [cell.reference for cell in cells if cell.reference] + others
    sources = {}
    for one in found:
        parts = filter(None, one.note.split("; "))
        sources.setdefault(one.source, {}).update(dict.fromkeys(parts))
    notes = []
    if over:
        notes.append(f"In brackets: intervals of 95 %, {'; '.join(over)}.")
    if sources:
        texts = (
            f"{source} ({'; '.join(parts)})" if parts else source
            for source, parts in sources.items()
        )
        notes.append(f"Published: {'; '.join(texts)}.")
    return " ".join(notes)
