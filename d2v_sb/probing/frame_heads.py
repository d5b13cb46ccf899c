"""Heads from frames to frames, for CTC: those of MP3S and of SUPERB.

The layers are SpeechBrain's. What is new is that padding is not heard where a
head is told of it.

Authors
 * The d2v_sb developers 2026
"""

import inspect

import torch
from speechbrain.lobes.models.ContextNet import ContextNet
from speechbrain.lobes.models.VanillaNN import VanillaNN
from speechbrain.nnet.RNN import LSTM
from torch import nn

from d2v_sb.errors import UserError
from d2v_sb.lobes.utterance import by_length


class BiLSTM(nn.Module):
    """Two bidirectional layers; in SUPERB behind a projection.

    Arguments
    ---------
    input_size : int
        Width of the frames.
    hidden_size : int
        Of each direction.
    projection_size : int, optional
        Of a linear layer before them.
    dropout : float
        Between and, as SpeechBrain's, not after the layers.

    Example
    -------
    >>> head = BiLSTM(8, 4)
    >>> head(torch.rand(2, 49, 8), [49, 20]).shape
    torch.Size([2, 49, 8])
    """

    def __init__(
        self, input_size, hidden_size=1024, projection_size=None, dropout=0.2
    ):
        super().__init__()
        self.projection = None
        if projection_size:
            self.projection = nn.Linear(input_size, projection_size)
        self.lstm = LSTM(
            hidden_size=hidden_size,
            input_size=projection_size or input_size,
            num_layers=2,
            bidirectional=True,
            dropout=dropout,
        )
        self.output_size = 2 * hidden_size

    def forward(self, x, num_frames=None):
        """Frames (B, T, D), valid ones (B,) or None for all, to (B, T, C)."""
        if self.projection is not None:
            x = self.projection(x)
        if num_frames is None:
            return self.lstm(x)[0]
        # SpeechBrain's own packing takes relative lengths, and rounds them.
        packed = nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(num_frames), batch_first=True, enforce_sorted=False
        )
        self.lstm.rnn.flatten_parameters()
        out = self.lstm.rnn(packed)[0]
        return nn.utils.rnn.pad_packed_sequence(
            out, batch_first=True, total_length=x.shape[1]
        )[0]


class DroppedOut(nn.Module):
    """A head with dropout behind it too, as s3prl has.

    Example
    -------
    >>> DroppedOut(BiLSTM(8, 4), 0.2)(torch.rand(2, 49, 8)).shape
    torch.Size([2, 49, 8])
    """

    def __init__(self, head, dropout):
        super().__init__()
        self.head = head
        self.dropout = nn.Dropout(dropout)
        self.output_size = head.output_size

    def forward(self, x, num_frames=None):
        """Frames (B, T, D), valid ones (B,) or None for all, to (B, T, C)."""
        return self.dropout(self.head(x, num_frames))


class ContextNetHead(nn.Module):
    """SpeechBrain's ContextNet without strides, as in MP3S.

    Its batch normalisation and its means over time hear padding while it
    learns; outside training utterances of one length are taken together.

    Example
    -------
    >>> head = ContextNetHead(8, num_blocks=2, out_channels=16).eval()
    >>> head(torch.rand(2, 49, 8), [49, 20]).shape
    torch.Size([2, 49, 16])
    """

    def __init__(self, input_size, num_blocks=21, out_channels=640):
        super().__init__()
        self.net = ContextNet(
            input_shape=[None, None, input_size],
            out_channels=out_channels,
            num_blocks=num_blocks,
            strides=[1] * num_blocks,
            residuals=[1] * num_blocks,
        )
        self.output_size = out_channels

    def forward(self, x, num_frames=None):
        """Frames (B, T, D), valid ones (B,) or None for all, to (B, T, C)."""
        if num_frames is None:
            return self.net(x)
        T = x.shape[1]
        if self.training:
            steps = torch.arange(T, device=x.device)
            valid = steps < torch.tensor(num_frames, device=x.device)[:, None]
            return self.net(x * valid[:, :, None])

        def padded(part):
            out = self.net(part)
            return nn.functional.pad(out, (0, 0, 0, T - out.shape[1]))

        return by_length(padded, x, num_frames)


class LinearHead(nn.Module):
    """A layer of 1,024 sigmoids, MP3S's `VanillaNN`: it sees single frames.

    Example
    -------
    >>> LinearHead(8)(torch.rand(2, 49, 8)).shape
    torch.Size([2, 49, 1024])
    """

    output_size = 1024

    def __init__(self, input_size):
        super().__init__()
        self.net = VanillaNN(
            [None, None, input_size], nn.Sigmoid, 1, self.output_size
        )

    def forward(self, x, num_frames=None):
        """Frames (B, T, D) to (B, T, C)."""
        del num_frames
        return self.net(x)


def _superb(input_size, hidden_size=1024, projection_size=1024, dropout=0.2):
    lstm = BiLSTM(input_size, hidden_size, projection_size, dropout)
    return DroppedOut(lstm, dropout)


FRAME_HEADS = {
    "bilstm": BiLSTM,
    "contextnet": ContextNetHead,
    "linear": LinearHead,
    "superb": _superb,
}


def make_frame_head(name, input_size, options=None):
    """The head that an hparams file names.

    Arguments
    ---------
    name : str
        "bilstm", "contextnet" or "linear", as in MP3S, or "superb", a BiLSTM
        behind a projection.
    input_size : int
        Width of the frames.
    options : dict, optional
        Its sizes, where they are not those of the benchmark.

    Returns
    -------
    torch.nn.Module
        Frames (B, T, D) and valid ones (B,), or None, to (B, T, C); with
        `output_size`.

    Raises
    ------
    UserError
        If there is no such head, or it has no such options.

    Example
    -------
    >>> make_frame_head("bilstm", 8, {"hidden_size": 16}).output_size
    32
    """
    return build_head(FRAME_HEADS, name, (input_size,), options)


def build_head(heads, name, sizes, options):
    """One of `heads` by its name, or a ``UserError`` that says what there is.

    Example
    -------
    >>> build_head({"linear": nn.Linear}, "linear", (8, 2), {"bias": False})
    Linear(in_features=8, out_features=2, bias=False)
    """
    if name not in heads:
        raise UserError(f"--head {name}: it is one of {', '.join(heads)}")
    options = options or {}
    known = list(inspect.signature(heads[name]).parameters)[len(sizes) :]
    unknown = set(options) - set(known)
    if unknown:
        raise UserError(
            f"--head_options: {name} has no such options as "
            f"{', '.join(sorted(unknown))}; it has {', '.join(known) or 'none'}"
        )
    return heads[name](*sizes, **options)
