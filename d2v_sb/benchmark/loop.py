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
from d2v_sb.benchmark.process import Ended
from d2v_sb.benchmark.times import in_words
from d2v_sb.errors import UserError


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
        # Of whom the states are kept already.
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
                    self._look(work)
                if self.running:
                    time.sleep(self.launcher.pause)
        except BaseException:
            self._stop()
            raise
        return self.failed

    def _next(self):
        """The first that would not wait for one at work: that which encodes,
        whatever corpus, keeps others from the states of its encoder and mode.
        Else the first."""
        jobs = [work.folder.job for work in self.running]
        filling = {
            (job.encoder, job.mode)
            for job in jobs
            if _heard_by(job) not in self._heard
        }
        for folder in self.waiting:
            job = folder.job
            if _heard_by(job) in self._heard:
                return folder
            if (job.encoder, job.mode) not in filling:
                return folder
        return self.waiting[0]

    def _begin(self, folder):
        self.waiting.remove(folder)
        self._begun += 1
        begin = time.monotonic()
        try:
            handle = self.launcher.start(folder)
        except (UserError, OSError) as error:
            self._ended += 1
            self._fail(folder, str(error), 0.0)
            return
        self.running.append(AtWork(folder, handle, begin))
        said = self.launcher.said(handle)
        said = f" ({said})" if said else ""
        text = f"begins: {folder.job.title}{said}; it writes to {folder.log}"
        self._tell(self._begun, text)

    def _look(self, work):
        try:
            ended = self.launcher.look(work.handle)
            if ended is None:
                return
            result = work.folder.result()
        except (UserError, OSError) as error:
            seconds = time.monotonic() - work.begin
            result, ended = None, Ended(seconds, str(error))
        folder, seconds = work.folder, ended.seconds
        self.running.remove(work)
        self._ended += 1
        if result is None:
            self._fail(folder, ended.how or "ended without a result", seconds)
            return
        self._heard.add(_heard_by(folder.job))
        self._note(folder, "done", seconds)
        self._tell_end("done", folder, main_figure(folder.job, result), seconds)

    def _fail(self, folder, how, seconds):
        self.failed.append((folder, how))
        self._note(folder, "failed", seconds)
        self._tell_end("failed", folder, how, seconds)

    def _note(self, folder, state, seconds):
        """Durations are for estimates alone: no run ends for want of them."""
        try:
            self.times.add(folder.job, state, seconds)
        except (UserError, OSError) as error:
            self.say(f"warning: {error}")

    def _stop(self):
        said = self.launcher.stop([work.handle for work in self.running])
        if said:
            self.say(said)
        for work in self.running:
            ended = self.launcher.look(work.handle)
            if ended is not None:  # else it stays in a queue
                self._note(work.folder, "stopped", ended.seconds)

    def _left(self):
        now = time.monotonic()
        waiting = [folder.job for folder in self.waiting]
        running = [(w.folder.job, now - w.begin) for w in self.running]
        num = len(waiting) + len(running)
        left = self.times.left(waiting, running, min(self.launcher.slots, num))
        return "" if left is None else f"; about {in_words(left)} left"

    def _tell_end(self, state, folder, how, seconds):
        text = f"{state}: {folder.job.title}: {how}, {in_words(seconds)}"
        self._tell(self._ended, text + self._left())

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
    """The first job of a task, an encoder and a mode fills the cache of
    others."""
    return job.task.name, job.encoder, job.mode
