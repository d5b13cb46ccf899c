"""A run of several folds: each of them, their mean, all together.

Authors
 * The d2v_sb developers 2026
"""

import math
import re

from d2v_sb.reporting.classes import (
    accuracy_row,
    accuracy_table,
    accuracy_tiles,
    confusions_of,
)
from d2v_sb.reporting.drawing import Line, draw, drawable
from d2v_sb.reporting.parts import Chart, Link, shown
from d2v_sb.reporting.reader import read_json
from d2v_sb.reporting.train_log import read_train_log, series

PARTS = ("train.csv", "dev.csv", "test.csv")


def find_folds(folder):
    """The folders of folds in the output folder of a run.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder.

    Returns
    -------
    list of pathlib.Path
        ``random2`` before ``random10``; none where it is no run of folds.

    Example
    -------
    >>> find_folds(getfixture("tmp_path"))
    []
    """
    if not (folder / "all.csv").is_file():
        return []
    return sorted(
        (
            path
            for path in folder.glob("[!.]*")
            if all((path / part).is_file() for part in PARTS)
        ),
        key=lambda path: [
            (0, int(part), "") if part.isdecimal() else (1, 0, part)
            for part in re.split(r"(\d+)", path.name)
        ],
    )


def fold_results(folder, folds, links, attempt):
    """The folds' accuracies, with links to their pages.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of the run.
    folds : list of pathlib.Path
        As of ``find_folds``.
    links : dict
        Addresses of the pages of those that have one.
    attempt : callable
        As of ``d2v_sb.reporting.speech.speech_results``.

    Returns
    -------
    list of Tile
    list of Table or Confusion
    """
    rows, tiles, confusions = [], [], []
    for fold in folds:
        path, row = fold / "predictions_test.json", None
        if path.is_file():
            row = attempt(_fold_row, path)
        row = row or accuracy_row(fold.name, {})
        if fold in links:
            row[0] = Link(fold.name, links[fold])
        rows.append(row)
    path = folder / "summary.json"
    found = attempt(_summary, path) if path.is_file() else None
    if found is not None:
        tiles, more, confusions = found
        rows += more
    return tiles, [accuracy_table("Folds", rows), *confusions]


def _fold_row(path):
    return accuracy_row(path.parent.name, read_json(path))


def _summary(path):
    summary = read_json(path)
    rows = [
        accuracy_row(name, summary[key])
        for key, name in (
            ("mean", "mean of the folds"),
            ("all", "all predictions together"),
            ("majority", "always the most frequent class, mean"),
        )
    ]
    where = f"mean of {len(summary['folds'])} folds"
    return (
        accuracy_tiles(summary["mean"], where),
        rows,
        confusions_of(summary["all"], "all folds"),
    )


def fold_charts(folds):
    """Draws the folds' accuracies on dev over each other.

    Arguments
    ---------
    folds : list of pathlib.Path
        As of ``find_folds``.

    Returns
    -------
    list of Chart
    """
    lines = drawable(
        [
            Line(
                fold.name,
                *series(
                    read_train_log(fold / "train_log.txt").validations,
                    "valid UA",
                ),
            )
            for fold in folds
        ]
    )
    if not lines:
        return []
    values = [max(filter(math.isfinite, line.y)) for line in lines]
    note = (
        "Higher is better. Folds that lie far apart say how much a figure of "
        f"one fold would mean; their best are {shown(min(values), 1)} to "
        f"{shown(max(values), 1)} %."
    )
    title = "UA on dev, %, by fold"
    return [Chart(title, note, draw(title, lines))]
