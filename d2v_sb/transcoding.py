"""Compressed recordings (m4a), which libsndfile does not read, made FLAC.

VoxCeleb2 comes as m4a. To decode that while training would cost each epoch
what it costs once here.

Authors
 * The d2v_sb developers 2026
"""

import shutil
import subprocess
from multiprocessing.pool import ThreadPool

import numpy as np
import soundfile as sf
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import remove_left_overs, replacing
from d2v_sb.audio_files import NUM_WORKERS, Fault
from d2v_sb.errors import DataError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.progress import Progress

logger = get_logger(__name__)

# Seconds less than the header says that are still no damage. Headers count
# what an encoder adds and what a player skips each in their own way.
MAX_LACKING = 0.5


class Unreadable(DataError):
    """A recording that is damaged, or none."""


def transcode(source, target):
    """Writes a recording as FLAC of 16 kHz, mono, 16 bits.

    Channels are averaged. The file is there whole or not at all.

    Arguments
    ---------
    source : str or pathlib.Path
        In any format that FFmpeg reads; of several audio streams, the first.
    target : str or pathlib.Path
        The file to make, ``*.flac``; folders above it are made if need be.

    Raises
    ------
    Unreadable
        If the source is damaged, absent, or holds no audio.
    DataError
        If nothing that decodes is installed, or the target can not be written.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> sf.write(folder / "a.wav", np.zeros((44100, 2)), 44100)
    >>> transcode(folder / "a.wav", folder / "a.flac")
    >>> samples, rate = sf.read(folder / "a.flac")
    >>> samples.shape, rate
    ((16000,), 16000)
    """
    samples = _decoder()(str(source))
    if len(samples) == 0:
        raise Unreadable("empty: 0 samples")
    with replacing(target) as beside:
        sf.write(beside, samples, SAMPLE_RATE, "PCM_16", format="FLAC")


def transcode_all(files, num_workers=None, name="converting"):
    """Transcodes in parallel what is not there yet, and shows how far it is.

    Arguments
    ---------
    files : list of (str, str or pathlib.Path, pathlib.Path)
        Id, source and target of each, as of ``transcode``. A target that has
        a byte is whole and is left as it is.
    num_workers : int, optional
        Threads, ``NUM_WORKERS`` by default.
    name : str
        What the progress is of.

    Returns
    -------
    list of Fault
        Sources that are unreadable, in order; they have no target.

    Raises
    ------
    DataError
        As of ``transcode``; what was done until then stays.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.m4a").write_text("no audio")
    >>> files = [("a", folder / "a.m4a", folder / "flac" / "a.flac")]
    >>> transcode_all(files)[0].reason
    "unreadable: ... Invalid data found when processing input: '...a.m4a'"
    """
    pending = [file for file in files if not _is_there(file[2])]
    if len(pending) < len(files):
        logger.info(f"{name}: {len(files) - len(pending)} were made earlier")
    if not pending:
        return []
    _decoder()  # that there is none is better said before the work than in it
    for folder in {target.parent for _, _, target in pending}:
        remove_left_overs(folder, ".flac")

    def convert(file):
        id_, source, target = file
        try:
            transcode(source, target)
        except Unreadable as error:
            return Fault(id_, str(source), str(error))
        return None

    # Threads: the libraries that decode and encode let go of Python's lock.
    with (
        ThreadPool(num_workers or NUM_WORKERS) as pool,
        Progress(name, len(pending)) as progress,
    ):
        faults = []
        for fault in pool.imap(convert, pending):
            progress.update()
            if fault is not None:
                faults.append(fault)
    return faults


def _is_there(path):
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _decoder():
    """What turns a path into int16 samples (N,) of 16 kHz here."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        if shutil.which("ffmpeg"):
            return _decode_with_ffmpeg
        raise DataError('m4a needs PyAV: pip install -e ".[av]"') from error
    return _decode_with_pyav


def _decode_with_pyav(source):
    import av

    try:
        with av.open(source) as container:
            if not container.streams.audio:
                raise Unreadable("no audio in it")
            stream = container.streams.audio[0]
            parts = [np.zeros(0, np.int16)]
            resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    parts.append(part.to_ndarray()[0])
            if len(parts) > 1:  # one that had nothing can not be flushed
                for part in resampler.resample(None):
                    parts.append(part.to_ndarray()[0])
            due = _due(container, stream)
    except Unreadable:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(f"unreadable: {error}") from error
    samples = np.concatenate(parts)
    if due is None:
        return samples
    # FFmpeg takes a file that ends between two packets for a shorter one.
    lacking = (due - len(samples)) / SAMPLE_RATE
    if lacking > MAX_LACKING:
        raise Unreadable(f"truncated: the last {lacking:.1f} s are missing")
    return samples[:due]  # after that comes what fills the last packet


def _due(container, stream):
    """Samples that there should be; None where the header does not say it."""
    # The length of a bare AAC stream is guessed from its first packets' rate.
    if "m4a" not in container.format.name or not stream.duration:
        return None
    return round(stream.duration * stream.time_base * SAMPLE_RATE)


def _decode_with_ffmpeg(source):
    """The program stops at damage, but not where a file ends between packets:
    only PyAV tells how long it should be."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", source]
    command += ["-map", "0:a:0", "-ac", "1", "-ar", str(SAMPLE_RATE)]
    done = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() or "no reason"
        raise Unreadable(f"unreadable: {reason.splitlines()[0]}")
    return np.frombuffer(done.stdout, "<i2").astype(np.int16)
