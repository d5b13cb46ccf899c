"""What the command of a benchmark tells, before and after its jobs.

Authors
 * The d2v_sb developers 2026
"""

import shlex

from d2v_sb.benchmark.found import find_results
from d2v_sb.benchmark.refusals import check_folders
from d2v_sb.benchmark.run import job_folders, without_corpus
from d2v_sb.benchmark.summary import summarise
from d2v_sb.benchmark.texts import encoder_name, label, ours, unit


def dry_run_lines(jobs, folder, num_processes=1):
    """What would be run: a line for each job, and below it the command where
    there is something to do.

    Arguments
    ---------
    jobs : list of Job
        Of a table.
    folder : pathlib.Path
        Of the benchmark.
    num_processes : int
        Of each job.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        As a run would.
    """
    missing = without_corpus(jobs)
    left_out = {job.name for some in missing.values() for job in some}
    folders = job_folders(
        [job for job in jobs if job.name not in left_out], folder
    )
    check_folders(folders, folder)
    lines, done = [], 0
    for number, each in enumerate(folders, 1):
        state = "to be run" if each.noted() is None else "goes on"
        command = [shlex.join(each.job.command(each.path, num_processes))]
        if each.is_done():
            state, command = "done", []
            done += 1
        where = f"# {number} of {len(folders)}"
        lines += [f"{where}, {state}: {each.job.title}", *command]
    lines += [f"# {line}" for line in _not_run(missing)]
    lines.append(
        f"# to be run: {len(folders) - done}, done: {done}, "
        f"not run: {len(left_out)}"
    )
    return lines


def end_lines(outcome):
    """What is not done, and why.

    Arguments
    ---------
    outcome : Outcome
        Of ``run_jobs``.

    Returns
    -------
    list of str
    """
    lines = []
    for each, how in outcome.failed:
        lines.append(f"failed: {each.job.title}: {how}; {each.log} ends with")
        lines += [f"    {line}" for line in each.last_lines()]
    if outcome.failed:
        lines.append(
            "The same command tries these again, and goes on where they were."
        )
    return lines + _not_run(outcome.missing)


def figure_lines(table, folder):
    """What was measured, a line for each cell that has a figure.

    Arguments
    ---------
    table : Table
        Of which the jobs were.
    folder : pathlib.Path
        Of the benchmark.

    Returns
    -------
    list of str
    """
    table, results = find_results(table, folder)
    lines = []
    for cell in summarise(table, results):
        if cell.estimate is not None:
            encoder = encoder_name(cell.encoder, table.encoders)
            names = (cell.task, cell.head, encoder, cell.mode, cell.chosen)
            figure = f"{unit(cell.measure)} {ours(cell)} on {cell.split}"
            lines.append(f"{label(*names)}: {figure}")
    return lines


def _not_run(missing):
    """A line for each corpus that is not there."""
    lines = []
    for why, jobs in missing.items():
        tasks = dict.fromkeys(job.task.name for job in jobs)
        lines.append(f"not run: {why}: {', '.join(tasks)}")
    return lines
