"""Errors that a user can mend: each names the file, the value and the way out.

Scripts turn them into one clear message without a traceback; in a Python
session each is an ordinary ``ValueError``.

Authors
 * The d2v_sb developers 2026
"""


class UserError(ValueError):
    """Something outside the program is wrong, and its message says what."""


class CheckpointError(UserError):
    """A checkpoint is missing, damaged, or of another model."""


class DataError(UserError):
    """A corpus, a manifest or an audio file can not be used as it is."""
