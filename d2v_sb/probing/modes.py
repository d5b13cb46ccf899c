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

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from d2v_sb.lobes.feature_extractor import receptive_field
from d2v_sb.masking import sample_span_mask, seeded_generator

# Transformers' defaults for data2vec: share of frames, span, fewest spans.
SPEC_AUGMENT = (0.05, 10, 2)
# Raised where the encoder's code gives other states of the same weights.
VERSION = 1


class View:
    """What of an utterance can be kept, and batches of it.

    Arguments
    ---------
    frozen : FrozenEncoder
        Whose states.
    """

    kind = "states"

    def __init__(self, frozen):
        self.frozen = frozen

    def settings(self):
        """What that depends on."""
        return {
            "states": f"{self.name}: {self.kind}",
            "layers": self.frozen.num_layers,
            "encoder": self.frozen.identity(),
            "version": VERSION,
            "precision": self.frozen.precision,
        }

    @property
    def values_per_second(self):
        """Numbers that are kept of a second of audio."""
        frozen = self.frozen
        return frozen.frame_rate * frozen.num_layers * frozen.width


class Clean(View):
    """Eval mode; each utterance gets what it gets alone."""

    name = "clean"
    padding, normalises = "exact", True
    # Whether what an utterance gets depends on how long its batch is.
    by_batch = False
    # Heads are told which frames are padding.
    pads_exactly = True
    # Training hears the same of an utterance in each epoch.
    draws_chunks = False

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


class PublishedTest(View):
    """Eval mode; padding is heard, and waveforms are as they are."""

    name = "published, to test"
    padding, normalises = "fairseq", False
    by_batch = True
    pads_exactly = False
    draws_chunks = True

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

    name = "published, to train"
    kind = "conv frames"
    by_batch = False

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
