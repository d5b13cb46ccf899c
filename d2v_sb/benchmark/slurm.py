"""Jobs in the queue of a cluster, by submitit.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import fcntl
import json
import time

from d2v_sb.atomic import replacing
from d2v_sb.benchmark.process import (
    Ended,
    how_it_ended,
    locked_log,
    start_process,
)
from d2v_sb.errors import UserError

# What submitit takes for every cluster; other names are SLURM's own.
GENERAL = (
    *("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task"),
    *("gpus_per_node", "tasks_per_node", "stderr_to_stdout"),
)
CLUSTERS = ("slurm", "local")
# submitit's own is 5 minutes.
MINUTES = 24 * 60
WITHOUT_END = 10**6  # more jobs than a queue is given


class Slurm:
    """Puts jobs into a queue, all at once or some at a time.

    Where it is stopped they stay in the queue, and the next run waits for
    them: their numbers are kept in their folders.

    Arguments
    ---------
    folder : pathlib.Path
        Where submitit keeps its files.
    parameters : dict
        Of ``submitit.AutoExecutor``; SLURM's own may leave out the
        ``slurm_``. ``cluster`` is ``slurm`` or ``local``.
    num_jobs : int, optional
        How many may be in the queue; by default all.
    num_processes : int
        Of each job; more than one are started by torchrun.

    Raises
    ------
    UserError
        If submitit is not installed or does not take the parameters.
    """

    pause = 2.0  # seconds between looks at the queue

    def __init__(self, folder, parameters, num_jobs=None, num_processes=1):
        try:
            import submitit
        except ImportError as error:
            raise UserError(
                "--slurm needs submitit: pip install 'd2v_sb[slurm]'"
            ) from error
        parameters = dict(parameters)
        self.cluster = parameters.pop("cluster", "slurm")
        if self.cluster not in CLUSTERS:
            raise UserError(
                f"--slurm cluster={self.cluster}: known are "
                + ", ".join(CLUSTERS)
            )
        given = {_full_name(k): value for k, value in parameters.items()}
        if "slurm_time" not in given:
            given.setdefault("timeout_min", MINUTES)
        try:
            self._executor = submitit.AutoExecutor(folder, self.cluster)
            self._executor.update_parameters(**given)
        except (RuntimeError, NameError, AssertionError, ValueError) as error:
            raise UserError(f"--slurm: {error}") from error
        jobs = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
        self._job_class = jobs[self.cluster]
        self.folder = folder
        self.slots = num_jobs or WITHOUT_END
        self.num_processes = num_processes

    def start(self, folder):
        """Puts a job into the queue, unless it is there.

        Arguments
        ---------
        folder : JobFolder
            Of the job.

        Returns
        -------
        Queued
        """
        known = self._find(folder)
        if known is not None:
            return Queued(folder, known, "in the queue since an earlier run")
        command = folder.job.command(folder.path, self.num_processes)
        folder.begin()
        job = self._executor.submit(perform, folder, command)
        with replacing(_number(folder)) as beside:
            noted = {"job_id": job.job_id, "cluster": self.cluster}
            beside.write_text(json.dumps(noted) + "\n", "utf-8")
        return Queued(folder, job, "")

    def stop(self, running):
        """Leaves them in the queue.

        Arguments
        ---------
        running : list of Queued
            Those there.

        Returns
        -------
        str
            What is to be known of it.
        """
        numbers = " ".join(each.job.job_id for each in running)
        return f"these stay in the queue (scancel ends them): {numbers}"

    def look(self, running):
        """``Ended`` once a job is no more, None until then."""
        return running.poll()

    def said(self, running):
        """What is to be known of a job that was started."""
        known = f", {running.known}" if running.known else ""
        return f"job {running.job.job_id} of {self.cluster}{known}"

    def _find(self, folder):
        """A job that an earlier run put into the queue and is there still."""
        try:
            noted = json.loads(_number(folder).read_text("utf-8"))
            if noted["cluster"] != self.cluster:
                return None
            job = self._job_class(self.folder, noted["job_id"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        return None if job.done(force_check=True) else job


class Queued:
    """A job in the queue or at work.

    SLURM may know nothing of a job that is long gone, and submitit waits for
    such a one: its file ``slurm.json`` is then to be removed by hand.
    """

    def __init__(self, folder, job, known):
        self.folder, self.job, self.known = folder, job, known
        self._begin = time.monotonic()
        self._ended = None

    def poll(self):
        """``Ended`` once the job is no more, None until then."""
        if self._ended is None and self.job.done():
            error = self.job.exception()
            if error is None:
                self._ended = self.job.result()
            else:
                lines = str(error).strip().splitlines() or [repr(error)]
                seconds = time.monotonic() - self._begin
                how = f"was ended by the cluster ({lines[0]})"
                self._ended = Ended(seconds, how)
            with contextlib.suppress(FileNotFoundError):
                _number(self.folder).unlink()
        return self._ended


def perform(folder, command):
    """Runs a job on the machine that the cluster chose.

    Arguments
    ---------
    folder : JobFolder
        Of the job.
    command : list of str
        Of its script.

    Returns
    -------
    Ended
    """
    begin = time.monotonic()
    # Waits, should the same job be at work here already.
    with locked_log(folder, fcntl.LOCK_EX) as log:
        code = 0
        if folder.result() is None:
            code = start_process(folder, command, log).wait()
    return Ended(time.monotonic() - begin, how_it_ended(code))


def _number(folder):
    return folder.path / "slurm.json"


def _full_name(key):
    """As submitit wants a parameter named."""
    if key in GENERAL or key.split("_")[0] in CLUSTERS:
        return key
    return f"slurm_{key}"
