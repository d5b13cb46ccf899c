"""What was decoded so far, with which values.

Authors
 * The d2v_sb developers 2026
"""

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError


@dataclass(frozen=True)
class Point:
    """Values of beam search, and the error rates that they gave, in percent.

    Arguments
    ---------
    alpha : float
        Weight of the language model.
    beta : float
        What each word counts.
    beam_size : int
        Hypotheses that are kept.
    WER, CER : float
        On dev.

    Example
    -------
    >>> Point(0.5, 1.0, 50).options
    {'alpha': 0.5, 'beta': 1.0, 'beam_size': 50}
    """

    alpha: float
    beta: float
    beam_size: int
    WER: float = float("nan")
    CER: float = float("nan")

    @property
    def options(self):
        """For ``CTCBeamSearcher``: dict."""
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "beam_size": self.beam_size,
        }


class Points:
    """Points in a CSV file, each kept as soon as it is there.

    Arguments
    ---------
    path : str or pathlib.Path
        The file; it may hold points of other models or language models too.
    source : str
        Of which model and language model these are.

    Raises
    ------
    DataError
        If the file is something else.

    Example
    -------
    >>> path = getfixture("tmp_path") / "points.csv"
    >>> points = Points(path, "model a")
    >>> points.add(Point(0.5, 1.0, 50, WER=9.0, CER=3.0))
    >>> points.add(Point(1.0, 1.0, 50, WER=8.0, CER=3.0))
    >>> Points(path, "model a").best().alpha, len(Points(path, "model b"))
    (1.0, 0)
    """

    def __init__(self, path, source):
        self.path, self.source = Path(path), source
        self._rows = _read(self.path)

    def __iter__(self):
        return (point for source, point in self._rows if source == self.source)

    def __len__(self):
        return sum(1 for _ in self)

    def __contains__(self, point):
        return point.options in [known.options for known in self]

    def ranked(self):
        """The lowest WER first, then CER, then the smallest beam and weights:
        list of Point."""
        return sorted(
            self, key=lambda p: (p.WER, p.CER, p.beam_size, p.alpha, p.beta)
        )

    def best(self):
        """The first of them."""
        return self.ranked()[0]

    def add(self, point):
        """Keeps one more, beside what another sweep added meanwhile."""
        self._rows = [*_read(self.path), (self.source, point)]
        columns = [field.name for field in fields(Point)]
        with (
            replacing(self.path) as beside,
            open(beside, "w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["source", *columns])
            writer.writerows((of, *astuple(row)) for of, row in self._rows)


def _read(path):
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            return [
                (
                    row["source"],
                    Point(
                        **{f.name: f.type(row[f.name]) for f in fields(Point)}
                    ),
                )
                for row in csv.DictReader(stream)
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} holds something else than the points of a sweep: move it"
        ) from error
