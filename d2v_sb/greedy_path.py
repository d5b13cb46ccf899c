"""Words of a greedy CTC path that comes in blocks of frames.

Authors
 * The d2v_sb developers 2026
"""

import torch


class GreedyPath:
    """Best labels frame by frame to words with their times.

    The greedy path is the most probable of all paths through the labels that
    it spells, so its frames are those that ``align`` would find.

    Arguments
    ---------
    builder : WordBuilder
        Makes words of labels.
    blank_index : int
        The blank's label.

    Example
    -------
    >>> from d2v_sb.alignment import WordBuilder
    >>> from d2v_sb.presets import PRESETS
    >>> layers = PRESETS["base"].conv_feature_layers
    >>> path = GreedyPath(WordBuilder(["<blank>", " ", "A", "B"], layers), 0)
    >>> path.add(torch.zeros(3), torch.tensor([2, 2, 0]))
    []
    >>> path.add(torch.zeros(2), torch.tensor([3, 1]))
    []
    >>> path.finish()
    [Word(text='AB', start=0.0, end=0.085, confidence=1.0)]
    """

    def __init__(self, builder, blank_index):
        self.builder = builder
        self.blank_index = blank_index
        self._frame = 0
        self._run = None  # label, first frame, last frame, best

    def add(self, values, indices):
        """Takes frames.

        Arguments
        ---------
        values : torch.Tensor
            The highest log-probability of each frame (T,), on the CPU.
        indices : torch.Tensor
            The label that has it (T,).

        Returns
        -------
        list of Word
            The words that they ended.
        """
        words = []
        labels, runs, counts = torch.unique_consecutive(
            indices, return_inverse=True, return_counts=True
        )
        best = torch.full(labels.shape, -torch.inf, dtype=values.dtype)
        best.scatter_reduce_(0, runs, values, "amax")
        runs = zip(labels.tolist(), counts.tolist(), best.tolist(), strict=True)
        for label, count, value in runs:
            first, last = self._frame, self._frame + count - 1
            if self._run is not None and self._run[0] == label:
                _, first, _, before = self._run
                value = max(value, before)
            else:
                words += self._end()
            self._run = label, first, last, value
            self._frame += count
        return words

    def finish(self):
        """The words that are not ended yet: list of Word."""
        words = self._end() + self.builder.finish()
        self._run = None
        return words

    def _end(self):
        if self._run is None or self._run[0] == self.blank_index:
            return []
        return self.builder.add(*self._run)
