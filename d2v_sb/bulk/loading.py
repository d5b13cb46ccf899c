"""Audio files read ahead in threads, longest first, as pieces.

Authors
 * The d2v_sb developers 2026
"""

import queue
import re
import threading
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

from d2v_sb.bulk.audio import audio_blocks, probe
from d2v_sb.bulk.inputs import Item
from d2v_sb.bulk.pieces import Piece
from d2v_sb.errors import DataError
from d2v_sb.journal import stamp
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.progress import Progress

# They break lines and columns, or are bytes that are no UTF-8.
UNFIT = re.compile(r"[\0-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
PROBES = 8  # threads that read headers
BLOCK_SECONDS = 60.0


class Loaded(NamedTuple):
    """A piece of a file, its number there, and the file's stamp from before
    it was read."""

    item: Item
    number: int
    piece: Piece
    read_at: tuple


class Failed(NamedTuple):
    """A file that can not be used, and why."""

    item: Item
    reason: str


def longest_first(items):
    """Sorts files by what their headers say, and finds those that have none.

    Batches are then of like lengths, and what does not fit into memory fails
    at once.

    Arguments
    ---------
    items : list of Item
        Audio files.

    Returns
    -------
    list of (Item, float or None)
        With seconds; those without come first.
    list of Failed
        Files that can not be opened.

    Example
    -------
    >>> longest_first([Item("a", "missing.wav")])
    ([], [Failed(item=Item(name='a', path='missing.wav'), reason='...')])
    """

    def look(item):
        if UNFIT.search(item.name):
            return Failed(item, "control characters or no UTF-8 in its name")
        try:
            return item, probe(item.path).seconds
        except DataError as error:
            return Failed(item, without_path(error, item))

    found, failed = [], []
    with (
        ThreadPool(PROBES) as pool,
        Progress("looking at files", len(items)) as progress,
    ):
        for result in pool.imap(look, items, chunksize=16):
            progress.update()
            (failed if isinstance(result, Failed) else found).append(result)
    # Stable, so that equal lengths stay in the order of the user.
    found.sort(key=lambda pair: -(pair[1] or float("inf")))
    return found, failed


def without_path(error, item):
    """An error's text, less the path that a list of errors shows anyway."""
    return str(error).removeprefix(item.path).lstrip(": ")


class Loader:
    """Reads and cuts files in threads, a limited stretch ahead.

    Arguments
    ---------
    items : list of Item
        In the order in which they are begun.
    cut : callable
        Blocks to pieces, see ``d2v_sb.bulk.pieces``.
    num_workers : int
        Threads; each is at one file.
    ahead_seconds : float
        Audio that may wait.

    Example
    -------
    >>> import numpy, soundfile
    >>> from d2v_sb.bulk.pieces import AtPauses
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, numpy.zeros(8000), 8000)
    >>> with Loader([Item("a", path)], AtPauses()) as loader:
    ...     [len(loaded.piece.wav) for loaded in loader]
    [16000]
    """

    def __init__(self, items, cut, num_workers=4, ahead_seconds=600.0):
        self.cut = cut
        self._items = iter(items)
        self._lock = threading.Lock()
        self._ready = queue.Queue()
        self._limit = ahead_seconds * SAMPLE_RATE
        self._waiting = 0  # samples that are read and not taken
        self._room = threading.Condition()
        self._over = False
        self._threads = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(max(1, min(num_workers, len(items))))
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        with self._room:
            self._over = True
            self._room.notify_all()
        for thread in self._threads:
            thread.join()

    def __iter__(self):
        """Gives ``Loaded`` and ``Failed``, of a file in its order."""
        working = len(self._threads)
        while working:
            found = self._ready.get()
            if found is None:
                working -= 1
            elif isinstance(found, Exception):
                raise found
            else:
                with self._room:
                    self._waiting -= _num_samples(found)
                    self._room.notify_all()
                yield found

    def _work(self):
        try:
            while not self._over:
                with self._lock:
                    item = next(self._items, None)
                if item is None:
                    break
                self._read(item)
        except Exception as error:  # of the program, not of a file
            self._ready.put(error)
        self._ready.put(None)

    def _read(self, item):
        read_at = stamp(item.path)
        try:
            blocks = audio_blocks(item.path, BLOCK_SECONDS)
            for number, piece in enumerate(self.cut(blocks)):
                self._put(Loaded(item, number, piece, read_at))
                if self._over:
                    return
        except DataError as error:
            self._put(Failed(item, without_path(error, item)))

    def _put(self, found):
        """Waits for room: for what is too long alone, until nothing waits."""
        num_samples = _num_samples(found)

        def fits():
            together = self._waiting + num_samples
            return self._over or not self._waiting or together <= self._limit

        with self._room:
            self._room.wait_for(fits)
            self._waiting += num_samples
        self._ready.put(found)


def _num_samples(found):
    return 0 if isinstance(found, Failed) else len(found.piece.wav)
