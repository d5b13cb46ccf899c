"""How files are cut into what a model hears at a time.

Each way of cutting is an object that takes a file's audio in blocks and gives
its pieces, so that memory follows the piece and not the file:

    whole frames, with context      Overlapping       frames and CTC
    at the quietest places          AtPauses          what must hear whole words
    stretches of one length         Windows           classes over time

Authors
 * The d2v_sb developers 2026
"""

import math
from typing import NamedTuple

import torch

from d2v_sb.errors import DataError, UserError
from d2v_sb.lobes.feature_extractor import num_frames, receptive_field
from d2v_sb.presets import SAMPLE_RATE

MIN_SAMPLES = 400  # the conv stack's receptive field
QUIET = 1600  # samples (0.1 s) whose loudness is one value
LATEST = 0.6  # of a piece: the share before which it is not cut
AHEAD = 2 * MIN_SAMPLES  # what is always left for the next piece


class Piece(NamedTuple):
    """A stretch of a file.

    `start` is its first sample in the file, `first` its first frame that
    counts and `num_frames` how many count (None: all), in `wav`'s own frames; what
    is beyond is context. `last` marks the end of the file.
    """

    wav: torch.Tensor
    start: int
    first: int
    num_frames: int | None
    last: bool


class Span(NamedTuple):
    """Where a piece is in its file, without its waveform."""

    start: int
    num_samples: int
    first: int
    num_frames: int | None
    last: bool

    @classmethod
    def of(cls, piece):
        """That of a ``Piece``."""
        return cls(piece.start, len(piece.wav), *piece[2:])


class Overlapping:
    """Pieces of a number of frames, heard with context on either side.

    The frames that count, one piece's after the other's, are the frames of the
    whole file; a file of one piece is that file.

    Arguments
    ---------
    conv_feature_layers : sequence of (channels, kernel, stride)
        What makes frames of samples.
    chunk_seconds : float
        What counts in a piece.
    context_seconds : float
        What is heard besides on either side, where there is something.

    Raises
    ------
    UserError
        If the lengths make no sense.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> layers = PRESETS["base"].conv_feature_layers
    >>> cut = Overlapping(layers, chunk_seconds=0.2, context_seconds=0.1)
    >>> pieces = list(cut([torch.rand(8000)]))
    >>> [(p.start, len(p.wav), p.first, p.num_frames) for p in pieces]
    [(0, 4880, 0, 10), (1600, 6400, 5, 10), (4800, 3200, 5, 4)]
    """

    def __init__(
        self, conv_feature_layers, chunk_seconds=40.0, context_seconds=4.0
    ):
        self.layers = conv_feature_layers
        self.hop = math.prod(stride for _, _, stride in conv_feature_layers)
        self.window = receptive_field(conv_feature_layers)
        self.chunk = int(chunk_seconds * SAMPLE_RATE) // self.hop
        self.context = int(context_seconds * SAMPLE_RATE) // self.hop
        if self.chunk < 1 or self.context < 0:
            raise UserError(
                f"chunk_seconds={chunk_seconds} and context_seconds="
                f"{context_seconds}: a chunk has at least "
                f"{self.hop / SAMPLE_RATE} s, and context is not negative"
            )

    def __call__(self, blocks):
        """Blocks of a file to pieces.

        Arguments
        ---------
        blocks : iterable of torch.Tensor
            Waveforms (n,), which together are the file.

        Yields
        ------
        Piece

        Raises
        ------
        DataError
            If the file is shorter than a frame.
        """
        buffer, begin, number = _Buffer(), 0, 0
        for block in blocks:
            buffer.add(block)
            while True:
                begin = max(0, number * self.chunk - self.context)
                end = (number + 1) * self.chunk + self.context
                # One frame more, or this piece may be at the file's end.
                if buffer.end < end * self.hop + self.window:
                    break
                stop = (end - 1) * self.hop + self.window
                yield self._piece(buffer, number, begin, stop, self.chunk)
                number += 1
        total = num_frames(buffer.end, self.layers)
        if total < 1:
            raise too_short(buffer.end)
        while number * self.chunk < total:
            begin = max(0, number * self.chunk - self.context)
            end = min(total, (number + 1) * self.chunk + self.context)
            # What is left at the end of a file makes no frame.
            stop = (end - 1) * self.hop + self.window
            stop = buffer.end if end == total else stop
            count = min(self.chunk, total - number * self.chunk)
            last = (number + 1) * self.chunk >= total
            yield self._piece(buffer, number, begin, stop, count, last)
            number += 1

    def _piece(self, buffer, number, begin, stop, count, last=False):
        buffer.forget_before(begin * self.hop)
        wav = buffer.slice(begin * self.hop, stop)
        first = number * self.chunk - begin
        return Piece(wav, begin * self.hop, first, count, last)


class AtPauses:
    """Pieces of at most a length, cut where the audio is quietest.

    Arguments
    ---------
    max_seconds : float
        The longest piece. Cuts are in its last two fifths.

    Raises
    ------
    UserError
        If it is less than a second.

    Example
    -------
    >>> wav = torch.ones(40000)
    >>> wav[28000:30000] = 0
    >>> [len(p.wav) for p in AtPauses(2.0)([wav])]
    [28800, 11200]
    """

    def __init__(self, max_seconds=40.0):
        if not max_seconds >= 1:
            raise UserError(f"chunk_seconds={max_seconds}: it is 1 or more")
        self.longest = round(max_seconds * SAMPLE_RATE)

    def __call__(self, blocks):
        """As that of ``Overlapping``."""
        buffer, start = _Buffer(), 0
        for block in blocks:
            buffer.add(block)
            while buffer.end - start > self.longest:
                wav = buffer.slice(start, start + self.longest)
                cut = quietest(wav, int(LATEST * self.longest))
                yield Piece(wav[:cut], start, 0, None, False)
                start += cut
                buffer.forget_before(start)
        if buffer.end - start < MIN_SAMPLES:
            raise too_short(buffer.end - start)
        yield Piece(buffer.slice(start, buffer.end), start, 0, None, True)


class Windows:
    """Stretches of one length; the last ends where the file does.

    Arguments
    ---------
    window_seconds, hop_seconds : float
        Of a window, and from one's beginning to the next one's.

    Raises
    ------
    UserError
        If a window is shorter than a frame of an encoder, or the hop is not
        positive.

    Example
    -------
    >>> pieces = Windows(1.0, 0.5)([torch.rand(20000), torch.rand(10000)])
    >>> [(p.start, len(p.wav), p.last) for p in pieces]
    [(0, 16000, False), (8000, 16000, False), (14000, 16000, True)]
    """

    def __init__(self, window_seconds, hop_seconds):
        self.window = round(window_seconds * SAMPLE_RATE)
        self.hop = round(hop_seconds * SAMPLE_RATE)
        if self.window < MIN_SAMPLES or self.hop < 1:
            raise UserError(
                f"window_seconds={window_seconds} and hop_seconds="
                f"{hop_seconds}: a window has at least "
                f"{MIN_SAMPLES / SAMPLE_RATE} s, and the hop is positive"
            )

    def __call__(self, blocks):
        """As that of ``Overlapping``."""
        buffer, start = _Buffer(), 0
        for block in blocks:
            buffer.add(block)
            while start + self.window < buffer.end:
                wav = buffer.slice(start, start + self.window)
                yield Piece(wav, start, 0, None, False)
                start += self.hop
                # The last window may begin before the next regular one.
                buffer.forget_before(min(start, buffer.end - self.window))
        if buffer.end < MIN_SAMPLES:
            raise too_short(buffer.end)
        start = max(0, buffer.end - self.window)
        yield Piece(buffer.slice(start, buffer.end), start, 0, None, True)


def quietest(wav, earliest):
    """Where to cut a waveform: the middle of its quietest tenth of a second.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform (N,).
    earliest : int
        The first sample to look at. Some are left at the end.

    Returns
    -------
    int
        A sample.

    Example
    -------
    >>> quietest(torch.tensor([1.0] * 4800 + [0.0] * 1600 + [1.0] * 3200), 0)
    5600
    """
    power = wav[earliest : len(wav) - AHEAD].square()
    if len(power) < QUIET:
        return earliest
    step = QUIET // 4
    means = power.unfold(0, QUIET, step).mean(dim=1)
    return earliest + int(means.argmin()) * step + QUIET // 2


def too_short(num_samples):
    """The error of a file that gives no frame."""
    if num_samples == 0:
        return DataError("empty: 0 samples")
    return DataError(
        f"too short: {num_samples / SAMPLE_RATE:.4f} s, where one frame takes "
        f"{MIN_SAMPLES / SAMPLE_RATE} s"
    )


class _Buffer:
    """The end of a waveform, of which the beginning may be forgotten."""

    def __init__(self):
        self.parts, self.start, self.end = [], 0, 0

    def add(self, block):
        self.parts.append(block)
        self.end += len(block)

    def slice(self, begin, end):
        if len(self.parts) > 1:
            self.parts = [torch.cat(self.parts)]
        # A copy: a view would keep what is forgotten.
        return self.parts[0][begin - self.start : end - self.start].clone()

    def forget_before(self, sample):
        if len(self.parts) > 1:
            self.parts = [torch.cat(self.parts)]
        if self.parts and sample > self.start:
            self.parts = [self.parts[0][sample - self.start :]]
            self.start = sample
