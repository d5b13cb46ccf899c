"""Folders of a corpus: found, or missed with the way out, and walked.

Authors
 * The d2v_sb developers 2026
"""

import os
from pathlib import Path

from d2v_sb.errors import DataError, UserError

WAY_OUT = (
    "Give the folder that holds the splits with --data_folder, or add "
    "`--download true` to fetch them from OpenSLR. `make demo` runs without "
    "the corpus."
)


def find_split(data_folder, split):
    """Folder of a split.

    Arguments
    ---------
    data_folder : pathlib.Path
        Folder that holds the splits' folders.
    split : str
        Name of one of them, ``.`` for all there is.

    Returns
    -------
    pathlib.Path
        The split's folder.

    Raises
    ------
    DataError
        If there is none; it says what is there.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "corpus" / "dev").mkdir(parents=True)
    >>> find_split(folder / "corpus", "dev").name
    'dev'
    >>> find_split(folder, "dev")
    Traceback (most recent call last):
    d2v_sb.errors.DataError: ... Did you mean --data_folder .../corpus? ...
    """
    folder = data_folder / split
    if folder.is_dir():
        return folder
    if not data_folder.is_dir():
        raise DataError(
            f"split {split!r}: the data folder {data_folder} does not exist. "
            f"{WAY_OUT}"
        )
    hint = ""
    for inner in subfolders(data_folder):
        if (inner / split).is_dir():
            hint = f"Did you mean --data_folder {inner}? "
            break
    raise DataError(
        f"split {split!r}: no such folder in {data_folder} (found there: "
        f"{describe(data_folder)}). {hint}--train_splits, --dev_splits and "
        f"the like say which are used. {WAY_OUT}"
    )


def make_output_folder(folder):
    """Makes the folder of a run's results, before there is any.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder.

    Raises
    ------
    UserError
        If it can not be made or written to.

    Example
    -------
    >>> make_output_folder("/dev/null/results")
    Traceback (most recent call last):
    d2v_sb.errors.UserError: --output_folder /dev/null/results can not be ...
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
        reason = "it is not writable"
    except OSError as error:
        writable, reason = False, error
    if not writable:
        raise UserError(
            f"--output_folder {folder} can not be written to: {reason}. Choose "
            "another one"
        )


def subfolders(folder):
    """Folders in a folder, sorted."""
    return sorted(path for path in Path(folder).iterdir() if path.is_dir())


def describe(folder, limit=10):
    """First folders in a folder, for a message."""
    names = [path.name for path in subfolders(folder)]
    more = ", ..." if len(names) > limit else ""
    return ", ".join(names[:limit]) + more or "nothing"


def walk(root, top, seen, progress):
    """Names of the files under a folder, in an order that stays.

    What is hidden is skipped. Links to folders are followed, once no folder
    is left that is none: a folder that is reached in two ways has its own path
    and not that of a link, and links in a circle end.

    Arguments
    ---------
    root : str or pathlib.Path
        What the folders' paths are relative to.
    top : str
        Where to begin, relative to the root.
    seen : set
        Folders that are not entered, by device and inode; those that were are
        added.
    progress : Progress
        Told of each file.

    Yields
    ------
    folder : str
        Relative to the root, ``.`` for the root itself.
    names : list of str
        Of the files in it, sorted.

    Raises
    ------
    DataError
        If a folder can not be listed.

    Example
    -------
    >>> from d2v_sb.progress import Progress
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a" / "b").mkdir(parents=True)
    >>> (folder / "a" / "b" / "c.wav").touch()
    >>> list(walk(folder, "a", set(), Progress("example")))
    [('a', []), ('a/b', ['c.wav'])]
    """
    folders, links = [top], []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        names, inner, linked = [], [], []
        where = os.path.join(root, folder)
        try:
            found = os.stat(where)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(where) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not _is_folder(entry):
                        names.append(entry.name)
                        progress.update()
                    elif entry.is_symlink():
                        linked.append(entry.name)
                    else:
                        inner.append(entry.name)
        except OSError as error:
            raise DataError(
                f"{where}: the folder can not be listed ({error}). Make it "
                "readable, or move it out of the data folder."
            ) from error
        yield folder, sorted(names)
        prefix = "" if folder == "." else folder
        inner.sort(reverse=True)  # the last is taken first
        folders += [os.path.join(prefix, name) for name in inner]
        links += [os.path.join(prefix, name) for name in sorted(linked)]


def _is_folder(entry):
    """A link to itself is none, and is no error either."""
    try:
        return entry.is_dir()
    except OSError:
        return False
