"""Adding to a store of states so that a kill leaves nothing half told.

Authors
 * The d2v_sb developers 2026
"""

import errno
import math
import os
import time
import zlib

import numpy as np
import torch

from d2v_sb.atomic import explain_refusals
from d2v_sb.errors import DataError
from d2v_sb.probing.state_index import SHARDS, Place, line_of, shard_path

SHARD_BYTES = 1 << 30  # a shard that has as much is not added to
FLUSH_BYTES = 1 << 28  # of states, that a kill may lose
FLUSH_SECONDS = 10.0  # of work, that it may lose
FULL = (errno.ENOSPC, errno.EDQUOT)


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
