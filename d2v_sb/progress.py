"""How far long work on many files is: a bar, or lines in a log.

Authors
 * The d2v_sb developers 2026
"""

import logging
import time

from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

logger = get_logger(__name__)

INTERVAL = 30.0  # seconds between lines


class Progress:
    """A bar on a terminal; elsewhere a line in the log each half minute.

    Arguments
    ---------
    name : str
        What is being done.
    total : int, optional
        How many there are, where that is known.
    unit : str
        Of what.

    Example
    -------
    >>> with Progress("finding audio") as progress:
    ...     progress.update()
    ...     progress.note("3 folders")
    """

    def __init__(self, name, total=None, unit="file"):
        self.name = name
        self.total = total
        self.unit = unit
        self.done = 0
        self._note = ""
        self._begin = self._said = time.monotonic()
        self._bar = tqdm(
            total=total,
            desc=name,
            unit=unit,
            disable=not if_main_process() or None,  # None: on a terminal only
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def note(self, text):
        """Says something beside the count from now on."""
        self._note = text
        if not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)

    def update(self):
        """One more is done."""
        self.done += 1
        self._bar.update()
        if not self._bar.disable:
            return
        now = time.monotonic()
        if now - self._said >= INTERVAL:
            self._said = now
            of = "" if self.total is None else f" of {self.total}"
            # Recipes prepare before SpeechBrain sets up logging: only a
            # warning is seen then.
            logger.log(
                logging.INFO if logger.hasHandlers() else logging.WARNING,
                f"{self.name}: {self.done}{of} {self.unit}s, "
                f"{now - self._begin:.0f} s"
                + (f", {self._note}" if self._note else ""),
            )
