"""Data2Vec-Audio in the place of SpeechBrain's ``Wav2Vec2`` lobe.

Same constructor, attributes and shapes: what ``Data2VecEncoder``
lacks for that is where weights come from, freezing, masking and the choice of
output.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

import torch
import torch.nn.functional as F

from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.lobes.encoder import Data2VecEncoder
from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.lobes.lengths import to_num_samples
from d2v_sb.lobes.packing import Packing
from d2v_sb.masking import FeatureMasking
from d2v_sb.presets import REGULARISATION, EncoderConfig


class Data2VecAudio(Data2VecEncoder):
    """Data2Vec-Audio: speech representations from raw waveforms.

    In a padded batch each utterance gets exactly what it gets alone; see
    ``Data2VecEncoder``.

    Arguments
    ---------
    source : str or EncoderConfig
        Random weights: "tiny", "base", "large", a registered preset's name,
        or an ``EncoderConfig``. Trained ones: a hub name such as
        "facebook/data2vec-audio-large", a Transformers folder, a fairseq
        ``.pt``, a ``.safetensors`` or ``.ckpt`` of ours, a pretraining run's
        output folder, or the name of weights that come with the package,
        "d2v_sb/<name>".
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
    checkpoint_activations : bool or int
        Recompute all blocks, or the first so many, in the backward pass to
        save memory.
    checkpoint_feature_extractor : bool
        Recompute the conv stack too; a frozen one keeps nothing anyway.
    masking : FeatureMasking, optional
        Time and channel masking of features in training. Nothing is masked
        in front of frozen blocks.
    weights : str
        "student", or "teacher" for a pretrained checkpoint's teacher: its
        transformer on the student's conv stack and projection.
    **overrides
        Fields of ``EncoderConfig``. On top of trained weights only
        regularisation may change, e.g. ``encoder_layerdrop=0.1``.

    Raises
    ------
    CheckpointError
        If `source` is unknown, damaged, of another model, or incomplete, or
        holds no teacher and its weights are asked for.
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
        checkpoint_feature_extractor=False,
        masking=None,
        weights="student",
        **overrides,
    ):
        loaded = load_checkpoint(source, save_path).choose(weights)
        config = _override(loaded, overrides)
        super().__init__(
            config,
            padding,
            checkpoint_activations,
            checkpoint_feature_extractor,
        )
        if loaded.encoder is not None:
            # Names and shapes were checked when it was read.
            state = {**loaded.encoder, "_extra_state": self.get_extra_state()}
            self.load_state_dict(state)

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
        self._num_updates = 0
        self._set_frozen(freeze or freeze_finetune_updates > 0)

    @property
    def model(self):
        """Itself: recipes reach for ``.model.feature_extractor`` and
        ``.model.encoder.layers`` of SpeechBrain's lobes."""
        return self

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

    def _encode(self, wavs, wav_lens):
        layers = self.config.conv_feature_layers
        num_samples = to_num_samples(wavs, wav_lens, layers)
        x = self.project(self._extract(wavs, num_samples))
        x = F.dropout(x, self.projection.dropout, self.projection.training)
        frames = [num_frames(n, layers) for n in num_samples]
        if self.masking is not None and self._learns_from_input():
            x = self.masking(x, frames, self.mask_emb)
        T = x.shape[1]
        packing = Packing(frames, T, x.device) if min(frames) < T else None
        context = self.contextualize(x, packing, self.output_all_hiddens)
        if self.output_all_hiddens:
            out = torch.stack(context.hidden_states)
        else:
            out = context.last_hidden_state
        if not self.output_norm:
            return out
        mask = None if packing is None else packing.padding_mask
        return _normalise_output(out, mask)

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
        self._num_updates = num_updates
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
        waits = self._num_updates < self.freeze_finetune_updates
        self._set_frozen(value or waits)


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
