"""What one job of a benchmark found: a JSON file in its folder.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError

NAME = "result.json"
# Where less is better.
ERRORS = ("WER", "CER", "EER", "minDCF")


@dataclass(frozen=True)
class Measure:
    """A figure on a test set.

    Arguments
    ---------
    split : str
        Where it was measured.
    name : str
        "WER", "CER", "EER" or "accuracy" in percent, or "minDCF".
    value : float
        The figure.
    low, high : float, optional
        Its 95 % interval by bootstrap over speakers.
    count : int
        Utterances or trials.
    speakers : int, optional
        Who said them; None where it is not known.
    """

    split: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    count: int = 0
    speakers: int | None = None

    def __str__(self):
        text = f"{self.split}: {self.name} {self.value:.2f}"
        if self.low is not None:
            text += f" (95 % from {self.low:.2f} to {self.high:.2f})"
        return text


@dataclass(frozen=True)
class Result:
    """What a job found, and of what.

    Arguments
    ---------
    task, head, encoder, mode : str
        Which job it is; the encoder by its source.
    seed : int
        Of the job.
    lr : float, optional
        The head's learning rate.
    fold : str, optional
        Of a corpus that is tested in folds.
    dev : Measure
        What the best checkpoint, and the best learning rate, are chosen by.
    measures : list of Measure
        On test sets.
    seconds : dict of str to float
        What took how long: "preparation", "encoding", "training", "testing".
    about : dict of str to str
        "date", "commit", "hardware", "versions", "command", "corpus", ...
    """

    task: str
    head: str
    encoder: str
    mode: str
    seed: int
    dev: Measure
    measures: list[Measure]
    lr: float | None = None
    fold: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    def write(self, folder):
        """Writes it to a job's folder.

        Example
        -------
        >>> dev = Measure("dev", "WER", 9.0)
        >>> result = Result("asr", "linear", "tiny", "clean", 1, dev, [dev])
        >>> result.write(getfixture("tmp_path"))
        >>> read_result(getfixture("tmp_path")) == result
        True
        """
        with replacing(Path(folder) / NAME) as beside:
            text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
            beside.write_text(text, encoding="utf-8")


def read_result(folder):
    """What a job found, None where it found nothing yet.

    Arguments
    ---------
    folder : str or pathlib.Path
        Of the job.

    Returns
    -------
    Result or None

    Raises
    ------
    DataError
        If the file is no result.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        dev = Measure(**values.pop("dev"))
        measures = [Measure(**m) for m in values.pop("measures")]
        return Result(**values, dev=dev, measures=measures)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} holds no result ({error}): remove it to run the job again"
        ) from error


def is_error(name):
    """Whether less of a measure is better.

    Example
    -------
    >>> is_error("WER"), is_error("accuracy")
    (True, False)
    """
    return name in ERRORS
