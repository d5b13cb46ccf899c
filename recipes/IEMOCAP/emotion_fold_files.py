"""Folds on disk: ``<fold>/train.csv``, ``dev.csv`` and ``test.csv``.

Authors
 * The d2v_sb developers 2026
"""

from emotion_folds import PARTS, in_order

from d2v_sb.atomic import remove_left_overs
from d2v_sb.errors import DataError
from d2v_sb.manifest import read_rows, write_rows

COLUMNS = ["ID", "duration", "wav", "spk_id", "label"]


def find_folds(save_folder):
    """Names of the folders in a folder that hold the CSVs of a fold.

    Arguments
    ---------
    save_folder : Path
        Need not exist.

    Returns
    -------
    list of str
        Sorted, ``random2`` before ``random10``.

    Example
    -------
    >>> find_folds(getfixture("tmp_path"))
    []
    """
    found = (path.parent for path in save_folder.glob("[!.]*/train.csv"))
    return in_order(
        folder.name
        for folder in found
        if all((folder / f"{part}.csv").is_file() for part in PARTS)
    )


def refuse_others(save_folder, names):
    """Raises a ``DataError`` if a folder holds other folds than those named.

    A later ``skip_prep``, and a mean over folds, would take them for folds of
    the same protocol.
    """
    others = [name for name in find_folds(save_folder) if name not in names]
    if others:
        raise DataError(
            f"{save_folder} holds folds of other options or of another "
            f"corpus: {', '.join(others)}. Remove their folders or choose "
            "another --output_folder"
        )


def write_folds(save_folder, folds, table):
    """Writes the CSVs of folds; those that say the same already are kept.

    Arguments
    ---------
    save_folder : Path
        Where each gets its folder.
    folds : list of Fold
        What to write.
    table : list of dict
        The rows of ``all.csv``.
    """
    for fold in folds:
        remove_left_overs(save_folder / fold.name, ".csv")
        for part in PARTS:
            ids, path = getattr(fold, part), save_folder / fold.name / part
            rows = [row for row in table if row["ID"] in ids]
            if read_rows(path.with_suffix(".csv"), COLUMNS) != rows:
                write_rows(path.with_suffix(".csv"), rows, COLUMNS)
