#!/usr/bin/env python3
"""How much of the speaker a frozen encoder's states hold: a linear probe.

Each clip becomes the mean of a layer's states over time, and a linear
classifier learns to name the speaker from it; a quarter of each speaker's
clips is held out. Cheap enough to follow a pretraining run:
> python recipes/LibriSpeech/probe.py --data_folder data/LibriSpeech \
      --split dev-clean --encoder results/d2v_pretrain_base/1986/save/CKPT+*

The accuracy says that something of speech was learned and where; it is no
speaker recognition score.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import hashlib
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from d2v_sb.dataio import read_audio
from d2v_sb.errors import DataError, UserError
from d2v_sb.lobes import Data2VecAudio

HELD_OUT = 0.25
STEPS = 200  # of L-BFGS, far more than it takes
WEIGHT_DECAY = 1e-3
MIN_CLIPS = 4  # of a speaker, or nothing of hers is held out


def main():
    """One line for each encoder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--split", default="dev-clean")
    parser.add_argument("--encoder", nargs="+", required=True)
    parser.add_argument(
        "--weights", default="student", choices=("student", "teacher")
    )
    parser.add_argument("--seed", type=int, default=1986)
    arguments = parser.parse_args()
    clips = clips_by_speaker(Path(arguments.data_folder) / arguments.split)
    for source in arguments.encoder:
        torch.manual_seed(arguments.seed)
        encoder = Data2VecAudio(
            source,
            freeze=True,
            output_all_hiddens=True,
            weights=arguments.weights,
        )
        accuracies = probe(encoder, clips)
        layers = " ".join(f"{100 * a:.1f}" for a in accuracies)
        print(
            f"{source}: speaker accuracy {100 * max(accuracies):.1f} % "
            f"(by layer: {layers})",
            flush=True,
        )


def clips_by_speaker(split):
    """Clips of a split in LibriSpeech's layout.

    Arguments
    ---------
    split : pathlib.Path
        Holds a folder for each speaker.

    Returns
    -------
    list of (pathlib.Path, int, bool)
        File, number of its speaker, whether it is held out.

    Raises
    ------
    DataError
        If there are not two speakers with ``MIN_CLIPS`` clips.
    """
    if not split.is_dir():
        raise DataError(f"no such folder: {split}")
    clips, number = [], 0
    for folder in sorted(p for p in split.iterdir() if p.is_dir()):
        files = sorted(folder.rglob("*.flac")) + sorted(folder.rglob("*.wav"))
        if len(files) < MIN_CLIPS:
            continue
        # By a hash of the name: the same ones whatever else is there.
        files.sort(key=lambda p: hashlib.sha256(p.stem.encode()).digest())
        num_held_out = max(1, round(HELD_OUT * len(files)))
        clips += [(p, number, i < num_held_out) for i, p in enumerate(files)]
        number += 1
    if number < 2:
        raise DataError(
            f"{split} needs two speakers or more, as folders of {MIN_CLIPS} "
            "clips or more"
        )
    return clips


def probe(encoder, clips):
    """Accuracy on held-out clips, of each layer's states.

    Arguments
    ---------
    encoder : Data2VecAudio
        Frozen, with all hidden states.
    clips : list
        As of ``clips_by_speaker``.

    Returns
    -------
    list of float
        From 0 to 1; the first layer's input comes first.
    """
    features = []
    with torch.no_grad():
        for path, _, _ in tqdm(clips, unit="clip", leave=False, disable=None):
            states = encoder(read_audio(str(path), convert=True)[None])
            features.append(states[:, 0].mean(dim=1))
    x = torch.stack(features, dim=1)  # (L+1, clips, D)
    speakers = torch.tensor([speaker for _, speaker, _ in clips])
    held_out = torch.tensor([out for _, _, out in clips])
    return [_accuracy(layer, speakers, held_out) for layer in x]


def _accuracy(x, labels, held_out):
    train = x[~held_out]
    x = (x - train.mean(dim=0)) / (train.std(dim=0) + 1e-6)
    classifier = torch.nn.Linear(x.shape[1], int(labels.max()) + 1)
    torch.nn.init.zeros_(classifier.weight)
    optimizer = torch.optim.LBFGS(
        classifier.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe"
    )

    def loss():
        optimizer.zero_grad()
        fit = F.cross_entropy(classifier(x[~held_out]), labels[~held_out])
        value = fit + WEIGHT_DECAY * classifier.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        guess = classifier(x[held_out]).argmax(dim=1)
    return (guess == labels[held_out]).float().mean().item()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"\n{error}")
