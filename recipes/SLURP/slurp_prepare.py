"""Prepare SLURP: recordings and their scenarios, each audio file checked first.

Annotations (https://github.com/pswietojanski/slurp) and audio
(https://zenodo.org/record/4274930) lie as ``slurp_annotations`` says. As in
MP3S, all recordings of a sentence count, those of both microphones, and the
class is the scenario.

    python recipes/SLURP/slurp_prepare.py DATA_FOLDER SAVE_FOLDER

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from slurp_annotations import (
    TRAIN_SPLITS,
    list_split,
    name_speakers,
    read_speakers,
)

from d2v_sb.audio_files import check_choice
from d2v_sb.class_manifests import make_class_manifests
from d2v_sb.errors import DataError
from d2v_sb.manifest import as_list
from d2v_sb.preparation_command import preparation_parser, run_preparation


def prepare_slurp(
    data_folder,
    save_folder,
    train_splits=("train_real",),
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
):
    """Writes ``train.csv``, ``dev.csv`` and ``test.csv`` of recordings and
    their scenarios.

    What an earlier run made of the same is kept.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Folder of the annotations and the audio.
    save_folder : str or pathlib.Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    train_splits : list of str, or str
        Of ``train_real`` and ``train_synthetic``; MP3S takes the former.
    on_bad_audio : str
        What to do about recordings that can not be used as they are:
        ``error``, ``drop`` or ``convert`` (see
        ``d2v_sb.audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if a split is empty, if
        recordings can not be used and ``on_bad_audio`` is ``error``, or if a
        CSV can not be written.

    Example
    -------
    >>> prepare_slurp("data", "csv", skip_prep=True)
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    parts = {
        "train": check_train_splits(train_splits),
        "dev": ["devel"],
        "test": ["test"],
    }
    speakers = read_speakers(data_folder)
    listings, first_seen = {}, {}
    for name, splits in parts.items():
        found = [list_split(data_folder, x, first_seen) for x in splits]
        rows = [row for rows, _ in found for row in rows]
        faults = [fault for _, faults in found for fault in faults]
        listings[name] = name_speakers(rows, speakers, name), faults
    make_class_manifests(save_folder, listings, on_bad_audio, num_workers)


def check_train_splits(names):
    """Names of splits to train on, each once; raises a ``DataError`` if there
    is none or another."""
    names = as_list(list(names) if isinstance(names, tuple) else names)
    wrong = [name for name in names if name not in TRAIN_SPLITS]
    if wrong or not names:
        raise DataError(
            f"train_splits: {', '.join(wrong) or 'none given'}; give one or "
            f"both of: {', '.join(TRAIN_SPLITS)}"
        )
    return names


def main(argv=None):
    """The command line."""
    parser = preparation_parser(__doc__, "annotations and audio")
    parser.add_argument(
        "--train_splits",
        nargs="+",
        default=["train_real"],
        help=f"one or both of {', '.join(TRAIN_SPLITS)}",
    )
    run_preparation(prepare_slurp, parser, argv)


if __name__ == "__main__":
    main()
