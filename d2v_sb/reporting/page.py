"""Writes the page of a run.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import replacing
from d2v_sb.reporting.classes import class_results
from d2v_sb.reporting.discretion import Discretion, is_secret, place_of
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
from d2v_sb.reporting.train_log import read_train_log, tests_before
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
    each fold gets its own page, and that of the run leads there. A page that
    is written elsewhere is alone: nothing is written into the run's folder.

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
    reader = Reader()
    run = read_run(folder, reader)
    if target is not None:
        return _write(run, reader, Path(target), {})
    begun = list(filter(has_begun, run.folds))
    links = {fold: f"{fold.name}/{NAME}" for fold in begun}
    target = _write(run, reader, folder / NAME, links)
    # After it, as they lead back to a page that is there.
    for fold in begun:
        write_report(fold)
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


def _write(run, reader, target, links):
    page = _render(_content(run, reader, target, links))
    with replacing(target) as beside:
        beside.write_text(page, encoding="utf-8")
    return target


def _content(run, reader, target, links):
    """All that the template shows; `links` are addresses of folds' pages."""
    attempt = reader.attempt
    changed = attempt(lambda _: changed_options(run.options), run.folder)
    discretion = Discretion(run.folder, run.options)
    run = run._replace(options=discretion.options(run.options))
    measure = chosen_by(run.options, run.log)
    tiles, results = _results(run, attempt, links)
    # Of folds, from where the first began to where the last ended.
    parts = run.folds or [run.folder]
    begin, end = (read_times(parts[n] / "log.txt") for n in (0, -1))
    times = begin[:1] + end[1:]
    environment = attempt(read_environment, parts[0]) or {}
    outdated = _outdated(run, attempt)
    charts = attempt(lambda _: _charts(run, measure), run.folder)
    return {
        "name": place_of(run.folder),
        "title": title_of(run),
        "lead": lead_of(run),
        "tiles": tiles + progress_of(run, measure),
        "facts": facts_of(run, times),
        "environment": discretion.value(environment),
        "results": [(KINDS[type(one)], one) for one in results],
        "charts": charts or [],
        "changed": [
            (name, discretion.value(here), discretion.value(there))
            for name, here, there in changed or []
            if not is_secret(name)
        ],
        "options": run.options,
        "log": _log_table(run.log),
        "notes": [discretion.text(note) for note in reader.notes + outdated],
        "up": _up(run.folder, target),
    }


def _results(run, attempt, links):
    folder = run.folder
    found = [
        speech_results(folder, run.log, attempt),
        class_results(folder, run.log, attempt),
        trial_results(folder / "trials", attempt),
    ]
    if any(folder.glob("*.scores.tsv")):
        found.append(trial_results(folder, attempt))
    if run.folds or (folder / "summary.json").is_file():
        found.append(fold_results(folder, run.folds, links, attempt))
    return [sum(parts, []) for parts in zip(*found, strict=True)]


def _charts(run, measure):
    if run.curves:
        return pretraining_charts(run.curves, run.log, run.options)
    if run.folds:
        return fold_charts(run.folds)
    return fine_tuning_charts(run.log, measure)


def _outdated(run, attempt):
    """What says that a test is not of the run as it is now."""
    notes = tests_before("", run.log)
    for fold in run.folds:
        log = attempt(read_train_log, fold / "train_log.txt")
        notes += tests_before(f"{fold.name}: ", log) if log else []
    return notes


def _up(fold, target):
    """The address of the page of the run that a fold is of."""
    fold = fold.resolve()
    page = fold.parent / NAME
    beside = target.resolve().parent == fold
    if beside and page.is_file() and fold in find_folds(fold.parent):
        return f"../{NAME}"
    return None


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
