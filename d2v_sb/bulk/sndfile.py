"""Audio files read by libsndfile, from the beginning to the end.

Authors
 * The d2v_sb developers 2026
"""

import os
from typing import NamedTuple

import soundfile
import torch

from d2v_sb.audio_files import MAX_SAMPLES, UNKNOWN_RIFF_SIZES
from d2v_sb.errors import DataError
from d2v_sb.transcoding import MAX_LACKING

READ_FRAMES = 1 << 17  # at a time
# Those whose bytes 4 to 8 say how many follow.
SIZED = {b"RIFF": "little", b"RIFX": "big", b"FORM": "big"}
ID3_HEADER = 10  # bytes
OGG_PAGE = b"OggS"
OGG_HEADER, MAX_OGG_PAGE = 27, 65307  # bytes
SERIAL = slice(14, 18)  # the stream's, in an Ogg page


class AudioInfo(NamedTuple):
    """What a header says: seconds (None if nothing that can be relied on), Hz,
    channels, and the format's name."""

    seconds: float | None
    samplerate: int
    channels: int
    format: str


class _Sequential(soundfile.SoundFile):
    """soundfile seeks after each read, unless a file can not be sought."""

    def seekable(self):
        return False


class SndfileDecoder:
    """Reads what libsndfile reads; made by ``open_sndfile``.

    Arguments
    ---------
    path : str
        For messages.
    file : soundfile.SoundFile
        That does not seek.
    """

    def __init__(self, path, file):
        self.path, self._file = path, file
        # A FLAC out of a pipe does not say its length, and is read to its end.
        known = file.frames <= MAX_SAMPLES
        self._frames = file.frames if known else None
        seconds = file.frames / file.samplerate if known else None
        self.info = AudioInfo(
            seconds, file.samplerate, file.channels, file.format
        )

    def read(self):
        """Sample rate and an iterator of tensors (n,); of damage it raises a
        ``DataError``."""
        return self.info.samplerate, self._pieces()

    def close(self):
        """Closes the file."""
        self._file.close()

    def _pieces(self):
        taken, samples = 0, [None]
        while len(samples):
            try:
                samples = self._file.read(
                    READ_FRAMES, dtype="float32", always_2d=True
                )
            except (soundfile.SoundFileError, OSError) as error:
                reason = getattr(error, "error_string", error)
                at = taken / self.info.samplerate
                raise DataError(
                    f"{self.path}: broken after {at:.1f} s: {reason}"
                ) from error
            taken += len(samples)
            if len(samples):
                yield torch.from_numpy(samples).mean(dim=1)
        if not taken:
            raise DataError(f"{self.path}: empty: 0 samples")
        lacking = 0 if self._frames is None else self._frames - taken
        # MP3 headers count what encoder and decoder add each in their own way.
        if self.info.format == "MP3":
            lacking -= round(MAX_LACKING * self.info.samplerate)
        if lacking > 0:
            raise DataError(
                f"{self.path}: truncated or broken: {taken} of its "
                f"{self._frames} samples can be read"
            )


def open_sndfile(path):
    """Opens a file with libsndfile, if that reads it to its end.

    Arguments
    ---------
    path : str
        Of a file that exists.

    Returns
    -------
    SndfileDecoder or None

    Raises
    ------
    DataError
        If bytes are missing at the file's end.

    Example
    -------
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, torch.rand(4000, 2).numpy(), 8000)
    >>> decoder = open_sndfile(path)
    >>> [piece.shape for piece in decoder.read()[1]]
    [torch.Size([4000])]
    >>> decoder.close()
    """
    lacking = _missing_bytes(path)
    if lacking > 1:  # some writers count a byte that they do not write
        raise DataError(f"{path}: truncated: {lacking} bytes are missing")
    try:
        file = _Sequential(path)
    # TypeError: of headerless samples, by their name.
    except (soundfile.SoundFileError, OSError, TypeError):
        return None
    if not _reads_all(file, path):
        file.close()
        return None
    return SndfileDecoder(path, file)


def _reads_all(file, path):
    """Whether libsndfile does: it stops where it thinks the end is."""
    if file.format == "MP3":
        return _counts_its_frames(path)
    if file.format == "OGG":  # of several in a row it reads the first
        first, last = _ogg_ends(path)
        return file.frames <= MAX_SAMPLES and first[SERIAL] == last[SERIAL]
    return file.frames > 0  # a WAV out of a pipe may say 0


def _counts_its_frames(path):
    """Whether an MP3 has a Xing header that speaks of the whole file.

    Without one libsndfile guesses the length from the first frame's bit rate,
    and leaves out what is behind it.
    """
    with open(path, "rb") as file:
        head = file.read(ID3_HEADER)
        start = 0
        if head.startswith(b"ID3"):
            start = ID3_HEADER
            for position, byte in enumerate(reversed(head[6:])):
                start += (byte & 127) << 7 * position
        file.seek(start)
        frame = file.read(4096)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return False
    has_frames, has_bytes = frame[at + 7] & 1, frame[at + 7] & 2
    said = int.from_bytes(frame[at + 12 : at + 16], "big")
    # 1 %: of tags at the end. More is another MP3 behind this one.
    more = has_bytes and os.path.getsize(path) - start > 1.01 * said
    return bool(has_frames and not more)


def _missing_bytes(path):
    """By a size in the header or of the last page; 0 if there is none."""
    with open(path, "rb") as file:
        magic, stated = file.read(4), file.read(4)
    if magic == OGG_PAGE:
        return _missing_of_page(_ogg_ends(path)[1])
    if magic not in SIZED:
        return 0
    size = int.from_bytes(stated, SIZED[magic])
    if size in UNKNOWN_RIFF_SIZES:
        return 0
    return max(0, size + 8 - os.path.getsize(path))


def _ogg_ends(path):
    """The first page's header, and the last page with what is behind it."""
    with open(path, "rb") as file:
        first = file.read(OGG_HEADER)
        file.seek(max(0, os.path.getsize(path) - MAX_OGG_PAGE))
        end = file.read()
    return first, end[max(0, end.rfind(OGG_PAGE)) :]


def _missing_of_page(page):
    if len(page) < OGG_HEADER:
        return OGG_HEADER - len(page)
    num_segments = page[OGG_HEADER - 1]
    lengths = page[OGG_HEADER : OGG_HEADER + num_segments]
    return max(0, OGG_HEADER + num_segments + sum(lengths) - len(page))
