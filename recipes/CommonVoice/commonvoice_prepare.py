#!/usr/bin/env python3
r"""Prepare a language of Common Voice as the MP3S benchmark does for Welsh and
Basque, every audio file checked first.

> python recipes/CommonVoice/commonvoice_prepare.py \
      DATA_FOLDER SAVE_FOLDER [LANGUAGE]

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from commonvoice_sentences import SPLITS, find_language, list_split
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import check_choice
from d2v_sb.errors import DataError
from d2v_sb.manifest import make_manifest, stream_rows, write_rows
from d2v_sb.preparation_command import preparation_parser, run_preparation

logger = get_logger(__name__)

COLUMNS = ["ID", "duration", "wav", "spk_id", "wrd"]


def prepare_common_voice(
    data_folder,
    save_folder,
    language=None,
    on_bad_audio="convert",
    longest_seconds=10.0,
    fewest_words=3,
    num_workers=None,
    skip_prep=False,
):
    """Writes ``train.csv``, ``dev.csv`` and ``test.csv``.

    MP3 files stay where and as they are, and are resampled when read. What an
    earlier run made of the same is kept. ``train-all.csv`` has the clips that
    are too long to train on too.

    Text is as it is for MP3S's Welsh and Basque; its rules for other languages,
    which leave out punctuation or write capitals, are not applied.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Folder of a language, such as ``cv-corpus-11.0-2022-09-21/cy``, or the
        folder that it is in.
    save_folder : str or pathlib.Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    language : str, optional
        Code of the language, where ``data_folder`` is the folder that it is
        in.
    on_bad_audio : str
        What to do about utterances that can not be used as they are:
        ``error``, ``drop`` or ``convert`` (see
        ``d2v_sb.audio_files.ON_BAD_AUDIO``). Common Voice has 32 or 48 kHz:
        only ``convert`` leaves anything of it.
    longest_seconds : float
        Longer clips are not trained on; dev and test have all.
    fewest_words : int
        Sentences of fewer are left out everywhere. Take 1 for a language that
        is written without spaces.
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if a split is empty, if
        audio is bad and ``on_bad_audio`` is ``error``, or if a file can not be
        written.

    Example
    -------
    >>> prepare_common_voice("data/cy", "csv", skip_prep=True)
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    folder = find_language(data_folder, language)
    listings = {
        split: list_split(folder / f"{split}.tsv", fewest_words)
        for split in SPLITS
    }
    check_found(listings, folder, fewest_words)
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    for split, listing in listings.items():
        # Durations are known only then.
        name = "train-all" if split == "train" else split
        path = save_folder / f"{name}.csv"
        options = listing.faults, on_bad_audio, num_workers
        make_manifest(path, listing.rows, COLUMNS, *options)
    leave_out_long(
        save_folder / "train-all.csv",
        save_folder / "train.csv",
        longest_seconds,
    )


def check_found(listings, folder, fewest_words):
    """Raises a ``DataError`` for lists of nothing, and says how many sentences
    are too short."""
    empty = []
    for split, listing in listings.items():
        if listing.num_short:
            logger.info(
                f"{split}: {listing.num_short} sentences of fewer than "
                f"{fewest_words} words are left out"
            )
        if not listing.rows and not listing.faults:
            empty.append(f"{split}.tsv ({listing.num_short} shorter ones)")
    if empty:
        raise DataError(
            f"{folder}: no sentence of {fewest_words} words or more in "
            f"{', '.join(empty)}. For a language that is written without "
            "spaces, set fewest_words to 1; else unpack the release again."
        )


def leave_out_long(source, target, longest_seconds):
    """Writes the rows of a CSV that are not too long to train on.

    Arguments
    ---------
    source, target : pathlib.Path
        What to read and to write.
    longest_seconds : float
        Rows of more are left out.

    Raises
    ------
    DataError
        If none is left.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> row = dict.fromkeys(COLUMNS, "a")
    >>> rows = [{**row, "duration": "10.0"}, {**row, "duration": "10.1"}]
    >>> write_rows(folder / "train-all.csv", rows, COLUMNS)
    >>> leave_out_long(folder / "train-all.csv", folder / "train.csv", 10)
    >>> [row["duration"] for row in stream_rows(folder / "train.csv", COLUMNS)]
    ['10.0']
    """
    rows = list(stream_rows(source, COLUMNS))
    kept = [row for row in rows if float(row["duration"]) <= longest_seconds]
    if not kept:
        raise DataError(
            f"{source}: each of its {len(rows)} clips is longer than "
            f"longest_seconds, {longest_seconds}. Set that higher."
        )
    write_rows(target, kept, COLUMNS)
    seconds = sum(float(row["duration"]) for row in kept)
    logger.info(
        f"train: {len(kept)} utterances, {seconds / 3600:.2f} hours; "
        f"{len(rows) - len(kept)} longer than {longest_seconds} s left out"
    )


def main(argv=None):
    """Prepares what the command line says."""
    parser = preparation_parser(
        __doc__, "of a language, or the folder that it is in", "convert"
    )
    add = parser.add_argument
    add("language", nargs="?", help="code of the language, such as cy or eu")
    add(
        "--longest_seconds",
        type=float,
        default=10.0,
        help="longer clips are not trained on",
    )
    add(
        "--fewest_words",
        type=int,
        default=3,
        help="sentences of fewer are left out",
    )
    run_preparation(prepare_common_voice, parser, argv)


if __name__ == "__main__":
    main()
