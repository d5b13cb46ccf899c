"""Audio files of a corpus: what is wrong with them, and what becomes of them.

Every file is opened once, before training. What can not be used as it is
becomes a ``Fault``, and ``on_bad_audio`` says whether faults stop the
preparation, are left out, or are converted when the file is read.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import soundfile as sf

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError
from d2v_sb.journal import stamp
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.progress import Progress

MIN_SAMPLES = 400  # the conv stack's receptive field: less gives no frame
MIN_SECONDS = MIN_SAMPLES / SAMPLE_RATE
MAX_SAMPLES = 1 << 40  # libsndfile says 2**63 - 1 where a FLAC says nothing
UNKNOWN_RIFF_SIZES = (0, 0xFFFFFFFF)  # as written into a pipe
SHOWN = 20  # bad files that an error message names
# Threads, not processes: cached headers come at 4,000 files/s either way,
# network disks need many reads in flight, and forked workers outlive a
# SIGKILL of their parent.
NUM_WORKERS = 8
ON_BAD_AUDIO = {
    "error": "stops and lists them",
    "drop": "leaves them out",
    "convert": "keeps those whose only fault is the sample rate or the "
    "number of channels (resampled and mixed to mono when read) and leaves "
    "the rest out",
}


@dataclass(frozen=True)
class Fault:
    """Why an utterance can not be used, or only after conversion."""

    id: str
    where: str
    reason: str
    convertible: bool = False


def check_choice(on_bad_audio):
    """Raises a ``DataError`` for a key that ``ON_BAD_AUDIO`` has not."""
    if on_bad_audio not in ON_BAD_AUDIO:
        choices = "; ".join(f"{k!r} {v}" for k, v in ON_BAD_AUDIO.items())
        raise DataError(
            f"on_bad_audio is {on_bad_audio!r}, but must be one of: {choices}"
        )


def check_audio(
    files,
    on_bad_audio="error",
    name=None,
    num_workers=None,
    keep_short=False,
    journal=None,
):
    """Examines files in parallel and sorts them, and shows how far it is.

    Arguments
    ---------
    files : list of (str, str or pathlib.Path)
        Ids, each once, and paths.
    on_bad_audio : str
        Only ``convert`` keeps what could be converted.
    name : str, optional
        What the progress is of.
    num_workers : int, optional
        Threads, ``NUM_WORKERS`` by default.
    keep_short : bool
        Audio of less than ``MIN_SECONDS`` is no fault: the caller leaves it
        out.
    journal : Journal, optional
        Files that it knows are not opened; the others are noted in it.

    Returns
    -------
    durations : dict of str to float
        Seconds of each file that can be used, by id, in order.
    dropped, kept : list of Fault
        What is left out, and what is kept to be converted when read.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.flac"
    >>> sf.write(path, np.zeros(4000), 8000)
    >>> durations, dropped, kept = check_audio([("a", path)], "convert")
    >>> durations, dropped, kept[0].reason
    ({'a': 0.5}, [], '8000 Hz, not 16000')
    """

    def look(file):
        return examine(*file) if journal is None else recall(*file, journal)

    durations, dropped, kept = {}, [], []
    with (
        ThreadPool(num_workers or NUM_WORKERS) as pool,
        Progress(name, len(files)) as progress,
    ):
        results = pool.imap(look, files, chunksize=16)
        for (id_, _), (seconds, fault) in zip(files, results):
            progress.update()
            if keep_short and 0 < seconds < MIN_SECONDS:
                fault = None
            if fault is not None:
                if on_bad_audio != "convert" or not fault.convertible:
                    dropped.append(fault)
                    continue
                kept.append(fault)
            durations[id_] = seconds
    return durations, dropped, kept


def recall(id_, path, journal):
    """``examine``, unless the journal knows the file as it is now.

    What can not be used even by conversion is not noted, and so is examined
    each time: it may have been the disk's fault, or mended in a way that the
    stamp does not show.

    Arguments
    ---------
    id_, path
        As of ``examine``.
    journal : Journal
        Asked, and told.

    Returns
    -------
    seconds, fault
        As of ``examine``.

    Example
    -------
    >>> from d2v_sb.journal import Journal
    >>> folder = getfixture("tmp_path")
    >>> sf.write(folder / "a.flac", np.zeros(8000), 16000)
    >>> with Journal(folder / "dev.examined.jsonl") as journal:
    ...     recall("a", folder / "a.flac", journal)
    (0.5, None)
    """
    # Before the file is opened: it may change while it is.
    path, now = str(path), stamp(path)
    known = journal.get(path, now)
    if known is not None:
        seconds, reason = known
        return seconds, Fault(id_, path, reason, True) if reason else None
    seconds, fault = examine(id_, path)
    if now is not None and (fault is None or fault.convertible):
        reason = "" if fault is None else fault.reason
        journal.add(path, now, seconds, reason)
    return seconds, fault


def examine(id_, path):
    """Checks an audio file by its header and its last sample.

    A file damaged in the middle passes: finding it would mean decoding
    everything. Only floats, which alone can be NaN, are read whole, and MP3
    files that do not say how long they are.

    Arguments
    ---------
    id_ : str
        Of the utterance.
    path : str or pathlib.Path
        What to open.

    Returns
    -------
    seconds : float
        Duration by the header.
    fault : Fault or None
        What is wrong.

    Example
    -------
    >>> examine("a", "missing.flac")[1].reason
    "unreadable: [Errno 2] No such file or directory: 'missing.flac'"
    """
    path, seconds, unfit = Path(path), 0.0, []
    try:
        if path.stat().st_size == 0:
            raise ValueError("empty: a file of 0 bytes")
        with sf.SoundFile(path) as audio:
            if audio.frames > 0:
                seconds = audio.frames / audio.samplerate
            if audio.format == "MP3" and not has_length(path):
                seconds = decoded_seconds(audio)
            else:
                raise_if_damaged(audio, path)
            if audio.samplerate != SAMPLE_RATE:
                unfit.append(f"{audio.samplerate} Hz, not {SAMPLE_RATE}")
            if audio.channels != 1:
                unfit.append(f"{audio.channels} channels, not 1")
    except (OSError, sf.SoundFileError) as error:
        return seconds, Fault(id_, str(path), f"unreadable: {error}")
    except ValueError as error:
        return seconds, Fault(id_, str(path), str(error))
    if unfit:
        return seconds, Fault(id_, str(path), "; ".join(unfit), True)
    return seconds, None


def has_length(path):
    """Whether an MP3 file says how long it is.

    One that was written into a pipe does not, as those of Common Voice: what
    libsndfile takes for its length is then a guess from the size of the file
    (its issue 1086), and mostly too much. Whether such a file is cut off can
    not be known.
    """
    with open(path, "rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":
            size = 0
            for byte in head[6:10]:
                size = size << 7 | byte
            file.seek(10 + size)
        else:
            file.seek(0)
        frame = file.read(64)  # the tag is in it, behind its side information
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def decoded_seconds(audio):
    """Seconds of an open file by decoding it; a ``ValueError`` if there is
    less than a frame of the encoder."""
    frames = 0
    # Not blocks(): it gives as many samples as libsndfile guessed.
    while num := len(audio.read(65536)):
        frames += num
    if frames * SAMPLE_RATE < MIN_SAMPLES * audio.samplerate:
        raise ValueError(
            f"too short: {frames} samples at {audio.samplerate} Hz could be "
            f"decoded, where one frame of the encoder takes {MIN_SAMPLES} at "
            f"{SAMPLE_RATE} Hz"
        )
    return frames / audio.samplerate


def raise_if_damaged(audio, path):
    """Raises a ``ValueError`` that says what no conversion would mend."""
    if audio.frames == 0:
        raise ValueError("empty: 0 samples")
    if audio.frames > MAX_SAMPLES:
        raise ValueError("no length in its header, as if from a pipe")
    if audio.frames * SAMPLE_RATE < MIN_SAMPLES * audio.samplerate:
        raise ValueError(
            f"too short: {audio.frames} samples at {audio.samplerate} Hz, "
            f"where one frame of the encoder takes {MIN_SAMPLES} at "
            f"{SAMPLE_RATE} Hz"
        )
    if audio.format == "WAV":
        # libsndfile takes a cut WAV for a shorter one: ask the file itself.
        with open(path, "rb") as file:
            riff_size = int.from_bytes(file.read(8)[4:], "little")
        lacking = riff_size + 8 - path.stat().st_size
        # One byte: some writers count a padding byte that they do not write.
        if riff_size not in UNKNOWN_RIFF_SIZES and lacking > 1:
            raise ValueError(f"truncated: {lacking} bytes are missing")
    try:
        audio.seek(audio.frames - 1)
        cut = len(audio.read(1)) != 1
    except sf.SoundFileError:
        cut = True
    if cut:
        raise ValueError(
            f"truncated: the last of its {audio.frames} samples is missing"
        )
    if audio.subtype in ("FLOAT", "DOUBLE"):
        audio.seek(0)
        if not all(np.isfinite(block).all() for block in audio.blocks(65536)):
            raise ValueError("NaN or infinite samples")


def write_faults(path, on_bad_audio, dropped, kept):
    """Lists faults: a line on the choice, then fate, id, file and reason.

    Arguments
    ---------
    path : pathlib.Path
        The list, ``<split>.bad.txt``.
    on_bad_audio : str
        The choice under which this was decided.
    dropped, kept : list of Fault
        As of ``check_audio``.

    Example
    -------
    >>> path = getfixture("tmp_path") / "dev.bad.txt"
    >>> write_faults(path, "drop", [Fault("a", "a.flac", "empty")], [])
    >>> read_dropped(path, "drop")
    {('a', 'a.flac')}
    """
    lines = [_header(on_bad_audio)]
    for fate, faults in (("dropped", dropped), ("kept", kept)):
        for fault in faults:
            reason = " ".join(fault.reason.split())
            lines.append(f"{fate}\t{fault.id}\t{fault.where}\t{reason}\n")
    with replacing(path) as beside:
        beside.write_text("".join(lines), encoding="utf-8", newline="")


def read_dropped(path, on_bad_audio):
    """(id, where) of what a list drops; None if by another choice."""
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines[:1] != [_header(on_bad_audio)]:
        return None
    fields = [line.split("\t") for line in lines]
    return {tuple(f[1:3]) for f in fields if f[0] == "dropped"}


def _header(on_bad_audio):
    return f"# on_bad_audio={on_bad_audio}; fate, id, file and reason follow\n"


def stop_message(name, faults, total, path):
    """Text of the error that stops at faults, all of them listed in a file."""
    lines = [f"{name}: {len(faults)} of {total} utterances can not be used:"]
    lines += [f"  {fault.where}: {fault.reason}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  ... and {len(faults) - SHOWN} more")
    convertible = sum(fault.convertible for fault in faults)
    lines.append(f"All of them are listed in {path}.")
    lines.append(
        "Mend them or fetch them again, or choose with --on_bad_audio: "
        f"'drop' {ON_BAD_AUDIO['drop']}; 'convert' {ON_BAD_AUDIO['convert']} "
        f"(it would keep {convertible} of these)."
    )
    return "\n".join(lines)
