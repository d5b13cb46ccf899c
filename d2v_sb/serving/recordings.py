"""Recordings that a browser sends, as waveforms that a model can hear.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import tempfile
from pathlib import Path

import soundfile
import torch

from d2v_sb.audio_files import MIN_SECONDS
from d2v_sb.bulk.audio import audio_blocks
from d2v_sb.errors import DataError
from d2v_sb.presets import SAMPLE_RATE

SILENT = 1e-4  # a peak of -80 dB: less than one bit in ten of 16


def read_recording(path, max_seconds):
    """Reads a recording of any format, unless it is silent or too long.

    Arguments
    ---------
    path : str or pathlib.Path
        The file. Messages give its name alone: the folder is the server's.
    max_seconds : float
        The longest that is accepted. Of a longer one only so much is read.

    Returns
    -------
    torch.Tensor
        Waveform (N,), 16 kHz mono.

    Raises
    ------
    DataError
        If it can not be read, or is too long, too short or silent.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(4000, 2).numpy(), 8000)
    >>> read_recording(path, max_seconds=1).shape
    torch.Size([8000])
    >>> read_recording(path, max_seconds=0.4)
    Traceback (most recent call last):
    d2v_sb.errors.DataError: a.wav is longer than 0.4 s, ...
    """
    path = Path(path)
    blocks, seconds = [], 0.0
    try:
        for block in audio_blocks(str(path)):
            blocks.append(block)
            seconds += len(block) / SAMPLE_RATE
            if seconds > max_seconds:
                raise DataError(
                    f"{path.name} is longer than {max_seconds:g} s, which is "
                    "the limit of this page: cut it (the scissors below the "
                    "waveform do), or start the page with a larger "
                    "--max_seconds"
                )
    except DataError as error:
        raise DataError(str(error).replace(str(path), path.name)) from error
    if seconds < MIN_SECONDS:
        raise DataError(
            f"{path.name} is too short: {seconds:.3f} s, and {MIN_SECONDS} s "
            "are needed"
        )
    wav = torch.cat(blocks)
    if wav.abs().max() < SILENT:
        raise DataError(
            f"{path.name} is silent: check the microphone, or choose another "
            "file"
        )
    return wav


@contextlib.contextmanager
def as_file(wav):
    """Gives the path of a waveform's file, which is there for a while.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform (N,), 16 kHz.

    Yields
    ------
    str

    Example
    -------
    >>> with as_file(torch.rand(800)) as path:
    ...     soundfile.info(path).frames
    800
    """
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/recording.wav"
        soundfile.write(path, wav.numpy(), SAMPLE_RATE, subtype="FLOAT")
        yield path
