"""Batches of a number of utterances, as probing benchmarks count.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter

import numpy as np
from torch.utils.data import Sampler

from d2v_sb.errors import UserError
from d2v_sb.pretraining.crops import Crop

ORDERS = ("ascending", "random")


class UtteranceBatches(Sampler):
    """The batches of a pass, for ``UpdateBatchSampler``.

    A pass follows from (seed, its number) alone. The last batch may be
    smaller.

    Arguments
    ---------
    utterances : list of Utterance
        What is trained on.
    batch_size : int
        Utterances of a batch.
    order : str
        "ascending": by length, the same batches in each pass. "random": anew
        in each.
    seed : int
        Of the run.
    balance : bool
        Draw, with replacement, each class as often as any other.
    chunk : int, optional
        Samples that are heard of an utterance, from anywhere in its file, anew
        in each pass.

    Raises
    ------
    UserError
        If there is no such order, or no such batch.

    Example
    -------
    >>> from d2v_sb.probing.rows import Utterance
    >>> lengths = [3, 1, 2]
    >>> utterances = [Utterance("", "", "", "", 0, n, n) for n in lengths]
    >>> list(UtteranceBatches(utterances, 2, "ascending"))
    [[1, 2], [0]]
    """

    def __init__(
        self,
        utterances,
        batch_size,
        order="random",
        seed=0,
        balance=False,
        chunk=None,
    ):
        if order not in ORDERS:
            raise UserError(
                f"--sorting {order}: it is one of {', '.join(ORDERS)}"
            )
        if batch_size < 1:
            raise UserError(f"--batch_size {batch_size}: it must be 1 or more")
        self.utterances = utterances
        self.batch_size = int(batch_size)
        self.order, self.seed = order, seed
        self.chunk = chunk
        self.shares = None
        if balance:
            counts = Counter(u.target for u in utterances)
            shares = np.array([1 / counts[u.target] for u in utterances])
            self.shares = shares / shares.sum()
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Chooses the pass."""
        self.epoch = epoch

    def __len__(self):
        return -(-len(self.utterances) // self.batch_size)

    def __iter__(self):
        random = np.random.default_rng([self.seed, self.epoch])
        rows = self._rows(random)
        for begin in range(0, len(rows), self.batch_size):
            batch = rows[begin : begin + self.batch_size].tolist()
            if self.chunk:
                batch = [self._crop(row, random) for row in batch]
            yield batch

    def _rows(self, random):
        num = len(self.utterances)
        if self.shares is not None:
            return random.choice(num, num, p=self.shares)
        if self.order == "random":
            return random.permutation(num)
        lengths = [u.num_samples for u in self.utterances]
        return np.argsort(lengths, kind="stable")

    def _crop(self, row, random):
        there = self.utterances[row].file_samples
        length = min(self.chunk, there)
        return Crop(row, int(random.integers(there - length + 1)), length)


def in_order(utterances, batch_size):
    """Batches to evaluate: each utterance once, the shortest first.

    Arguments
    ---------
    utterances : list of Utterance
        All of them.
    batch_size : int
        Utterances of a batch.

    Returns
    -------
    list of list of int

    Example
    -------
    >>> from d2v_sb.probing.rows import Utterance
    >>> in_order([Utterance("", "", "", "", 0, n, n) for n in (3, 1, 2)], 2)
    [[1, 2], [0]]
    """
    return list(UtteranceBatches(utterances, batch_size, "ascending"))


def share_batch(batch_size, accumulate, num_processes):
    """Deals an update's utterances out to processes.

    Arguments
    ---------
    batch_size : int
        Utterances that are taken at a time.
    accumulate : int
        Times of that in an update.
    num_processes : int
        That train together. An update stays what it is for one.

    Returns
    -------
    int
        Utterances that a process takes at a time.
    int
        Times of that in an update.

    Raises
    ------
    UserError
        If they can not share evenly.

    Example
    -------
    >>> share_batch(8, 4, 4), share_batch(4, 1, 2)
    ((8, 1), (2, 1))
    """
    total = batch_size * accumulate
    share, rest = divmod(total, num_processes)
    if rest or not share or share % min(share, batch_size):
        raise UserError(
            f"{num_processes} processes can not share {total} utterances "
            f"(--batch_size {batch_size} times --accumulate {accumulate}) "
            "evenly: take as many as divide them"
        )
    size = min(share, batch_size)
    return size, share // size
