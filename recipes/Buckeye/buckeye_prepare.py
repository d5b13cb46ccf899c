#!/usr/bin/env python3
"""Prepare Buckeye as the MP3S benchmark does: the conversations of forty
speakers, cut into utterances, every audio file checked first.

> python recipes/Buckeye/buckeye_prepare.py DATA_FOLDER SAVE_FOLDER

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from buckeye_clips import cut_all
from buckeye_recordings import WAY_OUT, find_recordings
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import check_choice
from d2v_sb.errors import DataError
from d2v_sb.manifest import make_manifest
from d2v_sb.preparation_command import preparation_parser, run_preparation

logger = get_logger(__name__)

COLUMNS = ["ID", "duration", "wav", "spk_id", "wrd"]
SPLITS = ("train", "dev", "test")
# All others are trained on. MP3S's script means the same, but compares these
# with names of files and trains on their speakers too.
SPEAKERS = {"dev": ("s36", "s37"), "test": ("s38", "s39", "s40")}
ALL = [f"s{number:02d}" for number in range(1, 41)]


def prepare_buckeye(
    data_folder,
    save_folder,
    clips_folder=None,
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
):
    """Writes ``train.csv``, ``dev.csv`` and ``test.csv``, and the utterances
    as FLAC files.

    Utterances are MP3S's (see ``buckeye_words.segment``). What an earlier run
    made of the same is kept.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Folder that holds the recordings at any depth, unzipped or in
        ``s01.zip`` ... ``s40.zip``.
    save_folder : str or pathlib.Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    clips_folder : str or pathlib.Path, optional
        Where the FLAC files go; by default ``clips`` in the save folder.
    on_bad_audio : str
        What to do about utterances that can not be used as they are:
        ``error``, ``drop`` or ``convert`` (see
        ``d2v_sb.audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that cut and open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if a split has no
        utterance, if audio is bad and ``on_bad_audio`` is ``error``, or if a
        file can not be written.

    Example
    -------
    >>> prepare_buckeye("data", "csv", skip_prep=True)
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    clips_folder = Path(clips_folder or save_folder / "clips")
    clips_folder = clips_folder.expanduser().absolute()
    recordings = find_recordings(data_folder)
    check_speakers({each.speaker for each in recordings}, data_folder)
    listings = cut_all(recordings, clips_folder, num_workers)
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    parts = {split: ([], []) for split in SPLITS}
    for recording, listing in zip(recordings, listings):
        rows, faults = parts[split_of(recording.speaker)]
        rows += listing.rows
        faults += listing.faults
    for split, (rows, faults) in parts.items():
        if not rows and not faults:
            raise DataError(
                f"{split}: the recordings of its speakers in {data_folder} "
                "have no utterance. Fetch them again."
            )
        path = save_folder / f"{split}.csv"
        options = faults, on_bad_audio, num_workers
        make_manifest(path, rows, COLUMNS, *options)


def split_of(speaker):
    """The split that a speaker is in.

    Example
    -------
    >>> split_of("s01"), split_of("s36"), split_of("s40")
    ('train', 'dev', 'test')
    """
    for split, speakers in SPEAKERS.items():
        if speaker in speakers:
            return split
    return "train"


def check_speakers(found, data_folder):
    """Raises a ``DataError`` for splits without a speaker, and warns of absent
    ones: figures on a part of the test set are none of the benchmark."""
    lacking = {split: [] for split in SPLITS}
    for speaker in sorted({*ALL, *found} - found):
        lacking[split_of(speaker)].append(speaker)
    empty = sorted({*SPLITS} - {split_of(speaker) for speaker in found})
    if empty:
        names = "; ".join(f"{k}: {', '.join(lacking[k])}" for k in empty)
        raise DataError(
            f"{data_folder} has no recording of any speaker of {names}. "
            f"{WAY_OUT}"
        )
    for split, speakers in lacking.items():
        if speakers:
            logger.warning(
                f"{data_folder}: {split} lacks speakers {', '.join(speakers)}"
            )


def main(argv=None):
    """Prepares what the command line says."""
    parser = preparation_parser(
        __doc__, "holds s01.zip to s40.zip, or what they hold"
    )
    parser.add_argument(
        "--clips_folder",
        help="for the utterances, clips in the save folder if left out",
    )
    run_preparation(prepare_buckeye, parser, argv)


if __name__ == "__main__":
    main()
