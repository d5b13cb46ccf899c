"""Batches of stretches of utterances, for training a classifier.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter

import numpy as np
from torch.utils.data import Sampler

from d2v_sb.errors import DataError, UserError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.crops import NOISE, Crop

SHORT = ("repeat", "keep")


class Crops:
    """How much of an utterance training hears at a time.

    Arguments
    ---------
    seconds : float, list of two floats, or None
        Of each crop; between the two, drawn for each batch; or all of the
        utterance.
    short : str
        What becomes of utterances that are shorter: "repeat" says them again
        until they are as long, "keep" pads them in the batch.

    Raises
    ------
    UserError
        If these are none.

    Example
    -------
    >>> crops = Crops([2, 4], "keep")
    >>> crops.longest(np.array([3.0, 9.0])).tolist()
    [3.0, 4.0]
    """

    def __init__(self, seconds=None, short="repeat"):
        limits = np.atleast_1d(np.inf if seconds is None else seconds)
        good = limits.shape in ((1,), (2,)) and 0 < limits[0] <= limits[-1]
        if not good:
            raise UserError(
                f"crop_seconds is {seconds}, but must be a number of seconds, "
                "[shortest, longest], or null for whole utterances"
            )
        if short not in SHORT:
            raise UserError(
                f"short_clips is {short!r}, but must be one of "
                f"{', '.join(SHORT)}"
            )
        self.low, self.high = float(limits[0]), float(limits[-1])
        self.repeat = short == "repeat" and np.isfinite(self.high)

    def longest(self, durations):
        """The longest crops of utterances, in seconds like their durations."""
        if self.repeat:
            return durations * 0 + self.high
        return np.minimum(durations, self.high)

    def draw(self, rows, samples, random):
        """Crops of a batch.

        Arguments
        ---------
        rows : numpy.ndarray
            The utterances.
        samples : numpy.ndarray
            Of each, at 16 kHz.
        random : numpy.random.Generator
            Draws the length and where each begins.

        Returns
        -------
        list of Crop
        """
        if np.isinf(self.high):
            num_samples = samples
        else:
            length = round(random.uniform(self.low, self.high) * SAMPLE_RATE)
            num_samples = np.full_like(samples, length)
            if not self.repeat:
                num_samples = np.minimum(num_samples, samples)
        room = np.maximum(samples - num_samples, 0)
        starts = (random.random(len(rows)) * (room + 1)).astype(np.int64)
        return [
            Crop(int(row), int(start), int(num))
            for row, start, num in zip(rows, starts, num_samples, strict=True)
        ]


class CropBatches(Sampler):
    """The batches of a pass: a crop of each utterance, like lengths together.

    A pass follows from (seed, its number) alone. An utterance that would be a
    batch alone is heard twice, where that fits. For ``UpdateBatchSampler``.

    Arguments
    ---------
    durations : sequence of float
        Seconds of each utterance.
    batch_seconds : float
        Most audio of a batch, padding counted; a longer crop comes alone.
    crops : Crops
        May be replaced between passes.
    seed : int
        Of the run.
    classes : sequence, optional
        Of each utterance: rare ones are then drawn more often, so that all are
        heard equally often. A pass then hears some utterances twice and others
        not at all.

    Raises
    ------
    DataError
        If there are no utterances.

    Example
    -------
    >>> batches = CropBatches([2.0, 9.0, 5.0], 6.0, Crops(3.0))
    >>> [[crop.num_samples for crop in batch] for batch in batches]
    [[48000, 48000], [48000, 48000]]
    """

    def __init__(self, durations, batch_seconds, crops, seed=0, classes=None):
        self.durations = np.asarray(durations, dtype=np.float64)
        if not len(self.durations):
            raise DataError("there is nothing to train on: no utterances")
        self.batch_seconds = batch_seconds
        self.crops = crops
        self.seed = seed
        self.shares = None
        if classes is not None:
            counts = Counter(classes)
            shares = np.array([1 / counts[name] for name in classes])
            self.shares = shares / shares.sum()
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Chooses the pass."""
        random = np.random.default_rng([self.seed, epoch])
        N = len(self.durations)
        if self.shares is None:
            rows = random.permutation(N)
        else:
            rows = random.choice(N, N, p=self.shares)
        noisy = self.durations[rows] * (1 + NOISE * random.random(N))
        # Crops of one length need no order.
        if not self.crops.repeat:
            rows = rows[np.argsort(-noisy, kind="stable")]
        parts = self._parts(rows)
        self._parts_of_pass = [parts[i] for i in random.permutation(len(parts))]
        self.epoch = epoch

    def _parts(self, rows):
        """As many utterances in each as fit."""
        lengths = self.crops.longest(self.durations[rows])
        parts, begin, longest = [], 0, 0.0
        for end, length in enumerate(lengths.tolist()):
            longest = max(longest, length)
            if (end + 1 - begin) * longest > self.batch_seconds and end > begin:
                parts.append(rows[begin:end])
                begin, longest = end, length
        parts.append(rows[begin:])
        return [self._paired(part) for part in parts]

    def _paired(self, part):
        """An utterance that is left over is heard twice, at two places: heads
        that normalise over a batch can not learn from one of one."""
        if len(part) > 1:
            return part
        (length,) = self.crops.longest(self.durations[part])
        fits = 2 * length <= self.batch_seconds
        return np.repeat(part, 2) if fits else part

    def __len__(self):
        return len(self._parts_of_pass)

    def __iter__(self):
        # Of its own: a pass may be asked for twice.
        random = np.random.default_rng([self.seed, self.epoch, 1])
        samples = np.round(self.durations * SAMPLE_RATE).astype(np.int64)
        for rows in self._parts_of_pass:
            yield self.crops.draw(rows, samples[rows], random)
