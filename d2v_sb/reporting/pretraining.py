"""Charts of pretraining, of its curves and its validations.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.pretraining.collapse import CollapseGuard
from d2v_sb.reporting.drawing import Level, Line, draw, drawable
from d2v_sb.reporting.fine_tuning import WAITING, loss_scale
from d2v_sb.reporting.parts import Chart
from d2v_sb.reporting.train_log import series


def pretraining_charts(curves, log, options):
    """Draws how a pretraining run went, what tells of a collapse included.

    Arguments
    ---------
    curves : list of dict
        Rows of ``curves.csv``.
    log : TrainLog
        Of the run.
    options : Options
        Of the run.

    Returns
    -------
    list of Chart

    Example
    -------
    >>> from d2v_sb.reporting.options import Options
    >>> from d2v_sb.reporting.train_log import TrainLog
    >>> rows = [{"update": 1.0, "loss": 5.0}, {"update": 2.0, "loss": 4.0}]
    >>> charts = pretraining_charts(rows, TrainLog([], {}), Options())
    >>> [chart.title for chart in charts]
    ['Loss']
    """
    guard, values = CollapseGuard(), options.values
    least_target = values.get("min_target_var", guard.min_target_var)
    least_prediction = values.get("min_pred_var", guard.min_pred_var)
    start = values.get("collapse_start", guard.start)
    charts = []

    def line(label, name, rows=curves):
        return Line(label, *series(rows, name))

    def add(title, note, *lines, levels=(), scale="linear"):
        lines = drawable(lines)
        if lines:
            svg = draw(title, lines, levels, scale=scale)
            charts.append(Chart(title, note, svg))

    losses = [
        line("training", "loss"),
        line("dev", "valid loss", log.validations),
    ]
    add(
        "Loss",
        "How far the predictions of hidden frames are from the teacher's. It "
        "falls, and may rise again as the teacher's targets grow richer; near "
        "0 within some hundred updates, the targets have become trivial.",
        *losses,
        scale=loss_scale(losses),
    )
    add(
        "Deviation of targets and predictions",
        f"Both should keep away from 0, predictions below targets. After "
        f"update {start} the run is stopped where targets fall below "
        f"{least_target} or predictions below {least_prediction}: all frames "
        "are then alike.",
        line("targets", "target_std"),
        line("predictions", "prediction_std"),
        levels=[Level("least of targets", float(least_target))],
    )
    add(
        "Deviation of the convolutional features",
        "How much the frames that the transformer gets differ from each "
        "other. Worry when it falls to a few hundredths.",
        line("features", "feature_std"),
    )
    add(
        "Cosine of neighbouring frames",
        "Near 1, the convolutional features hardly move in time: a collapse "
        "that the deviations do not show.",
        line("cosine", "frame_cosine"),
    )
    add(
        "Learning rate",
        "It warms up, holds and decays, as the schedule says.",
        line("lr", "lr"),
    )
    add(
        "Decay of the teacher",
        "How slowly the teacher follows the student: at 0.999 it is a mean "
        "over about 1,000 updates.",
        line("decay", "decay"),
    )
    add(
        "Gradient norm",
        "Before clipping. Spikes are normal; a rise without end says that the "
        "learning rate is too high.",
        line("norm", "grad_norm"),
    )
    add(
        "Share of frames hidden",
        "It follows from mask_prob and mask_length and should stay level.",
        line("share", "masked_share"),
    )
    add(
        "Seconds of audio trained on in a second",
        "Higher is faster. Gaps of speed are validations, checkpoints, or a "
        "disk that is slow.",
        line("speed", "audio_s_per_s"),
    )
    add(
        "Share of the time that the loader was waited for",
        WAITING,
        line("share", "waiting"),
    )
    add(
        "Updates left out",
        "Their gradients were not finite. A few at the start are normal with "
        "fp16; growth in bf16 or fp32 is a reason to look into the log.",
        *(one for one in [line("left out", "skipped")] if any(one.y)),
    )
    return charts
