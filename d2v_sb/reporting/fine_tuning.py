"""Charts of fine-tuning, of what its train log says.

Authors
 * The d2v_sb developers 2026
"""

import math
from typing import NamedTuple

from d2v_sb.reporting.drawing import Line, Mark, draw, drawable
from d2v_sb.reporting.parts import Chart, shown
from d2v_sb.reporting.train_log import best, series

# A first loss a hundred times the last one would leave nothing else to see.
DECADES = 30.0
WAITING = (
    "Near 0, reading keeps up with training. Above 0.05 more workers "
    "(num_workers), a faster disk or files that are quicker to read would make "
    "the run shorter."
)


class Measure(NamedTuple):
    """What chooses the best checkpoint."""

    name: str
    choose: object  # min or max


def chosen_by(options, log):
    """What says which validation is the best.

    Arguments
    ---------
    options : Options
        Of the run.
    log : TrainLog
        Of the run.

    Returns
    -------
    Measure, optional
        None where the last checkpoint is taken, or nothing is measured.

    Example
    -------
    >>> from d2v_sb.reporting.options import Options
    >>> from d2v_sb.reporting.train_log import TrainLog
    >>> log = TrainLog([{"update": 1.0, "valid WER": 50.0}], {})
    >>> chosen_by(Options(), log).name
    'WER'
    """
    seen = {name for row in log.validations for name in row}
    if "valid WER" in seen:
        return Measure("WER", min)
    name = options.values.get("best_by", "UA")
    return Measure(name, max) if f"valid {name}" in seen else None


def fine_tuning_charts(log, measure):
    """Draws what a train log has: loss, measures, learning rate, gradients,
    speed.

    Arguments
    ---------
    log : TrainLog
        Of the run.
    measure : Measure, optional
        As of ``chosen_by``.

    Returns
    -------
    list of Chart

    Example
    -------
    >>> from d2v_sb.reporting.train_log import TrainLog
    >>> rows = [{"update": float(u), "valid loss": 1 / u} for u in (1, 2)]
    >>> [chart.title for chart in fine_tuning_charts(TrainLog(rows, {}), None)]
    ['Loss']
    """
    rows, mark = log.validations, None
    found = None
    if measure:
        found = best(rows, f"valid {measure.name}", measure.choose)
    if found:
        mark = Mark(f"best {measure.name} at {shown(found[0], 0)}", found[0])

    def lines(**names):
        return drawable(
            [Line(label, *series(rows, of)) for label, of in names.items()]
        )

    charts = []

    def add(title, note, some, marked=None, scale="linear"):
        if some:
            svg = draw(title, some, mark=marked, scale=scale)
            charts.append(Chart(title, note, svg))

    losses = lines(training="train loss", dev="valid loss")
    scale = loss_scale(losses)
    note = (
        "Lower is better. Where dev rises while training still falls, the "
        "model begins to learn its training data by heart."
    )
    if scale == "log":
        note += " The axis is logarithmic."
    add("Loss", note, losses, mark, scale)
    add(
        "Error rates on dev, %",
        "Lower is better; WER counts words, CER characters. The checkpoint "
        "with the lowest WER is the one that is tested and exported.",
        lines(WER="valid WER", CER="valid CER"),
        mark,
    )
    add(
        "Accuracy on dev, %",
        "Higher is better. WA is the share of utterances that are right, UA "
        "the mean over classes, F1 weighs both kinds of error.",
        lines(WA="valid WA", UA="valid UA", F1="valid F1"),
        mark,
    )
    add(
        "Learning rate",
        "It warms up, holds and decays: what the schedule of the hparams file "
        "makes of lr.",
        lines(lr="lr"),
    )
    add(
        "Gradient norm",
        "Of the update before each validation, before clipping. Spikes are "
        "normal; a rise without end says that the learning rate is too high.",
        lines(norm="grad_norm"),
    )
    add(
        "Seconds of audio trained on in a second",
        "Higher is faster. It drops where the encoder begins to learn, and "
        "wherever reading the data is what takes the time.",
        lines(speed="train audio_s_per_s"),
    )
    add(
        "Share of the time that the loader was waited for",
        WAITING,
        lines(share="train waiting"),
    )
    return charts


def loss_scale(lines):
    """Whether losses are drawn over their logarithm.

    Arguments
    ---------
    lines : list of Line
        Losses.

    Returns
    -------
    str
        ``log`` or ``linear``.

    Example
    -------
    >>> loss_scale([Line("", [1, 2], [100.0, 1.0])])
    'log'
    >>> loss_scale([Line("", [1, 2], [100.0, 0.0])])
    'linear'
    """
    values = [y for line in lines for y in line.y if math.isfinite(y)]
    if not values or min(values) <= 0:
        return "linear"
    return "log" if max(values) > DECADES * min(values) else "linear"
