"""What a frozen encoder makes of each utterance, run once and kept.

Authors
 * The d2v_sb developers 2026
"""

import logging

import torch
from torch.utils.data import DataLoader, Dataset

from d2v_sb.errors import DataError
from d2v_sb.journal import stamp
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.audio import read_crop
from d2v_sb.probing.state_index import describe
from d2v_sb.progress import Progress

logger = logging.getLogger(__name__)

# The longest of what is encoded together, by the shortest; 1 where states
# depend on how far they are padded.
SLACK = 1.1


class CachedStates:
    """The part of a store that some utterances may find theirs in.

    Arguments
    ---------
    store : StateStore
        Of a view's settings.
    utterances : list of Utterance
        Whose.
    longest : list of int
        Samples that each is padded to in its batch, where that matters; else
        its own.

    Raises
    ------
    DataError
        If an audio file is not there.
    """

    def __init__(self, store, utterances, longest):
        self.store = store
        self.longest = longest
        stamps = {}  # pieces of a file share it
        self.keys = [
            _key(u, padded, stamps)
            for u, padded in zip(utterances, longest, strict=True)
        ]

    def __len__(self):
        return len(self.keys)

    def get(self, index):
        """What is kept of an utterance, None where nothing is."""
        key = self.keys[index]
        return self.store.get(key) if key in self.store else None

    def missing(self):
        """Numbers of utterances of which nothing is kept."""
        return [i for i, key in enumerate(self.keys) if key not in self.store]


def fill(cached, utterances, view, batch_seconds, name, num_workers=0):
    """Runs the encoder on what is missing, and keeps what fits.

    Arguments
    ---------
    cached : CachedStates
        Of these utterances.
    utterances : list of Utterance
        All of them.
    view : Clean, PublishedTest or PublishedTraining
        Of the encoder.
    batch_seconds : float
        Audio that the encoder takes at a time, padding counted.
    name : str
        Of what is encoded, for the progress.
    num_workers : int
        Processes that read audio ahead.
    """
    if not cached.missing():
        return
    # Waits while another run fills it, and may find nothing missing then.
    with cached.store.writing() as writer:
        _say_what_fits(cached, view, name)
        missing = cached.missing()
        missing.sort(key=lambda i: (cached.longest[i], i))
        with Progress(
            f"encoding {name}", len(missing), "utterance"
        ) as progress:
            slack = 1.0 if view.by_batch else SLACK
            parts = list(_parts(missing, cached.longest, batch_seconds, slack))
            loader = DataLoader(
                _Waveforms(utterances, parts),
                batch_size=None,
                num_workers=num_workers,
            )
            for batch, wavs in zip(parts, loader, strict=True):
                kept = view.keep(wavs, max(cached.longest[i] for i in batch))
                if not _add(writer, cached, batch, kept, progress):
                    break


class _Waveforms(Dataset):
    """Waveforms of parts, for processes that read ahead."""

    def __init__(self, utterances, parts):
        self.utterances, self.parts = utterances, parts

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, index):
        chosen = [self.utterances[i] for i in self.parts[index]]
        return [read_crop(u.wav, u.start, u.num_samples) for u in chosen]


def _add(writer, cached, batch, kept, progress):
    """Whether all of them fitted."""
    for index, states in zip(batch, kept, strict=True):
        if not writer.add(cached.keys[index], states):
            return False
        progress.update()
    return True


def _parts(rows, longest, batch_seconds, slack):
    """Batches of rows, in their order, that are padded to one length."""
    limit = batch_seconds * SAMPLE_RATE
    part = []
    for row in rows:
        if part and (
            longest[row] > slack * longest[part[0]]
            or (len(part) + 1) * longest[row] > limit
        ):
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def _say_what_fits(cached, view, name):
    """Before hours of encoding, not after them."""
    store = cached.store
    seconds = {
        key: longest / SAMPLE_RATE
        for key, longest in zip(cached.keys, cached.longest, strict=True)
    }
    itemsize = getattr(torch, store.settings["stored_as"]).itemsize
    fit = store.fit(seconds, view.values_per_second * itemsize)
    if not fit.is_whole:
        logger.warning(
            "%s: %s\n%s", name, fit.message(), describe(store.folder.parent)
        )


def _key(utterance, padded, stamps):
    """Tells what is heard: another file of the name has another stamp."""
    if utterance.wav not in stamps:
        stamps[utterance.wav] = stamp(utterance.wav)
    found = stamps[utterance.wav]
    if found is None:
        raise DataError(
            f"there is no {utterance.wav}, which {utterance.id} is in, by the "
            "CSV files of --prepared_folder"
        )
    size, time_ns = found
    u = utterance
    return f"{u.wav}|{size}|{time_ns}|{u.start}|{u.num_samples}|{padded}"
