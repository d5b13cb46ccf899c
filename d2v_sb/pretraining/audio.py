"""Crops of audio files, read by seeking into them.

Authors
 * The d2v_sb developers 2026
"""

import csv
import math
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch.utils.data import Dataset
from torchaudio.functional import resample

from d2v_sb.errors import DataError
from d2v_sb.presets import SAMPLE_RATE


class CropBatch(NamedTuple):
    """Waveforms (B, N) of one length, and where each was read."""

    names: tuple
    wavs: torch.Tensor


class CropDataset(Dataset):
    """Audio by ``Crop``, from a manifest.

    Arguments
    ---------
    csv_file : str or pathlib.Path
        With ID, duration (s), wav.

    Raises
    ------
    DataError
        If it is not there, or not such a file.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> soundfile.write(folder / "a.wav", [0.1] * 800, 16000)
    >>> _ = (folder / "a.csv").write_text(
    ...     f"ID,duration,wav\\na,0.05,{folder}/a.wav"
    ... )
    >>> data = CropDataset(folder / "a.csv")
    >>> data[0, 100, 400][1].shape
    torch.Size([400])
    """

    def __init__(self, csv_file):
        self.names, self.paths, self.durations = [], [], []
        try:
            with open(csv_file, newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    if None in row.values():
                        raise ValueError("a line is cut short")
                    self.names.append(row["ID"])
                    self.paths.append(row["wav"])
                    self.durations.append(float(row["duration"]))
        except FileNotFoundError as error:
            raise DataError(
                f"there is no {csv_file}: it is made from the audio, leave out "
                "--skip_prep"
            ) from error
        except (KeyError, ValueError, csv.Error) as error:
            raise DataError(
                f"{csv_file} is no CSV of ID, duration, wav ({error!r}); delete"
                " it, it is made again from the audio"
            ) from error

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, crop):
        row, start, num_samples = crop
        wav = read_crop(self.paths[row], start, num_samples)
        return f"{self.names[row]} from {start / SAMPLE_RATE:.2f} s", wav


def read_crop(path, start, num_samples):
    """Reads a stretch of a file at 16 kHz, mono, without the rest of it.

    Arguments
    ---------
    path : str
        Any file that libsndfile reads; another sample rate is resampled and
        channels are mixed.
    start, num_samples : int
        In samples at 16 kHz.

    Returns
    -------
    torch.Tensor
        (num_samples,), float32.

    Raises
    ------
    DataError
        If the file can not be read, ends earlier, or holds NaN or infinity.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(start * rate // SAMPLE_RATE)
            wanted = math.ceil(num_samples * rate / SAMPLE_RATE)
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(
            f"{path} can not be read as audio: {error}. Mend it, or remove it "
            "and the manifests that list it"
        ) from error
    wav = torch.from_numpy(samples)
    # A mean over one channel, and torch's isfinite below, would each take long
    # beside the decoding.
    wav = wav[:, 0] if wav.shape[1] == 1 else wav.mean(dim=1)
    if rate != SAMPLE_RATE:
        wav = resample(wav, rate, SAMPLE_RATE)
    # A header's duration can be off by a sample after resampling.
    if len(wav) < num_samples - 2:
        raise DataError(
            f"{path} ends {(num_samples - len(wav)) / SAMPLE_RATE:.2f} s before"
            " what the manifest says: the file changed or is damaged; delete "
            "the manifests, they are made again"
        )
    if not np.isfinite(wav.numpy()).all():
        raise DataError(f"{path} holds samples that are NaN or infinite")
    if len(wav) < num_samples:
        wav = torch.nn.functional.pad(wav, (0, num_samples - len(wav)))
    return wav[:num_samples]


def collate_crops(items):
    """Stacks what ``CropDataset`` gave into a ``CropBatch``."""
    names, wavs = zip(*items, strict=True)
    return CropBatch(names, torch.stack(wavs))
