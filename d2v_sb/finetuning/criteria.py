"""Losses of classifiers, by SpeechBrain and PyTorch, and when they change.

Authors
 * The d2v_sb developers 2026
"""

import math

import torch.nn.functional as F
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper


class CrossEntropy:
    """Cross-entropy of logits.

    Arguments
    ---------
    weights : torch.Tensor, optional
        Of the classes (K,).
    label_smoothing : float
        Share of the target that goes to all classes.

    Example
    -------
    >>> import torch
    >>> loss = CrossEntropy()
    >>> loss(torch.zeros(2, 1, 4), torch.tensor([[0], [3]]))
    tensor(1.3863)
    """

    scale = 1.0  # of what becomes log-probabilities

    def __init__(self, weights=None, label_smoothing=0.0):
        self.weights = weights
        self.label_smoothing = label_smoothing

    def __call__(self, outputs, targets):
        """Outputs (B, 1, K), targets (B, 1) to a scalar."""
        weights = self.weights
        return F.cross_entropy(
            outputs.squeeze(1),
            targets.squeeze(1),
            None if weights is None else weights.to(outputs.device),
            label_smoothing=self.label_smoothing,
        )


class AngularMargin:
    """Additive angular margin (AAM-softmax, ArcFace) on cosines.

    Reference: https://arxiv.org/abs/1906.07317

    Arguments
    ---------
    margin : float
        In radians; may be set.
    scale : float
        Of the cosines.

    Example
    -------
    >>> import torch
    >>> loss = AngularMargin(margin=0.2, scale=30.0)
    >>> cosines = torch.tensor([[[0.9, 0.1]]])
    >>> bool(loss(cosines, torch.tensor([[0]])) < 1e-3)
    True
    """

    def __init__(self, margin=0.2, scale=30.0):
        self.scale = scale
        self.margin = margin

    @property
    def margin(self):
        """By which the angle to the own class is made wider."""
        return self._margin

    @margin.setter
    def margin(self, value):
        self._margin = value
        self._loss = LogSoftmaxWrapper(AdditiveAngularMargin(value, self.scale))

    def __call__(self, outputs, targets):
        """Cosines (B, 1, K), targets (B, 1) to a scalar."""
        return self._loss(outputs, targets)


class LargeMargin:
    """The last updates of a run: a larger margin, and longer crops for it.

    Reference: https://arxiv.org/abs/2010.11255

    Arguments
    ---------
    updates : int
        How many; 0 for none. It begins with the validation before them, so
        that there are at least so many.
    margin : float
        Of ``AngularMargin``.
    crops : Crops
        What is heard of an utterance.

    Example
    -------
    >>> LargeMargin(300, 0.5, None).first_epoch(1000, 200)
    4
    """

    def __init__(self, updates, margin, crops):
        self.updates = updates
        self.margin = margin
        self.crops = crops

    def first_epoch(self, number_of_updates, validate_interval):
        """The epoch (from 1) with whose first update it begins: loaders are
        made anew there and nowhere else.

        Arguments
        ---------
        number_of_updates : int
            Of the run.
        validate_interval : int
            Updates of an epoch.

        Returns
        -------
        float
            Infinity where there are no such updates.
        """
        if not self.updates:
            return math.inf
        before = max(0, number_of_updates - self.updates)
        return before // validate_interval + 1
