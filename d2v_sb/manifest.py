"""CSV files that list a corpus for SpeechBrain, one row an utterance.

Authors
 * The d2v_sb developers 2026
"""

import csv
import logging

from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import replacing
from d2v_sb.audio_files import (
    check_audio,
    check_choice,
    read_dropped,
    stop_message,
    write_faults,
)
from d2v_sb.errors import DataError

logger = get_logger(__name__)


def as_list(names):
    """Names of splits as options give them: one, several or none.

    Arguments
    ---------
    names : str, list of str or None

    Returns
    -------
    list of str
        Each once.

    Example
    -------
    >>> as_list("dev"), as_list(["b", "a", "b"]), as_list(None)
    (['dev'], ['b', 'a'], [])
    """
    names = [names] if isinstance(names, str) else names or []
    return list(dict.fromkeys(names))


def read_rows(path, columns):
    """Reads a CSV.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    columns : list of str
        What its header must be.

    Returns
    -------
    list of dict, or None
        None where the file is absent or not such a CSV.

    Example
    -------
    >>> read_rows("absent.csv", ["ID"]) is None
    True
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return list(reader) if reader.fieldnames == columns else None
    except (OSError, UnicodeDecodeError, csv.Error):
        return None


def write_rows(path, rows, columns):
    """Writes a CSV that is there whole or not at all.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    rows : list of dict
        By column.
    columns : list of str
        The header.

    Raises
    ------
    DataError
        If it can not be written.

    Example
    -------
    >>> path = getfixture("tmp_path") / "dev.csv"
    >>> write_rows(path, [{"ID": "a", "wrd": "YES"}], ["ID", "wrd"])
    >>> read_rows(path, ["ID", "wrd"])
    [{'ID': 'a', 'wrd': 'YES'}]
    """
    with (
        replacing(path) as beside,
        open(beside, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def merge(paths, target, columns):
    """Writes the rows of several CSVs into one, in order.

    Arguments
    ---------
    paths : list of pathlib.Path
        The parts.
    target : pathlib.Path
        The whole.
    columns : list of str
        The header of all.

    Raises
    ------
    DataError
        If an id is in two parts, which SpeechBrain would refuse later without
        naming a file, or if a part is not such a CSV.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_rows(folder / "a.csv", [{"ID": "a"}], ["ID"])
    >>> write_rows(folder / "b.csv", [{"ID": "b"}], ["ID"])
    >>> paths = [folder / "a.csv", folder / "b.csv"]
    >>> merge(paths, folder / "train.csv", ["ID"])
    >>> read_rows(folder / "train.csv", ["ID"])
    [{'ID': 'a'}, {'ID': 'b'}]
    """
    first_seen, rows = {}, []
    for path in paths:
        part = read_rows(path, columns)
        if part is None:
            raise DataError(f"{path} is no CSV of {', '.join(columns)}.")
        for row in part:
            other = first_seen.setdefault(row["ID"], path)
            if other is not path:
                raise DataError(
                    f"{path}: the id {row['ID']!r} is in {other} too. Leave "
                    "one of these splits out."
                )
        rows += part
    write_rows(target, rows, columns)


def make_manifest(
    path, rows, columns, faults=(), on_bad_audio="error", num_workers=None
):
    """Examines the audio of rows and writes those that can be used as a CSV.

    A CSV that an earlier run made of the same rows is kept, and the audio is
    then not opened again. Bad files are listed beside it, ``<name>.bad.txt``.

    Arguments
    ---------
    path : pathlib.Path
        The CSV.
    rows : list of dict
        Of str, by column, less the duration; no ``ID`` twice.
    columns : list of str
        ``ID``, ``duration`` (s), ``wav`` (the audio file) and any others.
    faults : list of Fault
        Utterances that are no rows: no audio, or a bad annotation.
    on_bad_audio : str
        What to do about utterances that can not be used as they are:
        ``error``, ``drop`` or ``convert`` (see ``audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that open audio files.

    Raises
    ------
    DataError
        At faults under ``error``, if no row is left, or if a file can not be
        written.

    Example
    -------
    >>> import soundfile
    >>> folder, columns = getfixture("tmp_path"), ["ID", "duration", "wav"]
    >>> soundfile.write(folder / "a.wav", [0.1] * 800, 16000)
    >>> rows = [{"ID": "a", "wav": str(folder / "a.wav")}]
    >>> make_manifest(folder / "dev.csv", rows, columns)
    >>> read_rows(folder / "dev.csv", columns)[0]["duration"]
    '0.05'
    """
    check_choice(on_bad_audio)
    name, bad_path = path.stem, path.with_suffix(".bad.txt")
    total = len(rows) + len(faults)
    earlier = _earlier(path, rows, columns, faults, bad_path, on_bad_audio)
    if earlier is not None:
        num_dropped = total - len(earlier)
        note = ", made earlier"
        if num_dropped:
            note += f" (delete {path} to look at the audio again)"
        logger.info(_summary(name, earlier, num_dropped) + note)
        return

    files = [(row["ID"], row["wav"]) for row in rows]
    durations, dropped, kept = check_audio(
        files, on_bad_audio, name, num_workers
    )
    dropped = [*faults, *dropped]
    # The old CSV goes first: a kill from here on must not leave it beside a
    # list of bad files that is not its own.
    path.unlink(missing_ok=True)
    bad_path.unlink(missing_ok=True)
    if dropped or kept:
        write_faults(bad_path, on_bad_audio, dropped, kept)
    if on_bad_audio == "error" and dropped:
        raise DataError(stop_message(name, dropped, total, bad_path))
    usable = [
        {**row, "duration": str(durations[row["ID"]])}
        for row in rows
        if row["ID"] in durations
    ]
    if not usable:
        raise DataError(
            f"{name}: none of its {total} utterances can be used; "
            f"{bad_path} says why."
        )
    write_rows(path, usable, columns)
    note = f", {len(kept)} to be converted when read" if kept else ""
    note += f" (listed in {bad_path})" if dropped or kept else ""
    # Seen without any set-up of logging: nobody loses half a corpus unaware.
    level = logging.WARNING if dropped or kept else logging.INFO
    logger.log(level, _summary(name, usable, len(dropped)) + note)


def _earlier(path, rows, columns, faults, bad_path, on_bad_audio):
    """Rows of an earlier CSV if, less what it dropped, it is that of today."""
    earlier = read_rows(path, columns)
    dropped = read_dropped(bad_path, on_bad_audio)
    if earlier is None or dropped is None:
        return None
    if not all((fault.id, fault.where) in dropped for fault in faults):
        return None
    wanted = [row for row in rows if (row["ID"], row["wav"]) not in dropped]
    timeless = [{**row, "duration": None} for row in earlier]
    same = timeless == [{**row, "duration": None} for row in wanted]
    return earlier if same else None


def _summary(name, rows, num_dropped):
    hours = sum(float(row["duration"]) for row in rows) / 3600
    return (
        f"{name}: {len(rows)} utterances, {hours:.2f} hours, "
        f"{num_dropped} dropped"
    )
