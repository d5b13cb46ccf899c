"""States of a frozen encoder on the disk: heard once, trained on for epochs.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import errno
import fcntl
import math
import os
import shutil
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import explain_refusals, replacing
from d2v_sb.errors import DataError
from d2v_sb.probing.state_index import (
    INDEX,
    SETTINGS,
    SHARDS,
    Index,
    Place,
    line_of,
    settings_folder,
    settings_text,
    shard_path,
)
from d2v_sb.progress import Progress

logger = get_logger(__name__)

DTYPES = {"float16": torch.float16, "float32": torch.float32}
SHARD_BYTES = 1 << 30  # a shard that has as much is not added to
KEEP_FREE = 1 << 30  # bytes of the disk that are left to others
FLUSH_BYTES = 1 << 28  # of states, that a kill may lose
FLUSH_SECONDS = 10.0  # of work, that it may lose
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Fit:
    """How much of some audio a cache holds, and what would hold all.

    Arguments
    ---------
    seconds : float
        Of all audio.
    held_seconds : float
        Of that for which there are states or is room.
    bytes_per_second : float
        What states take.
    limit_bytes : int
        What the cache may hold.
    needed_bytes : int
        What it would have to hold.
    by_disk : bool
        Whether the disk sets the limit and not the user.
    """

    seconds: float
    held_seconds: float
    bytes_per_second: float
    limit_bytes: int
    needed_bytes: int
    by_disk: bool

    @property
    def is_whole(self):
        """Whether the cache holds everything."""
        return self.needed_bytes <= self.limit_bytes

    def message(self, hints=()):
        """What a user is to know where not everything fits.

        Arguments
        ---------
        hints : sequence of str
            Other ways out, such as "--cache_layers 12 takes a 25th of it".

        Returns
        -------
        str

        Example
        -------
        >>> fit = Fit(3.6e5, 7.2e4, 2.5e6, 180e9, 900e9, by_disk=False)
        >>> print(fit.message(["--cache_layers 12 takes a 25th of it"]))
        a cache of 180 GB holds some 20.0 of 100.0 hours (states take 2.5 MB
        for each second); the rest is encoded at every epoch: --cache_gb 900
        would hold all, --cache_layers 12 takes a 25th of it
        """
        all_of_it = f"{math.ceil(self.needed_bytes / 1e9)}"
        if self.by_disk:
            what = "the disk has room for a cache of"
            way_out = f"a disk with room for {all_of_it} GB would hold all"
            verb = ", which holds"
        else:
            what, verb = "a cache of", " holds"
            way_out = f"--cache_gb {all_of_it} would hold all"
        return (
            f"{what} {_gigabytes(self.limit_bytes)}{verb} some "
            f"{self.held_seconds / 3600:.1f} of {self.seconds / 3600:.1f} "
            f"hours (states take {self.bytes_per_second / 1e6:.1f} MB for "
            "each second); the rest is encoded at every epoch: "
            + ", ".join([way_out, *hints])
        )


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


class StateWriter:
    """Adds states to a store; made by ``StateStore.writing``.

    Data goes to the disk before the lines of the index that tell of it, each
    ``FLUSH_BYTES`` or ``FLUSH_SECONDS`` and at the end, and the store has it
    from then on. Data that no line tells of is removed by the next writer.

    Arguments
    ---------
    store : StateStore
        Whose lock the caller has.
    index_file : file
        Its index, to append to, unbuffered.
    """

    def __init__(self, store, index_file):
        self.store = store
        self._index_file = index_file
        self._shard_file = None
        with explain_refusals(store.folder):
            self._recover()

    def add(self, key, states):
        """Adds the states of an utterance, unless the store has them.

        Arguments
        ---------
        key : str
            Of the utterance.
        states : torch.Tensor or numpy.ndarray
            Of shape (T, K, D), on any device; rounded to the store's dtype.

        Returns
        -------
        bool
            Whether they were taken: the store has them when writing ends.
            Once an utterance has found no room, no other is taken. A network
            disk may say only when data is flushed that it is full: what was
            taken since the flush before is then lost too, and the store, not
            this, says what it has.

        Raises
        ------
        DataError
            If a number is NaN or beyond the dtype.
        """
        if key in self._waiting or key in self.store:
            return True
        states = self._stored(key, states)
        if self.store.is_full:
            return False
        with explain_refusals(self.store.folder):
            fits = states.nbytes <= self._room
            place = self._write(states) if fits else None
            if place is None:
                self.store.is_full = True
                # The caller will now ask what the store has.
                self._flush()
                return False
            self._waiting[key] = place
            self._room -= states.nbytes
            done = self._end - self._flushed
            late = time.monotonic() - self._flushed_at >= FLUSH_SECONDS
            if late or done >= FLUSH_BYTES:
                self._flush()
        return key in self._waiting or key in self.store

    def close(self):
        """Brings the rest to the disk."""
        try:
            with explain_refusals(self.store.folder):
                self._flush()
        finally:
            self._close_shard()

    def _stored(self, key, states):
        states = torch.as_tensor(states).detach()
        assert states.ndim == 3 and states.numel(), f"{key}: {states.shape}"
        dtype = self.store.dtype
        low, high = (float(x) for x in torch.aminmax(states))
        limit = torch.finfo(dtype).max
        # A NaN compares as False.
        if not (-limit <= low and high <= limit):
            extreme = max(abs(low), abs(high))
            if not math.isfinite(extreme):
                raise DataError(
                    f"the states of {key!r} hold NaN or infinite numbers: "
                    "look at the weights and at this audio"
                )
            raise DataError(
                f"the states of {key!r} reach {extreme:.0f}, and float16 "
                f"ends at {limit:.0f}: take --cache_dtype float32"
            )
        return states.to("cpu", dtype).contiguous().numpy()

    def _write(self, states):
        """Where it was written; None where the disk is full."""
        if self._shard_file is None or self._end >= SHARD_BYTES:
            self._flush()
            if self.store.is_full:
                return None
            self._open_shard()
        try:
            # Not `tofile`, whose OSError does not say that the disk is full.
            _write_all(self._shard_file, states.reshape(-1).view(np.uint8))
        except BaseException as error:  # an interrupt leaves a part too
            self._shard_file.truncate(self._end)
            if getattr(error, "errno", None) not in FULL:
                raise
            return None
        offset, self._end = self._end, self._end + states.nbytes
        return Place(self._shard, offset, *states.shape, zlib.crc32(states))

    def _flush(self):
        if self._waiting:
            lines = [line_of(*item) for item in self._waiting.items()]
            try:
                os.fsync(self._shard_file.fileno())
                _write_all(self._index_file, b"".join(lines))
                os.fsync(self._index_file.fileno())
            except OSError as error:
                # Some disks say only now that they are full.
                self._recover()
                if error.errno not in FULL:
                    raise
                self.store.is_full = True
                return
            self.store.refresh()
        self._begin_again()

    def _recover(self):
        """Makes the disk hold what the index tells of, and no more."""
        self._close_shard()
        self.store.refresh()
        index, folder = self.store.index, self.store.folder
        self._index_file.truncate(index.size)
        for path in folder.glob(SHARDS):
            end = index.ends.get(int(path.stem.rpartition("-")[2]), 0)
            if not end:
                path.unlink()
            elif path.stat().st_size > end:
                os.truncate(path, end)
        self._begin_again()

    def _begin_again(self):
        self._waiting = {}
        self._room = self.store.room_bytes()
        self._flushed_at = time.monotonic()
        self._flushed = self._end if self._shard_file else 0

    def _open_shard(self):
        self._close_shard()
        ends = self.store.index.ends
        self._shard, self._end = max(ends.items(), default=(0, 0))
        path = shard_path(self.store.folder, self._shard)
        # One that was cut is left: lines that tell of what it lost would come
        # to tell of what is written there.
        is_cut = self._end and (
            not path.exists() or path.stat().st_size < self._end
        )
        if is_cut or self._end >= SHARD_BYTES:
            self._shard, self._end = self._shard + 1, 0
            path = shard_path(self.store.folder, self._shard)
        self._shard_file = open(path, "ab", buffering=0)
        self._flushed = self._end

    def _close_shard(self):
        if self._shard_file is not None:
            self._shard_file.close()
            self._shard_file = None


def _write_all(file, data):
    """Writes to an unbuffered file, which may take a part at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _gigabytes(num_bytes):
    digits = 0 if num_bytes >= 10e9 else 1
    return f"{num_bytes / 1e9:.{digits}f} GB"
