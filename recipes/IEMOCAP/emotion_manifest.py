"""An emotion corpus as a CSV of your own, which needs no code.

Rows are those of ``emotion_corpora``.

Authors
 * The d2v_sb developers 2026
"""

import csv
import re
from pathlib import Path

from d2v_sb.errors import DataError

MANIFEST_COLUMNS = ["ID", "wav", "spk_id", "label"]
OPTIONAL_COLUMNS = ["session", "split"]
SHOWN = 5  # names in a message


def list_manifest(path):
    """Reads a CSV of your own: all that another corpus needs.

    Arguments
    ---------
    path : Path
        A CSV with the columns ``MANIFEST_COLUMNS`` and, if you like, those of
        ``OPTIONAL_COLUMNS``; others are ignored. ``wav`` is absolute or
        relative to the CSV's folder; ``split`` (train, dev or test) is for
        protocol ``given``.

    Returns
    -------
    list of dict
        Rows, with ``split`` where the CSV has it and ``where``, their line.

    Raises
    ------
    DataError
        If it is no such CSV; all faults are listed.

    Example
    -------
    >>> path = getfixture("tmp_path") / "mine.csv"
    >>> _ = path.write_text("ID,wav,spk_id,label\\n1,a.wav,ann,glad\\n")
    >>> row = list_manifest(path)[0]
    >>> row["ID"], row["wav"] == str(path.parent / "a.wav"), row["session"]
    ('1', True, '')
    """
    columns, lines = _read_lines(path)
    rows, faults, first_line = [], [], {}
    for number, cells in lines:
        row = {name: (cells[name] or "").strip() for name in columns}
        where = f"{path}, line {number}"
        empty = [name for name in MANIFEST_COLUMNS if not row[name]]
        if empty:
            faults.append(f"{where}: no {', '.join(empty)}")
        earlier = first_line.setdefault(row["ID"], number)
        if earlier != number:
            faults.append(f"{where}: the ID of line {earlier}, {row['ID']!r}")
        for name in ("spk_id", "session"):
            # Folds, and thereby folders, are called by them.
            if re.search(r"^\.|[/\\]", row.get(name, "")):
                faults.append(
                    f"{where}: {name} {row[name]!r} can not name a folder, "
                    r"with / or \ in it or a dot before it"
                )
        wav = str(Path(path.parent, row["wav"]))
        rows.append({"session": "", **row, "wav": wav, "where": where})
    if faults:
        more = f"\n  ... and {len(faults) - 20} more" * (len(faults) > 20)
        raise DataError(
            f"{path}: {len(faults)} faults to mend:\n  "
            + "\n  ".join(faults[:20])
            + more
        )
    if not rows:
        raise DataError(f"{path} lists no utterance: it has only a header")
    return rows


def _read_lines(path):
    """The columns that are known, and the rows with their line numbers.

    ``manifest.stream_rows`` takes only the columns it is told of, in order.
    """
    expected = (
        f"--corpus manifest needs --data_folder to be a CSV with the columns "
        f"{', '.join(MANIFEST_COLUMNS)} (and {' and '.join(OPTIONAL_COLUMNS)} "
        "if you like), separated by commas"
    )
    if path.is_dir():
        there = sorted(str(p) for p in path.glob("*.csv"))[:SHOWN]
        hint = f"; CSVs there: {', '.join(there)}" if there else ""
        raise DataError(f"{path} is a folder. {expected}{hint}")
    try:
        # -sig: spreadsheets begin their CSVs with a mark of UTF-8.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            lines = [(reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}. {expected}") from error
    lacking = [name for name in MANIFEST_COLUMNS if name not in header]
    if lacking:
        raise DataError(
            f"{path} has no column {', '.join(lacking)}: its header is "
            f"{','.join(header)!r}. {expected}"
        )
    known = [*MANIFEST_COLUMNS, *OPTIONAL_COLUMNS]
    return [name for name in known if name in header], lines
