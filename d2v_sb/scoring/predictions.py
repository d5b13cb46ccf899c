"""What a classifier predicted: kept as CSV, measured, averaged over folds.

Authors
 * The d2v_sb developers 2026
"""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import replacing
from d2v_sb.manifest import stream_rows
from d2v_sb.scoring.accuracy import (
    confusion,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)
from d2v_sb.scoring.bootstrap import group_interval
from d2v_sb.scoring.plot import plot_confusion

logger = get_logger(__name__)

COLUMNS = ["ID", "spk_id", "label", "predicted", "posterior"]
TRAINING = ["ID", "duration", "wav", "spk_id", "label"]
MEASURES = {
    "WA": weighted_accuracy,
    "UA": unweighted_accuracy,
    "F1": weighted_f1,
}
MOST_CLASSES = 30  # of a picture that can be read


def measures(matrix):
    """Accuracies in percent of a confusion matrix.

    Arguments
    ---------
    matrix : array_like
        As of ``confusion`` (K, K).

    Returns
    -------
    dict of str to float
        By the keys of ``MEASURES``.

    Example
    -------
    >>> measures([[3, 1], [0, 1]])["UA"]
    87.5
    """
    return {name: 100 * of(matrix) for name, of in MEASURES.items()}


def measure_predictions(rows):
    """Accuracies of predictions, with 95 % intervals over speakers.

    Arguments
    ---------
    rows : list of dict
        With ``COLUMNS``.

    Returns
    -------
    dict
        ``utterances``, ``speakers``, ``classes``, ``confusion`` (true classes
        in rows), and for each of ``MEASURES`` its percentage and, where there
        are several speakers, [low, high] as ``<measure>_interval``. Where each
        speaker is a class, F1 has none: a speaker who is drawn twice brings
        her own hits twice, but not what others are taken for her.

    Example
    -------
    >>> rows = [
    ...     {"spk_id": s, "label": "a", "predicted": p}
    ...     for s, p in zip("xyz", "aab")
    ... ]
    >>> result = measure_predictions(rows)
    >>> round(result["WA"], 1), result["WA_interval"]
    (66.7, [0.0, 100.0])
    """
    labels = [row["label"] for row in rows]
    predicted = [row["predicted"] for row in rows]
    speakers = [row["spk_id"] for row in rows]
    names = sorted({*labels, *predicted})
    index = {name: i for i, name in enumerate(names)}
    targets = np.array([index[name] for name in labels])
    guesses = np.array([index[name] for name in predicted])
    matrix = confusion(targets, guesses, len(names))
    result = {
        "utterances": len(rows),
        "speakers": len(set(speakers)),
        **measures(matrix),
        "classes": names,
        "confusion": matrix.tolist(),
    }
    if result["speakers"] > 1:

        def all_measures(targets, guesses, weights):
            drawn = confusion(targets, guesses, len(names), weights)
            return np.array(list(measures(drawn).values()))

        low, high = group_interval(all_measures, targets, guesses, speakers)
        limits = zip(MEASURES, low.tolist(), high.tolist(), strict=True)
        for name, *interval in limits:
            result[f"{name}_interval"] = interval
        if len(set(zip(speakers, labels))) == result["speakers"]:
            del result["F1_interval"]
    return result


def report(rows, stem):
    """Measures predictions and writes ``<stem>.json`` and, of few classes, the
    confusion matrix, there and as ``<stem>.confusion.png``.

    Arguments
    ---------
    rows : list of dict
        With ``COLUMNS``.
    stem : str or pathlib.Path
        Of the files' names.

    Returns
    -------
    dict
        As of ``measure_predictions``.
    """
    result = measure_predictions(rows)
    if len(result["classes"]) > MOST_CLASSES:
        del result["classes"], result["confusion"]
        write_json(f"{stem}.json", result)
        return result
    write_json(f"{stem}.json", result)
    target = f"{stem}.confusion.png"
    plot_confusion(result["confusion"], result["classes"], target)
    return result


def summarise_folds(folder, folds):
    """Averages the tests of folds and measures all their predictions together.

    Arguments
    ---------
    folder : str or pathlib.Path
        Holds a folder for each fold, with ``predictions_test.csv`` and
        ``train.csv``. Gets ``summary.json`` and ``all.confusion.png``.
    folds : list of str
        Their names.

    Returns
    -------
    dict
        For each fold its measures; ``mean`` over folds; ``all``, all
        predictions taken together, with intervals over speakers; and
        ``majority``, the mean over folds of always guessing the class that is
        most frequent in training.
    """
    folder = Path(folder)
    tests, majority, together = {}, [], []
    for fold in folds:
        path = folder / fold / "predictions_test.csv"
        rows = list(stream_rows(path, COLUMNS))
        together += rows
        tests[fold] = measure_predictions(rows)
        guess = _most_frequent(folder / fold / "train.csv")
        guessed = [{**row, "predicted": guess} for row in rows]
        majority.append(measure_predictions(guessed))
    summary = {
        "folds": tests,
        "mean": _mean(list(tests.values())),
        "majority": _mean(majority),
        "all": report(together, folder / "all"),
    }
    write_json(folder / "summary.json", summary)
    for name, what in (
        ("mean", "mean"),
        ("majority", "always the most frequent class, mean"),
    ):
        values = ", ".join(f"{k} {v:.1f} %" for k, v in summary[name].items())
        logger.info(f"{what} of {len(folds)} folds: {values}")
    return summary


def write_json(path, value):
    """Writes a JSON file that is there whole or not at all."""
    with replacing(path) as beside:
        text = json.dumps(value, indent=2)
        # A matrix a row a line.
        text = (
            re.sub(r"\[\s+((?:[-\d.]+,\s+)*[-\d.]+)\s+\]", _line, text) + "\n"
        )
        beside.write_text(text, encoding="utf-8")


def _line(numbers):
    return f"[{' '.join(numbers[1].split())}]"


def _most_frequent(csv):
    rows = stream_rows(csv, TRAINING)
    return Counter(row["label"] for row in rows).most_common(1)[0][0]


def _mean(results):
    return {
        name: float(np.mean([result[name] for result in results]))
        for name in MEASURES
    }
