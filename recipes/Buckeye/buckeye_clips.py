"""Utterances of Buckeye's recordings as FLAC files of their own.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from multiprocessing.pool import ThreadPool

import soundfile as sf
from buckeye_words import read_tokens, segment

from d2v_sb.atomic import remove_left_overs, replacing
from d2v_sb.audio_files import NUM_WORKERS, Fault, raise_if_damaged
from d2v_sb.journal import Journal, stamp
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.progress import Progress

JOURNAL = "clips.made.jsonl"  # in the clips' folder: of what each was cut


@dataclass
class Listing:
    """What became of a recording."""

    rows: list[dict] = field(default_factory=list)  # less the duration
    faults: list[Fault] = field(default_factory=list)


def cut_all(recordings, clips_folder, num_workers=None):
    """Cuts recordings into their utterances.

    A clip that an earlier run cut from the same audio (by its size and time of
    change) at the same times is kept.

    Arguments
    ---------
    recordings : list of Recording
        What to cut.
    clips_folder : pathlib.Path
        Where ``<speaker>/<utterance>.<first sample>-<last sample>.flac`` go.
    num_workers : int, optional
        Threads, ``NUM_WORKERS`` by default.

    Returns
    -------
    list of Listing
        One a recording.

    Raises
    ------
    DataError
        If a clip can not be written.
    """
    for folder in clips_folder.glob("s*"):
        remove_left_overs(folder, ".flac")
    listings = []
    with (
        Journal(clips_folder / JOURNAL) as journal,
        ThreadPool(num_workers or NUM_WORKERS) as pool,
        Progress("cutting", len(recordings), "recording") as progress,
    ):
        work = partial(cut, clips_folder=clips_folder, journal=journal)
        for listing in pool.imap(work, recordings):
            progress.update()
            listings.append(listing)
    return listings


def cut(recording, clips_folder, journal):
    """Cuts a recording into those of its clips that are not there yet.

    Arguments
    ---------
    recording : Recording
        What to cut.
    clips_folder : pathlib.Path
        As of ``cut_all``.
    journal : Journal
        Of what the clips that are there were cut.

    Returns
    -------
    Listing
    """
    try:
        text = recording.read(".words").decode("utf-8")
        utterances = segment(read_tokens(text))
    except ValueError as error:  # bytes that are no UTF-8 are one too
        where = recording.where(".words")
        return Listing(faults=[Fault(recording.name, where, str(error))])
    listing, missing = Listing(), []
    # Before the file is read: it may change while it is.
    now = stamp(recording.source(".wav"))
    for place, utterance in enumerate(utterances):
        id_ = f"{recording.name}_{place}"
        # The times are in the name, so that a CSV of other times is seen to
        # be an old one. One recording begins at -1 s.
        first = max(0, int(utterance.begin * SAMPLE_RATE))
        last = int(utterance.end * SAMPLE_RATE)
        name = f"{recording.speaker}/{id_}.{first}-{last}.flac"
        path = clips_folder / name
        row = {"ID": id_, "wav": str(path), "spk_id": recording.speaker}
        listing.rows.append({**row, "wrd": utterance.words})
        if journal.get(name, now) is None or not path.is_file():
            missing.append((name, utterance))
    if not missing:
        return listing
    try:
        samples, rate = read_recording(recording)
    except (ValueError, sf.SoundFileError) as error:
        where, reason = recording.where(".wav"), str(error)
        faults = [Fault(row["ID"], where, reason) for row in listing.rows]
        return Listing(faults=faults)
    for name, utterance in missing:
        begin = max(0, int(utterance.begin * rate))
        clip = samples[begin : int(utterance.end * rate)]
        if len(clip):
            with replacing(clips_folder / name) as beside:
                sf.write(beside, clip, rate, format="FLAC")
            journal.add(name, now, len(clip) / rate, "")
            continue
        id_ = name.rpartition("/")[2].partition(".")[0]
        reason = (
            f"no sound from {utterance.begin} to {utterance.end} s: the "
            f"recording has {len(samples) / rate:.2f} s"
        )
        listing.faults.append(Fault(id_, recording.where(".wav"), reason))
        listing.rows = [row for row in listing.rows if row["ID"] != id_]
    return listing


def read_recording(recording):
    """Samples and sample rate of a recording, whose rate and channels are left
    as they are: what is wrong with them is wrong with each clip.

    Raises
    ------
    ValueError, soundfile.SoundFileError
        If it can not be read whole.
    """
    held = BytesIO(recording.read(".wav"))
    with sf.SoundFile(held) as audio:
        # A zip has a checksum, and is no path that could be asked.
        if recording.place.suffix != ".zip":
            raise_if_damaged(audio, recording.source(".wav"))
            audio.seek(0)
        return audio.read(dtype="int16"), audio.samplerate
