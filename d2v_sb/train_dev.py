"""From one CSV of all audio files to those of train and dev.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import logging
import math
import os

from speechbrain.utils.logger import get_logger

from d2v_sb.audio_files import MIN_SECONDS
from d2v_sb.errors import DataError
from d2v_sb.manifest import stream_rows, write_rows

logger = get_logger(__name__)

COLUMNS = ["ID", "duration", "wav"]


def share_of(row):
    """Where a file lies between 0 and 1, by a hash of its id.

    The ending does not count: a recording in two formats lies in one place.

    Arguments
    ---------
    row : dict
        With ``ID`` and ``wav``.

    Returns
    -------
    float

    Example
    -------
    >>> shares = [share_of({"ID": str(i), "wav": ""}) for i in range(1000)]
    >>> sum(share < 0.1 for share in shares)
    104
    """
    ending = os.path.splitext(row["wav"])[1]
    stem = row["ID"].removesuffix(ending).encode()
    digest = hashlib.blake2b(stem, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def hold_out_below(shares, valid_percent):
    """Below which share a file is held out, so that either side has one.

    Only where one side would be empty does this depend on the files there are.

    Arguments
    ---------
    shares : list of float
        Of ``share_of``, not empty.
    valid_percent : float
        The share to hold out, between 0 and 1.

    Returns
    -------
    float

    Example
    -------
    >>> hold_out_below([0.2, 0.5, 0.7], 0.4)
    0.4
    >>> hold_out_below([0.2, 0.5, 0.7], 0.9), hold_out_below([0.2, 0.5], 0.1)
    (0.7, 0.20000000000000004)
    """
    return min(max(valid_percent, math.nextafter(min(shares), 1)), max(shares))


def write_train_dev(path, dev_splits, valid_percent, min_seconds):
    """Writes ``train.csv`` and ``dev.csv`` beside the CSV of all files.

    Arguments
    ---------
    path : pathlib.Path
        The CSV, with ``COLUMNS``.
    dev_splits : list of str
        Folders whose files are dev, as ids begin; ``.`` is all.
    valid_percent : float
        The share of files that is dev where there are no dev splits.
    min_seconds : float
        What is shorter is left out.

    Raises
    ------
    DataError
        If nothing is left for train or dev.

    Example
    -------
    >>> path = getfixture("tmp_path") / "audio.csv"
    >>> row = {"duration": "3.0", "wav": "x.flac"}
    >>> rows = [{"ID": id_, **row} for id_ in ["a/1", "a/2", "b/3"]]
    >>> write_rows(path, rows, COLUMNS)
    >>> write_train_dev(path, ["b"], 0.01, 2.0)
    >>> print(path.with_name("dev.csv").read_text())
    ID,duration,wav
    b/3,3.0,x.flac
    """
    prefixes = tuple("" if s == "." else f"{s}/" for s in dev_splits)
    shortest = max(min_seconds, MIN_SECONDS)
    seconds, shares = [], []
    for row in stream_rows(path, COLUMNS):
        seconds.append(float(row["duration"]))
        if dev_splits:
            shares.append(0.0 if row["ID"].startswith(prefixes) else 1.0)
        else:
            shares.append(share_of(row))
    long = [share for s, share in zip(seconds, shares) if s >= shortest]
    if not long:
        raise DataError(
            f"{path}: each of the {len(seconds)} clips is shorter than "
            f"{shortest} s, the longest has {max(seconds)} s. Lower "
            "--min_seconds, or choose another --data_folder."
        )
    below = 0.5 if dev_splits else hold_out_below(long, valid_percent)
    sides = [
        "short" if s < shortest else "dev" if share < below else "train"
        for s, share in zip(seconds, shares)
    ]
    for side in ("train", "dev"):
        if side not in sides:
            raise DataError(
                f"{path}: of the {len(long)} clips of {shortest} s and more, "
                f"none is left for {side}. Choose --train_splits and "
                "--dev_splits that do not lie in each other, or add audio."
            )
    for side in ("train", "dev"):
        # Read again rather than kept: a million rows take half a GB.
        rows = zip(stream_rows(path, COLUMNS), sides)
        wanted = (row for row, other in rows if other == side)
        write_rows(path.with_name(f"{side}.csv"), wanted, COLUMNS)
    _summarize(seconds, sides, shortest)


def _summarize(seconds, sides, shortest):
    """One line; seen without any set-up of logging if files are left out."""
    parts = []
    for side in ("train", "dev"):
        own = [s for s, other in zip(seconds, sides) if other == side]
        parts.append(f"{side}: {len(own)} files, {sum(own) / 3600:.2f} hours")
    short = sides.count("short")
    parts.append(f"{short} shorter than {shortest} s left out")
    level = logging.WARNING if short else logging.INFO
    logger.log(level, "; ".join(parts))
