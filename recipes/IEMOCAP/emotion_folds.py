"""Who is trained on, chosen by and tested on: a fold of an emotion corpus.

A row is a dict with at least ``ID``, ``spk_id``, ``session`` ("" where the
corpus has none) and ``label``. Pure functions make folds of rows
(``emotion_protocols``).

Authors
 * The d2v_sb developers 2026
"""

import re
from dataclasses import dataclass

from d2v_sb.errors import DataError

PARTS = ("train", "dev", "test")
SHOWN = 10  # names in a message


@dataclass(frozen=True)
class Fold:
    """Ids of the utterances that are trained on, chosen by and tested on."""

    name: str  # of its folder
    train: frozenset[str]
    dev: frozenset[str]
    test: frozenset[str]


def in_order(names):
    """Sorts names, with numbers in them by value.

    Arguments
    ---------
    names : iterable of str
        Each once.

    Returns
    -------
    list of str

    Example
    -------
    >>> in_order(["fold10", "fold9"])
    ['fold9', 'fold10']
    """

    def key(name):
        # Text and numbers take turns, so that like is compared with like. The
        # name itself parts "1" from "01".
        pieces = re.split(r"([0-9]+)", name)
        return [int(p) if i % 2 else p for i, p in enumerate(pieces)], name

    return sorted(names, key=key)


def fold_of(name, rows, dev, test):
    """A fold that trains on what is neither in dev nor in test."""
    dev, test = frozenset(dev), frozenset(test)
    train = frozenset(row["ID"] for row in rows) - dev - test
    return Fold(name, train, dev, test)


def said_by(rows, speakers):
    """Ids of the utterances of speakers."""
    return {row["ID"] for row in rows if row["spk_id"] in speakers}


def check_num_folds(num_folds, most, of):
    """A number of folds; a ``DataError`` if it can not be one."""
    if type(num_folds) is not int or not 2 <= num_folds <= most:
        raise DataError(
            f"num_folds is {num_folds!r}, but must be a whole number from 2 "
            f"to {most}, the number of {of}"
        )
    return num_folds
