"""The folder of a job: its command, its log and its result.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from d2v_sb.atomic import replacing
from d2v_sb.benchmark.job import Job
from d2v_sb.benchmark.result import read_result
from d2v_sb.errors import DataError
from d2v_sb.free_options import FREE, PLACE_AND_SPEED


def _read_wer_files(folder):
    # Imported here: it takes seconds, and most tables have no such task.
    from d2v_sb.benchmark.wer_files import read_wer_files

    return read_wer_files(folder)


# How a task's script leaves what it found: the folder to a Result, None where
# there is nothing yet.
READERS = {"result": read_result, "wer_files": _read_wer_files}
HEADER = "=== begun "  # of a line in the log
SHOWN = 6  # last lines of a log
TAIL = 1 << 14  # bytes that hold them


@dataclass(frozen=True)
class JobFolder:
    """Where a job writes.

    Arguments
    ---------
    job : Job
        Of a table.
    path : pathlib.Path
        Its folder.

    Example
    -------
    >>> folder = JobFolder(None, getfixture("tmp_path"))
    >>> folder.log.name, folder.last_lines()
    ('output.txt', [])
    """

    job: Job
    path: Path

    @property
    def log(self):
        """All that its script printed, at each start.

        ``log.txt`` is the name of SpeechBrain's own.
        """
        return self.path / "output.txt"

    def result(self):
        """What it found under the names of the table, None if nothing yet.

        Raises
        ------
        DataError
            If what is there is no result.
        """
        found = READERS[self.job.task.reader](self.path)
        return None if found is None else self.job.sign(found)

    def is_done(self):
        """Whether it has its result; not where its folder can not be read, as
        the job will say when its turn comes.

        Raises
        ------
        DataError
            As of ``result``.
        """
        try:
            return self.result() is not None
        except OSError:
            return False

    def begin(self):
        """Notes its command."""
        job, task = self.job, self.job.task
        noted = {
            "task": task.name,
            "head": job.head,
            "encoder": job.encoder,
            "source": job.source,
            "mode": job.mode,
            "seed": job.seed,
            "lr": job.lr,
            "fold": job.fold,
            **self.origin(),
            "options": self._options(),
        }
        with replacing(self.path / "job.json") as beside:
            beside.write_text(json.dumps(noted, indent=2) + "\n", "utf-8")

    def noted(self):
        """What ``begin`` noted, None if it did not begin.

        Raises
        ------
        DataError
            If that is damaged.
        """
        return read_noted(self.path / "job.json")

    def origin(self):
        """What a figure is of, besides its options: of the table's column all
        must be of the same.

        Returns
        -------
        dict of str to str
            The corpus's folder by name, empty where it is not known, and a
            hash of the hparams file.
        """
        return {
            "corpus": Path(self.job.corpus or "").name,
            "hparams": _hash(self.job.task.hparams),
        }

    def changes(self, done):
        """In what its command is another one than that it began with.

        A script that goes on may have more time, or other tests; what is done
        had what it had.

        Arguments
        ---------
        done : bool
            Whether it has its result.

        Returns
        -------
        list of str
            An option each, with both values.
        """
        noted = self.noted()
        if noted is None:
            return []
        before, now = noted["options"], self._options()
        free = PLACE_AND_SPEED if done else FREE
        return [
            f"{key}: {before.get(key, 'not given')} -> "
            f"{now.get(key, 'not given')}"
            for key in {**before, **now}
            if key not in free and before.get(key) != now.get(key)
        ]

    def last_lines(self):
        """The end of what its script printed at its last start."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        lines = text.replace("\r", "\n").splitlines()
        for number in reversed(range(len(lines))):
            if lines[number].startswith(HEADER):
                lines = lines[number + 1 :]
                break
        return [line.rstrip() for line in lines if line.strip()][-SHOWN:]

    def _options(self):
        files = {k: getattr(self.job.task, k) for k in ("script", "hparams")}
        # Less where the clone lies.
        names = {k: "/".join(path.parts[-2:]) for k, path in files.items()}
        return names | self.job.arguments(self.path)


def read_noted(path):
    """What a job's ``job.json`` holds, None if there is none.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict or None

    Raises
    ------
    DataError
        If it is damaged.
    """
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(noted["options"], dict):
            return noted
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError):
        pass
    raise DataError(
        f"{path} is damaged: remove its folder to run the job from the start"
    )


def _hash(path):
    """Of what an hparams file says, less comments, places and speed."""
    with open(path, encoding="utf-8") as stream:
        root = YAML(pure=True).compose(stream)
    told = [
        (key.value, _told(value))
        for key, value in getattr(root, "value", [])
        if key.value not in PLACE_AND_SPEED
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _told(node):
    if isinstance(node, (list, tuple)):
        return [_told(one) for one in node]
    if hasattr(node, "value"):
        return str(node.tag), _told(node.value)
    return node
