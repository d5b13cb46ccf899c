"""What of a prepared CSV is trained on: listed rows, and neighbours joined.

Authors
 * The d2v_sb developers 2026
"""

import logging

from d2v_sb.errors import DataError, UserError
from d2v_sb.manifest import stream_rows, write_rows

logger = logging.getLogger(__name__)

SEPARATOR = "\t"  # of the files of a joined row, in its "wav"


def keep_listed(path, ids, columns):
    """Keeps the rows of a CSV that a file names.

    Arguments
    ---------
    path : pathlib.Path
        The CSV; it is written anew.
    ids : str or pathlib.Path
        A text file with an id at the beginning of each line.
    columns : list of str
        The CSV's header.

    Raises
    ------
    DataError
        If the file can not be read, names nothing, or names rows that are not
        there.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> path, ids = folder / "train.csv", folder / "ids.txt"
    >>> write_rows(path, [{"ID": "1-1-0"}, {"ID": "1-1-1"}], ["ID"])
    >>> _ = ids.write_text("1-1-1\\n")
    >>> keep_listed(path, ids, ["ID"])
    >>> list(stream_rows(path, ["ID"]))
    [{'ID': '1-1-1'}]
    """
    try:
        with open(ids, encoding="utf-8") as file:
            wanted = {line.split()[0] for line in file if line.strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{ids}: the list of ids can not be read: {error}"
        ) from error
    if not wanted:
        raise DataError(f"{ids} names no utterance")
    rows = [row for row in stream_rows(path, columns) if row["ID"] in wanted]
    absent = sorted(wanted - {row["ID"] for row in rows})
    if absent:
        raise DataError(
            f"{ids}: {len(absent)} of its {len(wanted)} ids are in none of the "
            f"train splits, first: {', '.join(absent[:5])}. Add the splits that "
            "they are of to --train_splits"
        )
    write_rows(path, rows, columns)


def join_neighbours(path, seconds, columns):
    """Adds rows of neighbouring utterances of a speaker, one after the other.

    A model that was trained on short clips alone hears long recordings worse
    than it hears their clips: it has never met what lies between two of them.
    The single rows stay.

    Arguments
    ---------
    path : pathlib.Path
        The CSV, written anew; with ID, duration (s), wav, spk_id and wrd.
    seconds : float
        The longest joined row.
    columns : list of str
        The CSV's header.

    Returns
    -------
    int
        How many rows were added.

    Raises
    ------
    UserError
        If the length is none.
    DataError
        If the CSV can not be read.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.csv"
    >>> columns = ["ID", "duration", "wav", "spk_id", "wrd"]
    >>> rows = [
    ...     [f"1-1-{i}", 2.0, f"{i}.flac", "1-1", f"WORD{i}"] for i in range(3)
    ... ]
    >>> write_rows(path, [dict(zip(columns, row)) for row in rows], columns)
    >>> join_neighbours(path, 5.0, columns)
    1
    >>> list(stream_rows(path, columns))[-1]["wrd"]
    'WORD0 WORD1'
    """
    try:
        limit = float(seconds)
    except (TypeError, ValueError):
        limit = -1.0
    if not limit > 0:
        raise UserError(
            f"join_seconds must be a positive number, got {seconds}"
        )
    rows = list(stream_rows(path, columns))
    joined = [_joined(part) for part in _parts(rows, limit) if len(part) > 1]
    write_rows(path, [*rows, *joined], columns)
    logger.info(
        "%s: %d rows, and %d of neighbours joined up to %g s",
        path,
        len(rows),
        len(joined),
        limit,
    )
    return len(joined)


def _parts(rows, seconds):
    """Neighbours of a speaker, as many as fit."""
    part, length = [], 0.0
    for row in rows:
        duration = float(row["duration"])
        same = part and part[-1]["spk_id"] == row["spk_id"]
        if part and not (same and length + duration <= seconds):
            yield part
            part, length = [], 0.0
        part.append(row)
        length += duration
    if part:
        yield part


def _joined(part):
    first = part[0]
    return {
        **first,
        "ID": f"{first['ID']}+{len(part) - 1}",
        "duration": round(sum(float(row["duration"]) for row in part), 6),
        "wav": SEPARATOR.join(row["wav"] for row in part),
        "wrd": " ".join(row["wrd"] for row in part),
    }
