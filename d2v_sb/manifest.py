"""CSV files that list a corpus for SpeechBrain, one row an utterance.

Authors
 * The d2v_sb developers 2026
"""

import csv
import logging
from itertools import zip_longest

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
from d2v_sb.journal import Journal

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


def stream_rows(path, columns):
    """Reads a CSV row by row.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    columns : list of str
        What its header must be.

    Yields
    ------
    dict
        A row.

    Raises
    ------
    DataError
        If the file is absent or not such a CSV.

    Example
    -------
    >>> list(stream_rows("absent.csv", ["ID", "wav"]))
    Traceback (most recent call last):
    d2v_sb.errors.DataError: absent.csv is no CSV of ID, wav.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames == columns:
                yield from reader
                return
    except (OSError, UnicodeDecodeError, csv.Error):
        pass
    raise DataError(f"{path} is no CSV of {', '.join(columns)}.")


def read_rows(path, columns):
    """Reads a CSV whole.

    Arguments
    ---------
    path, columns
        As of ``stream_rows``.

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
        return list(stream_rows(path, columns))
    except DataError:
        return None


def write_rows(path, rows, columns):
    """Writes a CSV that is there whole or not at all.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    rows : iterable of dict
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
    first_seen = {}

    def rows():
        for path in paths:
            for row in stream_rows(path, columns):
                other = first_seen.setdefault(row["ID"], path)
                if other is not path:
                    raise DataError(
                        f"{path}: the id {row['ID']!r} is in {other} too. "
                        "Leave one of these splits out."
                    )
                yield row

    write_rows(target, rows(), columns)


def make_manifest(
    path,
    rows,
    columns,
    faults=(),
    on_bad_audio="error",
    num_workers=None,
    keep_short=False,
):
    """Examines the audio of rows and writes those that can be used as a CSV.

    A CSV that an earlier run made of the same rows is kept, and the audio is
    then not opened again. What a run that was killed had examined lies in
    ``<name>.examined.jsonl`` and is not opened again either, unless it has
    changed since. Bad files are listed in ``<name>.bad.txt``.

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
    keep_short : bool
        See ``check_audio``.

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
    journal_path = path.with_suffix(".examined.jsonl")
    total = len(rows) + len(faults)
    earlier = _earlier(path, rows, columns, faults, bad_path, on_bad_audio)
    if earlier is not None:
        journal_path.unlink(missing_ok=True)
        num, seconds = earlier
        note = ", made earlier"
        if num < total:
            note += f" (delete {path} to look at the audio again)"
        logger.info(_summary(name, num, seconds, total - num) + note)
        return

    files = [(row["ID"], row["wav"]) for row in rows]
    with Journal(journal_path) as journal:
        if len(journal):
            logger.info(f"{name}: {len(journal)} files examined earlier")
        durations, dropped, kept = check_audio(
            files, on_bad_audio, name, num_workers, keep_short, journal
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
    if not durations:
        convertible = sum(fault.convertible for fault in dropped)
        hint = f" --on_bad_audio convert would keep {convertible} of them."
        raise DataError(
            f"{name}: none of its {total} utterances can be used; "
            f"{bad_path} says why.{hint if convertible else ''}"
        )
    usable = (
        {**row, "duration": str(durations[row["ID"]])}
        for row in rows
        if row["ID"] in durations
    )
    write_rows(path, usable, columns)
    journal_path.unlink(missing_ok=True)
    note = f", {len(kept)} to be converted when read" if kept else ""
    note += f" (listed in {bad_path})" if dropped or kept else ""
    # Seen without any set-up of logging: nobody loses half a corpus unaware.
    level = logging.WARNING if dropped or kept else logging.INFO
    seconds = sum(durations.values())
    summary = _summary(name, len(durations), seconds, len(dropped))
    logger.log(level, summary + note)


def _earlier(path, rows, columns, faults, bad_path, on_bad_audio):
    """Number and seconds of the rows of an earlier CSV if, less what it
    dropped, it is that of today."""
    dropped = read_dropped(bad_path, on_bad_audio)
    if dropped is None:
        return None
    if not all((fault.id, fault.where) in dropped for fault in faults):
        return None
    wanted = (row for row in rows if (row["ID"], row["wav"]) not in dropped)
    num, seconds = 0, 0.0
    try:
        for row, today in zip_longest(stream_rows(path, columns), wanted):
            if row is None or today is None:
                return None
            seconds += float(row["duration"])
            if row != {**today, "duration": row["duration"]}:
                return None
            num += 1
    except (DataError, TypeError, ValueError):  # absent or damaged
        return None
    return num, seconds


def _summary(name, num, seconds, num_dropped):
    return (
        f"{name}: {num} utterances, {seconds / 3600:.2f} hours, "
        f"{num_dropped} dropped"
    )
