"""From frames to one vector an utterance: the heads that YAML files name.

ECAPA-TDNN, the x-vector network and attentive pooling are SpeechBrain's.

Authors
 * The d2v_sb developers 2026
"""

import torch
from speechbrain.lobes.models.ECAPA_TDNN import (
    ECAPA_TDNN,
    AttentiveStatisticsPooling,
)
from speechbrain.lobes.models.Xvector import Xvector
from speechbrain.nnet import pooling as sb_pooling
from torch import nn

from d2v_sb.errors import UserError

MIN_VARIANCE = 1e-10  # keeps the gradient of a standard deviation finite


class StatisticsPooling(nn.Module):
    """Mean, or mean and standard deviation, over an utterance's frames.

    SpeechBrain's of the same name adds random noise to the mean in evaluation
    too, so that no score can be made twice, and its gradient is NaN where all
    frames are alike. This one is the same otherwise.

    Arguments
    ---------
    return_std : bool
        Whether the standard deviation follows the mean.

    Example
    -------
    >>> pool = StatisticsPooling()
    >>> pool(torch.tensor([[[0.0], [2.0], [9.0]]]), torch.tensor([0.6]))
    tensor([[[1.0000, 1.4142]]])
    """

    def __init__(self, return_std=True):
        super().__init__()
        self.return_std = return_std

    def forward(self, x, lengths=None):
        """Pools frames.

        Arguments
        ---------
        x : torch.Tensor
            Frames (B, T, D).
        lengths : torch.Tensor, optional
            Relative lengths (B,).

        Returns
        -------
        torch.Tensor
            (B, 1, D), or (B, 1, 2 D) with the standard deviation.
        """
        x = x.float()
        B, T, _ = x.shape
        num_frames = torch.full((B,), T, device=x.device)
        if lengths is not None:
            num_frames = (lengths * T).round()
        steps = torch.arange(T, device=x.device)
        valid = (steps < num_frames[:, None])[:, :, None]
        n = num_frames[:, None, None]
        mean = (x * valid).sum(dim=1, keepdim=True) / n
        if not self.return_std:
            return mean
        squares = ((x - mean) * valid).square().sum(dim=1, keepdim=True)
        variance = squares / (n - 1).clamp(min=1)
        std = variance.clamp(min=MIN_VARIANCE).sqrt()
        return torch.cat([mean, std], dim=2)


class AttentivePooling(nn.Module):
    """Mean and standard deviation, frames weighted by attention.

    Arguments
    ---------
    input_size : int
        Width of the frames.
    attention_channels : int
        Width of the attention.

    Example
    -------
    >>> AttentivePooling(8)(torch.rand(2, 30, 8)).shape
    torch.Size([2, 1, 16])
    """

    def __init__(self, input_size, attention_channels=128):
        super().__init__()
        self.pooling = AttentiveStatisticsPooling(
            input_size, attention_channels=attention_channels
        )

    def forward(self, x, lengths=None):
        """Frames (B, T, D), relative lengths (B,) to (B, 1, 2 D)."""
        return self.pooling(x.transpose(1, 2), lengths).transpose(1, 2)


class PooledLinear(nn.Module):
    """A pooling, batch normalisation, and a linear layer to the embedding.

    The normalisation, as ECAPA-TDNN has it after its pooling, is what lets a
    linear layer learn: features of an encoder differ in scale by orders of
    magnitude.

    Arguments
    ---------
    pooling : torch.nn.Module
        Frames and relative lengths to (B, 1, P).
    pooled_size : int
        P.
    embedding_size : int
        Of the output.

    Example
    -------
    >>> head = PooledLinear(StatisticsPooling(), 16, 4)
    >>> head(torch.rand(2, 30, 8)).shape
    torch.Size([2, 1, 4])
    """

    def __init__(self, pooling, pooled_size, embedding_size):
        super().__init__()
        self.pooling = pooling
        self.norm = nn.BatchNorm1d(pooled_size)
        self.linear = nn.Linear(pooled_size, embedding_size)

    def forward(self, x, lengths=None):
        """Frames (B, T, D), relative lengths (B,) to (B, 1, C)."""
        pooled = self.norm(self.pooling(x, lengths)[:, 0])
        return self.linear(pooled)[:, None]


def _mean(D, C, **_):
    return PooledLinear(StatisticsPooling(return_std=False), D, C)


def _statistics(D, C, **_):
    return PooledLinear(StatisticsPooling(), 2 * D, C)


def _attentive(D, C, attention_channels, **_):
    return PooledLinear(AttentivePooling(D, attention_channels), 2 * D, C)


def _xvector(D, C, channels, **_):
    widths = [channels] * 4 + [3 * channels]
    head = Xvector(in_channels=D, tdnn_channels=widths, lin_neurons=C)
    for i, block in enumerate(head.blocks):
        if isinstance(block, sb_pooling.StatisticsPooling):
            head.blocks[i] = StatisticsPooling()
    head.min_frames = 4  # its convolutions mirror 3 frames at the ends
    return head


def _ecapa(D, C, channels, attention_channels):
    widths = [channels] * 4 + [3 * channels]
    head = ECAPA_TDNN(
        D,
        channels=widths,
        attention_channels=attention_channels,
        lin_neurons=C,
    )
    head.min_frames = 5  # its convolutions mirror 4 frames at the ends
    return head


HEADS = {
    "mean": _mean,
    "statistics": _statistics,
    "attentive": _attentive,
    "xvector": _xvector,
    "ecapa": _ecapa,
}


def make_head(
    name, input_size, embedding_size=192, channels=512, attention_channels=128
):
    """The head that an hparams file names.

    Arguments
    ---------
    name : str
        "mean" or "statistics" (pooling and a linear layer), "attentive"
        (attentive statistics pooling and a linear layer), "xvector" or
        "ecapa".
    input_size : int
        Width of the frames.
    embedding_size : int
        Of the output.
    channels : int
        Of the layers of "xvector" and "ecapa"; the last has three times so
        many.
    attention_channels : int
        Width of the attention of "attentive" and "ecapa".

    Returns
    -------
    torch.nn.Module
        From frames (B, T, D) and relative lengths (B,) to (B, 1, C). Its
        `options` make it again.

    Raises
    ------
    UserError
        If there is no such head.

    Example
    -------
    >>> head = make_head("ecapa", 16, embedding_size=8, channels=16)
    >>> head(torch.rand(2, 30, 16), torch.ones(2)).shape
    torch.Size([2, 1, 8])
    """
    if name not in HEADS:
        raise UserError(f"--head {name}: it is one of {', '.join(HEADS)}")
    sizes = {"channels": channels, "attention_channels": attention_channels}
    head = HEADS[name](input_size, embedding_size, **sizes)
    head.options = {
        "name": name,
        "input_size": input_size,
        "embedding_size": embedding_size,
        **sizes,
    }
    return head
