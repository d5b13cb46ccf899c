"""An encoder with two heads: CTC, and a transformer decoder with attention.

Reference: https://arxiv.org/abs/1609.06773 (joint CTC and attention)

Authors
 * The d2v_sb developers 2026
"""

import torch
from speechbrain.lobes.models.transformer.Transformer import (
    NormalizedEmbedding,
    TransformerInterface,
)
from torch import nn

from d2v_sb.lobes.transfer import StrictTransfer


class SpeechEncoder(nn.Module):
    """The encoder, and a linear layer to the decoder's width.

    States of padded frames are zero, which marks them for ``ExactSearcher``.

    Arguments
    ---------
    encoder : Data2VecAudio
        The encoder.
    width : int
        Of the decoder.
    dropout : float
        On the states.

    Example
    -------
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> encoder = SpeechEncoder(Data2VecAudio("tiny"), 64).eval()
    >>> states = encoder(torch.rand(2, 16000), torch.tensor([1.0, 0.5]))
    >>> states.shape, states[1, 24:].abs().max().item()
    (torch.Size([2, 49, 64]), 0.0)
    """

    def __init__(self, encoder, width, dropout=0.0):
        super().__init__()
        self.encoder = encoder
        self.linear = nn.Linear(encoder.output_size, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, wavs, wav_lens=None):
        """Waveforms (B, N) to states (B, T, width)."""
        states = self.dropout(self.linear(self.encoder(wavs, wav_lens)))
        padding = self.encoder.padding_mask(wavs, wav_lens)
        if padding is None:
            return states
        return states.masked_fill(padding[:, :, None], 0.0)


class AttentionDecoder(TransformerInterface):
    """SpeechBrain's transformer decoder alone, without its encoder.

    Arguments
    ---------
    num_labels : int
        Labels of the output.
    width : int
        Of the layers, and of the states that are attended to.
    num_layers, num_heads, ffn_width : int
        Its size.
    dropout : float
        In the layers.
    max_length : int
        The longest output.

    Example
    -------
    >>> decoder = AttentionDecoder(30, 64, num_layers=1)
    >>> tokens = torch.tensor([[1, 5, 6]])
    >>> decoder(tokens, torch.rand(1, 49, 64)).shape
    torch.Size([1, 3, 64])
    """

    def __init__(
        self,
        num_labels,
        width,
        num_layers=6,
        num_heads=4,
        ffn_width=2048,
        dropout=0.1,
        max_length=2500,
    ):
        super().__init__(
            d_model=width,
            nhead=num_heads,
            num_encoder_layers=0,
            num_decoder_layers=num_layers,
            d_ffn=ffn_width,
            dropout=dropout,
            activation=nn.GELU,
            normalize_before=True,
            max_length=max_length,
            causal=False,
        )
        # What rebuilds it, for inference folders.
        self.sizes = {
            "num_layers": num_layers,
            "num_heads": num_heads,
            "ffn_width": ffn_width,
            "max_length": max_length,
        }
        self.custom_tgt_module = NormalizedEmbedding(width, num_labels)
        # As SpeechBrain's TransformerASR does.
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)

    def forward(self, tokens, states, padding=None, pad_index=0):
        """States of the output, each from the tokens up to its own.

        Arguments
        ---------
        tokens : torch.Tensor
            Labels (B, U), the begin first.
        states : torch.Tensor
            Of the encoder (B, T, width).
        padding : torch.Tensor, optional
            (B, T), True where a frame is padding.
        pad_index : int
            The label that pads.

        Returns
        -------
        torch.Tensor
            (B, U, width).
        """
        return self._decode(tokens, states, padding, tokens == pad_index)[0]

    @torch.no_grad()
    def decode(self, tokens, states, enc_lens=None):
        """What SpeechBrain's searcher asks for at each step.

        Arguments
        ---------
        tokens, states
            As of ``forward``.
        enc_lens : torch.Tensor, optional
            Frames of each (B,).

        Returns
        -------
        torch.Tensor, torch.Tensor
            States of the output, and the last layer's attention (B, U, T).
        """
        padding = None
        if enc_lens is not None:
            frames = torch.arange(states.shape[1], device=states.device)
            padding = frames[None] >= enc_lens[:, None]
        return self._decode(tokens, states, padding, None)

    def _decode(self, tokens, states, padding, token_padding):
        x = self.custom_tgt_module(tokens)
        x = x + self.positional_encoding(x)
        U = tokens.shape[1]
        ahead = torch.ones(U, U, dtype=torch.bool, device=x.device).triu(1)
        x, _, attention = self.decoder(
            x,
            states,
            tgt_mask=ahead,
            tgt_key_padding_mask=token_padding,
            memory_key_padding_mask=padding,
        )
        return x, attention[-1]


class JointModel(StrictTransfer, nn.Module):
    """Encoder, decoder and their output layers.

    Arguments
    ---------
    encoder : SpeechEncoder
        Its states feed both heads.
    ctc_head : torch.nn.Module
        From states to labels, for CTC.
    decoder : AttentionDecoder
        Attends to the states.
    seq_head : torch.nn.Module
        From the decoder to labels.

    Example
    -------
    >>> from speechbrain.nnet.linear import Linear
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> model = JointModel(
    ...     SpeechEncoder(Data2VecAudio("tiny"), 64),
    ...     Linear(input_size=64, n_neurons=30),
    ...     AttentionDecoder(30, 64, num_layers=1),
    ...     Linear(input_size=64, n_neurons=30),
    ... )
    >>> ctc, seq = model(torch.rand(1, 16000), None, torch.tensor([[1, 5, 6]]))
    >>> ctc.shape, seq.shape
    (torch.Size([1, 49, 30]), torch.Size([1, 3, 30]))
    """

    def __init__(self, encoder, ctc_head, decoder, seq_head):
        super().__init__()
        self.encoder = encoder
        self.ctc_head = ctc_head
        self.decoder = decoder
        self.seq_head = seq_head

    def forward(self, wavs, wav_lens, tokens_bos):
        """Log-probabilities of both heads.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms (B, N) at 16 kHz.
        wav_lens : torch.Tensor or None
            Relative lengths (B,) in (0, 1].
        tokens_bos : torch.Tensor
            Labels (B, U), the begin first, padded with 0.

        Returns
        -------
        torch.Tensor, torch.Tensor
            CTC's (B, T, V) and the decoder's (B, U, V), float32.
        """
        states = self.encoder(wavs, wav_lens)
        padding = self.encoder.encoder.padding_mask(wavs, wav_lens)
        decoded = self.decoder(tokens_bos, states, padding)
        return tuple(
            logits.log_softmax(dim=-1, dtype=torch.float32)
            for logits in (self.ctc_head(states), self.seq_head(decoded))
        )
