"""Batches of crops: which part of which file each process reads, and when.

A file longer than a crop is cut into windows, so that a pass over the data
hears most of it, not one crop. Each window slides within the seconds that are
left over, so that further passes hear the rest:

    file      |----------------------------------------------|
    windows   |  crop 0      ->|  crop 1      ->|  crop 2   ->|

All processes take crops of one length at a time. None waits for another, and
nothing is padded.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from d2v_sb.errors import DataError
from d2v_sb.presets import SAMPLE_RATE

# Relative noise on lengths before sorting: without it, the same utterances
# meet in each pass.
NOISE = 0.1


class Crop(NamedTuple):
    """A stretch of a file: its row in the manifest, and samples at 16 kHz."""

    row: int
    start: int
    num_samples: int


class CropSampler(Sampler):
    """Equal batches of crops for every process, pass after pass.

    Micro-batch i of all processes holds crops of one length (that of the
    shortest among them, as in fairseq) and equally many. What is drawn depends
    on (seed, pass) alone, so a run that is resumed sees what it would have seen.
    Less than a crop for each process is left over at a pass's end: among files
    of like length other ones each time, but with several processes a file that
    is shorter than all others by far is not heard.

    Arguments
    ---------
    durations : sequence of float
        Seconds of each file.
    batch_seconds : float
        Most audio of a micro-batch of one process; a crop that is longer
        comes alone.
    max_seconds : float
        Length of a crop of a file that is longer (fairseq: max_sample_size).
    seed : int
        Of the run.
    num_batches : int, optional
        Micro-batches an epoch in each process; one pass if not given.
    rank, num_processes : int
        This process and how many there are.

    Raises
    ------
    DataError
        If there are no files.

    Example
    -------
    >>> sampler = CropSampler([3.0, 2.0, 50.0], 40, max_seconds=20)
    >>> len(sampler)
    2
    >>> [crop.num_samples for crop in next(iter(sampler))] in (
    ...     [320000, 320000],
    ...     [32000, 32000],
    ... )
    True
    """

    def __init__(
        self,
        durations,
        batch_seconds,
        max_seconds=20.0,
        seed=0,
        num_batches=None,
        rank=0,
        num_processes=1,
    ):
        durations = np.asarray(durations, dtype=np.float64)
        if not len(durations):
            raise DataError("there is nothing to train on: no audio files")
        self.seed = seed
        self.rank = rank
        self.num_processes = num_processes
        self.epoch = 1
        total = np.round(durations * SAMPLE_RATE).astype(np.int64)
        self.max_samples = round(max_seconds * SAMPLE_RATE)
        windows = np.maximum(total // self.max_samples, 1)
        length = np.minimum(total, self.max_samples)
        self.rows = np.repeat(np.arange(len(total)), windows)
        first = np.cumsum(windows) - windows
        number = np.arange(len(self.rows)) - first[self.rows]
        self.lengths = length[self.rows]
        self.begins = number * self.max_samples
        # What a window may slide by, beyond its own length.
        self.slack = (total - windows * length)[self.rows]
        self.most = int(batch_seconds * SAMPLE_RATE)
        self.counts = self._plan()
        self.num_batches = num_batches or len(self.counts)
        self._pass = None

    def _plan(self):
        """Crops at a time in each process, longest ones first: the same cut
        for every pass, so that a place in the run is found without drawing
        what came before it."""
        ordered = np.sort(self.lengths)[::-1]
        W, counts, at = self.num_processes, [], 0
        while at < len(ordered):
            count = max(1, int(self.most // ordered[at]))
            count = min(count, (len(ordered) - at) // W)
            if count == 0:  # fewer than processes are left
                break
            counts.append(count)
            at += count * W
        return np.array(counts or [1])

    @property
    def seconds(self):
        """Audio of a pass in all processes together, before it is cropped."""
        return float(self.lengths.sum()) / SAMPLE_RATE

    def set_epoch(self, epoch):
        """Chooses the epoch to draw; SpeechBrain counts from 1."""
        self.epoch = epoch

    def __len__(self):
        return self.num_batches

    def __iter__(self):
        first = (self.epoch - 1) * self.num_batches
        for number in range(first, first + self.num_batches):
            which, turn = divmod(number, len(self.counts))
            if self._pass is None or self._pass.number != which:
                self._pass = _Pass(self, which)
            yield self._pass.batch(turn)


class _Pass:
    """One pass over the data, drawn from (seed, its number)."""

    def __init__(self, sampler, number):
        self.number = number
        self.sampler = sampler
        random = np.random.default_rng([sampler.seed, number])
        n = len(sampler.lengths)
        noisy = sampler.lengths * (1 + NOISE * random.random(n))
        self.order = np.argsort(-noisy, kind="stable")
        self.slide = random.random(n)
        self.turns = random.permutation(len(sampler.counts))
        ends = np.cumsum(sampler.counts * sampler.num_processes)
        self.begins = np.concatenate([[0], ends[:-1]])

    def batch(self, turn):
        """This process's crops of one micro-batch."""
        sampler, which = self.sampler, self.turns[turn]
        W, count = sampler.num_processes, sampler.counts[which]
        begin = self.begins[which]
        # Fewer windows than processes: some are given twice.
        together = np.take(
            self.order, range(begin, begin + count * W), mode="wrap"
        )
        shortest = sampler.lengths[together].min()
        if count > 1:  # noise may bring longer ones here than were planned
            shortest = min(shortest, sampler.most // count)
        mine = together[sampler.rank :: W]
        room = sampler.slack[mine] + sampler.lengths[mine] - shortest
        starts = sampler.begins[mine] + (self.slide[mine] * (room + 1)).astype(
            np.int64
        )
        return [
            Crop(int(row), int(start), int(shortest))
            for row, start in zip(sampler.rows[mine], starts, strict=True)
        ]
