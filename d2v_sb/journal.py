"""What examining audio files found, kept while it goes on.

A kill then costs a second of work instead of the hour that a large corpus on
a network disk takes.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import threading
import time

from d2v_sb.atomic import explain_refusals

INTERVAL = 1.0  # seconds of work that a kill may lose
MAX_WAITING = 500  # files that it may lose
FIELDS = (str, int, int, float, str)  # path, *stamp, seconds, reason


def stamp(path):
    """Size in bytes and time of change in ns of a file; None if it has none.

    Example
    -------
    >>> stamp("missing.flac") is None
    True
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


class Journal:
    """A file of one JSON list for each audio file that was examined.

    An entry holds for as long as the audio file keeps its size and its time
    of change. Lines that a kill tore are ignored.

    Two runs may share a journal: each write is a single append of whole lines,
    which one machine never mixes. Appends of two machines to a network disk
    can overwrite each other: such lines are ignored too, and their files are
    examined again.

    Arguments
    ---------
    path : pathlib.Path
        The file. It is made when the journal is entered: a folder that can
        not be written to is then known before the work and not after it.

    Raises
    ------
    DataError
        If it can not be written.

    Example
    -------
    >>> path = getfixture("tmp_path") / "dev.examined.jsonl"
    >>> with Journal(path) as journal:
    ...     journal.add("a.flac", (9000, 1), 0.5, "")
    >>> with Journal(path) as journal:
    ...     journal.get("a.flac", (9000, 1)), journal.get("a.flac", (9000, 2))
    ((0.5, ''), None)
    """

    def __init__(self, path):
        self.path = path
        self._known = {}
        self._waiting = []
        self._due = 0.0
        self._lock = threading.Lock()

    def __enter__(self):
        with explain_refusals(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(b"")
            self._known = _read(self.path)
        return self

    def __exit__(self, *_):
        with self._lock:
            self._write()
        self._known = {}  # takes as much memory as the list of files

    def __len__(self):
        return len(self._known)

    def get(self, path, stamp):
        """(seconds, reason) of a file that has this stamp still, or None."""
        size, time_ns, *found = self._known.get(path, (None, None))
        return tuple(found) if (size, time_ns) == stamp else None

    def add(self, path, stamp, seconds, reason):
        """Notes what was found of a file; may be called from any thread."""
        # The line break comes first, so that a line that was torn by a kill
        # does not spoil the next one.
        line = "\n" + json.dumps([path, *stamp, seconds, reason])
        with self._lock:
            self._waiting.append(line.encode())
            late = time.monotonic() >= self._due
            if late or len(self._waiting) >= MAX_WAITING:
                self._write()

    def _write(self):
        if self._waiting:
            with explain_refusals(self.path):
                self._append(b"".join(self._waiting))
            self._waiting.clear()
        self._due = time.monotonic() + INTERVAL

    def _append(self, data):
        # Opened each time: another run may have removed the file when it was
        # done. Without a buffer: one call of the system, or runs would mix.
        with open(self.path, "ab", buffering=0) as file:
            file.write(data)


def _read(path):
    """Entries by path; of a path's several, the last."""
    known = {}
    with open(path, encoding="ascii", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, list) and tuple(map(type, entry)) == FIELDS:
                known[entry[0]] = tuple(entry[1:])
    return known
