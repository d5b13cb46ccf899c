"""Noise and reverberation from the user's own recordings, as MUSAN and RIRS.

SpeechBrain's Augmenter chooses and mixes. What it has to read audio with reads
every noise file whole, one for each row of a batch, and can not go on where it
was; here a stretch of one is read, drawn with PyTorch's generator, which
``UpdateBrain`` seeds for each batch.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import AddNoise
from speechbrain.processing.signal_processing import reverberate
from speechbrain.utils.distributed import run_on_main

from d2v_sb.audio_folder import list_audio
from d2v_sb.errors import DataError
from d2v_sb.manifest import make_manifest, stream_rows
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.utterances import read_repeated

COLUMNS = ["ID", "duration", "wav"]


def make_augmenter(
    noise_folder=None,
    rir_folder=None,
    csv_folder=".",
    snr_low=0.0,
    snr_high=15.0,
):
    """What an hparams file asks for: noise, reverberation, both or neither.

    Arguments
    ---------
    noise_folder, rir_folder : str, optional
        Folders of noises and of room impulse responses, searched to any depth,
        such as ``musan/noise`` and ``RIRS_NOISES/simulated_rirs``.
    csv_folder : str
        Where the lists of their files go.
    snr_low, snr_high : float
        Between them the signal-to-noise ratio is drawn, in dB.

    Returns
    -------
    speechbrain.augment.augmenter.Augmenter or None
        It leaves a batch as it is, or adds one of the two, or both.

    Raises
    ------
    DataError
        If a folder is not there, or holds no audio that can be used.

    Example
    -------
    >>> make_augmenter() is None
    True
    """
    augmentations = []
    if rir_folder:
        files = AudioFiles(rir_folder, Path(csv_folder) / "rirs.csv")
        augmentations.append(Reverb(files))
    if noise_folder:
        files = AudioFiles(noise_folder, Path(csv_folder) / "noises.csv")
        noise = AddNoise(
            snr_low=snr_low, snr_high=snr_high, noise_funct=files.like
        )
        augmentations.append(noise)
    if not augmentations:
        return None
    return Augmenter(
        min_augmentations=0,
        max_augmentations=len(augmentations),
        shuffle_augmentations=True,
        augmentations=augmentations,
    )


class AudioFiles:
    """The audio of a folder, to draw stretches from.

    Arguments
    ---------
    folder : str
        Searched to any depth.
    csv : pathlib.Path
        Where its files are listed, once.

    Raises
    ------
    DataError
        If it is not there or holds no audio that can be used.
    """

    def __init__(self, folder, csv):
        run_on_main(_list_folder, args=[folder, csv])
        rows = stream_rows(csv, COLUMNS)
        self.files = [(row["wav"], float(row["duration"])) for row in rows]

    def draw(self):
        """Path and seconds of one, each as likely as the next."""
        return self.files[int(torch.randint(len(self.files), ()))]

    def like(self, wavs):
        """A stretch for each waveform (B, N); shorter files are repeated."""
        rows = [self._stretch(wavs.shape[1]) for _ in wavs]
        return torch.stack(rows).to(wavs)

    def _stretch(self, num_samples):
        path, seconds = self.draw()
        room = max(0, round(seconds * SAMPLE_RATE) - num_samples)
        start = int(torch.randint(room + 1, ()))
        return read_repeated(path, seconds, start, num_samples)


class Reverb(torch.nn.Module):
    """A room for each batch.

    Arguments
    ---------
    files : AudioFiles
        Room impulse responses.
    """

    def __init__(self, files):
        super().__init__()
        self.files = files

    def forward(self, wavs):
        """Waveforms (B, N) to reverberated ones of the same loudness."""
        path, seconds = self.files.draw()
        num_samples = round(seconds * SAMPLE_RATE)
        room = read_repeated(path, seconds, 0, num_samples).to(wavs)
        return reverberate(wavs, room[None], rescale_amp="avg")


def _list_folder(folder, csv):
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder of noises or room impulse responses; "
            "leave --noise_folder and --rir_folder out to train without"
        )
    rows, faults = list_audio(folder, ["."])
    make_manifest(csv, rows, COLUMNS, faults, on_bad_audio="convert")
