"""Classes over the course of a long recording, in memory that does not grow.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

import soundfile
import torch

from d2v_sb.audio_files import MIN_SECONDS, examine
from d2v_sb.errors import DataError, UserError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.audio import read_crop

BATCH_SIZE = 16  # windows at a time


class Window(NamedTuple):
    """A stretch of a recording, in seconds, and what its classes' chances
    are."""

    start: float
    end: float
    posteriors: dict

    @property
    def label(self):
        """The likeliest class."""
        return max(self.posteriors, key=self.posteriors.get)


def classify_windows(
    classifier,
    path,
    window_seconds=4.0,
    hop_seconds=2.0,
    batch_size=BATCH_SIZE,
):
    """Posteriors of the classes in each window of a recording.

    The last window ends where the recording does; a recording that is shorter
    than a window is one.

    Arguments
    ---------
    classifier : EncoderClassifier
        Of SpeechBrain, such as ``from_hparams`` makes of an inference folder.
    path : str or pathlib.Path
        Any file that libsndfile reads; another sample rate is resampled and
        channels are mixed.
    window_seconds, hop_seconds : float
        Of a window, and from one's beginning to the next one's.
    batch_size : int
        Windows that are classified together.

    Yields
    ------
    Window

    Raises
    ------
    DataError
        If the file can not be read or is too short.
    UserError
        If a length is not positive, or a window too short for a frame.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(5 * 16000).numpy(), 16000)
    >>> class Halves:
    ...     class hparams:
    ...         class label_encoder:
    ...             ind2lab = {0: "sad", 1: "hap"}
    ...
    ...     def classify_batch(self, wavs):
    ...         return (torch.full((len(wavs), 2), 0.5).log(),)
    >>> for start, end, posteriors in classify_windows(Halves(), path):
    ...     print(start, end, posteriors)
    0.0 4.0 {'sad': 0.5, 'hap': 0.5}
    1.0 5.0 {'sad': 0.5, 'hap': 0.5}
    """
    good = window_seconds >= MIN_SECONDS and hop_seconds > 0 and batch_size > 0
    if not good:
        raise UserError(
            f"window_seconds must be {MIN_SECONDS} or more, hop_seconds and "
            f"batch_size positive; got {window_seconds}, {hop_seconds} and "
            f"{batch_size}"
        )
    _, fault = examine("", path)
    if fault is not None and not fault.convertible:
        raise DataError(f"{path}: {fault.reason}")
    info = soundfile.info(str(path))
    total = info.frames * SAMPLE_RATE // info.samplerate
    length = min(total, round(window_seconds * SAMPLE_RATE))
    hop = max(1, round(hop_seconds * SAMPLE_RATE))
    starts = [*range(0, total - length, hop), total - length]
    names = classifier.hparams.label_encoder.ind2lab
    for first in range(0, len(starts), batch_size):
        some = starts[first : first + batch_size]
        wavs = [read_crop(str(path), start, length) for start in some]
        log_probs = classifier.classify_batch(torch.stack(wavs))[0]
        for start, row in zip(some, log_probs.exp().tolist(), strict=True):
            yield Window(
                start / SAMPLE_RATE,
                (start + length) / SAMPLE_RATE,
                {names[i]: value for i, value in enumerate(row)},
            )
