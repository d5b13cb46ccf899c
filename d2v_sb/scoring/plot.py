"""Draws error curves and confusions.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import torch

from d2v_sb.atomic import replacing
from d2v_sb.errors import UserError
from d2v_sb.scoring.detection import eer_of_curve

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40)  # percent
LIMITS = (0.05, 60)  # percent
# Of the axes' unit, far less than a pixel: half a million thresholds would
# make a picture of many megabytes.
STEP = 0.002


def plot_det(curves, target):
    """Draws misses over false alarms on normal-deviate axes.

    There the scores of two normal distributions make a straight line. The
    dashed diagonal meets each curve at its equal error rate.

    Arguments
    ---------
    curves : dict
        (misses, false_alarms), as from ``error_curve``, by what the legend
        calls them.
    target : str or pathlib.Path
        The picture; its ending (.svg, .png, .pdf) says of what kind.

    Raises
    ------
    UserError
        If the ending is of no kind that it draws.
    """
    figure = _figure(figsize=(5.5, 5.5))
    axis = figure.subplots()
    limits = _deviates(np.divide(LIMITS, 100))
    axis.plot(limits, limits, "--", color="gray", linewidth=0.8)
    for number, (name, (misses, false_alarms)) in enumerate(curves.items()):
        points = np.stack([_deviates(false_alarms), _deviates(misses)])
        eer = eer_of_curve(misses, false_alarms)
        at_eer = _deviates(np.array([eer]))
        axis.plot(
            *_thinned(points),
            color=f"C{number}",
            label=f"{name}: EER {100 * eer:.2f} %",
            linewidth=1.2,
        )
        axis.plot(at_eer, at_eer, "o", color=f"C{number}", markersize=4)
    ticks = _deviates(np.divide(TICKS, 100))
    axis.set_xticks(ticks, [f"{tick:g}" for tick in TICKS])
    axis.set_yticks(ticks, [f"{tick:g}" for tick in TICKS])
    axis.set_xlim(limits)
    axis.set_ylim(limits)
    axis.set_aspect("equal")
    axis.grid(alpha=0.3)
    axis.set_xlabel("false alarms %")
    axis.set_ylabel("misses %")
    axis.legend(fontsize=8)
    _save(figure, target)


def plot_confusion(matrix, names, target):
    """Draws counts by true and predicted class, with shares of the true class.

    Arguments
    ---------
    matrix : array_like
        As of ``confusion`` (C, C).
    names : list of str
        Of the classes.
    target : str or pathlib.Path
        As of ``plot_det``.

    Raises
    ------
    UserError
        As of ``plot_det``.
    """
    matrix = np.asarray(matrix)
    size = len(names)
    figure = _figure(figsize=(2.5 + 0.9 * size, 1.5 + 0.8 * size))
    axis = figure.subplots()
    percent = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*matrix.shape):
        axis.text(
            column,
            row,
            f"{matrix[row, column]:g}\n{percent[row, column]:.0f} %",
            ha="center",
            va="center",
            color="white" if percent[row, column] > 50 else "black",
            fontsize=8,
        )
    axis.set_xticks(range(size), names)
    axis.set_yticks(range(size), names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    figure.colorbar(image, label="% of the true class")
    _save(figure, target)


def _deviates(rates):
    """Quantiles of the normal distribution, those of 0 and 1 cut off."""
    rates = np.clip(rates, 1e-6, 1 - 1e-6)
    return torch.special.ndtri(torch.from_numpy(rates)).numpy()


def _thinned(points):
    """Points (2, K) less those that lie where the one before does."""
    cells = np.round(points / STEP)
    moves = (np.diff(cells, axis=1) != 0).any(axis=0)
    return points[:, np.append(True, moves)]


def _figure(**options):
    from matplotlib.figure import Figure

    return Figure(**options, layout="constrained")


def _save(figure, target):
    try:
        with replacing(target) as beside:
            figure.savefig(beside)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{target}: {error}") from error
