"""One run at a time where results are kept.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import fcntl
import os
from pathlib import Path

from d2v_sb.atomic import explain_refusals
from d2v_sb.errors import UserError


@contextlib.contextmanager
def only_run(path):
    """Keeps others from what a run writes to, until its end.

    The system lets go of it when the run is killed.

    Arguments
    ---------
    path : str or pathlib.Path or None
        The file of results; None for those that are not kept.

    Raises
    ------
    UserError
        If another run is at work there.

    Example
    -------
    >>> path = getfixture("tmp_path") / "out.jsonl"
    >>> with only_run(path), only_run(path):
    ...     pass
    Traceback (most recent call last):
    d2v_sb.errors.UserError: another run is at work on ...
    """
    if path is None:
        yield
        return
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    with explain_refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(lock)
    if handle is None:
        raise UserError(
            f"another run is at work on {path}: wait for it, or choose "
            "another -o"
        )
    try:
        yield
    finally:
        lock.unlink()
        os.close(handle)


def _lock(path):
    """An open file that is locked, None if another has it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one before may have removed it meanwhile.
            if os.fstat(handle).st_nlink:
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        os.close(handle)
