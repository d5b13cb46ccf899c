"""Drawings of a benchmark: figures with intervals, and learning rates.

Authors
 * The d2v_sb developers 2026
"""

import io
import logging
from typing import NamedTuple

# What all charts of a page share: colours that follow it, and its fonts.
from d2v_sb.reporting.drawing import (
    COLOURS,
    GRID,
    INK,
    RC,
    bare_axis,
    colour_of,
    fit_svg,
    plain_text,
)

# Inches; the page scales them, and letters must be read on a phone.
WIDTH, HEIGHT = 4.6, 2.5
ROW, ABOVE_AND_BELOW = 0.27, 0.62
SHAPES = "osD^v"  # by head: grey printers tell them apart


class Dot(NamedTuple):
    """A row of a chart."""

    label: str
    value: float | None  # ours
    interval: tuple | None  # its limits
    published: float | None
    colour: int  # place among the encoders
    shape: int  # place among the heads


class Sweep(NamedTuple):
    """What learning rates gave, of one head, encoder and mode."""

    label: str
    lrs: list
    dev: list
    test: list


def draw_dots(name, dots, axis_label):
    """Draws a row for each encoder and head.

    Arguments
    ---------
    name : str
        Of the chart, for those who do not see it; no two of a page are alike.
    dots : list of Dot
        One at least, from the top; with a value, a published one or both.
    axis_label : str
        The measure.

    Returns
    -------
    str
        An ``<svg>``, safe to be put into a page as it is.

    Example
    -------
    >>> dots = [Dot("Base, BiLSTM", 5.4, (5.0, 5.9), 5.3, 0, 0)]
    >>> draw_dots("WER", dots, "WER %")[:4]
    '<svg'
    """

    def paint(axis):
        for place, dot in enumerate(dots):
            _paint_dot(axis, place, dot)
        axis.set_yticks(
            range(len(dots)), [plain_text(dot.label) for dot in dots]
        )
        axis.set_ylim(len(dots) - 0.4, -0.6)
        axis.set_xlabel(axis_label)
        bare_axis(axis)
        axis.margins(x=0.06)  # or the open marks would be cut
        axis.grid(visible=False, axis="y")
        axis.grid(visible=True, axis="x", color=GRID, linewidth=0.8)

    height = ABOVE_AND_BELOW + ROW * len(dots)
    return _svg(name, (WIDTH, height), paint)


def draw_sweeps(name, sweeps, axis_label):
    """Draws a measure over the learning rate, on dev and on test.

    Arguments
    ---------
    name : str
        As of ``draw_dots``.
    sweeps : list of Sweep
        One at least.
    axis_label : str
        The measure.

    Returns
    -------
    str
        An ``<svg>``, safe to be put into a page as it is.

    Example
    -------
    >>> sweep = Sweep("Base", [1e-4, 1e-3], [9.0, 8.0], [9.5, 8.4])
    >>> draw_sweeps("WER by rate", [sweep], "WER %")[:4]
    '<svg'
    """

    def paint(axis):
        for place, one in enumerate(sweeps):
            colour = colour_of(place % COLOURS)
            shape = SHAPES[place % len(SHAPES)]
            label = plain_text(one.label)
            style = {"color": colour, "marker": shape, "markersize": 4}
            axis.plot(one.lrs, one.test, label=f"{label}, test", **style)
            style |= {"markerfacecolor": "none", "linestyle": (0, (4, 2))}
            axis.plot(one.lrs, one.dev, label=f"{label}, dev", **style)
        axis.set_xscale("log")
        rates = sorted({lr for one in sweeps for lr in one.lrs})
        axis.set_xticks(rates, [f"{lr:g}" for lr in rates], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_xlabel("learning rate")
        axis.set_ylabel(axis_label, color=INK)
        axis.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1),
            ncols=2,
            frameon=False,
            borderpad=0,
            fontsize=8,
        )
        bare_axis(axis)
        axis.margins(x=0.06)

    rows = len(sweeps)
    return _svg(name, (WIDTH, HEIGHT + 0.2 * rows), paint)


def _paint_dot(axis, place, dot):
    """Filled: ours, with its interval; open: the published value."""
    colour = colour_of(dot.colour % COLOURS)
    shape = SHAPES[dot.shape % len(SHAPES)]
    if dot.interval is not None:
        axis.plot(dot.interval, [place, place], color=colour, linewidth=2)
    if dot.value is not None:
        axis.plot([dot.value], [place], shape, color=colour, markersize=5)
    if dot.published is not None:
        axis.plot(
            [dot.published],
            [place],
            shape,
            markersize=8,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=1.3,
        )


def _svg(name, size, paint):
    """What a function paints on an axis."""
    import matplotlib
    from matplotlib.figure import Figure

    # A log takes all messages, and that is one for each font.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.INFO)
    with matplotlib.rc_context({**RC, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure.subplots())
        svg = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)
    return fit_svg(svg.getvalue(), name)
