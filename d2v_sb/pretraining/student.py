"""The student: an encoder that does not see some frames, and a predictor.

Reference: https://arxiv.org/abs/2202.03555 (sections 3.1 and 3.2)

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


class StudentOutput(NamedTuple):
    """What one pass of the student leaves.

    prediction is (N, D), for the N hidden frames. projected (B, T, D) is what
    the teacher sees, frames (B, T, C) the conv stack's output; neither has a
    gradient.
    """

    prediction: torch.Tensor
    projected: torch.Tensor
    frames: torch.Tensor


def hide(x, hidden, mask_emb):
    """Replaces hidden frames by the mask embedding.

    Arguments
    ---------
    x : torch.Tensor
        Frames (B, T, D); not changed.
    hidden : torch.Tensor
        Positions b * T + t of hidden frames, (N,).
    mask_emb : torch.Tensor
        (D,).

    Returns
    -------
    torch.Tensor
        (B, T, D).

    Example
    -------
    >>> x = hide(torch.zeros(1, 3, 2), torch.tensor([1]), torch.ones(2))
    >>> x.tolist()
    [[[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]
    """
    rows = mask_emb.to(x.dtype).expand(len(hidden), -1)
    return x.flatten(0, 1).index_copy(0, hidden, rows).view_as(x)


class LinearPredictor(nn.Module):
    """A linear layer from the student's states to the targets.

    data2vec's own predictor (fairseq: final_proj). It sees all states and
    answers for the hidden ones, so that a predictor with context can take its
    place.

    Arguments
    ---------
    width : int
        Of the encoder.

    Example
    -------
    >>> predictor = LinearPredictor(8)
    >>> predictor(torch.rand(2, 5, 8), torch.tensor([1, 7])).shape
    torch.Size([2, 8])
    """

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x, hidden):
        """(B, T, D) and positions (N,) -> predictions (N, D)."""
        return self.linear(x.flatten(0, 1).index_select(0, hidden))


class Student(nn.Module):
    """Predicts what the teacher makes of the frames that it does not see.

    Arguments
    ---------
    encoder : Data2VecAudio
        The encoder to train.
    predictor : torch.nn.Module
        Called with states (B, T, D) and hidden positions (N,).

    Example
    -------
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> student = Student(Data2VecAudio("tiny"), LinearPredictor(128))
    >>> out = student(torch.rand(2, 16000), torch.tensor([3, 4, 60]))
    >>> out.prediction.shape, out.projected.shape
    (torch.Size([3, 128]), torch.Size([2, 49, 128]))
    """

    def __init__(self, encoder, predictor):
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        # A lobe that masks nothing by itself keeps it fixed.
        encoder.mask_emb.requires_grad_(True)

    def forward(self, wavs, hidden):
        """Encodes waveforms of equal length and predicts hidden frames.

        Arguments
        ---------
        wavs : torch.Tensor
            (B, N) at 16 kHz, any scale.
        hidden : torch.Tensor
            Positions b * T + t of hidden frames.

        Returns
        -------
        StudentOutput
            prediction, projected, frames.
        """
        encoder = self.encoder
        frames = encoder.extract(wavs)
        projected = encoder.project(frames)
        x = F.dropout(projected, encoder.projection.dropout, self.training)
        x = hide(x, hidden, encoder.mask_emb)
        states = encoder.contextualize(x).last_hidden_state
        return StudentOutput(
            self.predictor(states, hidden), projected.detach(), frames.detach()
        )
