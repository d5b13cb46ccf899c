"""Reads the lines of SpeechBrain's ``FileTrainLogger``.

Authors
 * The d2v_sb developers 2026
"""

import math
from pathlib import Path
from typing import NamedTuple


class TrainLog(NamedTuple):
    """What a train log says.

    Values go by what the log calls them, such as ``lr`` and ``valid loss``.
    """

    validations: list  # of dict, by update
    tests: dict  # of dict, by split; the last test of each
    outdated: frozenset = (
        frozenset()
    )  # splits whose test training went on after

    def tested(self, split):
        """Which update a split's test is of, as the end of its name."""
        update = self.tests.get(split, {}).get("best_update")
        if not isinstance(update, float):
            return ""
        return f", of update {update:,.0f}"


def read_train_log(path):
    """Reads a train log; one that is not there has no lines.

    A run that was stopped validates again what came after its checkpoint: of
    these the later line counts.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    TrainLog

    Example
    -------
    >>> path = getfixture("tmp_path") / "train_log.txt"
    >>> _ = path.write_text(
    ...     "update: 5, of: 9 - train loss: 1.50e+02 - valid WER: 90.00\\n"
    ...     "split: test, best_update: 5 - test WER: 91.00\\n"
    ... )
    >>> log = read_train_log(path)
    >>> log.validations
    [{'update': 5.0, 'of': 9.0, 'train loss': 150.0, 'valid WER': 90.0}]
    >>> log.tests
    {'test': {'best_update': 5.0, 'test WER': 91.0}}
    """
    path, validations, tests, outdated = Path(path), [], {}, set()
    if not path.exists():
        return TrainLog(validations, tests)
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if not line.endswith("\n"):  # cut short by a kill
                continue
            row = _values(line)
            if "split" in row:
                # As the files of the test are named.
                split = row.pop("split").replace("/", "-")
                tests[split] = row
                outdated.discard(split)
            elif isinstance(row.get("update"), float):
                while (
                    validations and validations[-1]["update"] >= row["update"]
                ):
                    validations.pop()
                validations.append(row)
                outdated.update(tests)
    return TrainLog(validations, tests, frozenset(outdated))


def tests_before(where, log):
    """Says which tests are not of the run as it is now.

    Arguments
    ---------
    where : str
        Put before each.
    log : TrainLog
        Of the run.

    Returns
    -------
    list of str

    Example
    -------
    >>> tests = {"test": {"best_update": 5.0}}
    >>> tests_before("", TrainLog([], tests, frozenset(tests)))
    ['the run went on after the test on test, of update 5: ...']
    """
    return [
        f"{where}the run went on after the test on {split}{log.tested(split)}: "
        "its figures are not of what was trained since. The recipe tests anew "
        "when it ends"
        for split in sorted(log.outdated)
    ]


def series(rows, name):
    """A column over the updates, rows without it left out.

    Arguments
    ---------
    rows : list of dict
        As of ``TrainLog.validations``.
    name : str
        Of the column.

    Returns
    -------
    tuple of list of float
        Updates and values; what is not finite is nan.

    Example
    -------
    >>> series([{"update": 1.0}, {"update": 2.0, "lr": 0.5}], "lr")
    ([2.0], [0.5])
    """
    found = [row for row in rows if isinstance(row.get(name), float)]
    values = [row[name] for row in found]
    return (
        [row["update"] for row in found],
        [value if math.isfinite(value) else math.nan for value in values],
    )


def best(rows, name, choose):
    """The row with the least or greatest value, the earliest of equals.

    Arguments
    ---------
    rows, name
        As of ``series``.
    choose : callable
        ``min`` or ``max``.

    Returns
    -------
    tuple of float, optional
        Update and value; None where no value is finite.

    Example
    -------
    >>> rows = [{"update": u, "WER": w} for u, w in ((1.0, 9.0), (2.0, 7.0))]
    >>> best(rows, "WER", min)
    (2.0, 7.0)
    """
    pairs = [
        (update, value)
        for update, value in zip(*series(rows, name), strict=True)
        if math.isfinite(value)
    ]
    return choose(pairs, key=lambda pair: pair[1], default=None)


def _values(line):
    row = {}
    for part in line.rstrip("\n").split(" - "):
        for item in part.split(", "):
            name, colon, value = item.partition(": ")
            if colon:
                row[name] = _number(value) if name != "split" else value
    return row


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text
