"""The Data2Vec-Audio encoder as a SpeechBrain lobe.

    extract        waveform (B, N)       -> conv frames (B, T, C)
    project        conv frames           -> frames of width D
    contextualize  frames (+ positions)  -> transformer states (B, T, D)

``forward`` is the three in turn. The lobe takes the place of SpeechBrain's
``Wav2Vec2`` lobe: same constructor, same attributes, same results' shapes.

Reference: https://arxiv.org/abs/2202.03555

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import logging

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.lobes.feature_extractor import (
    ConvFeatureExtractor,
    Projection,
    normalise_waveform,
    num_frames,
)
from d2v_sb.lobes.layers import Freezable
from d2v_sb.lobes.lengths import frame_padding_mask, to_num_samples
from d2v_sb.lobes.transfer import StrictTransfer
from d2v_sb.lobes.transformer import TransformerEncoder
from d2v_sb.masking import FeatureMasking
from d2v_sb.presets import REGULARISATION, EncoderConfig

logger = logging.getLogger(__name__)


class Data2VecAudio(StrictTransfer, Freezable):
    """Data2Vec-Audio: speech representations from raw waveforms.

    In a padded batch each utterance gets exactly what it gets alone: the
    waveform is normalised over its true length and padding is zeroed before
    every positional convolution. For the reference implementations' results
    on padded batches, which depend on the padding, use ``padding="fairseq"``.

    Arguments
    ---------
    source : str or EncoderConfig
        Random weights: "tiny", "base", "large", a registered preset's name,
        or an ``EncoderConfig``. Trained ones: a hub name such as
        "facebook/data2vec-audio-large", a Transformers folder, a fairseq
        ``.pt``, or a ``.safetensors`` or ``.ckpt`` of ours.
    save_path : str, optional
        Folder in which weights from the hub are kept.
    output_norm : bool
        Normalise the output over time and channels of each utterance, its
        padding left out.
    freeze : bool
        The whole encoder is fixed: no gradients, always in eval mode.
    freeze_feature_extractor : bool
        The conv stack is fixed.
    apply_spec_augment : bool
        Mask features in training as ``FeatureMasking()`` does; see `masking`
        to choose how.
    output_all_hiddens : bool
        Return all L+1 states instead of the last.
    freeze_layers : int
        The first so many blocks, and all that is below them, are fixed.
    freeze_finetune_updates : int
        The whole encoder is fixed until ``set_num_updates`` has been told of
        so many optimiser steps (fairseq's name).
    padding : str
        "exact" or "fairseq".
    checkpoint_activations : bool
        Recompute blocks in the backward pass to save memory.
    masking : FeatureMasking, optional
        Time and channel masking of features in training. Nothing is masked
        in front of frozen blocks.
    **overrides
        Fields of ``EncoderConfig``. On top of trained weights only
        regularisation may change, e.g. ``encoder_layerdrop=0.1``.

    Raises
    ------
    CheckpointError
        If `source` is unknown, damaged, of another model, or incomplete.
    ValueError
        If an override changes what the weights mean, or an option is unknown.

    Example
    -------
    >>> encoder = Data2VecAudio("tiny", output_all_hiddens=True)
    >>> wavs = torch.rand(2, 16000)
    >>> encoder(wavs, torch.tensor([1.0, 0.5])).shape
    torch.Size([3, 2, 49, 128])
    """

    def __init__(
        self,
        source,
        save_path=None,
        output_norm=False,
        freeze=False,
        freeze_feature_extractor=False,
        apply_spec_augment=False,
        output_all_hiddens=False,
        *,
        freeze_layers=0,
        freeze_finetune_updates=0,
        padding="exact",
        checkpoint_activations=False,
        masking=None,
        **overrides,
    ):
        super().__init__()
        loaded = load_checkpoint(source, save_path)
        config = _override(loaded, overrides)
        self.config = config
        self.feature_extractor = ConvFeatureExtractor(
            config.conv_feature_layers, config.conv_bias
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
        if loaded.encoder is not None:
            _load(self, loaded.encoder, loaded.path)

        self.output_norm = output_norm
        self.output_all_hiddens = output_all_hiddens
        self.masking = masking
        if masking is None and apply_spec_augment:
            self.masking = FeatureMasking()
        if not 0 <= freeze_layers <= config.encoder_layers:
            raise ValueError(
                f"freeze_layers={freeze_layers}, but the encoder has "
                f"{config.encoder_layers} blocks"
            )
        self._freeze = freeze
        self.freeze_feature_extractor = freeze_feature_extractor
        self.freeze_layers = freeze_layers
        self.freeze_finetune_updates = freeze_finetune_updates
        self._set_frozen(freeze or freeze_finetune_updates > 0)

    @property
    def model(self):
        """Itself: recipes reach for ``.model.feature_extractor`` and
        ``.model.encoder.layers`` of SpeechBrain's lobes."""
        return self

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

    # The three calls

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
        padding_mask : torch.Tensor, optional
            (B, T), True = padding.
        output_all_hiddens : bool
            Whether to keep all L+1 states.
        top_k_ffn : int
            Of how many last blocks to keep the FFN output.

        Returns
        -------
        Context
            last_hidden_state (B, T, D), hidden_states, ffn_outputs.
        """
        return self.encoder(x, padding_mask, output_all_hiddens, top_k_ffn)

    def forward(self, wav, wav_lens=None):
        """Encodes waveforms.

        Arguments
        ---------
        wav : torch.Tensor
            Waveforms (B, N) at 16 kHz, any scale.
        wav_lens : torch.Tensor, optional
            Relative lengths (B,) in (0, 1].

        Returns
        -------
        torch.Tensor
            The last state (B, T, D), or with `output_all_hiddens` all of them
            (L+1, B, T, D), input of the first block first.
        """
        if self.frozen:
            with torch.no_grad():
                return self._encode(wav, wav_lens)
        return self._encode(wav, wav_lens)

    def _extract(self, wavs, num_samples):
        if self.config.normalize:
            padded = min(num_samples) < wavs.shape[1]
            lengths = torch.tensor(num_samples) if padded else None
            wavs = normalise_waveform(wavs, lengths)
        return self.feature_extractor(
            wavs.to(self.feature_extractor.layers[0].conv.weight.dtype)
        )

    def _encode(self, wavs, wav_lens):
        layers = self.config.conv_feature_layers
        num_samples = to_num_samples(wavs, wav_lens, layers)
        N = wavs.shape[1]
        mask = frame_padding_mask(num_samples, layers, wavs.device, N)
        x = self.project(self._extract(wavs, num_samples))
        x = F.dropout(x, self.projection.dropout, self.projection.training)
        if self.masking is not None and self._learns_from_input():
            frames = [num_frames(n, layers) for n in num_samples]
            x = self.masking(x, frames, self.mask_emb)
        context = self.contextualize(x, mask, self.output_all_hiddens)
        if self.output_all_hiddens:
            out = torch.stack(context.hidden_states)
        else:
            out = context.last_hidden_state
        return _normalise_output(out, mask) if self.output_norm else out

    # Freezing

    def set_num_updates(self, num_updates):
        """Ends the frozen phase once enough optimiser steps were made.

        Arguments
        ---------
        num_updates : int
            Optimiser steps made so far.

        Returns
        -------
        bool
            Whether the encoder was unfrozen by this call. Under DDP the
            caller must wrap it anew: DDP ignores for ever what was frozen
            when it was wrapped.
        """
        waits = self.frozen and not self.freeze
        if not waits or num_updates < self.freeze_finetune_updates:
            return False
        self._set_frozen(False)
        self.train()
        return True

    def _set_frozen(self, whole):
        """Freezes the whole, or the parts that are frozen for good."""
        self.freeze_parameters(whole)
        if whole:
            return
        if self.freeze_feature_extractor or self.freeze_layers:
            self.feature_extractor.freeze_parameters()
        if self.freeze_layers:
            self.projection.freeze_parameters()
            self.encoder.positions.freeze_parameters()
            self.encoder.layer_norm.requires_grad_(False)
            for layer in self.encoder.layers[: self.freeze_layers]:
                layer.freeze_parameters()
        # Learnable only where it is used in every step, or DDP waits for it.
        masked = self.masking is not None and not self.freeze_layers
        self.mask_emb.requires_grad_(masked)

    def _learns_from_input(self):
        return self.training and not self.encoder.positions.frozen

    @property
    def freeze(self):
        """Whether the whole encoder is fixed for good; may be set."""
        return self._freeze

    @freeze.setter
    def freeze(self, value):
        self._freeze = value
        self._set_frozen(value)

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


def _override(loaded, overrides):
    """The loaded config with the user's changes."""
    known = [f.name for f in dataclasses.fields(EncoderConfig)]
    for name in overrides:
        if name not in known:
            raise ValueError(
                f"unknown option {name!r}; besides its own arguments the "
                f"encoder takes {', '.join(known)}"
            )
    config = dataclasses.replace(loaded.config, **overrides)
    if loaded.encoder is not None:
        before, after = loaded.config.architecture(), config.architecture()
        for name in before:
            if before[name] != after[name]:
                raise ValueError(
                    f"{name}={after[name]} does not fit the weights of "
                    f"{loaded.path}, which have {name}={before[name]}. With "
                    f"trained weights only these may change: "
                    f"{', '.join(REGULARISATION)}"
                )
    return config


def _load(module, state_dict, path):
    """Loads tensors by name; anything missing or left over is an error."""
    result = module.load_state_dict(state_dict, strict=False)
    missing = [k for k in result.missing_keys if k != "_extra_state"]
    if missing or result.unexpected_keys:
        raise CheckpointError(
            f"{path}: missing weights {missing}, "
            f"unexpected weights {result.unexpected_keys}"
        )


def _normalise_output(out, padding_mask):
    """Layer norm over (valid frames, channels) of each utterance."""
    if padding_mask is None:
        return F.layer_norm(out.float(), out.shape[-2:]).to(out.dtype)
    valid = ~padding_mask[:, :, None]
    x = out.float()
    n = valid.sum(dim=1, keepdim=True) * out.shape[-1]
    mean = (x * valid).sum(dim=(-2, -1), keepdim=True) / n
    x = (x - mean) * valid
    variance = x.square().sum(dim=(-2, -1), keepdim=True) / n
    return (x * (variance + 1e-5).rsqrt()).to(out.dtype)
