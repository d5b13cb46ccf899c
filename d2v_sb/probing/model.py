"""What learns in a probe: weights of the layers, a head, an output layer.

Authors
 * The d2v_sb developers 2026
"""

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.lobes.heads import blank_padding


class LayerSum(nn.Module):
    """A learned weighted sum of an encoder's states.

    As ``WeightedData2Vec`` (SpeechBrain: ``WeightedSSLModel``), of states that
    are there already.

    Arguments
    ---------
    num_layers : int
        How many there are.
    layernorm : bool
        Normalise each state (no affine) before the sum.

    Example
    -------
    >>> LayerSum(3)(torch.ones(2, 49, 3, 8)).shape
    torch.Size([2, 49, 8])
    """

    def __init__(self, num_layers, layernorm=False):
        super().__init__()
        self.layernorm = layernorm
        self.weights = nn.Parameter(torch.zeros(num_layers))

    def forward(self, states):
        """States (B, T, K, D), of any precision, to (B, T, D), float32."""
        states = states.float()
        if self.layernorm:
            states = F.layer_norm(states, states.shape[-1:])
        weights = F.softmax(self.weights, dim=-1)
        return torch.einsum("k,btkd->btd", weights, states)


class FrameProbe(nn.Module):
    """States to log-probabilities of labels, for CTC.

    Arguments
    ---------
    layer_sum : LayerSum
        States to frames.
    head : torch.nn.Module
        See ``make_frame_head``.
    num_labels : int
        The blank among them.
    pads_exactly : bool
        Tell the head which frames are padding, and make these the blank. Else
        they are heard, as in MP3S.
    blank_index : int
        The blank's label.

    Example
    -------
    >>> from d2v_sb.probing.frame_heads import make_frame_head
    >>> probe = FrameProbe(LayerSum(3), make_frame_head("linear", 8), 29)
    >>> probe(torch.ones(2, 49, 3, 8), [49, 20]).shape
    torch.Size([2, 49, 29])
    """

    def __init__(
        self, layer_sum, head, num_labels, pads_exactly=True, blank_index=0
    ):
        super().__init__()
        self.layer_sum = layer_sum
        self.head = head
        self.output = nn.Linear(head.output_size, num_labels)
        self.pads_exactly = pads_exactly
        self.blank_index = blank_index

    def forward(self, states, num_frames):
        """States (B, T, K, D) and their valid frames (B,) to (B, T, V)."""
        x = self.layer_sum(states)
        T = x.shape[1]
        padded = self.pads_exactly and min(num_frames) < T
        x = self.head(x, num_frames if padded else None)
        log_probs = self.output(x).log_softmax(dim=-1, dtype=torch.float32)
        if not padded:
            return log_probs
        padding = torch.arange(T) >= torch.tensor(num_frames)[:, None]
        padding = padding.to(x.device)
        return blank_padding(log_probs, padding, self.blank_index)


class UtteranceProbe(nn.Module):
    """States to outputs for classes.

    Arguments
    ---------
    layer_sum : LayerSum
        States to frames.
    head : torch.nn.Module
        See ``make_utterance_head``.
    pads_exactly : bool
        Outside training each utterance gets what it gets alone. Else the head
        deals with padding as SpeechBrain's do.

    Example
    -------
    >>> from d2v_sb.probing.utterance_heads import make_utterance_head
    >>> probe = UtteranceProbe(LayerSum(3), make_utterance_head("mean", 8, 4))
    >>> probe(torch.ones(2, 49, 3, 8), [49, 20]).shape
    torch.Size([2, 1, 4])
    """

    def __init__(self, layer_sum, head, pads_exactly=True):
        super().__init__()
        self.layer_sum = layer_sum
        self.head = head
        self.pads_exactly = pads_exactly

    def forward(self, states, num_frames):
        """States (B, T, K, D) and their valid frames (B,) to (B, 1, classes):
        logits, or cosines of heads for a margin."""
        return self.head.classify(self.embed(states, num_frames))

    def embed(self, states, num_frames):
        """States and their valid frames to embeddings (B, 1, C)."""
        return self.head.embed(
            self.layer_sum(states), num_frames, self.pads_exactly
        )
