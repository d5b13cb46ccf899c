"""The teacher: a slow average of the student's transformer.

Reference: https://arxiv.org/abs/2202.03555 (section 3.3)

Authors
 * The d2v_sb developers 2026
"""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from d2v_sb.errors import UserError
from d2v_sb.pretraining.objective import make_targets


class LinearDecay:
    """The teacher's decay: linear from one value to another, then constant.

    Arguments
    ---------
    ema_decay, ema_end_decay : float
        First and last value, in [0, 1].
    ema_anneal_end_step : int
        Updates until the last value is reached.

    Example
    -------
    >>> decay = LinearDecay(0.999, 0.9999, 30000)
    >>> decay(0), round(decay(15000), 5), decay(50000)
    (0.999, 0.99945, 0.9999)
    """

    def __init__(self, ema_decay, ema_end_decay, ema_anneal_end_step):
        for value in (ema_decay, ema_end_decay):
            if not 0.0 <= value <= 1.0:
                raise UserError(f"a decay lies in [0, 1], got {value}")
        self.ema_decay = ema_decay
        self.ema_end_decay = ema_end_decay
        self.ema_anneal_end_step = ema_anneal_end_step

    def __call__(self, num_updates):
        """The decay after so many updates."""
        if num_updates >= self.ema_anneal_end_step:
            return self.ema_end_decay
        remaining = 1 - num_updates / self.ema_anneal_end_step
        span = self.ema_end_decay - self.ema_decay
        return self.ema_end_decay - span * remaining


class Teacher(nn.Module):
    """Makes targets from unmasked frames; follows the student, never learns.

    Its weights are float32; always in eval mode, without gradients. It has no conv stack,
    projection or mask embedding: it sees the student's projected frames.

    Arguments
    ---------
    transformer : TransformerEncoder
        The student's; it starts as its copy.
    decay : callable
        From the number of updates made to the decay, e.g. ``LinearDecay``.
    average_top_k_layers : int
        Of how many last blocks the FFN outputs are averaged.
    ema_layers_only : bool
        Whether positional convolutions are copied instead of averaged, as in
        fairseq's published configuration.

    Example
    -------
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> transformer = Data2VecAudio("tiny").encoder
    >>> teacher = Teacher(transformer, LinearDecay(0.9, 0.99, 10), 2)
    >>> teacher(torch.rand(2, 49, 128)).shape
    torch.Size([2, 49, 128])
    >>> teacher.update(transformer, 1)
    """

    def __init__(
        self, transformer, decay, average_top_k_layers, ema_layers_only=True
    ):
        super().__init__()
        num_layers = len(transformer.layers)
        if not 1 <= average_top_k_layers <= num_layers:
            raise UserError(
                f"average_top_k_layers={average_top_k_layers}, but the encoder "
                f"has {num_layers} blocks: lower --average_top_k_layers"
            )
        self.transformer = copy.deepcopy(transformer).float()
        self.transformer.requires_grad_(False)
        self.decay = decay
        self.average_top_k_layers = average_top_k_layers
        self.ema_layers_only = ema_layers_only
        self.eval()

    def train(self, mode=True):
        """Stays in eval mode: a teacher with dropout makes noisy targets."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, projected):
        """Targets of all frames.

        Arguments
        ---------
        projected : torch.Tensor
            The student's projected frames (B, T, D), nothing hidden.

        Returns
        -------
        torch.Tensor
            (B, T, D), float32.
        """
        context = self.transformer(
            projected, top_k_ffn=self.average_top_k_layers
        )
        return make_targets(context.ffn_outputs)

    @torch.no_grad()
    def update(self, transformer, num_updates):
        """Moves towards the student; called once after each of its updates.

        Arguments
        ---------
        transformer : TransformerEncoder
            The student's.
        num_updates : int
            Updates that the student has made, this one included.
        """
        averaged, copied = ([], []), ([], [])
        theirs = dict(transformer.named_parameters())
        for name, ours in self.transformer.named_parameters():
            follows = name.startswith("positions.") and self.ema_layers_only
            pair = copied if follows else averaged
            pair[0].append(ours)
            pair[1].append(theirs[name].detach().to(ours.dtype))
        # One launch for all weights instead of one for each.
        get_ema_multi_avg_fn(self.decay(num_updates))(*averaged, num_updates)
        if copied[0]:
            torch._foreach_copy_(*copied)
