"""Scores turned into log-likelihood ratios.

Authors
 * The d2v_sb developers 2026
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError

MAX_STEPS = 500  # of L-BFGS, far more than two parameters take


@dataclass(frozen=True)
class Calibration:
    """Log-likelihood ratio = scale * score + offset.

    It must be fitted on other trials than those it is reported on: on its own
    trials ``cllr`` says how well a line fits them, not how well the system
    knows how sure it is.

    Arguments
    ---------
    scale, offset : float
        As ``fit`` finds them.

    Example
    -------
    >>> Calibration(2.0, -1.0).to_llr([0.0, 1.0]).tolist()
    [-1.0, 1.0]
    """

    scale: float
    offset: float

    @classmethod
    def fit(cls, scores, labels, p_target=0.5):
        """Logistic regression where targets weigh as if they were this likely.

        Arguments
        ---------
        scores : array_like
            Of trials (N,).
        labels : array_like
            True for target trials (N,).
        p_target : float
            Prior probability of a target where it should fit best; 0.5 makes
            ``cllr`` on these trials the least.

        Returns
        -------
        Calibration

        Raises
        ------
        DataError
            If scores are not finite, a kind of trial is absent, or a threshold
            tells all trials apart, which no finite scale fits.

        Example
        -------
        >>> scores, labels = [0.1, 0.6, 0.4, 0.9], [False, False, True, True]
        >>> Calibration.fit(scores, labels).scale > 0
        True
        """
        scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
        targets, impostors = scores[labels], scores[~labels]
        if not (len(targets) and len(impostors) and np.isfinite(scores).all()):
            raise DataError(
                "calibration needs finite scores of target and of impostor "
                f"trials, and has {len(targets)} targets, {len(impostors)} "
                f"impostors, {(~np.isfinite(scores)).sum()} scores not finite"
            )
        if (
            targets.min() > impostors.max()
            or targets.max() < impostors.min()
            or scores.min() == scores.max()
        ):
            raise DataError(
                f"a threshold tells all {len(scores)} calibration trials "
                "apart, or all have one score: no finite scale fits them. Take "
                "more trials, or harder ones"
            )
        # In standard deviations from the mean, where L-BFGS needs few steps.
        mean, std = scores.mean(), scores.std()
        fitted = _fit(
            (targets - mean) / std, (impostors - mean) / std, p_target
        )
        scale = fitted[0] / std
        return cls(float(scale), float(fitted[1] - scale * mean))

    def to_llr(self, scores):
        """Natural logarithms of likelihood ratios (N,), float64."""
        return self.scale * np.asarray(scores, dtype=np.float64) + self.offset

    def save(self, path):
        """Writes it as JSON.

        Example
        -------
        >>> path = getfixture("tmp_path") / "calibration.json"
        >>> Calibration(2.0, -1.0).save(path)
        >>> Calibration.load(path)
        Calibration(scale=2.0, offset=-1.0)
        """
        with replacing(path) as beside:
            text = json.dumps(asdict(self), indent=2) + "\n"
            beside.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path):
        """Reads what ``save`` wrote; a ``DataError`` if it is something else."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(float(values["scale"]), float(values["offset"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} holds no calibration ({error}): it is a JSON of scale "
                "and offset"
            ) from error


def cllr(llrs, labels, weights=None):
    """Cost of log-likelihood ratios over all priors (Brümmer & du Preez 2006).

    Arguments
    ---------
    llrs : array_like
        Natural log-likelihood ratios (N,).
    labels : array_like
        True for target trials (N,).
    weights : array_like, optional
        How much each trial counts (N,), 1 by default.

    Returns
    -------
    float
        In bits: 0 is perfect, 1 is what a system that knows nothing and says
        so gets, and more is worse than that.

    Example
    -------
    >>> cllr([0.0, 0.0], [True, False])
    1.0
    """
    llrs, labels = np.asarray(llrs, float), np.asarray(labels, bool)
    weights = np.ones(len(llrs)) if weights is None else np.asarray(weights)
    # log(1 + exp(x)) without overflow
    losses = np.logaddexp(0, np.where(labels, -llrs, llrs)) / math.log(2)
    of_targets = np.average(losses[labels], weights=weights[labels])
    of_impostors = np.average(losses[~labels], weights=weights[~labels])
    return float((of_targets + of_impostors) / 2)


def _fit(targets, impostors, p_target):
    """Scale and offset, as a list."""
    targets, impostors = torch.tensor(targets), torch.tensor(impostors)
    prior = math.log(p_target / (1 - p_target))
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64)
    parameters.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=MAX_STEPS,
        tolerance_grad=1e-12,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def loss():
        optimizer.zero_grad()
        scale, offset = parameters
        missed = F.softplus(-(scale * targets + offset + prior)).mean()
        accepted = F.softplus(scale * impostors + offset + prior).mean()
        value = p_target * missed + (1 - p_target) * accepted
        value.backward()
        return value

    optimizer.step(loss)
    return parameters.tolist()
