"""Writes the page of a run.

Authors
 * The d2v_sb developers 2026
"""

import os
from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import replacing
from d2v_sb.reporting.classes import class_results
from d2v_sb.reporting.environment import read_environment, read_times
from d2v_sb.reporting.fine_tuning import chosen_by, fine_tuning_charts
from d2v_sb.reporting.folds import find_folds, fold_charts, fold_results
from d2v_sb.reporting.options import changed_options
from d2v_sb.reporting.parts import Confusion, Picture, Samples, Table
from d2v_sb.reporting.pretraining import pretraining_charts
from d2v_sb.reporting.reader import Reader
from d2v_sb.reporting.run import check_run, has_begun, read_run
from d2v_sb.reporting.speech import speech_results
from d2v_sb.reporting.summary import facts_of, lead_of, progress_of, title_of
from d2v_sb.reporting.trials import trial_results

logger = get_logger(__name__)

NAME = "report.html"
MOST_ROWS = 60  # of the log that a page shows
KINDS = {
    Table: "table",
    Confusion: "confusion",
    Picture: "picture",
    Samples: "samples",
}


def write_report(folder, target=None):
    """Writes the page of a run: what it was, its curves, its results.

    It needs nothing beside it, no network either. Of a run of several folds
    each fold gets its own page, and that of the run leads there.

    Arguments
    ---------
    folder : str or pathlib.Path
        Output folder of a recipe, of a run that goes on or was killed too; or
        what ``verify.py`` wrote.
    target : str or pathlib.Path, optional
        The page; ``report.html`` in the folder if not given.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    UserError
        If the folder is no run's.
    DataError
        If the page can not be written.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "train_log.txt").write_text(
    ...     "update: 5, of: 9 - train loss: 2.50 - valid loss: 3.50\\n"
    ...     "update: 9, of: 9 - train loss: 1.50 - valid loss: 2.50\\n"
    ... )
    >>> write_report(folder).name
    'report.html'
    """
    folder = Path(folder)
    check_run(folder)
    target = folder / NAME if target is None else Path(target)
    reader = Reader()
    run = read_run(folder, reader)
    for fold in filter(has_begun, run.folds):
        write_report(fold)
    page = _render(_content(run, reader, target.parent))
    with replacing(target) as beside:
        beside.write_text(page, encoding="utf-8")
    return target


def write_report_or_warn(folder):
    """Writes the page of a run, or says why not: what was trained is worth
    more than its picture.

    Arguments
    ---------
    folder : str or pathlib.Path
        Output folder of a recipe.

    Example
    -------
    >>> write_report_or_warn(getfixture("tmp_path"))
    """
    try:
        logger.info(f"the run as a page: {write_report(folder)}")
    except Exception as error:
        logger.warning(
            f"no report of {folder} ({type(error).__name__}: {error}); the "
            "run is not touched by that. Once it is mended: d2v-sb report "
            f"{folder}"
        )


def _content(run, reader, beside):
    """All that the template shows; `beside` is where the page will lie."""
    attempt, measure = reader.attempt, chosen_by(run.options, run.log)
    tiles, results = _results(run, attempt, beside)
    # Of folds, from where the first began to where the last ended.
    parts = run.folds or [run.folder]
    begin, end = (read_times(parts[n] / "log.txt") for n in (0, -1))
    times = begin[:1] + end[1:]
    changed = attempt(lambda _: changed_options(run.options), run.folder)
    charts = attempt(lambda _: _charts(run, measure), run.folder)
    return {
        "name": "/".join(run.folder.resolve().parts[-2:]),
        "title": title_of(run),
        "lead": lead_of(run),
        "tiles": tiles + progress_of(run, measure),
        "facts": facts_of(run, times),
        "environment": read_environment(parts[0] / "env.log"),
        "results": [(KINDS[type(one)], one) for one in results],
        "charts": charts or [],
        "changed": changed or [],
        "options": run.options,
        "log": _log_table(run.log),
        "notes": reader.notes,
        "up": _up(run.folder, beside),
    }


def _results(run, attempt, beside):
    folder = run.folder
    found = [
        speech_results(folder, attempt),
        class_results(folder, attempt),
        trial_results(folder / "trials", attempt),
    ]
    if any(folder.glob("*.scores.tsv")):
        found.append(trial_results(folder, attempt))
    if run.folds:
        written = list(filter(has_begun, run.folds))

        def href(fold):
            return Path(os.path.relpath(fold / NAME, beside)).as_posix()

        found.append(fold_results(folder, run.folds, written, href, attempt))
    return [sum(parts, []) for parts in zip(*found, strict=True)]


def _charts(run, measure):
    if run.curves:
        return pretraining_charts(run.curves, run.log, run.options)
    if run.folds:
        return fold_charts(run.folds)
    return fine_tuning_charts(run.log, measure)


def _up(fold, beside):
    """The address of the page of the run that a fold is of."""
    parent = fold.resolve().parent
    if fold.resolve() not in find_folds(parent):
        return None
    return Path(os.path.relpath(parent / NAME, beside.resolve())).as_posix()


def _log_table(log):
    rows = log.validations
    step = -(-len(rows) // MOST_ROWS) or 1
    shown_rows = rows[::-step][::-1]  # the last one in any case
    columns = list(dict.fromkeys(name for row in shown_rows for name in row))
    return {
        "columns": columns,
        "rows": [
            [_short(row.get(name, "")) for name in columns]
            for row in shown_rows
        ],
        "step": step,
    }


def _short(value):
    return f"{value:g}" if isinstance(value, float) else value


def _render(content):
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(content)
