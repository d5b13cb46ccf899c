"""Speaker verification of a list of trials: scored, measured, written.

Authors
 * The d2v_sb developers 2026
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import replacing
from d2v_sb.scoring.bootstrap import NUM_RESAMPLES, speaker_interval
from d2v_sb.scoring.calibration import cllr
from d2v_sb.scoring.detection import eer_of_curve, error_curve, min_dcf_of_curve
from d2v_sb.scoring.normalisation import TOP, adaptive_s_norm, cosine_scores
from d2v_sb.scoring.plot import plot_det
from d2v_sb.scoring.trials import (
    key_of,
    keys_of,
    speaker_of,
    speakers_of,
    write_scores,
)

logger = get_logger(__name__)

BLOCK = 1 << 16  # trials scored at a time


@dataclass(frozen=True)
class Measure:
    """A value and its 95 % interval over speakers.

    Example
    -------
    >>> print(Measure(0.25, 0.2, 0.3))
    0.250 (0.200 to 0.300)
    """

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Verification:
    """What a list of trials says of a system.

    Arguments
    ---------
    name : str
        Of the list.
    num_trials, num_targets, num_speakers : int
        How much was measured.
    scores : str
        What the scores are: cosines, normalised or not, or log-likelihood
        ratios of them.
    eer : Measure
        Equal error rate, from 0 to 1.
    min_dcf_001, min_dcf_005 : Measure
        Least normalised detection costs, targets having the prior probability
        0.01 and 0.05, errors of either kind costing the same.
    cllr : Measure, optional
        In bits, where the scores were calibrated.
    """

    name: str
    num_trials: int
    num_targets: int
    num_speakers: int
    scores: str
    eer: Measure
    min_dcf_001: Measure
    min_dcf_005: Measure
    cllr: Measure | None = None

    def __str__(self):
        eer = self.eer
        text = (
            f"{self.name}: EER {100 * eer.value:.2f} % ({100 * eer.low:.2f} "
            f"to {100 * eer.high:.2f}), minDCF(0.01) {self.min_dcf_001}, "
            f"minDCF(0.05) {self.min_dcf_005}"
        )
        if self.cllr is not None:
            text += f", Cllr {self.cllr}"
        return (
            f"{text}; {self.num_trials} trials of {self.num_speakers} speakers"
        )


def verify(
    name,
    trials,
    embeddings,
    output_folder,
    cohort=None,
    top=TOP,
    calibration=None,
    num_resamples=NUM_RESAMPLES,
):
    """Scores trials, measures, and writes ``<name>.scores.tsv``,
    ``<name>.json`` and ``<name>.det.png``.

    Arguments
    ---------
    name : str
        Of the list.
    trials : list of Trial
        What it holds.
    embeddings : dict of str to torch.Tensor
        Embeddings (C,) by the clips' keys; those of other clips are ignored.
    output_folder : str or pathlib.Path
        Where the files go.
    cohort : torch.Tensor, optional
        Embeddings of speakers who are in no trial (K, C), to normalise with.
    top : int
        See ``adaptive_s_norm``.
    calibration : Calibration, optional
        Fitted to scores of other trials, normalised or not as these are.
    num_resamples : int
        Draws of speakers for the intervals.

    Returns
    -------
    Verification

    Raises
    ------
    DataError
        If a file can not be written, or the trials can not be scored (see
        ``adaptive_s_norm`` and ``error_curve``).

    Example
    -------
    >>> from d2v_sb.scoring.trials import Trial
    >>> trials = [Trial(True, "a/1/1.wav", "a/2/1.wav")]
    >>> trials.append(Trial(False, "a/1/1.wav", "b/1/1.wav"))
    >>> x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> embeddings = {"a/1/1": x, "a/2/1": x, "b/1/1": y}
    >>> folder = getfixture("tmp_path")
    >>> verify("x", trials, embeddings, folder, num_resamples=9).eer.value
    0.0
    """
    folder = Path(output_folder)
    scores = score_trials(trials, embeddings, cohort, top)
    kind = "cosine" if cohort is None else "cosine, adaptive s-norm"
    if calibration is not None:
        scores = calibration.to_llr(scores)
        kind = f"log-likelihood ratio of {kind}"
    write_scores(folder / f"{name}.scores.tsv", trials, scores)
    labels = labels_of(trials)

    def measures(scores, labels, weights=None):
        rates = error_curve(scores, labels, weights)[1:]
        values = [
            eer_of_curve(*rates),
            min_dcf_of_curve(*rates, p_target=0.01),
            min_dcf_of_curve(*rates, p_target=0.05),
        ]
        if calibration is not None:
            values.append(cllr(scores, labels, weights))
        return np.array(values)

    bounds = speaker_interval(
        measures,
        scores,
        labels,
        [speaker_of(trial.enrol) for trial in trials],
        [speaker_of(trial.test) for trial in trials],
        num_resamples,
    )
    values = zip(
        measures(scores, labels).tolist(), *map(np.ndarray.tolist, bounds)
    )
    result = Verification(
        name,
        len(trials),
        int(labels.sum()),
        len(speakers_of(trials)),
        kind,
        *(Measure(*value) for value in values),
    )
    with replacing(folder / f"{name}.json") as beside:
        text = json.dumps(asdict(result), indent=2) + "\n"
        beside.write_text(text, encoding="utf-8")
    curve = error_curve(scores, labels)[1:]
    plot_det({name: curve}, folder / f"{name}.det.png")
    return result


def score_trials(trials, embeddings, cohort=None, top=TOP):
    """Cosine of each trial's embeddings, normalised where there is a cohort.

    Arguments
    ---------
    trials, embeddings, cohort, top
        As of ``verify``.

    Returns
    -------
    np.ndarray
        Scores (N,), float64.

    Example
    -------
    >>> from d2v_sb.scoring.trials import Trial
    >>> embeddings = {"a/1": torch.ones(2), "a/2": torch.tensor([1.0, 0.0])}
    >>> score_trials([Trial(True, "a/1.wav", "a/2.wav")], embeddings)
    array([0.70710678])
    """
    places = {key: place for place, key in enumerate(keys_of(trials))}
    rows = torch.stack([embeddings[key] for key in places])
    enrol = torch.tensor([places[key_of(trial.enrol)] for trial in trials])
    test = torch.tensor([places[key_of(trial.test)] for trial in trials])
    scores = torch.cat(
        [
            cosine_scores(rows[a], rows[b])
            for a, b in zip(enrol.split(BLOCK), test.split(BLOCK))
        ]
    )
    if cohort is not None:
        scores = adaptive_s_norm(scores, enrol, test, rows, cohort, top)
    return scores.numpy()


def labels_of(trials):
    """Which trials are target trials, as an array of bool (N,)."""
    return np.array([trial.target for trial in trials])
