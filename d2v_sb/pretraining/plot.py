"""Draws the curves of pretraining runs.

Authors
 * The d2v_sb developers 2026
"""

import csv
import math
from pathlib import Path

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError, UserError

# Title and columns of each panel; a run's own guard lies at 0.1 and 0.01.
PANELS = (
    ("loss", ("loss",)),
    (
        "std of targets (–) and predictions (··)",
        ("target_std", "prediction_std"),
    ),
    ("std of the conv features", ("feature_std",)),
    ("cosine of neighbouring conv frames", ("frame_cosine",)),
    ("gradient norm", ("grad_norm",)),
    ("audio seconds per second", ("audio_s_per_s",)),
    ("share of the time waiting for audio", ("waiting",)),
)
STYLES = ("-", ":")


def read_curves(path):
    """The columns of a curves.csv.

    Arguments
    ---------
    path : str or pathlib.Path
        The file, or the output folder of a run.

    Returns
    -------
    dict
        Lists of float by name.

    Raises
    ------
    DataError
        If it is not there, or no such file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "curves.csv"
    >>> _ = path.write_text("update,loss\\n200,1.5\\n400,1.25\\n")
    >>> read_curves(path)
    {'update': [200.0, 400.0], 'loss': [1.5, 1.25]}
    """
    path = Path(path)
    path = path / "curves.csv" if path.is_dir() else path
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        if not rows:
            raise ValueError("no rows yet")
        columns = {
            name: [float(row[name] or "nan") for row in rows]
            for name in rows[0]
        }
        columns["update"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} holds no curves ({error}); pretraining writes them to "
            "curves.csv in its output folder, one row an interval"
        ) from error
    return columns


def plot_curves(runs, target):
    """Draws runs over each other, a panel for each quantity that they have.

    Arguments
    ---------
    runs : dict
        Paths, as for ``read_curves``, by what the legend calls them.
    target : str or pathlib.Path
        The picture; its ending (.svg, .png, .pdf) says of what kind.

    Raises
    ------
    UserError
        If a file holds no curves, or the ending is of no kind that it draws.
    """
    from matplotlib.figure import Figure

    curves = {label: read_curves(path) for label, path in runs.items()}
    known = {name for columns in curves.values() for name in columns}
    # Older versions did not write all of them.
    panels = [panel for panel in PANELS if known.intersection(panel[1])]
    num_columns = max(1, math.ceil(len(panels) / 2))
    figure = Figure(figsize=(11 / 3 * num_columns, 6), layout="constrained")
    axes = figure.subplots(2, num_columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for color, (label, columns) in enumerate(curves.items()):
        for axis, (title, names) in zip(axes.flat, panels, strict=False):
            axis.set_title(title, fontsize=10)
            for name, style in zip(names, STYLES, strict=False):
                axis.plot(
                    columns["update"],
                    columns.get(name, [float("nan")] * len(columns["update"])),
                    style,
                    color=f"C{color}",
                    label=label if style == "-" else None,
                    linewidth=1.2,
                )
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    for axis in axes.flat[: len(panels)][-num_columns:]:
        axis.set_xlabel("update")
    axes[0, 0].legend(fontsize=8)
    try:
        with replacing(target) as beside:
            figure.savefig(beside)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{target}: {error}") from error
