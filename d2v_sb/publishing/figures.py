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
