"""Heads from frames to classes: those of MP3S and of SUPERB.

The layers are SpeechBrain's. What is new is that outside training utterances
of one length are taken together, without what pads them.

Authors
 * The d2v_sb developers 2026
"""

import torch
from speechbrain.lobes.models import ECAPA_TDNN, Xvector
from speechbrain.nnet import pooling as sb_pooling
from torch import nn

from d2v_sb.lobes.pooling import StatisticsPooling
from d2v_sb.lobes.utterance import by_length, repeat_short
from d2v_sb.probing.frame_heads import BiLSTM, build_head


class UtteranceHead(nn.Module):
    """An embedding of frames, and an output layer.

    Arguments
    ---------
    pool : torch.nn.Module
        Frames (B, T, D) and relative lengths (B,), or None, to (B, 1, C).
    output : torch.nn.Module
        (B, 1, C) to (B, 1, classes).
    min_frames : int
        What `pool` needs; shorter utterances are repeated.
    frames : torch.nn.Module, optional
        Before it, frames to frames; see ``make_frame_head``.
    gives_cosines : bool
        Whether outputs are cosines, as losses with a margin take them.

    Example
    -------
    >>> head = UtteranceHead(StatisticsPooling(), nn.Linear(16, 2))
    >>> head.classify(head.embed(torch.rand(2, 9, 8), [9, 4])).shape
    torch.Size([2, 1, 2])
    """

    def __init__(
        self, pool, output, min_frames=1, frames=None, gives_cosines=False
    ):
        super().__init__()
        self.frames = frames
        self.pool = pool
        self.output = output
        self.min_frames = min_frames
        self.gives_cosines = gives_cosines

    def embed(self, x, num_frames, pads_exactly=True):
        """Frames (B, T, D) and valid ones (B,) to embeddings (B, 1, C).

        Outside training each utterance gets what it gets alone, unless
        `pads_exactly` is false: padding is then dealt with as SpeechBrain's
        heads do, and layers before them hear it.
        """
        if min(num_frames) < self.min_frames:
            x, num_frames = repeat_short(x, num_frames, self.min_frames)
        T = x.shape[1]
        if min(num_frames) == T:
            return self._embed(x)
        if pads_exactly and not self.training:
            return by_length(self._embed, x, num_frames)
        # Less a quarter: rounded up by the last bit, they would be one frame
        # more to SpeechBrain's masks.
        lengths = (torch.tensor(num_frames) - 0.25) / T
        told = num_frames if pads_exactly else None
        return self._embed(x, told, lengths.to(x.device))

    def _embed(self, x, num_frames=None, lengths=None):
        if self.frames is not None:
            x = self.frames(x, num_frames)
        return self.pool(x, lengths)

    def classify(self, embeddings):
        """Embeddings (B, 1, C) to outputs (B, 1, classes)."""
        return self.output(embeddings)


class Projected(nn.Module):
    """A linear layer of single frames.

    Arguments
    ---------
    input_size, output_size : int
        Widths.
    frames : torch.nn.Module, optional
        What is before it.

    Example
    -------
    >>> Projected(8, 4)(torch.rand(2, 9, 8)).shape
    torch.Size([2, 9, 4])
    """

    def __init__(self, input_size, output_size, frames=None):
        super().__init__()
        self.frames = frames
        self.linear = nn.Linear(input_size, output_size)

    def forward(self, x, num_frames=None):
        """Frames (B, T, D) to (B, T, C)."""
        if self.frames is not None:
            x = self.frames(x, num_frames)
        return self.linear(x)


def _mean(D, K):
    pool = StatisticsPooling(return_std=False)
    return UtteranceHead(pool, nn.Linear(D, K, bias=False))


def _bilstm_linear(D, K, hidden_size=None):
    pool = StatisticsPooling(return_std=False)
    lstm = BiLSTM(D, hidden_size=hidden_size or D, dropout=0.0)
    frames = Projected(lstm.output_size, D, lstm)
    return UtteranceHead(pool, nn.Linear(D, K, bias=False), frames=frames)


def _superb(D, K, projection_size=256):
    pool = StatisticsPooling(return_std=False)
    frames = Projected(D, projection_size)
    return UtteranceHead(pool, nn.Linear(projection_size, K), frames=frames)


def _ecapa(D, K, embedding_size=512, channels=512):
    widths = [channels] * 4 + [3 * channels]
    body = ECAPA_TDNN.ECAPA_TDNN(
        D,
        channels=widths,
        kernel_sizes=[5, 3, 3, 3, 1],
        dilations=[1, 2, 3, 4, 1],
        attention_channels=64,
        lin_neurons=embedding_size,
    )
    output = ECAPA_TDNN.Classifier(embedding_size, out_neurons=K)
    return UtteranceHead(body, output, min_frames=5, gives_cosines=True)


def _xvector(D, K, embedding_size=512, channels=512):
    body = Xvector.Xvector(
        in_channels=D,
        activation=nn.LeakyReLU,
        tdnn_blocks=5,
        # MP3S: 512 and 1,500
        tdnn_channels=[channels] * 4 + [channels * 375 // 128],
        tdnn_kernel_sizes=[5, 3, 3, 1, 1],
        tdnn_dilations=[1, 2, 3, 1, 1],
        lin_neurons=embedding_size,
    )
    for i, block in enumerate(body.blocks):
        if isinstance(block, sb_pooling.StatisticsPooling):
            body.blocks[i] = StatisticsPooling()
    output = Xvector.Classifier(
        [None, None, embedding_size],
        activation=nn.LeakyReLU,
        lin_blocks=1,
        lin_neurons=embedding_size,
        out_neurons=K,
    )
    return UtteranceHead(body, output, min_frames=4)


UTTERANCE_HEADS = {
    "mean": _mean,
    "bilstm_linear": _bilstm_linear,
    "superb": _superb,
    "xvector": _xvector,
    "ecapa": _ecapa,
}


def make_utterance_head(name, input_size, num_classes, options=None):
    """The head that an hparams file names.

    Arguments
    ---------
    name : str
        "mean" (over time, and a linear layer), "bilstm_linear", "xvector" or
        "ecapa", as in MP3S; "superb", a projection before the mean.
    input_size : int
        Width of the frames.
    num_classes : int
        How many.
    options : dict, optional
        Its sizes, where they are not those of the benchmark.

    Returns
    -------
    UtteranceHead

    Raises
    ------
    UserError
        If there is no such head, or it has no such options.

    Example
    -------
    >>> head = make_utterance_head("ecapa", 8, 3, {"channels": 16})
    >>> head.classify(head.embed(torch.rand(2, 9, 8), [9, 9])).shape
    torch.Size([2, 1, 3])
    """
    sizes = (input_size, num_classes)
    return build_head(UTTERANCE_HEADS, name, sizes, options)
