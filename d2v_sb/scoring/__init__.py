"""Scores of speaker verification and of classification, with intervals.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.scoring.accuracy import (
    confusion,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)
from d2v_sb.scoring.bootstrap import (
    error_rate_interval,
    group_interval,
    speaker_interval,
)
from d2v_sb.scoring.calibration import Calibration, cllr
from d2v_sb.scoring.detection import equal_error_rate, error_curve, min_dcf
from d2v_sb.scoring.embeddings import embed, folder_identity
from d2v_sb.scoring.plot import plot_confusion, plot_det
from d2v_sb.scoring.trials import read_trials
from d2v_sb.scoring.verification import verify

__all__ = [
    "Calibration",
    "cllr",
    "confusion",
    "embed",
    "equal_error_rate",
    "error_rate_interval",
    "error_curve",
    "folder_identity",
    "group_interval",
    "min_dcf",
    "plot_confusion",
    "plot_det",
    "read_trials",
    "speaker_interval",
    "unweighted_accuracy",
    "verify",
    "weighted_accuracy",
    "weighted_f1",
]
