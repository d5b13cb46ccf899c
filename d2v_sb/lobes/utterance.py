"""One vector an utterance, and classes from it.

Authors
 * The d2v_sb developers 2026
"""

import torch
from torch import nn

from d2v_sb.lobes.transfer import StrictTransfer


class UtteranceEncoder(nn.Module):
    """Waveforms to embeddings: what SpeechBrain calls an `embedding_model`.

    SpeechBrain's heads let what pads a batch into the ends of its utterances.
    In evaluation the head is therefore given utterances of one length at a
    time, without their padding, and each gets what it gets alone. In training
    padding is left out as the head does it.

    Arguments
    ---------
    front_end : WeightedData2Vec or FilterBank
        Waveforms to frames.
    head : torch.nn.Module
        Frames (B, T, D) and relative lengths (B,) to (B, 1, C); see
        ``make_head``. An utterance of fewer frames than its `min_frames` is
        repeated.

    Example
    -------
    >>> from d2v_sb.lobes import WeightedData2Vec, make_head
    >>> front_end = WeightedData2Vec("tiny")
    >>> model = UtteranceEncoder(front_end, make_head("statistics", 128, 32))
    >>> model(torch.rand(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 32])
    """

    def __init__(self, front_end, head):
        super().__init__()
        self.front_end = front_end
        self.head = head

    def forward(self, wavs, wav_lens=None):
        """Encodes waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms (B, N) at 16 kHz.
        wav_lens : torch.Tensor, optional
            Relative lengths (B,) in (0, 1].

        Returns
        -------
        torch.Tensor
            Embeddings (B, 1, C).
        """
        states = self.front_end(wavs, wav_lens)
        num_frames = self._num_frames(wavs, wav_lens, states)
        shortest = getattr(self.head, "min_frames", 1)
        if min(num_frames) < shortest:
            states, num_frames = repeat_short(states, num_frames, shortest)
        T = states.shape[1]
        if min(num_frames) == T:
            return self.head(states)
        if self.training:
            # Less a quarter: rounded up by the last bit, they would be one
            # frame more to SpeechBrain's masks.
            lengths = (torch.tensor(num_frames) - 0.25) / T
            return self.head(states, lengths.to(states.device))
        return by_length(self.head, states, num_frames)

    def _num_frames(self, wavs, wav_lens, states):
        padding = self.front_end.padding_mask(wavs, wav_lens)
        if padding is None:
            return [states.shape[1]] * len(states)
        return (~padding).sum(dim=1).tolist()


def by_length(head, states, num_frames):
    """Gives a head the utterances of each length together.

    Arguments
    ---------
    head : callable
        (b, t, D) to (b, 1, C).
    states : torch.Tensor
        (B, T, D), padded.
    num_frames : list of int
        True lengths.

    Returns
    -------
    torch.Tensor
        (B, 1, C).

    Example
    -------
    >>> states = torch.tensor([[[1.0], [3.0]], [[5.0], [0.0]]])
    >>> by_length(lambda x: x.mean(1, keepdim=True), states, [2, 1]).flatten()
    tensor([2., 5.])
    """
    rows = {}
    for row, length in enumerate(num_frames):
        rows.setdefault(length, []).append(row)
    parts = [head(states[own, :t]) for t, own in rows.items()]
    order = torch.tensor([row for own in rows.values() for row in own])
    return torch.cat(parts)[order.argsort().to(states.device)]


def repeat_short(states, num_frames, shortest):
    """Repeats utterances that have too few frames for a head.

    Arguments
    ---------
    states : torch.Tensor
        (B, T, D), padded.
    num_frames : list of int
        True lengths.
    shortest : int
        What each must have.

    Returns
    -------
    torch.Tensor
        (B, max(T, shortest), D).
    list of int
        Lengths after it.

    Example
    -------
    >>> states = torch.tensor([[[1.0], [2.0], [0.0]]])
    >>> states, num_frames = repeat_short(states, [2], 5)
    >>> states.flatten(), num_frames
    (tensor([1., 2., 1., 2., 1.]), [5])
    """
    B, T, D = states.shape
    steps = torch.arange(max(T, shortest), device=states.device)
    own = torch.tensor(num_frames, device=states.device)[:, None]
    index = torch.where(own < shortest, steps % own, steps.clamp(max=T - 1))
    states = states.gather(1, index[:, :, None].expand(-1, -1, D))
    return states, [max(n, shortest) for n in num_frames]


class UtteranceClassifier(StrictTransfer, nn.Module):
    """An utterance encoder and a classifier.

    Arguments
    ---------
    embedding_model : UtteranceEncoder
        Waveforms to embeddings.
    classifier : torch.nn.Module
        Embeddings (B, 1, C) to outputs (B, 1, K): logits, or cosines for
        ``AngularMargin``.

    Example
    -------
    >>> from d2v_sb.lobes import WeightedData2Vec, make_head
    >>> head = make_head("mean", 128, 32)
    >>> encoder = UtteranceEncoder(WeightedData2Vec("tiny"), head)
    >>> model = UtteranceClassifier(encoder, nn.Linear(32, 4))
    >>> model(torch.rand(2, 16000)).shape
    torch.Size([2, 1, 4])
    """

    def __init__(self, embedding_model, classifier):
        super().__init__()
        self.embedding_model = embedding_model
        self.classifier = classifier

    def forward(self, wavs, wav_lens=None):
        """Waveforms (B, N), relative lengths (B,) to outputs (B, 1, K),
        float32 whatever the precision of the encoder: a margin between
        cosines is lost in half precision."""
        embeddings = self.embedding_model(wavs, wav_lens).float()
        with torch.autocast(wavs.device.type, enabled=False):
            return self.classifier(embeddings)


class Posteriors(nn.Module):
    """Log-probabilities of the classes from embeddings, for interfaces.

    Arguments
    ---------
    classifier : torch.nn.Module
        Of an ``UtteranceClassifier``.
    scale : float
        Of its outputs: that of the loss that it was trained with.

    Example
    -------
    >>> posteriors = Posteriors(nn.Linear(8, 3))(torch.rand(2, 1, 8)).exp()
    >>> bool((posteriors.sum(-1) - 1).abs().max() < 1e-6)
    True
    """

    def __init__(self, classifier, scale=1.0):
        super().__init__()
        self.classifier = classifier
        self.scale = scale

    def forward(self, embeddings):
        """(B, 1, C) to (B, 1, K)."""
        return (self.scale * self.classifier(embeddings)).log_softmax(dim=-1)
