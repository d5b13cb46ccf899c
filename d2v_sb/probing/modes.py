"""How a frozen encoder is run while a head learns on its states.

``clean`` is how it should be: the encoder is in eval mode, and each utterance
gets what it gets alone. ``published`` is how SpeechBrain's benchmark MP3S ran
it in 2023, which made its table: neither padding mask nor normalisation of the
waveform, and, since ``Brain.fit`` puts everything in train mode, dropout,
LayerDrop and SpecAugment while the head learns. Figures of the two are not to
be mixed.

Each is a pair of views, one to train on and one to test on. A view says what
of an utterance does not change from epoch to epoch, so that a cache can keep
it (`keep`), and makes a batch of states of that (`complete`).

Reference: https://github.com/speechbrain/benchmarks (benchmarks/MP3S)

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import dataclasses
import hashlib
import math

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.lobes.feature_extractor import receptive_field
from d2v_sb.masking import sample_span_mask, seeded_generator
from d2v_sb.presets import SAMPLE_RATE

# Transformers' defaults for data2vec: share of frames, span, fewest spans.
SPEC_AUGMENT = (0.05, 10, 2)
# Raised where the encoder's code gives other states of the same weights.
VERSION = 1


class FrozenEncoder:
    """An encoder that nothing trains, and its two views.

    Arguments
    ---------
    source : str or EncoderConfig
        As ``Data2VecAudio``'s.
    mode : str
        A key of ``MODES``.
    save_path : str, optional
        Folder in which weights from the hub are kept.
    weights : str
        "student", or "teacher" of a pretraining run.
    precision : str
        "fp32", or "bf16" or "fp16" by autocast.

    Raises
    ------
    UserError
        If there is no such mode.

    Example
    -------
    >>> encoder = FrozenEncoder("tiny", "clean")
    >>> (kept,) = encoder.test_view.keep([torch.rand(16000)], 16000)
    >>> kept.shape
    torch.Size([49, 3, 128])
    """

    def __init__(
        self,
        source,
        mode,
        save_path=None,
        weights="student",
        precision="fp32",
    ):
        if mode not in MODES:
            raise UserError(f"--mode {mode}: it is one of {', '.join(MODES)}")
        self.mode, self.precision = mode, precision
        self.device = torch.device("cpu")
        self._identity = None  # a second for each gigabyte
        training, testing = MODES[mode]
        self.lobe = Data2VecAudio(
            source,
            save_path or None,
            output_all_hiddens=True,
            weights=weights,
            padding=training.padding,
        )
        for parameter in self.lobe.parameters():
            parameter.requires_grad_(False)
        self.lobe.eval()
        if not training.normalises:
            config = dataclasses.replace(self.lobe.config, normalize=False)
            self.lobe.config = config
        self.training_view, self.test_view = training(self), testing(self)

    def to(self, device):
        """Where it runs from now on."""
        self.device = torch.device(device)
        self.lobe.to(self.device)

    @property
    def pads_exactly(self):
        """Whether heads are told which frames are padding."""
        return self.test_view.pads_exactly

    @property
    def draws_chunks(self):
        """Whether training may hear another stretch of a file each time."""
        return self.training_view.draws_chunks

    @property
    def num_layers(self):
        """Of states: the first block's input and each block's output."""
        return self.lobe.config.encoder_layers + 1

    @property
    def width(self):
        """Of a state."""
        return self.lobe.output_size

    def num_frames(self, num_samples):
        """Frames of a waveform."""
        return self.lobe.num_frames(num_samples)

    def identity(self):
        """Hash of architecture and weights."""
        if self._identity is None:
            self._identity = self._hash()
        return self._identity

    def _hash(self):
        digest = hashlib.sha256(self.lobe.config.to_json().encode())
        for name, tensor in sorted(self.lobe.state_dict().items()):
            if name.endswith("_extra_state"):
                continue
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @contextlib.contextmanager
    def running(self):
        """Without gradients, in the precision that was asked for."""
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = self.device.type
        with (
            torch.no_grad(),
            torch.autocast(
                kind,
                dtype.get(self.precision),
                enabled=self.precision in dtype,
            ),
        ):
            yield

    @property
    def frame_rate(self):
        """Frames of a second."""
        hop = math.prod(s for *_, s in self.lobe.config.conv_feature_layers)
        return SAMPLE_RATE / hop

    def padded(self, wavs, longest):
        """Waveforms as a batch (B, `longest`) on the device."""
        batch = torch.zeros(len(wavs), longest)
        for row, wav in zip(batch, wavs, strict=True):
            row[: len(wav)] = wav
        return batch.to(self.device, non_blocking=True)


class Clean:
    """Eval mode; each utterance gets what it gets alone."""

    padding, normalises = "exact", True
    # Whether what an utterance gets depends on how long its batch is.
    by_batch = False
    # Heads are told which frames are padding.
    pads_exactly = True
    # Training hears the same of an utterance in each epoch.
    draws_chunks = False

    def __init__(self, frozen):
        self.frozen = frozen

    def settings(self):
        """What its states depend on."""
        return {
            "states": f"clean: {self.frozen.num_layers} layers",
            "encoder": self.frozen.identity(),
            "version": VERSION,
            "precision": self.frozen.precision,
        }

    @property
    def values_per_second(self):
        """Numbers that are kept of a second of audio."""
        frozen = self.frozen
        return frozen.frame_rate * frozen.num_layers * frozen.width

    def keep(self, wavs, longest):
        """What can be kept of utterances.

        Arguments
        ---------
        wavs : list of torch.Tensor
            Waveforms (N,).
        longest : int
            Samples that they are padded to.

        Returns
        -------
        list of torch.Tensor
            (T, K, D) each.
        """
        frozen = self.frozen
        batch = frozen.padded(wavs, longest)
        # In double: in single, 17 minutes are a sample off.
        relative = torch.tensor([len(w) for w in wavs]).double() / longest
        with frozen.running():
            states = frozen.lobe(batch, relative).permute(1, 2, 0, 3)
        frames = [frozen.num_frames(len(wav)) for wav in wavs]
        return [own[:t] for own, t in zip(states, frames, strict=True)]

    def complete(self, kept, num_samples, seed):
        """Makes a batch of what was kept.

        Arguments
        ---------
        kept : list of torch.Tensor
            (T, K, D) each, on the device.
        num_samples : list of int
            True lengths.
        seed : tuple of int
            Of what is drawn at random; nothing here.

        Returns
        -------
        states : torch.Tensor
            (B, T, K, D).
        num_frames : list of int
            Those that are not padding.
        """
        del num_samples, seed
        return pad_sequence(kept, batch_first=True), [len(own) for own in kept]


class PublishedTest:
    """Eval mode; padding is heard, and waveforms are as they are."""

    padding, normalises = "fairseq", False
    by_batch = True
    pads_exactly = False
    draws_chunks = True

    def __init__(self, frozen):
        self.frozen = frozen

    def settings(self):
        """What its states depend on."""
        return {
            "states": f"published, to test: {self.frozen.num_layers} layers",
            "encoder": self.frozen.identity(),
            "version": VERSION,
            "precision": self.frozen.precision,
        }

    @property
    def values_per_second(self):
        """As of ``Clean``."""
        frozen = self.frozen
        return frozen.frame_rate * frozen.num_layers * frozen.width

    def keep(self, wavs, longest):
        """As of ``Clean``; T is that of the batch."""
        frozen = self.frozen
        with frozen.running():
            states = frozen.lobe(frozen.padded(wavs, longest))
        return list(states.permute(1, 2, 0, 3))

    def complete(self, kept, num_samples, seed):
        """As of ``Clean``."""
        del seed
        states = torch.stack(kept)
        return states, _rounded(num_samples, states.shape[1])


class PublishedTraining(PublishedTest):
    """Train mode, but for the conv stack, in which nothing is drawn: its
    frames are what can be kept."""

    by_batch = False

    def settings(self):
        """What its frames depend on."""
        return {
            "states": "published, to train: conv frames",
            "encoder": self.frozen.identity(),
            "version": VERSION,
            "precision": self.frozen.precision,
        }

    @property
    def values_per_second(self):
        """As of ``Clean``."""
        channels = self.frozen.lobe.config.conv_feature_layers[-1][0]
        return self.frozen.frame_rate * channels

    def keep(self, wavs, longest):
        """Conv frames (T, 1, C): those of the utterance, those that see its
        end and padding, and one that sees padding alone."""
        frozen = self.frozen
        layers = frozen.lobe.config.conv_feature_layers
        field = receptive_field(layers)
        batch = frozen.padded(wavs, longest + 2 * field)
        with frozen.running():
            frames = frozen.lobe.extract(batch)
        kept = []
        for wav, own in zip(wavs, frames, strict=True):
            seen = frozen.num_frames(len(wav) + 2 * field)
            kept.append(own[:seen, None])
        return kept

    def complete(self, kept, num_samples, seed):
        """As of ``Clean``; dropout draws from torch's own generator."""
        frozen, lobe = self.frozen, self.frozen.lobe
        T = frozen.num_frames(max(num_samples))
        frames = torch.stack([_extended(own[:, 0], T) for own in kept])
        lobe.train()
        try:
            with frozen.running():
                frames = frames.to(lobe.mask_emb.dtype)
                x = F.dropout(
                    lobe.project(frames), lobe.projection.dropout, True
                )
                hidden = self._hidden(len(kept), T, seed).to(x.device)
                x = torch.where(
                    hidden[:, :, None], lobe.mask_emb.to(x.dtype), x
                )
                states = lobe.contextualize(x, None, True).hidden_states
        finally:
            lobe.eval()
        states = torch.stack(states, dim=2)
        return states, _rounded(num_samples, T)

    def _hidden(self, B, T, seed):
        prob, length, fewest = SPEC_AUGMENT
        generator = seeded_generator(*seed)
        return sample_span_mask(
            [T] * B, prob, length, generator, min_masks=fewest
        )


MODES = {
    "clean": (Clean, Clean),
    "published": (PublishedTraining, PublishedTest),
}


def _extended(frames, T):
    """Cut to T, or the last one repeated."""
    more = T - len(frames)
    if more <= 0:
        return frames[:T]
    return torch.cat([frames, frames[-1:].expand(more, -1)])


def _rounded(num_samples, T):
    """Frames by SpeechBrain's rule, which rounds relative lengths."""
    longest = max(num_samples)
    return [max(1, round(n / longest * T)) for n in num_samples]
