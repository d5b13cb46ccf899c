"""Test figures as a model card shows them.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass

# By its name in files: how the card says it, and the hub's identifier.
METRICS = {
    "wer": ("WER %", "wer"),
    "cer": ("CER %", "cer"),
    "eer": ("EER %", "eer"),
    "min_dcf_001": ("minDCF(0.01)", "min_dcf"),
    "min_dcf_005": ("minDCF(0.05)", "min_dcf"),
    "accuracy": ("accuracy %", "accuracy"),
    "wa": ("weighted accuracy %", "accuracy"),
    "ua": ("unweighted accuracy %", "unweighted_accuracy"),
    "f1": ("F1 %", "f1"),
}
DIGITS = 0.0051  # tables have two after the point


@dataclass(frozen=True)
class Figure:
    """A value and, where it is known, its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self):
        digits = 2 if max(abs(self.value), abs(self.high or 0)) > 1 else 3
        text = f"{self.value:.{digits}f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} ({self.low:.{digits}f} to {self.high:.{digits}f})"


@dataclass(frozen=True)
class Result:
    """What was measured on one test set.

    Arguments
    ---------
    test : str
        The test set.
    how : str
        Decoding, scoring, or whatever else belongs to it.
    figures : dict
        ``Figure`` by a name of ``METRICS``.
    size : str
        On how much.
    origin : str
        Where the figures are from.
    """

    test: str
    how: str
    figures: dict
    size: str
    origin: str

    def __str__(self):
        figures = ", ".join(
            f"{METRICS[name][0]} {figure}"
            for name, figure in self.figures.items()
        )
        return f"{self.test}; {self.how}: {figures}"

    def same_as(self, other):
        """Whether two are of one measurement: on as much, with equal figures
        as far as tables have digits."""
        shared = self.figures.keys() & other.figures.keys()
        sizes = self.size.split()[:1], other.size.split()[:1]
        return bool(shared) and (
            ([] in sizes or sizes[0] == sizes[1])
            and all(
                abs(self.figures[n].value - other.figures[n].value) < DIGITS
                for n in shared
            )
        )


@dataclass(frozen=True)
class Results:
    """What a card shows.

    Arguments
    ---------
    own : list of Result
        Of the run that made the model.
    others : list of Result
        Of other runs; those that are of this run too are left out.
    """

    own: list
    others: list

    def __post_init__(self):
        others = [
            other
            for other in self.others
            if not any(other.same_as(own) for own in self.own)
        ]
        object.__setattr__(self, "others", others)
