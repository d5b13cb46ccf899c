"""Audio of any format at 16 kHz, mono, in memory that does not grow with it.

Authors
 * The d2v_sb developers 2026
"""

import os
from contextlib import closing, contextmanager

import torch

from d2v_sb.bulk.ffmpeg import FFmpegDecoder
from d2v_sb.bulk.resampling import StreamingResampler
from d2v_sb.bulk.sndfile import open_sndfile
from d2v_sb.errors import DataError, UserError
from d2v_sb.presets import SAMPLE_RATE

# Looked at and resampled at a time, whatever the blocks: FFmpeg's own pieces
# are so short that the calls would cost more than the work.
PIECE_SECONDS = 10


def audio_blocks(path, block_seconds=60.0):
    """Reads a file from its beginning to its end, block by block.

    All blocks together are what ``d2v_sb.dataio.read_audio(path,
    convert=True)`` gives of a file that it reads, to float rounding.

    Arguments
    ---------
    path : str or pathlib.Path
        Any file that libsndfile reads (wav, flac, ogg, mp3, ...), or FFmpeg
        where PyAV is installed (m4a, mp4, webm, ...); of several audio
        streams, the first. Channels are averaged, other rates resampled.
    block_seconds : float
        Of all blocks but the last.

    Yields
    ------
    torch.Tensor
        (n,), float32 at 16 kHz.

    Raises
    ------
    DataError
        If the file can not be read, holds no audio, is empty or damaged, or
        has NaN or infinite samples. Of a file that breaks in its middle the
        blocks before were given by then.
    UserError
        If a block would be shorter than a sample.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(80000, 2).numpy(), 32000)
    >>> [len(block) for block in audio_blocks(path, block_seconds=1)]
    [16000, 16000, 8000]
    """
    size = round(block_seconds * SAMPLE_RATE)
    if size < 1:
        raise UserError(f"block_seconds={block_seconds}: it is more than 0")
    with closing(open_decoder(path)) as decoder:
        with _as_data_error(path):
            rate, pieces = decoder.read()
        pieces = _decoded(pieces, path)
        pieces = _finite(_regrouped(pieces, PIECE_SECONDS * rate), path)
        if rate != SAMPLE_RATE:
            pieces = _resampled(pieces, rate, path)
        yield from _regrouped(pieces, size)


def load_audio(path, max_seconds=None):
    """Reads a whole file, of any format.

    Arguments
    ---------
    path : str or pathlib.Path
        As of ``audio_blocks``.
    max_seconds : float, optional
        A longer file is refused, before more of it is in memory.

    Returns
    -------
    torch.Tensor
        (N,), float32 at 16 kHz, mono.

    Raises
    ------
    DataError
        As ``audio_blocks``, or if the file is longer.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.flac"
    >>> soundfile.write(path, torch.rand(8000).numpy(), 8000)
    >>> load_audio(path).shape
    torch.Size([16000])
    """
    limit = float("inf") if max_seconds is None else max_seconds * SAMPLE_RATE
    blocks, length = [], 0
    for block in audio_blocks(path):
        blocks.append(block)
        length += len(block)
        if length > limit:
            raise DataError(f"{path}: longer than {max_seconds:g} s")
    return torch.cat(blocks)


def probe(path):
    """Reads a file's header, and nothing more of it.

    Arguments
    ---------
    path : str or pathlib.Path
        As of ``audio_blocks``.

    Returns
    -------
    AudioInfo
        Of a file that nevertheless may be damaged.

    Raises
    ------
    DataError
        If the file can not be opened, holds no audio, or is shorter than its
        header says.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(4000, 2).numpy(), 8000)
    >>> probe(path)
    AudioInfo(seconds=0.5, samplerate=8000, channels=2, format='WAV')
    """
    with closing(open_decoder(path)) as decoder:
        return decoder.info


def open_decoder(path):
    """Opens a file with the decoder that reads all of it.

    Arguments
    ---------
    path : str or pathlib.Path
        An audio or video file.

    Returns
    -------
    SndfileDecoder or FFmpegDecoder
        To be closed. ``info`` is its ``AudioInfo``; ``read()`` gives the
        sample rate and an iterator of tensors (n,), the mean of the channels.

    Raises
    ------
    DataError
        If the file can not be opened, holds no audio, or is shorter than its
        header says; or if only FFmpeg would read it and PyAV is not
        installed.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, torch.rand(4000, 2).numpy(), 8000)
    >>> decoder = open_decoder(path)
    >>> rate, pieces = decoder.read()
    >>> rate, [piece.shape for piece in pieces]
    (8000, [torch.Size([4000])])
    >>> decoder.close()
    """
    path = os.fspath(path)
    _raise_if_no_file(path)
    with _as_data_error(path):
        decoder = open_sndfile(path)
        if decoder is not None:
            return decoder
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise DataError(
                f"{path}: libsndfile does not read it, or not to its end. "
                'PyAV reads more, if it is audio: pip install "d2v_sb[av]"'
            ) from error
        return FFmpegDecoder(path)


@contextmanager
def _as_data_error(path):
    """Decoders meet damage that they have no error for, and disks fail: that
    is one file's fault, not the run's."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: unreadable: {reason}") from error


def _decoded(pieces, path):
    """What a decoder gives, its errors told of the file."""
    pieces = iter(pieces)
    while True:
        with _as_data_error(path):
            wav = next(pieces, None)
        if wav is None:
            return
        yield wav


def _raise_if_no_file(path):
    """With the system's reason, which libsndfile does not pass on."""
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: unreadable: {reason}") from error
    if empty:
        raise DataError(f"{path}: empty: a file of 0 bytes")


def _finite(pieces, path):
    for wav in pieces:
        if not torch.isfinite(wav).all():
            raise DataError(f"{path}: NaN or infinite samples")
        yield wav


def _resampled(pieces, rate, path):
    try:
        resampler = StreamingResampler(rate)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    for wav in pieces:
        yield resampler.push(wav)
    yield resampler.finish()


def _regrouped(pieces, size):
    """The same samples in tensors of one size, the last one shorter."""
    held, num_held = [], 0
    for wav in pieces:
        while num_held + len(wav) >= size:
            needed = size - num_held
            yield torch.cat([*held, wav[:needed]])
            held, num_held, wav = [], 0, wav[needed:]
        if len(wav):
            held.append(wav)
            num_held += len(wav)
    if held:
        yield torch.cat(held)
