"""Reads the files of a run, damaged and half-written ones too.

Authors
 * The d2v_sb developers 2026
"""

import json

from ruamel.yaml.error import YAMLError

from d2v_sb.errors import DataError

# What damaged and half-written files raise when they are read.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    YAMLError,
)


class Reader:
    """Reads what can be read, and keeps a note of what can not.

    Example
    -------
    >>> from pathlib import Path
    >>> reader = Reader()
    >>> reader.attempt(lambda path: int("x"), Path("a/b.txt"))
    >>> reader.notes
    ["b.txt can not be read: invalid literal for int() with base 10: 'x'"]
    """

    def __init__(self):
        self.notes = []

    def attempt(self, read, path):
        """What a function makes of a path, or None."""
        try:
            return read(path)
        except DAMAGE as error:
            reason = str(error) or type(error).__name__
            self.notes.append(f"{path.name} can not be read: {reason}")
            return None


def read_json(path):
    """A JSON file that holds an object.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict

    Raises
    ------
    DataError
        If it holds something else.
    """
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise DataError("it holds no object")
    return value
