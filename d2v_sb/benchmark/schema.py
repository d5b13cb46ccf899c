"""What a table may hold, checked part by part.

Authors
 * The d2v_sb developers 2026
"""

import math
from difflib import get_close_matches

REQUIRED = object()


class Part:
    """A mapping of a table; what is wrong with it is noted, not raised.

    Arguments
    ---------
    values : object
        What the table has there.
    where : str
        Which part it is, for messages.
    known : sequence of str
        The keys that it may have.
    faults : list of str
        Where faults are added.

    Example
    -------
    >>> faults = []
    >>> part = Part({"seeds": "x", "hed": 1}, "task asr", ["seeds"], faults)
    >>> part.get("seeds", integers)
    >>> for fault in faults:
    ...     print(fault)
    task asr: unknown key 'hed'; known are seeds
    task asr: seeds: whole numbers in [] are expected, not 'x'
    """

    def __init__(self, values, where, known, faults):
        self.where, self.faults = where, faults
        if not isinstance(values, dict):
            faults.append(f"{where}: a mapping is expected, not {values!r}")
            values = {}
        self.values = values
        for key in values:
            if key not in known:
                near = get_close_matches(str(key), known, 1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                faults.append(
                    f"{where}: unknown key {key!r}{hint}; known are "
                    + ", ".join(known)
                )

    def get(self, key, check, default=REQUIRED):
        """The value of a key, None where it is wrong.

        Arguments
        ---------
        key : str
            One of the known.
        check : callable
            Returns the value, or raises ValueError saying what is expected.
        default : object
            Where the key is left out; without one that is a fault.
        """
        if key not in self.values:
            if default is REQUIRED:
                self.faults.append(f"{self.where}: {key} is missing")
                return None
            return default
        value = self.values[key]
        try:
            return check(value)
        except ValueError as error:
            self.faults.append(
                f"{self.where}: {key}: {error} expected, not {value!r}"
            )
            return None

    def fault(self, text):
        """Notes what no check of a single value finds."""
        self.faults.append(f"{self.where}: {text}")


def text(value):
    """A text that is not empty."""
    if not (isinstance(value, str) and value.strip()):
        raise ValueError("a text is")
    return value


def texts(value):
    """A list of texts, none twice."""
    return _several(value, lambda v: isinstance(v, str) and v, "texts")


def integers(value):
    """A list of whole numbers, none twice."""
    return _several(value, lambda v: type(v) is int, "whole numbers")


def positive(value):
    """A number above 0."""
    if not _is_positive(value):
        raise ValueError("a number above 0 is")
    return float(value)


def positives(value):
    """A list of numbers above 0, none twice."""
    numbers = _several(value, _is_positive, "numbers above 0")
    return [float(number) for number in numbers]


def mapping(value):
    """A mapping by text; nothing for null."""
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(
        isinstance(k, str) for k in value
    ):
        raise ValueError("a mapping by text is")
    return value


def texts_by_name(value):
    """A mapping of text to text."""
    value = mapping(value)
    if not all(isinstance(v, str) and v for v in value.values()):
        raise ValueError("a mapping of text to text is")
    return value


def one_of(choices):
    """A check that a value is among the known.

    Example
    -------
    >>> one_of(["a", "b"])("c")
    Traceback (most recent call last):
    ValueError: one of a, b is
    """

    def check(value):
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is")
        return value

    return check


def some_of(choices):
    """A check that a list holds nothing but the known."""

    def check(value):
        value = texts(value)
        if not set(value) <= set(choices):
            raise ValueError(f"some of {', '.join(choices)} in [] are")
        return value

    return check


def _is_positive(value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _several(value, check, what):
    if not (isinstance(value, list) and value and all(map(check, value))):
        raise ValueError(f"{what} in [] are")
    if len(set(value)) < len(value):
        raise ValueError(f"{what} in [], none twice, are")
    return value
