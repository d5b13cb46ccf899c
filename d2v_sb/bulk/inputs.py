"""What the user names, files, folders and lists, as audio files with names.

Authors
 * The d2v_sb developers 2026
"""

import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

from d2v_sb.audio_folder import ENDINGS
from d2v_sb.errors import DataError, UserError
from d2v_sb.folders import walk
from d2v_sb.progress import Progress

# What PyAV reads besides, of which a folder may hold some.
AV_ENDINGS = frozenset(
    ".3gp .aac .ac3 .amr .m4a .mka .mkv .mov .mp4 .webm .wma".split()
)
LISTS = frozenset((".csv", ".lst", ".scp", ".tsv", ".txt"))
CSV_COLUMNS = ("ID", "wav")


class Item(NamedTuple):
    """An audio file, and the name that results have."""

    name: str
    path: str


def find_items(inputs):
    """Audio files of what a user named.

    A folder gives all audio files below it, named by their paths in it, and a
    file is named by the path as it was given. A list has a path a line, or a
    name and a path with blanks or a tab between them (Kaldi's ``wav.scp``), or
    is a CSV with the columns ID and wav, as SpeechBrain's; paths in it are
    relative to the working directory, or else to the list's folder.

    Arguments
    ---------
    inputs : sequence of (str or pathlib.Path)
        Files, folders, lists.

    Returns
    -------
    list of Item
        In the order given, folders sorted.

    Raises
    ------
    UserError
        If something is not there, a folder or list holds nothing, or two
        files have one name.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "b").mkdir()
    >>> (folder / "b" / "x.wav").touch()
    >>> [item.name for item in find_items([folder])]
    ['b/x.wav']
    """
    items = []
    with Progress("finding audio") as progress:
        for given in map(Path, inputs):
            if given.is_dir():
                items += _in_folder(given, progress)
            elif not given.exists():
                raise UserError(f"{given}: there is no such file or folder")
            elif given.suffix.lower() in LISTS:
                items += _in_list(given)
            else:
                items.append(Item(os.path.normpath(given), str(given)))
    names = {}
    for item in items:
        other = names.setdefault(item.name, item)
        if other != item:
            raise UserError(
                f"{other.path} and {item.path} are both named {item.name}: "
                "give them names of your own by a list of lines NAME<tab>PATH, "
                "or name the folder above them"
            )
    return list(names.values())  # one that is named twice is heard once


def _in_folder(folder, progress):
    endings = ENDINGS | AV_ENDINGS
    found = [
        os.path.normpath(os.path.join(inner, name))
        for inner, names in walk(folder, ".", set(), progress)
        for name in names
        if os.path.splitext(name)[1].lower() in endings
    ]
    if not found:
        raise UserError(
            f"{folder} holds no audio: looked for {', '.join(sorted(endings))}"
        )
    return [Item(name, str(folder / name)) for name in sorted(found)]


def _in_list(path):
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can not be read as a list: {error}") from error
    items = list(_csv_items(path, text) or _line_items(path, text))
    if not items:
        raise UserError(f"{path} lists no audio: it has no line")
    return items


def _csv_items(path, text):
    """Items of a CSV; None of another list."""
    if path.suffix.lower() != ".csv":
        return None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = list(reader)
    if not {*CSV_COLUMNS} <= {*(reader.fieldnames or ())}:
        raise DataError(
            f"{path}: a CSV of audio has the columns ID and wav; this one has "
            f"{', '.join(reader.fieldnames or ['nothing'])}"
        )
    for number, row in enumerate(rows, 2):
        if not all(row[column] for column in CSV_COLUMNS):
            raise DataError(f"{path}: row {number} has no ID or no wav")
    return [Item(row["ID"], _placed(row["wav"], path)) for row in rows]


def _line_items(path, text):
    for line in text.splitlines():
        line = line.strip()
        if not line:
            continue
        if line.endswith("|"):
            raise DataError(
                f"{path}: {line!r} is a command, which is not run: list files"
            )
        # A path may hold blanks: a line that is one is no name and path.
        whole = _placed(line, path)
        name, *rest = line.split("\t" if "\t" in line else None, maxsplit=1)
        if rest and not os.path.exists(whole):
            yield Item(name, _placed(rest[0].strip(), path))
        else:
            yield Item(os.path.normpath(line), whole)


def _placed(text, path):
    """A list's path as it is, or from the list's folder if it lies there."""
    beside = path.parent / text
    if not os.path.exists(text) and beside.exists():
        return str(beside)
    return text
