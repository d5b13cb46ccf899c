"""Test figures from tables of measured runs, such as ``results/*.csv``.

Authors
 * The d2v_sb developers 2026
"""

import csv
from fnmatch import fnmatchcase

from d2v_sb.errors import UserError
from d2v_sb.publishing.figures import METRICS, Figure, Result

# Columns that say what was measured, and how.
CORPUS = "corpus"
HOW = ("model", "encoder", "decoding", "scoring", "protocol", "seed")


def chosen_results(path, where):
    """Rows of a table of measured runs.

    Arguments
    ---------
    path : pathlib.Path
        A CSV as in ``results/``.
    where : dict
        By column its value, or a pattern with ``*`` and ``?``.

    Returns
    -------
    list of Result

    Raises
    ------
    UserError
        If there is no such column, or no row is chosen.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("corpus,model,wer\\nAN4,small,12.3\\n")
    >>> chosen_results(path, {"model": "sm*"})[0].figures["wer"].value
    12.3
    """
    rows = read_rows(path)
    for column, pattern in where.items():
        if column not in rows[0]:
            raise UserError(
                f"{path} has no column {column!r}; it has {', '.join(rows[0])}"
            )
        values = sorted({row[column] for row in rows})
        rows = [row for row in rows if _matches(row[column], pattern)]
        if not rows:
            raise UserError(
                f"no row of {path} has {column}={pattern}; the values that "
                f"are left there: {'; '.join(values)}"
            )
    results = [_of_row(row, path.name) for row in rows]
    if not any(result.figures for result in results):
        raise UserError(
            f"{path} has none of the figures that a card shows: "
            f"{', '.join(METRICS)}"
        )
    return results


def read_rows(path):
    """The rows of a CSV, at least one.

    Raises
    ------
    UserError
        If there is no such file, or none in it.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--results {path} can not be read: {error}") from error
    if not rows:
        raise UserError(f"--results {path} has no rows")
    return rows


def _matches(value, pattern):
    return value == pattern or fnmatchcase(value, pattern)


def _of_row(row, origin):
    figures = {}
    for name in METRICS:
        if row.get(name):
            bounds = (row.get(f"{name}_low"), row.get(f"{name}_high"))
            low, high = (float(b) if b else None for b in bounds)
            figures[name] = Figure(float(row[name]), low, high)
    how = [
        f"seed {row[name]}" if name == "seed" else row[name]
        for name in HOW
        if row.get(name)
    ]
    sizes = [f"{row[n]} {n}" for n in ("utterances", "trials") if row.get(n)]
    return Result(
        row.get(CORPUS, "not known"),
        "; ".join(how),
        figures,
        ", ".join(sizes),
        origin,
    )
