"""What stands on top of the encoder.

Authors
 * The d2v_sb developers 2026
"""

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.lobes.data2vec import Data2VecAudio
from d2v_sb.lobes.filter_bank import FilterBank
from d2v_sb.lobes.transfer import StrictTransfer

FILTER_BANK = "fbank"  # an `encoder` that is none
IMPOSSIBLE = -1e4  # a log-probability; -inf would make NaN in sums


class WeightedData2Vec(StrictTransfer, nn.Module):
    """A learned weighted sum of all the encoder's states.

    SpeechBrain's ``WeightedSSLModel`` with our encoder: what probing
    benchmarks such as MP3S put under their heads.

    Arguments
    ---------
    hub : str or EncoderConfig
        The encoder, as ``Data2VecAudio``'s source.
    save_path : str
        Folder in which weights from the hub are kept.
    layernorm : bool
        Normalise each state (no affine) before the sum.
    freeze : bool
        Whether only the layer weights learn.
    **kwargs
        Further arguments of ``Data2VecAudio``.

    Example
    -------
    >>> probe = WeightedData2Vec("tiny", freeze=True)
    >>> probe(torch.rand(2, 16000), torch.ones(2)).shape
    torch.Size([2, 49, 128])
    >>> probe.weights.shape
    torch.Size([3])
    """

    def __init__(
        self, hub, save_path="", layernorm=False, freeze=False, **kwargs
    ):
        super().__init__()
        self.encoder = Data2VecAudio(
            hub,
            save_path or None,
            freeze=freeze,
            output_all_hiddens=True,
            **kwargs,
        )
        self.layernorm = layernorm
        self.freeze = freeze
        self.num_layers = self.encoder.config.encoder_layers + 1
        self.weights = nn.Parameter(torch.zeros(self.num_layers))

    @property
    def model(self):
        """The encoder, as in SpeechBrain's lobes."""
        return self.encoder

    @property
    def output_size(self):
        """Width of the output."""
        return self.encoder.output_size

    def padding_mask(self, wavs, wav_lens=None):
        """Where frames are padding (B, T), or None; as the encoder's."""
        return self.encoder.padding_mask(wavs, wav_lens)

    def forward(self, wav, wav_lens=None):
        """Encodes waveforms.

        Arguments
        ---------
        wav : torch.Tensor
            Waveforms (B, N) at 16 kHz.
        wav_lens : torch.Tensor, optional
            Relative lengths (B,) in (0, 1].

        Returns
        -------
        torch.Tensor
            The weighted sum of states (B, T, D).
        """
        states = self.encoder(wav, wav_lens)
        if self.layernorm:
            states = F.layer_norm(states, states.shape[-1:])
        weights = F.softmax(self.weights, dim=-1).to(states.dtype)
        return torch.einsum("l,lbtd->btd", weights, states)


def make_front_end(source, save_path="", **options):
    """What an hparams file names as `encoder`, for heads that stand on frames.

    Arguments
    ---------
    source : str or EncoderConfig
        As ``Data2VecAudio``'s, or "fbank" for filter banks.
    save_path : str
        Folder in which weights from the hub are kept.
    **options : dict
        Further arguments of ``Data2VecAudio``; filter banks have none.

    Returns
    -------
    WeightedData2Vec or FilterBank

    Example
    -------
    >>> make_front_end("fbank", freeze=True).output_size
    80
    """
    if source == FILTER_BANK:
        return FilterBank()
    return WeightedData2Vec(source, save_path, **options)


class CTCModel(StrictTransfer, nn.Module):
    """An encoder with a linear output layer over characters or subwords.

    Frames that are padding are the blank for certain, so that decoding a
    padded batch gives what decoding each utterance alone gives.

    Arguments
    ---------
    encoder : Data2VecAudio
        The encoder.
    head : torch.nn.Module
        From its width to the labels, (B, T, D) -> (B, T, V).
    blank_index : int
        The blank's label.

    Example
    -------
    >>> from speechbrain.nnet.linear import Linear
    >>> head = Linear(input_size=128, n_neurons=29)
    >>> model = CTCModel(Data2VecAudio("tiny"), head)
    >>> model(torch.rand(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 29])
    """

    def __init__(self, encoder, head, blank_index=0):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.blank_index = blank_index

    def forward(self, wavs, wav_lens=None):
        """Log-probabilities of the labels.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms (B, N) at 16 kHz.
        wav_lens : torch.Tensor, optional
            Relative lengths (B,) in (0, 1].

        Returns
        -------
        torch.Tensor
            (B, T, V), float32 whatever the precision of the encoder: CTC's
            sums over paths overflow in half precision.
        """
        logits = self.head(self.encoder(wavs, wav_lens))
        log_probs = logits.log_softmax(dim=-1, dtype=torch.float32)
        padding = self.encoder.padding_mask(wavs, wav_lens)
        if padding is None:
            return log_probs
        return blank_padding(log_probs, padding, self.blank_index)


def blank_padding(log_probs, padding, blank_index):
    """Makes frames that are padding the blank for certain.

    Arguments
    ---------
    log_probs : torch.Tensor
        (B, T, V).
    padding : torch.Tensor
        (B, T), True where a frame is padding.
    blank_index : int
        The blank's label.

    Returns
    -------
    torch.Tensor
        (B, T, V).

    Example
    -------
    >>> log_probs = torch.zeros(1, 2, 2)
    >>> padding = torch.tensor([[False, True]])
    >>> blank_padding(log_probs, padding, 0).argmax(-1).tolist()
    [[0, 0]]
    """
    blank = log_probs.new_full(log_probs.shape[-1:], IMPOSSIBLE)
    blank[blank_index] = 0.0
    return torch.where(padding[:, :, None], blank, log_probs)
