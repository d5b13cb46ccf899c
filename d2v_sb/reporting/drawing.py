"""Line charts as SVG that takes its colours and fonts from the page.

Authors
 * The d2v_sb developers 2026
"""

import io
import logging
import math
import re
from typing import NamedTuple

# Colours that no chart would use; they become variables of the page's style.
INK, GRID, FIRST = "#0000f0", "#0000f1", "#0000f2"
VARIABLES = {INK: "var(--muted)", GRID: "var(--line)"}
# By place: colour-blind readers and grey printers tell them apart too.
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
COLOURS = 8
FEW = 40  # points that are marked one by one
SIZE = (5.6, 2.7)  # inches; the page scales it
RC = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib; for its widths
    "font.size": 9,
}
# matplotlib's own numbers of groups are the same in each chart of a page.
IDS = re.compile(r' id="[a-zA-Z]+[a-zA-Z0-9.]*_\d+"')


class Line(NamedTuple):
    """Values over updates."""

    label: str
    x: list
    y: list


class Level(NamedTuple):
    """A horizontal mark, such as a limit."""

    label: str
    value: float


class Mark(NamedTuple):
    """An update that matters."""

    label: str
    x: float


def drawable(lines):
    """The lines that have a finite value.

    Arguments
    ---------
    lines : list of Line
        Any.

    Returns
    -------
    list of Line

    Example
    -------
    >>> drawable([Line("a", [1], [math.nan]), Line("b", [1], [2.0])])
    [Line(label='b', x=[1], y=[2.0])]
    """
    return [line for line in lines if any(map(math.isfinite, line.y))]


def draw(name, lines, levels=(), mark=None, scale="linear"):
    """Draws lines over updates.

    Arguments
    ---------
    name : str
        Of the chart, for those who do not see it; no two of a page are alike.
    lines : list of Line
        As of ``drawable``, one at least; nan makes a gap.
    levels : list of Level
        Horizontal marks.
    mark : Mark, optional
        A vertical one.
    scale : str
        ``linear`` or ``log``, of the values.

    Returns
    -------
    str
        An ``<svg>``, safe to be put into a page as it is.

    Example
    -------
    >>> svg = draw("loss", [Line("train", [1, 2], [0.5, 0.25])])
    >>> svg[:4], "var(--c0)" in svg, FIRST in svg
    ('<svg', True, False)
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import (
        EngFormatter,
        FormatStrFormatter,
        LogLocator,
        MaxNLocator,
        NullLocator,
    )

    # A recipe's log.txt takes all messages, and that is one for each font.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.INFO)
    with matplotlib.rc_context({**RC, "svg.hashsalt": name}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axis = figure.subplots()
        for place, line in enumerate(lines):
            axis.plot(
                line.x,
                line.y,
                color=colour_of(place),
                # Where the colours begin anew the dashes go on.
                linestyle=DASHES[(place + place // COLOURS) % len(DASHES)],
                linewidth=1.6,
                marker="o" if len(line.x) <= FEW else "",
                markersize=3,
                label=plain_text(line.label),
            )
        axis.set_yscale(scale)
        if scale == "log":
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        for level in levels:
            axis.axhline(level.value, color=INK, linewidth=0.8, dashes=(2, 2))
            axis.annotate(
                plain_text(level.label),
                (1, level.value),
                (-3, 2),
                xycoords=axis.get_yaxis_transform(),
                textcoords="offset points",
                ha="right",
                fontsize=8,
            )
        if mark is not None:
            axis.axvline(mark.x, color=INK, linewidth=0.8, dashes=(2, 2))
            late = mark.x > sum(axis.get_xlim()) / 2
            axis.annotate(
                plain_text(mark.label),
                (mark.x, 1),
                (-3 if late else 3, -3),
                xycoords=axis.get_xaxis_transform(),
                textcoords="offset points",
                ha="right" if late else "left",
                va="top",
                fontsize=8,
            )
        axis.set_xlabel("update")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        if len(lines) > 1:
            axis.legend(
                loc="lower left",
                bbox_to_anchor=(-0.01, 1),
                ncols=4,
                frameon=False,
                borderpad=0,
                handlelength=2.2,
                columnspacing=1.2,
            )
        bare_axis(axis)
        svg = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)
    return fit_svg(svg.getvalue(), name)


def bare_axis(axis):
    """Takes off what a picture on the page has no use for."""
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GRID)
    axis.grid(axis="y", color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", color=GRID, labelcolor=INK, left=False)
    axis.margins(x=0.02)
    axis.xaxis.label.set_color(INK)
    legend = axis.get_legend()
    for text in [*axis.texts, *(legend.get_texts() if legend else ())]:
        text.set_color(INK)


def colour_of(place):
    """A colour that ``fit_svg`` replaces by the page's own of that place."""
    return f"#0000{0xF2 + place % COLOURS:02x}"


def plain_text(text):
    """A dollar begins a formula, and a leading _ hides a line."""
    return str(text).replace("$", r"\$").lstrip("_") or " "


def fit_svg(svg, name):
    """The ``<svg>`` alone, as wide as its place, in the page's colours."""
    import html

    svg = IDS.sub("", svg[svg.index("<svg") :])
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)[0]
    for colour, variable in VARIABLES.items():
        rest = rest.replace(colour, variable)
    for place in range(COLOURS):
        rest = rest.replace(colour_of(place), f"var(--c{place})")
    label = html.escape(name)
    return (
        f'<svg {box} role="img" aria-label="{label}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'
    )
