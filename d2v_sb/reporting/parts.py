"""What a page is made of.

Authors
 * The d2v_sb developers 2026
"""

import math
from typing import NamedTuple


class Tile(NamedTuple):
    """A figure in large digits."""

    value: str
    label: str


class Chart(NamedTuple):
    """A drawing with a sentence on how to read it."""

    title: str
    note: str
    svg: str


class Link(NamedTuple):
    """A cell that leads to another page."""

    text: str
    href: str


class Table(NamedTuple):
    """Texts or links by row, the first of each row its name."""

    title: str
    note: str
    columns: list
    rows: list


class Confusion(NamedTuple):
    """Counts and shares by true class, in rows, and predicted class."""

    title: str
    names: list
    rows: list  # of lists of (count, share from 0 to 1)


class Picture(NamedTuple):
    """A picture in the page itself."""

    title: str
    note: str
    data: str  # data:…


class Samples(NamedTuple):
    """What was heard of some utterances."""

    title: str
    groups: dict  # Utterances by what they are
    frequent: dict  # (Token, count) by kind


def shown(value, digits=2):
    """A number as text, whatever it is.

    Arguments
    ---------
    value : object
        A number, or what a damaged file has in its place.
    digits : int
        After the point.

    Returns
    -------
    str

    Example
    -------
    >>> shown(12.345), shown(80000.0, 0), shown(float("nan")), shown(None)
    ('12.35', '80,000', 'nan', '–')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else str(value)
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.{digits}f}"


def with_interval(value, interval, digits=1):
    """A number and its interval as text.

    Arguments
    ---------
    value : float
        The number.
    interval : list of float, optional
        Its limits.
    digits : int
        After the point.

    Returns
    -------
    str

    Example
    -------
    >>> with_interval(50.0, [40, 61.26]), with_interval(50.0, None)
    ('50.0 (40.0 to 61.3)', '50.0')
    """
    text = shown(value, digits)
    if not interval:
        return text
    low, high = interval
    return f"{text} ({shown(low, digits)} to {shown(high, digits)})"


def without_empty(columns, rows):
    """A table's columns without those that hold nothing.

    Arguments
    ---------
    columns : list of str
        Names.
    rows : list of list
        Cells.

    Returns
    -------
    list of str
    list of list

    Example
    -------
    >>> without_empty(["a", "b"], [["1", "–"], ["2", "–"]])
    (['a'], [['1'], ['2']])
    """
    kept = [
        place
        for place in range(len(columns))
        if any(row[place] != "–" for row in rows)
    ]
    return (
        [columns[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
    )
