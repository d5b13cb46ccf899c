"""Files and folders that are there whole or not at all.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from d2v_sb.errors import DataError

_FULL = "the disk is full", "free some space"
_FORBIDDEN = (
    "writing is not permitted",
    "make its folder writable or choose another path",
)
_IN_THE_WAY = (
    "something else is in its place",
    "move that or choose another path",
)
LITTLE = 1 << 20  # bytes; with less left, a failed write is a full disk's
# What writing may meet, and the way out. Other errors are left as they are: a
# FileNotFoundError, say, is of what the caller reads, or of the caller.
REFUSALS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EFBIG: ("no file may be that large there", "choose another path"),
    errno.EIO: ("the disk fails", "check it or choose another path"),
}


@contextlib.contextmanager
def replacing(path):
    """Gives a path to write to, and renames it to `path` once all is written.

    A kill, an exception or a full disk leaves what was there before. The path
    given may become a file or a folder; a folder replaces a folder, and a file
    never does. A folder that replaces a folder takes two renames: a kill just
    between them leaves the old one in the hidden folder ``.<name>.*`` beside.

    Arguments
    ---------
    path : str or pathlib.Path
        The file or folder to make. Folders above it are made if need be.

    Yields
    ------
    pathlib.Path
        A path on the same disk that does not exist yet.

    Raises
    ------
    DataError
        If the system refuses to write, here or in the caller's block, for one
        of ``REFUSALS``: a full disk, no permission, a file where a folder
        should be. What ``torch.save`` and safetensors make of a full disk is
        no OSError and passes as it is.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with replacing(folder / "a.txt") as beside:
    ...     _ = beside.write_text("all of it")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    with explain_refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{path.name}.",
            dir=path.parent,
            ignore_cleanup_errors=True,
        ) as holder:
            beside = Path(holder) / path.name
            try:
                yield beside
                _flush(beside)
                _move(beside, path)
            except Exception as error:
                _raise_if_full(path.parent, error)
                raise


@contextlib.contextmanager
def explain_refusals(path):
    """Turns what the system refuses to write into a ``DataError``.

    Arguments
    ---------
    path : str or pathlib.Path
        What the block writes.

    Raises
    ------
    DataError
        At an OSError that is one of ``REFUSALS``.

    Example
    -------
    >>> with explain_refusals("a.txt"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    d2v_sb.errors.DataError: the disk is full: a.txt was not written ...
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        reason, way_out = REFUSALS[error.errno]
        raise DataError(
            f"{reason}: {path} was not written and what was there before is "
            f"untouched; {way_out} and run the command again ({error})"
        ) from error


def remove_left_overs(folder, ending):
    """Removes what killed runs left in a folder while they wrote there.

    Arguments
    ---------
    folder : pathlib.Path
        Where ``replacing`` was to make files; need not exist.
    ending : str
        Of the files' names, such as ``.csv``. Those of others are left.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / ".a.csv.x1y2").mkdir()
    >>> remove_left_overs(folder, ".csv")
    >>> list(folder.iterdir())
    []
    """
    for left_over in folder.glob(f".*{ending}.*"):
        shutil.rmtree(left_over)


def _raise_if_full(folder, error):
    """Weights are written by compiled code, which raises its own errors and
    does not say that the disk is full."""
    if isinstance(error, (OSError, DataError)):
        return
    if shutil.disk_usage(folder).free < LITTLE:
        raise OSError(errno.ENOSPC, str(error)) from error


def _flush(path):
    """Makes sure that the data is on the disk before its name is."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())


def _move(beside, path):
    """Renames; a folder in the way of a folder goes first, or comes back."""
    if not (beside.is_dir() and path.is_dir()):
        os.replace(beside, path)
        return
    # A folder can not be renamed over one that has files in it.
    old = beside.with_name(beside.name + ".old")
    path.rename(old)
    try:
        os.replace(beside, path)
    except BaseException:
        old.rename(path)
        raise
