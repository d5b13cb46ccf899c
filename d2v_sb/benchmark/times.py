"""How long jobs took, and how long the others will.

Authors
 * The d2v_sb developers 2026
"""

import json
from collections import defaultdict
from datetime import datetime

from d2v_sb.atomic import explain_refusals


class Times:
    """A file of one line a start of a job, which outlives a run.

    A job that was stopped and went on took what its starts took together.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Example
    -------
    >>> from types import SimpleNamespace as Some
    >>> job = Some(name="asr/ctc/1", task=Some(name="asr"), head="ctc")
    >>> times = Times(getfixture("tmp_path") / "jobs.jsonl")
    >>> times.add(job, "stopped", 20.0)
    >>> times.add(job, "done", 40.0)
    >>> Times(times.path).expected(job)
    60.0
    """

    def __init__(self, path):
        self.path = path
        self._starts = _read(path)

    def add(self, job, state, seconds):
        """Notes that a job came to an end.

        Arguments
        ---------
        job : Job
            Which.
        state : str
            ``done``, ``failed`` or ``stopped``.
        seconds : float
            Since its start.
        """
        line = {
            "job": job.name,
            "task": job.task.name,
            "head": job.head,
            "state": state,
            "seconds": round(seconds, 1),
            "ended": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        self._starts.append(line)
        # The line break comes first, so that a line that was torn by a kill
        # does not spoil this one.
        data = ("\n" + json.dumps(line)).encode()
        with (
            explain_refusals(self.path),
            open(self.path, "ab", buffering=0) as file,
        ):
            file.write(data)

    def expected(self, job):
        """Seconds that a job will take: the mean of those of its task and
        head, else of its task, else of all; None before any is done."""
        spent, of, done = defaultdict(float), {}, set()
        for start in self._starts:
            name = start["job"]
            spent[name] += start["seconds"]
            of[name] = start["task"], start["head"]
            if start["state"] == "done":
                done.add(name)
        task, head = job.task.name, job.head
        for alike in (
            [name for name in done if of[name] == (task, head)],
            [name for name in done if of[name][0] == task],
            done,
        ):
            if alike:
                return sum(spent[name] for name in alike) / len(alike)
        return None

    def left(self, waiting, running, slots):
        """Seconds until all jobs are done.

        Arguments
        ---------
        waiting : list of Job
            Those that have not begun.
        running : list of (Job, float)
            Those at work, and the seconds since they began.
        slots : int
            How many run at a time.

        Returns
        -------
        float or None
            None before any job is done.
        """
        parts = [(job, 0.0) for job in waiting] + list(running)
        if not parts or self.expected(parts[0][0]) is None:
            return None
        each = [max(self.expected(j) - seconds, 0.0) for j, seconds in parts]
        return max(sum(each) / slots, max(each))


def in_words(seconds):
    """A duration for people.

    Example
    -------
    >>> in_words(7.4), in_words(200), in_words(10000)
    ('7 s', '3 min', '2 h 47 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _read(path):
    """Lines of earlier runs; those that a kill tore are left out."""
    starts = []
    if not path.is_file():
        return starts
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            start = json.loads(line)
            starts.append({**start, "seconds": float(start["seconds"])})
        except (ValueError, TypeError, KeyError):
            continue
    return starts
