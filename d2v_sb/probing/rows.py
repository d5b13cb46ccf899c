"""Utterances to probe with, or the parts of them that are heard.

Authors
 * The d2v_sb developers 2026
"""

import csv
from dataclasses import dataclass, replace

from d2v_sb.errors import DataError, UserError
from d2v_sb.presets import SAMPLE_RATE

NEEDED = ("ID", "duration", "wav", "spk_id")


@dataclass(frozen=True)
class Utterance:
    """A stretch of an audio file, and what is to be told of it.

    Arguments
    ---------
    id : str
        Its own.
    wav : str
        The file.
    speaker : str
        Who speaks.
    target : str
        Words, or a class.
    start, num_samples : int
        What is heard, in samples at 16 kHz.
    file_samples : int
        All that the file has.
    """

    id: str
    wav: str
    speaker: str
    target: str
    start: int
    num_samples: int
    file_samples: int

    @property
    def seconds(self):
        """How long it is."""
        return self.num_samples / SAMPLE_RATE


def read_utterances(path, column=None):
    """The utterances of a prepared CSV, each whole.

    Arguments
    ---------
    path : str or pathlib.Path
        With ID, duration (s), wav and spk_id.
    column : str, optional
        Where the target is, none for clips that have none.

    Returns
    -------
    list of Utterance

    Raises
    ------
    DataError
        If there is no such file or column, or no utterance in it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "dev.csv"
    >>> _ = path.write_text(
    ...     "ID,duration,wav,spk_id,label\\na,0.5,a.wav,s,up\\n"
    ... )
    >>> read_utterances(path, "label")[0].num_samples
    8000
    """
    needed = [*NEEDED, *filter(None, [column])]
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lacking = set(needed) - set(reader.fieldnames or ())
            if lacking:
                raise DataError(
                    f"{path} has no column {', '.join(sorted(lacking))}; it "
                    f"needs {', '.join(needed)}"
                )
            found = [_utterance(row, column, needed) for row in reader]
    except OSError as error:
        raise DataError(
            f"there is no {path}: the corpus's preparation writes train.csv, "
            "dev.csv and a CSV for each of --test_splits to --prepared_folder; "
            "of --corpus csv they are yours"
        ) from error
    except (ValueError, csv.Error) as error:
        if isinstance(error, UserError):
            raise
        raise DataError(
            f"{path}, line {reader.line_num}: {error}. Mend it; one that a "
            "preparation wrote is made again where it is removed"
        ) from error
    if not found:
        raise DataError(f"{path} lists no utterance")
    return found


def _utterance(row, column, needed):
    lacking = [name for name in needed if not row[name]]
    if lacking:
        raise ValueError(f"it has no {', '.join(lacking)}")
    try:
        num = round(float(row["duration"]) * SAMPLE_RATE)
    except ValueError:
        num = 0
    if num <= 0:
        raise ValueError(
            f"its duration is {row['duration']!r}, and must be in seconds"
        )
    target = row[column] if column else ""
    return Utterance(row["ID"], row["wav"], row["spk_id"], target, 0, num, num)


class Whole:
    """All of each utterance is heard.

    Example
    -------
    >>> Whole()([1, 2])
    [1, 2]
    """

    def __call__(self, utterances):
        """Utterances to what is heard of them."""
        return utterances


def beginnings(seconds):
    """``Beginnings`` of so many seconds, ``Whole`` utterances for None.

    Example
    -------
    >>> type(beginnings(None)).__name__
    'Whole'
    """
    return Whole() if seconds is None else Beginnings(float(seconds))


class Beginnings:
    """Not more than the first so many seconds of each utterance.

    Arguments
    ---------
    seconds : float
        The most.

    Example
    -------
    >>> whole = Utterance("a", "a.wav", "s", "", 0, 48000, 48000)
    >>> Beginnings(1.0)([whole])[0].num_samples
    16000
    """

    def __init__(self, seconds):
        self.most = round(seconds * SAMPLE_RATE)

    def __call__(self, utterances):
        """Utterances to what is heard of them."""
        return [
            replace(u, num_samples=min(u.num_samples, self.most))
            for u in utterances
        ]


class Segments:
    """Each utterance in pieces of one length; what is left over is not heard.

    One that is shorter than a piece is heard whole.

    Arguments
    ---------
    seconds : float
        Of a piece.

    Example
    -------
    >>> whole = Utterance("a", "a.wav", "s", "", 0, 80000, 80000)
    >>> [(u.id, u.start) for u in Segments(2.0)([whole])]
    [('a#0', 0), ('a#1', 32000)]
    """

    def __init__(self, seconds):
        self.length = round(seconds * SAMPLE_RATE)

    def __call__(self, utterances):
        """Utterances to what is heard of them."""
        pieces = []
        for u in utterances:
            length = min(self.length, u.num_samples)
            for i in range(u.num_samples // length):
                pieces.append(
                    replace(
                        u,
                        id=f"{u.id}#{i}",
                        start=i * length,
                        num_samples=length,
                    )
                )
        return pieces
