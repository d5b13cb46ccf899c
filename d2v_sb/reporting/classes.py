"""What tests of classifiers say: accuracies and confusions.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.errors import DataError
from d2v_sb.reporting.parts import Confusion, Table, Tile, shown, with_interval
from d2v_sb.reporting.reader import read_json

MEASURES = ("UA", "WA", "F1")


def class_results(folder, log, attempt):
    """Accuracies and confusions of each tested split.

    Arguments
    ---------
    folder, log, attempt
        As of ``d2v_sb.reporting.speech.speech_results``.

    Returns
    -------
    list of Tile
    list of Table or Confusion
    """
    tiles, rows, confusions = [], [], []
    for path in sorted(folder.glob("predictions_*.json")):
        found = attempt(lambda path: _class_result(path, log), path)
        if found is not None:
            tiles += found[0]
            rows.append(found[1])
            confusions += found[2]
    if not rows:
        return [], []
    return tiles, [accuracy_table("Accuracies", rows), *confusions]


def _class_result(path, log):
    result, name = read_json(path), path.stem.removeprefix("predictions_")
    tested = name + log.tested(name)
    return (
        accuracy_tiles(result, f"on {tested}"),
        accuracy_row(tested, result),
        confusions_of(result, name),
    )


def accuracy_tiles(result, where):
    """UA and WA in large digits."""
    return [
        Tile(f"{shown(result[name], 1)} %", f"{name} {where}")
        for name in MEASURES[:2]
        if name in result
    ]


def accuracy_row(name, result):
    """A row of ``accuracy_table``."""
    return [
        name,
        *(
            with_interval(result.get(key), result.get(f"{key}_interval"))
            for key in MEASURES
        ),
        shown(result.get("utterances"), 0),
        shown(result.get("speakers"), 0),
    ]


def accuracy_table(title, rows):
    """Accuracies in percent."""
    return Table(
        title,
        "UA is the mean of the classes' own accuracies, WA the share of all "
        "utterances that are right, F1 the classes' F1, weighted by how "
        "frequent they are. In parentheses: 95 % intervals over speakers.",
        ["", "UA %", "WA %", "F1 %", "utterances", "speakers"],
        rows,
    )


def confusions_of(result, name):
    """The confusion matrix of a result, if it has one.

    Arguments
    ---------
    result : dict
        As of ``d2v_sb.scoring.predictions.report``.
    name : str
        Of the test.

    Returns
    -------
    list of Confusion
        One, or none.

    Raises
    ------
    DataError
        If it is not as large as its classes are many.

    Example
    -------
    >>> result = {"classes": ["a", "b"], "confusion": [[3, 1], [0, 0]]}
    >>> confusions_of(result, "test")[0].rows
    [[(3, 0.75), (1, 0.25)], [(0, 0.0), (0, 0.0)]]
    """
    if not result.get("confusion"):
        return []
    rows = [
        [(count, count / (sum(row) or 1)) for count in row]
        for row in result["confusion"]
    ]
    names = [str(one) for one in result["classes"]]
    if any(len(row) != len(names) for row in [names, rows, *rows]):
        raise DataError("its confusion does not fit its classes")
    return [Confusion(f"Confusion, {name}", names, rows)]
