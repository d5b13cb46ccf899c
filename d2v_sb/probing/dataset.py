"""Utterances as training takes them: states from the cache, or waveforms.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass, replace

import torch
from torch.utils.data import Dataset

from d2v_sb.pretraining.audio import read_crop
from d2v_sb.pretraining.crops import Crop


@dataclass
class ProbeBatch:
    """Utterances (B,) of a batch.

    Arguments
    ---------
    utterances : list of Utterance
        Who and what.
    targets : list of torch.Tensor
        Labels of each (L,).
    kept : list of (torch.Tensor or None)
        What the cache has of each, (T, K, D).
    wavs : list of (torch.Tensor or None)
        Waveforms (N,) of the others.
    """

    utterances: list
    targets: list
    kept: list
    wavs: list

    @property
    def id(self):
        """Their names; SpeechBrain's metrics ask for them."""
        return [u.id for u in self.utterances]

    @property
    def num_samples(self):
        """Their lengths."""
        return [u.num_samples for u in self.utterances]

    def pin_memory(self):
        """For copies to a GPU beside its work."""
        for name in ("targets", "kept", "wavs"):
            parts = getattr(self, name)
            setattr(
                self, name, [p if p is None else p.pin_memory() for p in parts]
            )
        return self


class ProbeDataset(Dataset):
    """Utterances by their number, or stretches of their files by ``Crop``.

    Arguments
    ---------
    utterances : list of Utterance
        All of them.
    encode : callable
        A target to its labels, a list of int.
    cached : CachedStates, optional
        Where states may be found.
    batches : sampler, or list of list of int
        How they are taken.

    Example
    -------
    >>> import soundfile
    >>> from d2v_sb.probing.rows import Utterance
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, [0.1] * 800, 16000)
    >>> utterance = Utterance("a", path, "s", "up", 0, 800, 800)
    >>> data = ProbeDataset([utterance], lambda target: [3])
    >>> batch = collate([data[0], data[Crop(0, 100, 400)]])
    >>> batch.num_samples, batch.targets[0], len(batch.wavs[1])
    ([800, 400], tensor([3]), 400)
    """

    def __init__(self, utterances, encode, cached=None, batches=()):
        self.utterances = utterances
        self.encode = encode
        self.cached = cached
        self.batches = batches

    def __len__(self):
        return len(self.utterances)

    def __getitem__(self, index):
        kept = None
        if isinstance(index, Crop):
            utterance = replace(
                self.utterances[index.row],
                start=index.start,
                num_samples=index.num_samples,
            )
        else:
            utterance = self.utterances[index]
            if self.cached is not None:
                kept = self.cached.get(index)
        wav = None
        if kept is None:
            wav = read_crop(
                utterance.wav, utterance.start, utterance.num_samples
            )
        target = torch.tensor(self.encode(utterance.target), dtype=torch.long)
        return utterance, target, kept, wav


def collate(items):
    """What ``ProbeDataset`` gave, as a ``ProbeBatch``."""
    return ProbeBatch(*map(list, zip(*items, strict=True)))
