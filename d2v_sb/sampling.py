"""Batches counted in optimiser updates instead of passes over the data.

Authors
 * The d2v_sb developers 2026
"""

import logging
import math
from itertools import islice

from torch.utils.data import Sampler

from d2v_sb.errors import UserError

# It logs the same two lines for each pass over the data.
logging.getLogger("speechbrain.dataio.sampler").setLevel(logging.WARNING)


def plan_accumulation(batch_seconds, gpu_batch_seconds, num_processes):
    """Cuts an update's audio into what fits one process at a time.

    Arguments
    ---------
    batch_seconds : float
        Seconds of audio in one optimiser update, over all processes.
    gpu_batch_seconds : float
        Most seconds that one process takes at a time.
    num_processes : int
        Processes that train together.

    Returns
    -------
    float
        Seconds of audio in a micro-batch.
    int
        Micro-batches per update in each process.

    Raises
    ------
    UserError
        If a number is not positive.

    Example
    -------
    >>> plan_accumulation(1600, 80, 4)
    (80.0, 5)
    """
    for name, value in (
        ("batch_seconds", batch_seconds),
        ("gpu_batch_seconds", gpu_batch_seconds),
    ):
        if not value > 0:
            raise UserError(f"{name} must be positive, got {value}")
    share = batch_seconds / num_processes
    accumulation = max(1, math.ceil(share / gpu_batch_seconds - 1e-9))
    return share / accumulation, accumulation


class UpdateBatchSampler(Sampler):
    """Micro-batches for a fixed number of updates, pass after pass.

    SpeechBrain drops what accumulation leaves over at the end of a pass, and
    makes no update at all where a pass is shorter than an update. Here the
    passes follow each other without a seam, and what an "epoch" (the updates
    between two validations) draws depends on its number alone: a run that is
    resumed sees what it would have seen.

    Arguments
    ---------
    batches : DynamicBatchSampler
        Makes the batches of one pass, seeded by ``set_epoch``.
    num_batches : int
        Micro-batches an epoch in each process.
    rank, num_processes : int
        This process and how many there are: they take turns.

    Example
    -------
    >>> from speechbrain.dataio.dataset import DynamicItemDataset
    >>> from speechbrain.dataio.sampler import DynamicBatchSampler
    >>> data = {str(i): {"duration": 1.0} for i in range(5)}
    >>> batches = DynamicBatchSampler(DynamicItemDataset(data), 2, 2)
    >>> sampler = UpdateBatchSampler(batches, 4)
    >>> sampler.set_epoch(2)
    >>> len(list(sampler))
    4
    """

    def __init__(self, batches, num_batches, rank=0, num_processes=1):
        self.batches = batches
        self.num_batches = num_batches
        self.rank = rank
        self.num_processes = num_processes
        self.epoch = self.origin = 1
        self._seek = (0, 0)  # pass and its first batch's number since origin

    def begin_anew(self, epoch):
        """Counts passes from this epoch on: from here on its batches are cut
        in another way, and a place in the run could not be found otherwise."""
        self.origin = epoch
        self._seek = (0, 0)

    def set_epoch(self, epoch):
        """Chooses the epoch to draw; SpeechBrain counts from 1."""
        self.epoch = epoch

    def __len__(self):
        return self.num_batches

    def _is_over(self, wanted, begin):
        """Whether a pass lies before the place that is looked for: it is then
        not made, which takes long of a large corpus."""
        return 0 < len(self.batches) <= wanted - begin

    def __iter__(self):
        W = self.num_processes
        first = (self.epoch - self.origin) * self.num_batches * W + self.rank
        wanted = first
        number, begin = self._seek if self._seek[1] <= first else (0, 0)
        drawn = 0
        while drawn < self.num_batches:
            self.batches.set_epoch(number)
            if self._is_over(wanted, begin):
                begin += len(self.batches)
                number += 1
                continue
            # Iterating to the very end would make the pass anew.
            batches = list(islice(self.batches, len(self.batches)))
            if not batches:
                raise ValueError("there is nothing to train on")
            self._seek = (number, begin)
            while wanted < begin + len(batches) and drawn < self.num_batches:
                yield batches[wanted - begin]
                wanted += W
                drawn += 1
            begin += len(batches)
            number += 1
