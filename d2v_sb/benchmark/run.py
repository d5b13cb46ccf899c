"""Runs the jobs of a benchmark that are not done yet.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass
from pathlib import Path

from d2v_sb.benchmark.folder import JobFolder
from d2v_sb.benchmark.job import Job
from d2v_sb.benchmark.loop import Loop, sigterm_as_ctrl_c
from d2v_sb.benchmark.refusals import check_folders
from d2v_sb.benchmark.times import Times
from d2v_sb.bulk.lock import only_run
from d2v_sb.errors import UserError

TIMES = "jobs.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What became of jobs.

    Arguments
    ---------
    done : list of JobFolder
        Those that have a result, earlier ones too.
    failed : list of (JobFolder, str)
        Those that failed, and how.
    missing : dict of str to list of Job
        Those that could not run, by why.
    """

    done: list[JobFolder]
    failed: list[tuple[JobFolder, str]]
    missing: dict[str, list[Job]]


def run_jobs(jobs, folder, launcher, say=print):
    """Runs jobs, less those that are done.

    A job that fails leaves the others. Where the run is stopped or killed, the
    next one goes on: what is done is not run again, and scripts go on from
    their checkpoints.

    Arguments
    ---------
    jobs : list of Job
        Of a table.
    folder : str or pathlib.Path
        Where all is written.
    launcher : Local or Slurm
        How they are run.
    say : callable
        Takes lines on what happens.

    Returns
    -------
    Outcome

    Raises
    ------
    DataError
        If a job was begun with other options, or on another corpus; none is
        run then.
    UserError
        If another run is at work in the folder.
    KeyboardInterrupt
        At Ctrl-C and SIGTERM, once the jobs' processes have ended.
    """
    folder = Path(folder).absolute()
    missing = without_corpus(jobs)
    left_out = {job.name for some in missing.values() for job in some}
    runnable = [job for job in jobs if job.name not in left_out]
    folders = job_folders(runnable, folder)
    with only_run(folder / TIMES):
        check_folders(folders, folder)
        done, waiting = [], []
        for each in folders:
            (done if each.is_done() else waiting).append(each)
        for each in done:
            _show_too(each, say)
        say(f"jobs: {len(folders)}, done: {len(done)}")
        loop = Loop(waiting, done, launcher, Times(folder / TIMES), say)
        with sigterm_as_ctrl_c():
            failed = loop.to_end()
    not_done = {each.path for each, _ in failed}
    done = [each for each in folders if each.path not in not_done]
    return Outcome(done, failed, missing)


def job_folders(jobs, folder):
    """Where jobs write.

    Arguments
    ---------
    jobs : list of Job
        Of a table.
    folder : pathlib.Path
        Of the benchmark.

    Returns
    -------
    list of JobFolder
    """
    return [JobFolder(job, folder / job.name) for job in jobs]


def without_corpus(jobs):
    """The jobs whose corpus is not there.

    Arguments
    ---------
    jobs : list of Job
        Of a table.

    Returns
    -------
    dict of str to list of Job
        By why they can not run.
    """
    missing = {}
    for job in jobs:
        if job.corpus is None or Path(job.corpus).expanduser().is_dir():
            continue
        way = f"--data {job.task.data}=FOLDER"
        if job.data is None:
            way = f"prepared_folder of {job.task.name}"
        missing.setdefault(f"no folder {job.corpus} ({way})", []).append(job)
    return missing


def _show_too(folder, say):
    """Notes what others put there, or it would not be on the page."""
    try:
        if folder.noted() is None:
            folder.begin()
    except (UserError, OSError) as error:
        say(f"warning: {folder.job.title} will not be on the page: {error}")
