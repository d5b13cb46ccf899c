"""How much of its time training waits for its loader.

Workers read ahead: where they keep up, a batch lies ready whenever the loop
asks for one. What the loop waits all the same is measured where it asks.

Authors
 * The d2v_sb developers 2026
"""

import time

import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

MOST = 0.05  # share of the time; more is warned of
LEAST = 1.0  # seconds waited in a run; less is not worth a word


class Waiting:
    """A clock of the time that a loop waits for batches.

    The first batch after a validation always takes longer: none was read ahead,
    and the very first time workers are started. Its time is part of the share,
    which is what the run loses, but no reason to warn: more workers would not
    mend it.

    Example
    -------
    >>> waiting = Waiting()
    >>> loader = TimedLoader([1, 2], waiting=waiting)
    >>> [int(batch) for batch in loader]
    [1, 2]
    >>> 0 < waiting.share() <= 1
    True
    """

    def __init__(self):
        self.warned = False
        self._of_run = 0.0
        self.restart()

    def restart(self):
        """Shares are of the time from now on."""
        self._since = time.perf_counter()
        self._for_first = self._for_next = 0.0

    def add_first(self, seconds):
        """Adds what the first batch of an iteration was waited for."""
        self._for_first += seconds

    def add_next(self, seconds):
        """Adds what a further batch was waited for."""
        self._for_next += seconds
        self._of_run += seconds

    def share(self, device="cpu"):
        """Share of the time since the clock was started that was waited.

        Of several processes it is the largest: the others wait for that one.
        All must ask. The first share that is too large is warned of.

        Arguments
        ---------
        device : str or torch.device
            Where the processes exchange it.

        Returns
        -------
        float
            0 to 1.
        """
        elapsed = max(time.perf_counter() - self._since, 1e-9)
        waited = torch.tensor(
            [self._for_first + self._for_next, self._for_next], device=device
        )
        shares = waited / elapsed
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(
                shares, op=torch.distributed.ReduceOp.MAX
            )
        share, after_first = shares.tolist()
        if after_first > MOST and self._of_run >= LEAST and not self.warned:
            self.warned = True
            logger.warning(
                "%.0f %% of the last %.0f s was waiting for data: where cores "
                "are free, let more processes read it (--num_workers); put it "
                "on a faster disk; store it as FLAC or WAV of 16 kHz, mono, "
                "which is quick to read",
                100 * after_first,
                elapsed,
            )
        return share


class TimedLoader(SaveableDataLoader):
    """A loader that adds what its batches are waited for to a clock.

    Arguments
    ---------
    *args, **kwargs
        As for ``SaveableDataLoader``.
    waiting : Waiting
        The clock.
    """

    def __init__(self, *args, waiting, **kwargs):
        super().__init__(*args, **kwargs)
        self.waiting = waiting

    def __iter__(self):
        # From here on, not from the first batch on: workers are started.
        begin, add = time.perf_counter(), self.waiting.add_first
        for batch in super().__iter__():
            add(time.perf_counter() - begin)
            yield batch
            begin, add = time.perf_counter(), self.waiting.add_next
