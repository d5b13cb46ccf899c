"""Jobs begun, looked after and told of until all have ended.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

from d2v_sb.benchmark.folder import JobFolder
from d2v_sb.benchmark.times import in_words
from d2v_sb.errors import DataError


@dataclass(frozen=True)
class AtWork:
    """A job that was started, by what, and when."""

    folder: JobFolder
    handle: Any
    begin: float


class Loop:
    """Keeps a launcher busy with jobs.

    Arguments
    ---------
    waiting : list of JobFolder
        What is to be run.
    done : list of JobFolder
        What was run earlier.
    launcher : Local or Slurm
        How.
    times : Times
        Where durations are noted.
    say : callable
        Takes lines on what happens.
    """

    def __init__(self, waiting, done, launcher, times, say):
        self.waiting = list(waiting)
        self.running = []
        self.failed = []
        self.launcher, self.times, self.say = launcher, times, say
        # Whose features are kept already.
        self._heard = {_heard_by(folder.job) for folder in done}
        self._total = len(waiting) + len(done)
        self._begun = self._ended = len(done)

    def to_end(self):
        """Runs all.

        Returns
        -------
        list of (JobFolder, str)
            The jobs that failed, and how.
        """
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.launcher.slots:
                    self._begin(self._next())
                for work in list(self.running):
                    ended = self.launcher.look(work.handle)
                    if ended is not None:
                        self._end(work, ended)
                if self.running:
                    time.sleep(self.launcher.pause)
        except BaseException:
            self._stop()
            raise
        return self.failed

    def _next(self):
        """The first that would not do what one at work does already: hear a
        corpus with an encoder for the first time. Else the first."""
        hearing = {_heard_by(work.folder.job) for work in self.running}
        hearing -= self._heard
        for folder in self.waiting:
            if _heard_by(folder.job) not in hearing:
                return folder
        return self.waiting[0]

    def _begin(self, folder):
        self.waiting.remove(folder)
        handle = self.launcher.start(folder)
        self.running.append(AtWork(folder, handle, time.monotonic()))
        self._begun += 1
        said = self.launcher.said(handle)
        said = f" ({said})" if said else ""
        self._tell(self._begun, f"begins: {folder.job.title}{said}")

    def _end(self, work, ended):
        folder, seconds = work.folder, ended.seconds
        self.running.remove(work)
        self._ended += 1
        try:
            result = folder.result()
            how = ended.how or "ended without a result"
        except DataError as error:
            result, how = None, str(error)
        state = "failed" if result is None else "done"
        self.times.add(folder.job, state, seconds)
        if result is None:
            self.failed.append((folder, how))
        else:
            self._heard.add(_heard_by(folder.job))
            how = main_figure(folder.job, result)
        text = f"{state}: {folder.job.title}: {how}, {in_words(seconds)}"
        self._tell(self._ended, text + self._left())

    def _stop(self):
        said = self.launcher.stop([work.handle for work in self.running])
        if said:
            self.say(said)
        for work in self.running:
            ended = self.launcher.look(work.handle)
            if ended is not None:  # else it stays in a queue
                self.times.add(work.folder.job, "stopped", ended.seconds)

    def _left(self):
        now = time.monotonic()
        waiting = [folder.job for folder in self.waiting]
        running = [(w.folder.job, now - w.begin) for w in self.running]
        num = len(waiting) + len(running)
        left = self.times.left(waiting, running, min(self.launcher.slots, num))
        return "" if left is None else f"; about {in_words(left)} left"

    def _tell(self, number, text):
        self.say(f"[{number} of {self._total}] {text}")


def main_figure(job, result):
    """What a job's column shows, in words.

    Arguments
    ---------
    job : Job
        Of a table.
    result : Result
        Of the job.

    Returns
    -------
    str
    """
    name, split = job.task.measure
    for measure in result.measures:
        if (measure.name, measure.split) == (name, split):
            return f"{name} {measure.value:.2f} on {split}"
    return f"no {name} on {split}"


@contextlib.contextmanager
def sigterm_as_ctrl_c():
    """Makes SIGTERM and a closed terminal what Ctrl-C is.

    Python would end at once, and jobs, which have groups of their own, would
    go on alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_):
        raise KeyboardInterrupt

    # nohup has SIGHUP ignored: it stays so.
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard_by(job):
    """The first job of an encoder and a corpus fills the cache of others."""
    return job.task.name, job.encoder
