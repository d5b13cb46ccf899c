"""A job's process: begun once, and seen by a later run.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from d2v_sb.atomic import explain_refusals
from d2v_sb.benchmark.folder import HEADER


@dataclass(frozen=True)
class Ended:
    """That a job's process is no more.

    Arguments
    ---------
    seconds : float
        It took.
    how : str
        Empty where it ended by itself without an error.
    """

    seconds: float
    how: str


class Running:
    """A job's process and what it started, a group of their own.

    The process has the lock of its log, which is its standard output: a run
    that is killed can not end its jobs, and the next one must not start them
    beside themselves. It waits for them.
    """

    def __init__(self, folder, command, gpus, release):
        self.folder = folder
        self._command, self._gpus, self._release = command, gpus, release
        self._begin = time.monotonic()
        self._process = self._ended = None
        self._start()

    def said(self):
        """A word on what an earlier run left at work."""
        if self._process or self._ended:
            return ""
        return (
            "an earlier run left it at work: waiting for it (fuser "
            f"{self.folder.log} names its processes)"
        )

    def poll(self):
        """``Ended`` once the job is no more, None until then."""
        if self._ended is None:
            if self._process is None:
                self._start()
            elif self._process.poll() is not None:
                # What it started may be left, and hold a GPU.
                self.signal(signal.SIGKILL)
                self._end(how_it_ended(self._process.returncode))
        return self._ended

    def signal(self, number):
        """Sends a signal to all that is left of the group, SIGKILL to what is
        below it too; what an earlier run left is no longer waited for."""
        if self._ended is not None:
            return
        if self._process is None:
            self._end("was left at work")
            return
        below = []
        if number == signal.SIGKILL and self._process.returncode is None:
            # torchrun's workers have sessions of their own. Once their parent
            # is gone nothing tells whose they are.
            below = descendants(self._process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
        for pid in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def wait(self):
        """Waits a moment for what a signal ended."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)

    def _start(self):
        with locked_log(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as log:
            if log is None:
                return
            if self.folder.result() is not None:  # of what was waited for
                self._end("")
                return
            self._process = start_process(
                self.folder, self._command, log, self._gpus
            )

    def _end(self, how):
        self._ended = Ended(time.monotonic() - self._begin, how)
        self._release()


def start_process(folder, command, log, gpus=None):
    """Starts a job's script with its output to a log.

    Arguments
    ---------
    folder : JobFolder
        Of the job.
    command : list of str
        Of the script.
    log : file
        Open to be appended to.
    gpus : str, optional
        CUDA_VISIBLE_DEVICES; by default that of the environment.

    Returns
    -------
    subprocess.Popen
        In a group of its own.
    """
    folder.begin()
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    log.write(f"{HEADER}{now}: {shlex.join(command)}\n".encode())
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpus
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


@contextlib.contextmanager
def locked_log(folder, how):
    """A job's log, open and locked; None where another process has it.

    The lock is that of the open file: processes that get it as their output
    keep it.

    Arguments
    ---------
    folder : JobFolder
        Of the job.
    how : int
        ``fcntl.LOCK_EX``, with ``fcntl.LOCK_NB`` not to wait.

    Yields
    ------
    file or None
    """
    with explain_refusals(folder.log):
        folder.path.mkdir(parents=True, exist_ok=True)
        log = open(folder.log, "ab", buffering=0)
    with log:
        try:
            fcntl.flock(log, how)
        except BlockingIOError:
            log = None
        yield log


def descendants(pid):
    """Processes that a process started, and those that these did.

    Arguments
    ---------
    pid : int
        Of the process.

    Returns
    -------
    list of int
        Empty where there is no ``/proc``.

    Example
    -------
    >>> idle = subprocess.Popen(["sleep", "9"], start_new_session=True)
    >>> idle.pid in descendants(os.getpid())
    True
    >>> idle.kill()
    >>> idle.wait()
    -9
    """
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # A name in parentheses comes before, with whatever in it.
            parent = path.read_text("utf-8", "replace").rpartition(")")[2]
            children.setdefault(int(parent.split()[1]), []).append(
                int(path.parent.name)
            )
    found = list(children.get(pid, []))
    for one in found:  # grows
        found += children.get(one, [])
    return found


def how_it_ended(code):
    """What a process's status says; nothing of 0.

    Example
    -------
    >>> how_it_ended(3), how_it_ended(-9), how_it_ended(0)
    ('ended with status 3', 'was ended by SIGKILL', '')
    """
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with status {code}" if code else ""
