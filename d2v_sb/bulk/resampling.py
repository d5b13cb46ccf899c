"""Resampling piece by piece, to what resampling the whole would give.

Authors
 * The d2v_sb developers 2026
"""

import math
from functools import lru_cache

import torch
from torchaudio.transforms import Resample

from d2v_sb.errors import DataError
from d2v_sb.presets import SAMPLE_RATE

# torchaudio's kernel has about as many numbers as the two rates without their
# common divisor multiply to: 70,000 from 44.1 kHz, and two billions, hence
# gigabytes, from 128,001 Hz. Rates of real recordings stay far below.
MAX_KERNEL = 20_000_000


class StreamingResampler:
    """Resamples a waveform that comes in pieces of any length.

    ::

        input   |-- lead frames --|-- ready frames --|- context -|
        output  |    left out     |    given out     |  not yet  |

    A frame is the least stretch that is whole at both rates (441 samples at
    44.1 kHz, 160 at 16 kHz). What is fed to torchaudio begins at a frame, so
    that its filters stand as they do for the whole. The lead is the context
    on the left; at the very beginning there is none, and torchaudio puts
    zeros there as it does for the whole.

    Arguments
    ---------
    rate : int
        Of the input, in Hz.
    new_rate : int
        Of the output.

    Raises
    ------
    DataError
        If the rates have so little in common that the filters would take
        gigabytes.

    Example
    -------
    >>> from torchaudio.functional import resample
    >>> wav = torch.randn(30000)
    >>> resampler = StreamingResampler(44100)
    >>> parts = [resampler.push(piece) for piece in wav.split(7001)]
    >>> streamed = torch.cat([*parts, resampler.finish()])
    >>> torch.allclose(streamed, resample(wav, 44100, 16000), atol=1e-6)
    True
    """

    def __init__(self, rate, new_rate=SAMPLE_RATE):
        divisor = math.gcd(rate, new_rate)
        self._old, self._new = rate // divisor, new_rate // divisor
        if self._old * self._new > MAX_KERNEL:
            raise DataError(
                f"{rate} Hz can not be resampled to {new_rate} Hz in bounded "
                "memory: convert it to 48000 Hz first"
            )
        self._resample = _resampler(rate, new_rate)
        self._context = self._resample.width if rate != new_rate else 0
        self._held = torch.zeros(0)  # from a frame's beginning on
        self._lead = 0  # frames in it that were given out before
        self._taken = self._given = 0

    def push(self, wav):
        """Takes a piece (n,) and gives out what no later one changes."""
        self._taken += len(wav)
        self._held = torch.cat([self._held, wav])
        ready = (len(self._held) - self._context) // self._old
        if ready <= self._lead:
            return wav[:0]
        fed = self._held[: ready * self._old + self._context]
        out = self._resample(fed)[self._lead * self._new : ready * self._new]
        kept_from = max(0, ready - math.ceil(self._context / self._old))
        self._held = self._held[kept_from * self._old :]
        self._lead = ready - kept_from
        self._given += len(out)
        return out

    def finish(self):
        """Gives out what is left (n,): the end has zeros on its right."""
        # Two frames more than needed, since torchaudio rounds down below.
        fed = torch.nn.functional.pad(self._held, (0, 2 * self._old))
        out = self._resample(fed)[self._lead * self._new :]
        return out[: max(0, self._total() - self._given)]

    def _total(self):
        """Samples that torchaudio makes of the whole."""
        if self._old == self._new:
            return self._taken
        # It rounds up in float32, which from some seconds on may be a sample
        # less than the true ceiling, and of hours some more or less.
        length = torch.as_tensor(self._new * self._taken / self._old)
        whole_frames = (self._taken // self._old + 1) * self._new
        return min(int(torch.ceil(length)), whole_frames)


# The filters take a millisecond or more, and thousands of short files have few
# rates among them.
@lru_cache(maxsize=4)
def _resampler(rate, new_rate):
    """With float32 filters, as ``torchaudio.functional.resample`` has."""
    return Resample(rate, new_rate, dtype=torch.float32)
