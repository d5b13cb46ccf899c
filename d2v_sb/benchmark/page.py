"""Writes the page of a benchmark, and its rows.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter
from pathlib import Path

from d2v_sb import reporting
from d2v_sb.atomic import replacing
from d2v_sb.benchmark.charts import Names
from d2v_sb.benchmark.groups import groups_of, outside
from d2v_sb.benchmark.job import safe_name
from d2v_sb.benchmark.rows import COLUMNS, result_rows
from d2v_sb.benchmark.sections import overview, section
from d2v_sb.benchmark.summary import cells_of
from d2v_sb.benchmark.texts import encoder_name
from d2v_sb.manifest import write_rows
from d2v_sb.reporting.discretion import Discretion
from d2v_sb.reporting.options import Options
from d2v_sb.reporting.parts import Table, Tile, without_empty

PAGE, ROWS = "benchmark.html", "rows.csv"
KINDS = ("preparation", "encoding", "training", "testing")
RUN = ("date", "commit", "hardware", "versions")
# Each of these folders has a part of the template.
TEMPLATES = [Path(__file__).parent, Path(reporting.__file__).parent]


def write_page(table, results, folder, missing=()):
    """Writes the page of a benchmark, and its results as rows of a CSV.

    The page needs nothing beside it and no network. Neither file names a
    folder of the machine. What was not run is on the page too.

    Arguments
    ---------
    table : Table
        Of ``d2v_sb.benchmark.table``.
    results : list of Result
        Of its jobs, so far.
    folder : pathlib.Path
        Of the benchmark; gets ``benchmark.html`` and ``rows.csv``.
    missing : collection of str
        Names of tasks that were asked for and whose corpus is not there.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    DataError
        If a file can not be written.
    """
    folder = Path(folder)
    rows = result_rows(results, table)
    write_rows(folder / ROWS, rows, COLUMNS)
    page = _render(_content(table, results, rows, folder, missing))
    with replacing(folder / PAGE) as beside:
        beside.write_text(page, encoding="utf-8")
    return folder / PAGE


def _content(table, results, rows, folder, missing):
    """All that the template shows."""
    groups = groups_of(table, results)
    discretion = Discretion(folder, Options())
    names = Names(
        {
            group.encoder: discretion.value(
                encoder_name(group.encoder, table.encoders)
            )
            for group in groups
        }
    )
    cells = {id(group): cells_of(group, table.published) for group in groups}
    every = [cell for group in groups for cell in cells[id(group)]]
    columns, boxes = overview(table.tasks, every, names, table.published)
    sections = []
    for task in table.tasks:
        own = [group for group in groups if group.task == task.name]
        of_task = [cell for group in own for cell in cells[id(group)]]
        sections.append(section(task, own, of_task, names, table.published))
    return {
        "title": table.title,
        "about": table.about,
        "published": table.published,
        "tiles": _tiles(table, groups, results),
        "notes": _notes(table, results),
        "columns": columns,
        "boxes": boxes,
        "sections": sections,
        "missing": _missing(table, groups, names, folder, missing),
        "time": _time(table, groups, names),
        "runs": _runs(rows),
        "commands": _commands(rows),
        "rows": ROWS,
    }


def _tiles(table, groups, results):
    expected = sum(
        len(group.expected) * max(1, len(group.lrs)) for group in groups
    )
    done = sum(len(group.results) for group in groups)
    seconds = sum(sum(one.seconds.values()) for one in results)
    tiles = [Tile(f"{done} of {expected}", "runs are done")]
    if seconds:
        tiles.append(Tile(f"{seconds / 3600:,.1f}", "hours, all runs together"))
    return tiles


def _notes(table, results):
    others = outside(table, results)
    if not others:
        return []
    names = ", ".join(sorted({f"{one.task}, {one.head}" for one in others}))
    return [
        f"{len(others)} results are of no cell of this table ({names}): they "
        f"are in {ROWS} alone"
    ]


def _missing(table, groups, names, folder, missing):
    """What was not run at all, and why, as far as folders say."""
    tasks, rows = {task.name: task for task in table.tasks}, {}
    for group in groups:
        if not group.results:
            task = tasks[group.task]
            why = _reason(table, task, group, folder, missing)
            encoder = names[group.encoder]
            key = (task.title, encoder, group.mode or "–", why)
            rows.setdefault(key, []).append(group.head)
    if not rows:
        return None
    body = [[*key, ", ".join(heads)] for key, heads in rows.items()]
    columns = ["task", "encoder", "mode", "why", "heads"]
    return Table("", "", columns, body)


def _reason(table, task, group, folder, missing):
    """A job's folder is <task>/<head>/<encoder>/<mode>/..., less what its
    script does not take."""
    parts = [task.name, group.head]
    if "encoder" in task.takes:
        parts.append(encoder_name(group.encoder, table.encoders))
    if "mode" in task.takes:
        parts.append(group.mode)
    place = folder.joinpath(*map(safe_name, parts))
    if any(place.rglob("job.json")):
        return "begun, not ended: see output.txt in its folder"
    if task.name in missing:
        way = f"--data {task.data}=FOLDER" if task.data else "prepared_folder"
        return f"no folder of the corpus: {way}"
    return "not begun"


def _time(table, groups, names):
    """Hours by group."""
    titles, rows = {task.name: task.title for task in table.tasks}, []
    for group in groups:
        spent = Counter()
        for one in group.results:
            spent.update(one.seconds)
        if not spent:
            continue
        runs = str(len(group.results))
        kinds = [_duration(spent.get(kind)) for kind in KINDS]
        rows.append(
            [
                f"{titles[group.task]}, {group.head}",
                names[group.encoder],
                group.mode or "–",
                *(runs, *kinds, _duration(spent.total())),
            ]
        )
    if not rows:
        return None
    note = (
        "Hours, minutes and seconds of all runs of a row together. The first "
        "run of a task and an encoder encodes; others read what it kept."
    )
    columns = ["task", "encoder", "mode", "runs", *KINDS, "all"]
    return Table("", note, *without_empty(columns, rows))


def _runs(rows):
    """Who made what: commands that share versions and hardware are a row."""
    runs = dict.fromkeys(
        (*(row[name] or "not known" for name in RUN), row["command"])
        for row in rows
    )
    kinds = Counter(run[:-1] for run in runs)
    if not kinds:
        return None
    body = [[*kind, str(count)] for kind, count in kinds.items()]
    return Table("", "", [*RUN, "commands"], body)


def _commands(rows):
    return list(dict.fromkeys(row["command"] for row in rows if row["command"]))


def _duration(seconds):
    if seconds is None:
        return "–"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _render(content):
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("benchmark.html").render(content)
