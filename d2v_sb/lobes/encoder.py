"""The network of Data2Vec-Audio, in three calls.

    extract        waveform (B, N)       -> conv frames (B, T, C)
    project        conv frames           -> frames of width D
    contextualize  frames (+ positions)  -> transformer states (B, T, D)

The cut is where pretraining needs it: the teacher takes the student's
projected frames, so that the conv stack runs once.

Reference: https://arxiv.org/abs/2202.03555

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

import torch
from torch import nn

from d2v_sb.errors import CheckpointError
from d2v_sb.lobes.feature_extractor import (
    ConvFeatureExtractor,
    Projection,
    normalise_waveform,
    num_frames,
)
from d2v_sb.lobes.layers import Freezable
from d2v_sb.lobes.lengths import frame_padding_mask, to_num_samples
from d2v_sb.lobes.packing import Packing
from d2v_sb.lobes.transfer import StrictTransfer
from d2v_sb.lobes.transformer import TransformerEncoder
from d2v_sb.presets import EncoderConfig


class Data2VecEncoder(StrictTransfer, Freezable):
    """Conv stack, projection and transformer, with random weights.

    In a padded batch each utterance gets exactly what it gets alone: the
    waveform is normalised over its true length and padding is zeroed before
    every positional convolution. For the reference implementations' results
    on padded batches, which depend on the padding, use ``padding="fairseq"``.

    Arguments
    ---------
    config : EncoderConfig
        The architecture.
    padding : str
        "exact" or "fairseq".
    checkpoint_activations : bool or int
        Recompute all blocks, or the first so many, in the backward pass to
        save memory.
    checkpoint_feature_extractor : bool
        Recompute the conv stack too; a frozen one keeps nothing anyway.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> encoder = Data2VecEncoder(PRESETS["tiny"])
    >>> x = encoder.project(encoder.extract(torch.rand(2, 16000)))
    >>> encoder.contextualize(x).last_hidden_state.shape
    torch.Size([2, 49, 128])
    """

    def __init__(
        self,
        config,
        padding="exact",
        checkpoint_activations=False,
        checkpoint_feature_extractor=False,
    ):
        super().__init__()
        self.config = config
        self.feature_extractor = ConvFeatureExtractor(
            config.conv_feature_layers,
            config.conv_bias,
            checkpoint_feature_extractor,
        )
        self.projection = Projection(
            config.conv_feature_layers[-1][0],
            config.encoder_embed_dim,
            config.dropout_input,
        )
        self.mask_emb = nn.Parameter(torch.rand(config.encoder_embed_dim))
        self.encoder = TransformerEncoder(
            config, padding, checkpoint_activations
        )

    @property
    def output_size(self):
        """Width of the output."""
        return self.config.encoder_embed_dim

    def num_frames(self, num_samples):
        """Frames that come of so many samples (int or torch.Tensor)."""
        return num_frames(num_samples, self.config.conv_feature_layers)

    def padding_mask(self, wavs, wav_lens=None):
        """Which frames of a batch are padding: (B, T), or None for none."""
        layers = self.config.conv_feature_layers
        num_samples = to_num_samples(wavs, wav_lens, layers)
        N = wavs.shape[1]
        return frame_padding_mask(num_samples, layers, wavs.device, N)

    def extract(self, wavs, wav_lens=None):
        """Waveform to conv frames.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms (B, N) at 16 kHz, any scale.
        wav_lens : torch.Tensor, optional
            Relative lengths (B,) in (0, 1].

        Returns
        -------
        torch.Tensor
            Frames (B, T, C), C channels of the conv stack.
        """
        layers = self.config.conv_feature_layers
        num_samples = to_num_samples(wavs, wav_lens, layers)
        return self._extract(wavs, num_samples)

    def project(self, frames):
        """Conv frames (B, T, C) to the transformer's width (B, T, D)."""
        return self.projection(frames)

    def contextualize(
        self, x, padding_mask=None, output_all_hiddens=False, top_k_ffn=0
    ):
        """Positions, then blocks.

        Arguments
        ---------
        x : torch.Tensor
            Projected frames (B, T, D), masked or not.
        padding_mask : torch.Tensor or Packing, optional
            (B, T), True = padding, at the ends of rows. Of a mask on a GPU the
            lengths are waited for; a ``Packing`` knows them.
        output_all_hiddens : bool
            Whether to keep all L+1 states.
        top_k_ffn : int
            Of how many last blocks to keep the FFN output.

        Returns
        -------
        Context
            last_hidden_state (B, T, D), hidden_states, ffn_outputs.
        """
        packing = Packing.of(padding_mask)
        return self.encoder(x, packing, output_all_hiddens, top_k_ffn)

    def _extract(self, wavs, num_samples):
        if self.config.normalize:
            padded = min(num_samples) < wavs.shape[1]
            lengths = torch.tensor(num_samples) if padded else None
            wavs = normalise_waveform(wavs, lengths)
        dtype = self.feature_extractor.layers[0].conv.weight.dtype
        return self.feature_extractor(wavs.to(dtype), num_samples)

    # Checkpoints: the architecture travels in the state_dict

    def get_extra_state(self):
        """The config as JSON bytes in a tensor, safe in any container."""
        text = self._current_config().to_json().encode()
        return torch.frombuffer(bytearray(text), dtype=torch.uint8)

    def _current_config(self):
        """The config of the blocks that are there: recipes may cut some."""
        return dataclasses.replace(
            self.config, encoder_layers=len(self.encoder.layers)
        )

    def set_extra_state(self, state):
        """Refuses weights of another architecture."""
        config = EncoderConfig.from_json(bytes(state.tolist()).decode())
        ours = self._current_config().architecture()
        theirs = config.architecture()
        wrong = [
            f"{k}={theirs[k]} (here {ours[k]})"
            for k in ours
            if ours[k] != theirs[k]
        ]
        if wrong:
            raise CheckpointError(
                "the weights are of another architecture: " + "; ".join(wrong)
            )
