#!/usr/bin/env python3
"""What one worker of a loader delivers, beside what a GPU could take.

> python benchmarks/loading.py CORPUS_FOLDER
Clips of the corpus are joined to FLACs as long as LibriSpeech's and as
Libri-light's. A worker reads the batches of a training run from them: as ours
do, and by the loop that people write, which decodes a file whole and then takes
what it needs. The samples of both are compared before anything is timed. It is
CPU seconds of the worker, what it takes to pass batches on included; files come
from memory, so what a disk takes is not in it. The ratio of both is printed
last.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import csv
import functools
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import side_by_side
import soundfile
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.sampler import DynamicBatchSampler
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from d2v_sb.dataio import asr_dataset
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining import CropDataset
from d2v_sb.pretraining.audio import collate_crops
from d2v_sb.pretraining.crops import CropSampler
from d2v_sb.tokens import Letters

UTTERANCE = 15.0  # seconds, as most of LibriSpeech's
RECORDING = 1200.0  # seconds, as Libri-light's
NUM_RECORDINGS = 3
# Seconds of audio that an H200 takes in a second by its bf16 arithmetic, of
# Large, and the share of that which real runs come to.
BOUNDS = {"pretraining": 5160, "fine-tuning": 6670, "inference": 20000}
SHARE = 0.5
PEER = "soundfile.read of the whole file"
COLUMNS = (
    "date commit case files file_seconds ours ours_low ours_high peer_name "
    "peer peer_low peer_high ratio ratio_low ratio_high rounds share workers "
    "hardware versions command"
).split()


def main():
    """Makes the files, compares what is read, times it in turn."""
    arguments = parse()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        wav = joined(arguments.corpus, NUM_RECORDINGS * RECORDING)
        utterances = write(wav, UTTERANCE, Path(folder))
        recordings = write(wav, RECORDING, Path(folder))
        for case in (
            Crops("pretraining, utterances", utterances, arguments.batches),
            Crops("pretraining, recordings", recordings, arguments.batches),
            Utterances("fine-tuning", utterances, arguments.batches),
        ):
            case.check()
            found = in_turn(case, arguments.rounds)
            report(case, found, arguments)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("corpus", help="a folder of .flac, 16 kHz mono")
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", help="a CSV to which rows are added")
    parser.add_argument("--note", default="", help="what else the rows say")
    parser.set_defaults(device="cpu", threads=1)  # what the rows say
    return parser.parse_args()


def joined(corpus, seconds):
    """Clips of a corpus one after the other, as many samples as asked for."""
    parts, missing = [], round(seconds * SAMPLE_RATE)
    for path in sorted(Path(corpus).rglob("*.flac")):
        wav, rate = soundfile.read(path, dtype="int16")
        if missing > 0 and rate == SAMPLE_RATE and wav.ndim == 1:
            parts.append(wav[:missing])
            missing -= len(parts[-1])
    if not parts:
        sys.exit(f"{corpus} holds no .flac of 16 kHz, mono")
    # Of a small corpus the same again, in other places.
    return np.resize(np.concatenate(parts), round(seconds * SAMPLE_RATE))


def write(wav, seconds, folder):
    """Cuts a waveform into files of some seconds; their CSV."""
    manifest = folder / f"{seconds:g}.csv"
    with open(manifest, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["ID", "duration", "wav", "wrd"])
        pieces = np.split(wav, round(len(wav) / SAMPLE_RATE / seconds))
        for number, piece in enumerate(pieces):
            path = folder / f"{seconds:g}-{number:04d}.flac"
            soundfile.write(path, piece, SAMPLE_RATE)
            writer.writerow([path.stem, seconds, path, "A"])
    return manifest


class Crops:
    """Crops of up to 20 s in batches of 120 s, as of d2v_pretrain_large."""

    tasks = ("pretraining",)
    collate = staticmethod(collate_crops)
    collate_peer = staticmethod(collate_crops)

    def __init__(self, name, manifest, num_batches):
        self.name = name
        self.ours = CropDataset(manifest)
        durations = self.ours.durations
        self.files, self.file_seconds = len(durations), durations[0]
        sampler = CropSampler(durations, 120.0, 20.0, 0, num_batches)
        self.batches = list(sampler)
        self.peer = WholeFiles(self.ours)

    def check(self):
        """Both read the same samples."""
        for crop in self.batches[0]:
            assert torch.equal(self.ours[crop][1], self.peer[crop][1])
        print(f"{self.name}: the same samples")

    @staticmethod
    def seconds(batch):
        """Audio of a batch."""
        return batch.wavs.numel() / SAMPLE_RATE


class WholeFiles(Dataset):
    """Crops of files that are decoded whole."""

    def __init__(self, ours):
        self.paths, self.names = ours.paths, ours.names

    def __getitem__(self, crop):
        row, start, num_samples = crop
        wav, _ = soundfile.read(self.paths[row], dtype="float32")
        crop = torch.from_numpy(wav[start : start + num_samples])
        return self.names[row], crop


class Utterances:
    """Clips in batches of 80 s, as of d2v_ctc."""

    tasks = ("fine-tuning", "inference")
    collate = PaddedBatch

    def __init__(self, name, manifest, num_batches):
        self.name = name
        self.ours = asr_dataset(str(manifest), Letters(" A"))
        rows = self.ours.data.values()
        self.files, self.file_seconds = len(rows), UTTERANCE
        sampler = DynamicBatchSampler(self.ours, 80.0, num_buckets=60)
        self.batches = list(sampler)[:num_batches]
        self.peer = WholeClips([row["wav"] for row in rows])

    def check(self):
        """Both give the same batch."""
        ours, peer = (
            collate([data[number] for number in self.batches[0]])
            for data, collate in (
                (self.ours, self.collate),
                (self.peer, self.collate_peer),
            )
        )
        assert torch.equal(ours.sig.data, peer)
        print(f"{self.name}: the same samples")

    @staticmethod
    def collate_peer(wavs):
        """Pads what ``WholeClips`` gave."""
        return pad_sequence(wavs, batch_first=True)

    @staticmethod
    def seconds(batch):
        """Audio of a batch, all clips being as long."""
        wavs = batch.sig.data if isinstance(batch, PaddedBatch) else batch
        return wavs.numel() / SAMPLE_RATE


class WholeClips(Dataset):
    """Clips, without any look at what is in them."""

    def __init__(self, paths):
        self.paths = paths

    def __getitem__(self, row):
        wav, _ = soundfile.read(self.paths[row], dtype="float32")
        return torch.from_numpy(wav)


def in_turn(case, rounds):
    """Rates of both, each first in every other round."""
    rates = {"ours": [], "peer": []}
    calls = [
        ("ours", case.ours, case.collate),
        ("peer", case.peer, case.collate_peer),
    ]
    for _ in range(rounds):
        for name, dataset, collate in calls:
            rates[name].append(rate(case, dataset, collate))
        calls.reverse()
    pairs = zip(rates["ours"], rates["peer"], strict=True)
    rates["ratio"] = [ours / peer for ours, peer in pairs]
    found = {"rounds": rounds}
    for name, values in rates.items():
        found[name] = statistics.median(values)
        found[f"{name}_low"], found[f"{name}_high"] = min(values), max(values)
    return found


def rate(case, dataset, collate):
    """Seconds of audio that a worker delivers in a CPU second, its start and
    first batch left out."""
    loader = DataLoader(
        dataset,
        batch_sampler=case.batches,
        num_workers=1,
        collate_fn=functools.partial(clocked, collate),
    )
    clocks, seconds = zip(
        *((clock, case.seconds(batch)) for clock, batch in loader), strict=True
    )
    return sum(seconds[1:]) / (clocks[-1] - clocks[0])


def clocked(collate, items):
    """A batch, and the CPU seconds of this worker so far; the batch before it
    has been passed on by then."""
    batch = collate(items)
    return time.process_time(), batch


def report(case, found, arguments):
    """Prints rates, workers and the ratio; adds a row where asked to."""
    for name, said in (("ours", "d2v_sb"), ("peer", PEER)):
        print(
            f"  {said}: {found[name]:,.0f} s of audio per s and worker "
            f"({found[name + '_low']:,.0f} to {found[name + '_high']:,.0f})"
        )
    needed = []
    for task in case.tasks:
        taken = SHARE * BOUNDS[task]
        workers = math.ceil(taken / found["ours"])
        needed.append(f"{task} {workers}")
        print(
            f"  {task} takes {taken:,.0f} s per s, {SHARE:.0%} of an H200's "
            f"bound: {workers} worker(s)"
        )
    if arguments.results:
        row = {
            **found,
            "case": case.name,
            "files": case.files,
            "file_seconds": case.file_seconds,
            "peer_name": PEER,
            "share": SHARE,
            "workers": ", ".join(needed),
            "hardware": side_by_side.hardware(arguments),
        }
        if arguments.note:
            row["hardware"] += f"; {arguments.note}"
        side_by_side.add_row(arguments.results, COLUMNS, row, "soundfile")
    print(f"{case.name} ratio: {found['ratio']:.2f}")


if __name__ == "__main__":
    main()
