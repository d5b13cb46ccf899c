"""Prepare Fluent Speech Commands: commands and their intents, audio checked.

The corpus lies as its authors ship it: ``data/train_data.csv``,
``data/valid_data.csv``, ``data/test_data.csv`` and
``wavs/speakers/<speaker>/<utterance>.wav``. An intent is what SUPERB predicts
in three slots, action, object and location, joined to one class.

    python recipes/FluentSpeechCommands/fluent_commands_prepare.py \\
        DATA_FOLDER SAVE_FOLDER

Authors
 * The d2v_sb developers 2026
"""

import csv
from pathlib import Path

from d2v_sb.audio_files import SHOWN, Fault, check_choice
from d2v_sb.class_manifests import make_class_manifests
from d2v_sb.errors import DataError
from d2v_sb.folders import describe
from d2v_sb.preparation_command import preparation_parser, run_preparation

LISTS = {
    "train": "data/train_data.csv",
    "dev": "data/valid_data.csv",
    "test": "data/test_data.csv",
}
SLOTS = ["action", "object", "location"]
# The first column of the lists has no name; the words are of no use here.
NEEDED = ["path", "speakerId", *SLOTS]
WAY_OUT = (
    "Give the folder fluent_speech_commands_dataset, which holds data and wavs"
)


def prepare_fluent_commands(
    data_folder,
    save_folder,
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
):
    """Writes ``train.csv``, ``dev.csv`` and ``test.csv`` of commands and
    their intents.

    What an earlier run made of the same is kept.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Folder of the corpus, ``fluent_speech_commands_dataset``.
    save_folder : str or pathlib.Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    on_bad_audio : str
        What to do about commands that can not be used as they are: ``error``,
        ``drop`` or ``convert`` (see ``d2v_sb.audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if a speaker is in two
        splits, if a split is empty, if commands can not be used and
        ``on_bad_audio`` is ``error``, or if a CSV can not be written.

    Example
    -------
    >>> prepare_fluent_commands("data", "csv", skip_prep=True)
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    listings, first_seen = {}, {}
    for name, path in LISTS.items():
        lines = read_list(data_folder, path)
        listings[name] = list_split(data_folder, lines, first_seen)
    check_speakers({name: rows for name, (rows, _) in listings.items()})
    make_class_manifests(save_folder, listings, on_bad_audio, num_workers)


def read_list(data_folder, name):
    """(where, cells by column) of each line of a list of the corpus."""
    path = data_folder / name
    if not path.is_file():
        there = (
            f"folders found there: {describe(data_folder)}"
            if data_folder.is_dir()
            else "no such folder"
        )
        raise DataError(f"{data_folder} has no {name} ({there}). {WAY_OUT}")
    try:
        # -sig: spreadsheets begin their CSVs with a mark of UTF-8.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            lines = [
                (f"{path}, line {reader.line_num}", cells) for cells in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can not be read ({error})") from error
    lacking = [column for column in NEEDED if column not in header]
    if lacking:
        raise DataError(
            f"{path} has no column {', '.join(lacking)}: its header is "
            f"{','.join(header)!r}. Fetch it again"
        )
    return lines


def list_split(data_folder, lines, first_seen):
    """Rows (``COLUMNS`` less the duration) and faults of the lines of a list.

    Arguments
    ---------
    data_folder : pathlib.Path
        What paths are relative to.
    lines : list of (str, dict)
        As of ``read_list``.
    first_seen : dict of str to str
        Where each command is listed first; filled here.

    Returns
    -------
    rows : list of dict
    faults : list of Fault
        Commands without a speaker, a slot or a file, or listed before.

    Example
    -------
    >>> cells = {"path": "wavs/speakers/ann/1.wav", "speakerId": "ann"}
    >>> cells |= {"action": "increase", "object": "heat", "location": ""}
    >>> list_split(Path("/data"), [("line 2", cells)], {})[1][0].reason
    'no location'
    """
    rows, faults = [], []
    for where, line in lines:
        cells = {name: (line[name] or "").strip() for name in NEEDED}
        wav = data_folder / cells["path"]
        id_ = f"{wav.parent.name}/{wav.stem}"
        empty = [name for name in NEEDED if not cells[name]]
        if empty:
            reason = f"no {', '.join(empty)}"
        elif id_ in first_seen:
            reason = f"duplicate command, first in {first_seen[id_]}"
        else:
            reason = "" if wav.is_file() else f"missing: no {wav}"
        first_seen.setdefault(id_, where)
        if reason:
            # By its line: once its audio is there, the corpus has changed.
            faults.append(Fault(id_, where, reason))
            continue
        label = "|".join(cells[slot] for slot in SLOTS)
        row = {"ID": id_, "wav": str(wav), "spk_id": cells["speakerId"]}
        rows.append({**row, "label": label})
    return rows, faults


def check_speakers(tables):
    """Raises a ``DataError`` that names speakers who are in two splits."""
    splits = {}
    for name, rows in tables.items():
        for row in rows:
            splits.setdefault(row["spk_id"], {})[name] = None
    shared = [
        f"{speaker} in {' and '.join(names)}"
        for speaker, names in splits.items()
        if len(names) > 1
    ]
    if shared:
        more = f", and {len(shared) - SHOWN} more" * (len(shared) > SHOWN)
        raise DataError(
            f"{len(shared)} speakers are in several splits: "
            f"{', '.join(shared[:SHOWN])}{more}. The corpus parts speakers: "
            "fetch its lists again, or move all lines of a speaker to one"
        )


def main(argv=None):
    """The command line."""
    parser = preparation_parser(__doc__, "fluent_speech_commands_dataset")
    run_preparation(prepare_fluent_commands, parser, argv)


if __name__ == "__main__":
    main()
