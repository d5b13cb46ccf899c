"""What is known of a run before its results are.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path
from typing import NamedTuple

from d2v_sb.errors import UserError
from d2v_sb.reporting.folds import find_folds
from d2v_sb.reporting.options import Options, read_options, read_text
from d2v_sb.reporting.train_log import TrainLog, read_train_log

# Any of these makes a folder a run's.
SIGNS = (
    "hyperparams.yaml",
    "train_log.txt",
    "curves.csv",
    "summary.json",
    "wer_*.txt",
    "predictions_*.json",
    "*.scores.tsv",
)


class Run(NamedTuple):
    """A run; what its folder has not is empty."""

    folder: Path
    options: Options
    log: TrainLog
    curves: list  # rows of curves.csv
    folds: list  # folders


def check_run(folder):
    """Raises a ``UserError`` for a folder that is no run's.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of a recipe.

    Raises
    ------
    UserError
        If it is not there or holds none of ``SIGNS``.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    if (folder / "model.ckpt").is_file():
        raise UserError(
            f"{folder} is a model folder: give the output folder of the run, "
            "in which it lies"
        )
    if has_begun(folder) or find_folds(folder):
        return
    raise UserError(
        f"{folder} is no output folder of a recipe: it has none of "
        f"{', '.join(SIGNS)}, and no folds either. Give the --output_folder "
        "of a run"
    )


def has_begun(folder):
    """Whether a run has left anything that a page can show.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of a recipe, or of a fold.

    Returns
    -------
    bool

    Example
    -------
    >>> has_begun(getfixture("tmp_path"))
    False
    """
    return any(any(folder.glob(sign)) for sign in SIGNS)


def read_run(folder, reader):
    """Options, train log and curves of a run.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of a recipe.
    reader : Reader
        Gets a note of what can not be read.

    Returns
    -------
    Run
    """
    folds = find_folds(folder)
    # A run of folds has its options in each of them.
    own = folder if not folds else folds[0]
    path = own / "hyperparams.yaml"
    options = reader.attempt(read_options, path) or read_text(path)
    log = reader.attempt(read_train_log, folder / "train_log.txt")
    curves = []
    if (folder / "curves.csv").is_file():
        curves = reader.attempt(_read_curves, folder / "curves.csv") or []
    return Run(folder, options, log or TrainLog([], {}), curves, folds)


def _read_curves(path):
    from d2v_sb.pretraining.plot import read_curves

    columns = read_curves(path)
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
