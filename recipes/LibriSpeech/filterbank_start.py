#!/usr/bin/env python3
"""Fits a random encoder's conv stack to log-mel spectra, to pretrain from.

data2vec learns the conv stack together with all else, which takes it far more
audio than one CPU hears in an hour. Where there is no GPU, begin here: minutes
of regression give conv frames that are as good as a filter bank, and
pretraining goes on from them with the conv stack fixed:
> python recipes/LibriSpeech/filterbank_start.py --data_folder /my/audio \
      --output_folder results/filterbank
> python recipes/LibriSpeech/pretrain.py hparams/d2v_pretrain_base.yaml \
      --data_folder /my/audio --train_splits '[.]' --dev_splits '[]' \
      --pretrain_from results/filterbank/start.safetensors \
      --freeze_feature_extractor True --average_top_k_layers 3
with a batch and number of updates that a CPU can make (docs/pretraining.md).

It learns conv stack and projection, so that a linear layer finds 40 log-mel
bands in the projected frames, and says how much of their variance is found in
audio that was held out. The transformer stays random.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import logging
import sys
from pathlib import Path

import torch
import torchaudio
from speechbrain.nnet.schedulers import TriStageLRSchedule
from torch.utils.data import DataLoader

from d2v_sb.audio_folder import prepare_audio_folder
from d2v_sb.checkpoints import Checkpoint, save_native
from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.lobes.feature_extractor import normalise_waveform, receptive_field
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining import CropDataset
from d2v_sb.pretraining.audio import collate_crops
from d2v_sb.pretraining.crops import CropSampler

NUM_BANDS = 40
FLOOR = 1e-2  # of the bands' power; a normalised waveform has power 1
MAX_GRAD_NORM = 1.0
INTERVAL = 50  # updates between lines of the log
NAME = "start.safetensors"

logger = logging.getLogger(__name__)


class FilterBank(torch.nn.Module):
    """Log-mel bands of the stretches of waveform that the conv stack sees.

    Arguments
    ---------
    conv_feature_layers : sequence of (channels, kernel, stride)
        The conv stack: its receptive field is the window, its stride the hop.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> bank = FilterBank(PRESETS["small"].conv_feature_layers)
    >>> bank(torch.rand(2, 16000)).shape
    torch.Size([2, 49, 40])
    """

    def __init__(self, conv_feature_layers):
        super().__init__()
        hop = 1
        for _, _, stride in conv_feature_layers:
            hop *= stride
        self.mel = torchaudio.transforms.MelSpectrogram(
            SAMPLE_RATE,
            receptive_field(conv_feature_layers),
            hop_length=hop,
            n_mels=NUM_BANDS,
            center=False,
        )

    def forward(self, wavs):
        """(B, N) to (B, T, bands), each band with mean 0 in each waveform."""
        bands = torch.log(self.mel(normalise_waveform(wavs)) + FLOOR)
        return _centred(bands.transpose(1, 2))


def main():
    """Prepares, fits, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_folder", required=True, help="audio, any depth")
    parser.add_argument("--output_folder", default="results/filterbank")
    parser.add_argument("--encoder", default="small", help="an architecture")
    parser.add_argument("--number_of_updates", type=int, default=1500)
    parser.add_argument("--batch_seconds", type=float, default=24.0)
    parser.add_argument("--min_seconds", type=float, default=1.0)
    parser.add_argument("--max_seconds", type=float, default=10.0)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1986)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    output = Path(options.output_folder)
    prepare_audio_folder(
        options.data_folder,
        output,
        ["."],
        [],
        min_seconds=options.min_seconds,
        on_bad_audio="convert",
    )
    torch.manual_seed(options.seed)
    encoder = Data2VecAudio(options.encoder).to(options.device)
    head = torch.nn.Linear(encoder.output_size, NUM_BANDS).to(options.device)
    bank = FilterBank(encoder.config.conv_feature_layers).to(options.device)
    fit(encoder, head, bank, output / "train.csv", options)
    found = explained(encoder, head, bank, output / "dev.csv", options)
    weights = encoder.state_dict()
    weights = {k: v for k, v in weights.items() if "_extra_state" not in k}
    checkpoint = Checkpoint("", "d2v_sb", encoder.config, weights)
    checkpoint.training_config = vars(options)
    save_native(checkpoint, output / NAME)
    print(
        f"{output / NAME}: a linear layer finds {100 * found:.0f} % of the "
        f"variance of {NUM_BANDS} log-mel bands in held-out audio"
    )


def fit(encoder, head, bank, csv, options):
    """Trains conv stack, projection and head.

    Arguments
    ---------
    encoder : Data2VecAudio
        Its transformer is not used.
    head : torch.nn.Module
        From its projected frames to bands.
    bank : FilterBank
        The targets.
    csv : pathlib.Path
        The audio.
    options : argparse.Namespace
        Of the command line.
    """
    parts = [encoder.feature_extractor, encoder.projection, head]
    parameters = [p for part in parts for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, options.lr, (0.9, 0.98))
    updates = options.number_of_updates
    schedule = TriStageLRSchedule(
        options.lr, 0.03 * updates, 0.47 * updates, 0.5 * updates, updates
    )
    batches = _batches(csv, options, updates)
    for update, batch in enumerate(batches):
        schedule(optimizer, update)
        loss, variance = _error(encoder, head, bank, batch, options)
        (loss / variance.clamp_min(1e-3)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
        optimizer.step()
        optimizer.zero_grad()
        if update % INTERVAL == 0:
            logger.info(
                "update %d of %d: %.0f %% of the variance is found",
                update,
                updates,
                100 * (1 - (loss / variance).item()),
            )


@torch.no_grad()
def explained(encoder, head, bank, csv, options):
    """The share of the bands' variance that is found, 1 at best.

    Arguments
    ---------
    encoder, head, bank, csv, options
        As of ``fit``.

    Returns
    -------
    float
    """
    errors = [
        torch.stack(_error(encoder, head, bank, batch, options))
        for batch in _batches(csv, options, None)
    ]
    loss, variance = torch.stack(errors).sum(dim=0).tolist()
    return 1 - loss / variance


def _batches(csv, options, number):
    dataset = CropDataset(csv)
    sampler = CropSampler(
        dataset.durations,
        options.batch_seconds,
        options.max_seconds,
        options.seed,
        num_batches=number,
    )
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_crops)


def _error(encoder, head, bank, batch, options):
    """Mean squared error, and what it would be if nothing were found."""
    wavs = batch.wavs.to(options.device)
    targets = bank(wavs)
    found = _centred(head(encoder.project(encoder.extract(wavs))))
    return (found - targets).square().mean(), targets.square().mean()


def _centred(x):
    return x - x.mean(dim=1, keepdim=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"\n{error}")
