"""States of a frozen encoder on the disk: heard once, trained on for epochs.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import fcntl
import math
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import explain_refusals, replacing
from d2v_sb.errors import DataError
from d2v_sb.probing.state_fit import Fit
from d2v_sb.probing.state_index import (
    INDEX,
    SETTINGS,
    Index,
    settings_folder,
    settings_text,
    shard_path,
)
from d2v_sb.probing.state_writer import StateWriter
from d2v_sb.progress import Progress

logger = get_logger(__name__)

DTYPES = {"float16": torch.float16, "float32": torch.float32}
KEEP_FREE = 1 << 30  # bytes of the disk that are left to others


class StateStore:
    """States (T, K, D) of utterances in files that only grow.

    T are frames, K layers, D is the width. What the store tells of is whole
    and on the disk. Nothing is written before ``writing``, so a cache that
    may only be read serves too.

    No file is kept open between reads, so a store may go to the workers of a
    DataLoader, forked or spawned. Each process compares the checksum of an
    utterance when it first reads it, at 1 GB/s: workers that live for one
    epoch only (no ``persistent_workers``) do so at every epoch.

    A cache must not be removed while a run uses it.

    Arguments
    ---------
    folder : str or pathlib.Path
        The cache. Each settings have a folder of their own in it.
    settings : dict
        What the states are of: weights, mode, layers, all that they depend
        on, in what JSON can hold.
    dtype : str
        What they are stored in, "float16" or "float32". Other settings.
    limit_bytes : int, optional
        What states of these settings may take. Without it, all of the disk
        but ``KEEP_FREE``.

    Raises
    ------
    DataError
        If `dtype` is another.

    Example
    -------
    >>> store = StateStore(getfixture("tmp_path"), {"weights": "base"})
    >>> with store.writing() as writer:
    ...     writer.add("a.flac", torch.ones(5, 13, 8))
    True
    >>> store.get("a.flac").shape, store.nbytes
    (torch.Size([5, 13, 8]), 1040)
    """

    def __init__(self, folder, settings, dtype="float16", limit_bytes=None):
        if dtype not in DTYPES:
            raise DataError(
                f"--cache_dtype is {dtype!r}, but must be one of: "
                + ", ".join(DTYPES)
            )
        self.dtype, self.limit_bytes = DTYPES[dtype], limit_bytes
        self.settings = {**settings, "stored_as": dtype}
        self.folder = settings_folder(folder, self.settings)
        self.is_full = False  # once something was refused for want of room
        self.index = Index(self.folder / INDEX, self.dtype.itemsize)
        self._np_dtype = np.dtype(dtype)
        self._sizes = {}
        self._cut = set()  # shards that the user was told of
        self._is_writing = False
        self.refresh()

    def __len__(self):
        return len(self.index)

    def __contains__(self, key):
        return key in self.index

    @property
    def nbytes(self):
        """Bytes of states that the disk holds of these settings."""
        return sum(self._sizes.values())

    def num_frames(self, key):
        """T of an utterance; a KeyError where there are no states of it."""
        return self.index[key].num_frames

    def get(self, key, copy=True):
        """The states of an utterance.

        Arguments
        ---------
        key : str
            One that the store has.
        copy : bool
            False maps the file instead of reading it: for a part of a long
            utterance. Writing to such a tensor does not change the file. A
            file that is cut meanwhile kills the process.

        Returns
        -------
        torch.Tensor
            Of shape (T, K, D), as stored.

        Raises
        ------
        KeyError
            If there are none.
        DataError
            If they are damaged: cut, or not what was written.
        """
        place = self.index[key]
        path = shard_path(self.folder, place.shard)
        count = math.prod(place.shape)
        try:
            if copy:
                numbers = np.fromfile(
                    path, self._np_dtype, count, offset=place.offset
                )
            else:
                # "c": torch warns of arrays that can not be written to.
                numbers = np.memmap(
                    path, self._np_dtype, "c", place.offset, count
                )
        except (OSError, ValueError) as error:
            raise self._damage(key, path, error) from error
        if len(numbers) < count:
            raise self._damage(key, path, "the file was cut")
        row = self.index.row(key)
        if not self.index.checked[row]:
            if zlib.crc32(numbers) != place.checksum:
                raise self._damage(key, path, "its checksum is another")
            self.index.checked[row] = 1
        return torch.from_numpy(numbers).view(place.shape)

    def verify(self):
        """Reads everything, and forgets what is damaged.

        What is forgotten may be added again. A store that is opened later
        knows of the damage only when it reads, or verifies.

        Returns
        -------
        list of str
            Keys of what was damaged.
        """
        damaged = []
        with Progress("verifying states", len(self), "utterance") as progress:
            for key in self.index:
                self.index.checked[self.index.row(key)] = 0
                try:
                    self.get(key)
                except DataError:
                    damaged.append(key)
                progress.update()
        self.index.forget(damaged)
        return damaged

    def refresh(self):
        """Sees what other processes wrote meanwhile, and what was cut."""
        self.index.read_on()
        self._sizes, cut = {}, []
        for shard, end in self.index.ends.items():
            path = shard_path(self.folder, shard)
            size = path.stat().st_size if path.exists() else 0
            self._sizes[shard] = min(size, end)
            if size < end:
                cut.append(shard)
        if not cut:
            return
        lost = self.index.rows_beyond(self._sizes)
        self.index.forget(lost)
        if not self._cut.issuperset(cut):
            logger.warning(
                f"{self.folder}: the states of {len(lost)} utterances are "
                f"gone and will be computed again: "
                f"{', '.join(shard_path(Path(), c).name for c in cut)} cut or "
                "removed by something else"
            )
            self._cut.update(cut)

    def room_bytes(self):
        """Bytes of states that may be added, by limit and disk."""
        return max(0, min(self._room_by_limit(), self._room_by_disk()))

    def fit(self, seconds, bytes_per_second):
        """How much of some audio the store holds or has room for.

        Arguments
        ---------
        seconds : dict of str to float
            Of each utterance, by key.
        bytes_per_second : float
            What states of a second take: frames * K * D * bytes of a number.

        Returns
        -------
        Fit
        """
        total = math.fsum(seconds.values())
        missing = math.fsum(s for key, s in seconds.items() if key not in self)
        room = self.room_bytes()
        needed = missing * bytes_per_second
        fitting = min(1.0, room / needed) if needed else 1.0
        return Fit(
            seconds=total,
            held_seconds=total - missing * (1 - fitting),
            bytes_per_second=bytes_per_second,
            limit_bytes=self.nbytes + room,
            needed_bytes=self.nbytes + math.ceil(needed),
            by_disk=self._room_by_disk() < self._room_by_limit(),
        )

    @contextlib.contextmanager
    def writing(self):
        """Gives what adds states; one process at a time.

        Others wait until it is done, and then have what it wrote. What a
        killed run left half written is removed.

        Yields
        ------
        StateWriter

        Raises
        ------
        DataError
            If the folder can not be written to.
        """
        assert not self._is_writing, "a store that waits for itself"
        with explain_refusals(self.folder):
            if not (self.folder / SETTINGS).exists():
                with replacing(self.folder / SETTINGS) as beside:
                    text = settings_text(self.settings)
                    beside.write_text(text, encoding="utf-8")
            index_file = open(self.index.path, "ab", buffering=0)
        with index_file:
            self._wait_for(index_file)
            self._is_writing, self.is_full = True, False
            try:
                with contextlib.closing(StateWriter(self, index_file)) as w:
                    yield w
            finally:
                self._is_writing = False
                # Closing would not do: forked workers have the file as well.
                fcntl.flock(index_file, fcntl.LOCK_UN)

    def _wait_for(self, index_file):
        try:
            fcntl.flock(index_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A warning: before SpeechBrain sets up logging no other is seen.
            logger.warning(
                f"another run is filling {self.folder}: waiting for its end"
            )
            fcntl.flock(index_file, fcntl.LOCK_EX)

    def _room_by_limit(self):
        limit = math.inf if self.limit_bytes is None else self.limit_bytes
        return limit - self.nbytes

    def _room_by_disk(self):
        folder = self.folder.absolute()
        there = next(p for p in (folder, *folder.parents) if p.exists())
        return shutil.disk_usage(there).free - KEEP_FREE

    def _damage(self, key, path, reason):
        return DataError(
            f"{path}: the states of {key!r} are damaged ({reason}): remove "
            f"{self.folder}, and they are computed again"
        )
