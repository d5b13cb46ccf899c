"""One after the other: jobs of a benchmark that would do the same work.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import fcntl
import logging
from pathlib import Path

from d2v_sb.atomic import explain_refusals

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def turn(folder, what):
    """Waits while another process is at this, and keeps others waiting.

    The system lets go of it when the process is killed.

    Arguments
    ---------
    folder : str or pathlib.Path
        Where the work goes; a file ``.turn`` stays there.
    what : str
        Of what is done, for who waits.

    Example
    -------
    >>> with turn(getfixture("tmp_path") / "csv", "preparing"):
    ...     pass
    """
    path = Path(folder) / ".turn"
    with explain_refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a", encoding="utf-8")
    with file:
        with explain_refusals(path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.warning("waiting: %s in %s goes on", what, folder)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
