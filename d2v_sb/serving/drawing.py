"""Drawings of recordings on one time axis, as HTML with SVG inside.

Lengths along the axis are percentages of the drawing, so that waveform, words
and classes keep together at any width. ``style.py`` gives the looks.

Authors
 * The d2v_sb developers 2026
"""

import json
from html import escape
from itertools import cycle
from urllib.parse import quote

import torch

from d2v_sb.bulk.cues import to_srt, to_vtt
from d2v_sb.presets import SAMPLE_RATE

COLUMNS_PER_SECOND, MAX_COLUMNS = 100, 12000  # of the waveform
WIDTH = 1000  # pixels that a page has at least, about
MAX_PER_SECOND = 160  # pixels
LETTER, MARGIN = 8.5, 10  # pixels of a word's letters and beside them
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
TICK_WIDTH = 70  # pixels between ticks at least
# Tol's bright scheme, which colour-blind readers can tell apart.
COLOURS = "#4477aa #ee6677 #228833 #ccbb44 #66ccee #aa3377 #bbbbbb".split()


def words_drawing(wav, record):
    """A waveform with its words beneath, the sure ones darker.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform (N,), 16 kHz.
    record : dict
        As of ``answers.hear``. Where words have no times, segments are drawn.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> word = {"text": "HI", "start": 0.1, "end": 0.3, "confidence": 0.9}
    >>> html = words_drawing(torch.rand(8000), {"words": [word]})
    >>> "0.10–0.30 s, confidence 0.90" in html
    True
    """
    seconds = len(wav) / SAMPLE_RATE
    marks = record["words"] if "words" in record else record["segments"]
    # A text may reach to the next one.
    nexts = [mark["start"] for mark in marks[1:]] + [seconds]
    rooms = [
        max(mark["end"], after) - mark["start"]
        for mark, after in zip(marks, nexts, strict=False)
    ]
    drawn, width = "", 0.0
    for mark, room in zip(marks, rooms, strict=True):
        drawn += _mark(mark, room, seconds)
        width = max(width, (len(mark["text"]) * LETTER + MARGIN) / room)
    width = seconds * min(MAX_PER_SECOND, width)
    return _strip(wav, drawn, width, "d2v-with-words")


def saving_links(record):
    """Links that save a transcript, which is inside them: HTML.

    Arguments
    ---------
    record : dict
        As of ``answers.hear``.

    Example
    -------
    >>> html = saving_links({"text": "", "words": []})
    >>> "transcript.srt" in html and "transcript.json" in html
    True
    """
    texts = {
        "srt": to_srt(record),
        "vtt": to_vtt(record),
        "json": json.dumps(record, ensure_ascii=False, indent=2),
        "txt": record["text"] + "\n",
    }
    links = "".join(
        f'<a download="transcript.{ending}" '
        f'href="data:text/plain;charset=utf-8,{quote(text)}">'
        f"{ending.upper()}</a>"
        for ending, text in texts.items()
    )
    return f'<p class="d2v-saving">Save as {links}</p>'


def course_drawing(wav, course):
    """A waveform with the chances of classes stacked beneath.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform (N,), 16 kHz.
    course : Course
        What was found in it.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> from d2v_sb.serving.answers import Course
    >>> from d2v_sb.windows import Window
    >>> chances = {"sad": 0.25, "hap": 0.75}
    >>> course = Course([Window(0.0, 0.5, chances)], chances)
    >>> "0.0–0.5 s: hap 75 %, sad 25 %" in course_drawing(
    ...     torch.rand(8000), course
    ... )
    True
    """
    seconds = len(wav) / SAMPLE_RATE
    areas = _areas(course.windows, seconds)
    hovers = "".join(
        _window(window, begin, end, seconds)
        for window, begin, end in _shares(course.windows, seconds)
    )
    stack = (
        '<svg class="d2v-areas" viewBox="0 0 1000 100" '
        f'preserveAspectRatio="none" aria-hidden="true">{areas}</svg>{hovers}'
    )
    bars = "".join(
        f'<li><i style="background:{colour}"></i><b>{escape(name)}</b>'
        f'<span><u style="width:{100 * value:.1f}%;background:{colour}"></u>'
        f"</span>{100 * value:.0f} %</li>"
        for (name, value), colour in zip(
            course.mean.items(), cycle(COLOURS), strict=False
        )
    )
    return (
        f'<p class="d2v-verdict">{escape(course.label)}</p>'
        f'<ul class="d2v-bars">{bars}</ul>'
        + _strip(wav, stack, 0, "d2v-with-areas")
    )


def score_drawing(score, threshold):
    """Whether two speakers are one, and where score and threshold lie.

    Arguments
    ---------
    score, threshold : float
        Cosines, from -1 to 1.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> "Same speaker" in score_drawing(0.6, 0.25)
    True
    """
    same = score > threshold
    verdict = "Same speaker" if same else "Different speakers"
    return (
        f'<p class="d2v-verdict">{verdict}</p>'
        f'<div class="d2v-score" role="img" aria-label="score {score:.2f}">'
        f'<div class="d2v-same" style="left:{_place(threshold)}%"></div>'
        f'<div class="d2v-mark" style="left:{_place(score)}%">'
        f"<b>{score:.2f}</b></div>"
        f'<div class="d2v-threshold" style="left:{_place(threshold)}%">'
        f"<span>threshold {threshold:.2f}</span></div></div>"
        '<div class="d2v-ends"><span>-1</span><span>0</span><span>1</span>'
        "</div>"
    )


def message(text):
    """What went wrong, in the place of a result: HTML."""
    return f'<p class="d2v-message" role="alert">{escape(text)}</p>'


def _place(cosine):
    return f"{50 + 50 * max(-1.0, min(1.0, cosine)):.1f}"


def _strip(wav, content, width, kind):
    """Waveform, content and axis, which scroll together if they are wide."""
    seconds = len(wav) / SAMPLE_RATE
    return (
        f'<div class="d2v-scroll" tabindex="0"><div class="d2v-strip {kind}" '
        f'style="min-width:{width:.0f}px">{_waveform(wav)}{content}'
        f"{_axis(seconds, max(width, WIDTH))}</div></div>"
    )


def _waveform(wav):
    """An outline of the highest and lowest samples, as tall as fits."""
    count = min(MAX_COLUMNS, len(wav) * COLUMNS_PER_SECOND // SAMPLE_RATE)
    columns = wav[: len(wav) // count * count].reshape(count, -1)
    scale = 48 / wav.abs().max().clamp(min=1e-9)
    top = (50 - columns.amax(dim=1) * scale).round().int().tolist()
    bottom = (50 - columns.amin(dim=1) * scale).round().int().tolist()
    there = " ".join(f"{x},{y}" for x, y in enumerate(top))
    # Silence is a line, not nothing.
    back = " ".join(
        f"{x},{max(bottom[x], top[x] + 1)}" for x in range(count - 1, -1, -1)
    )
    return (
        f'<svg class="d2v-wave" viewBox="0 0 {count} 100" '
        'preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{there} {back}"/></svg>'
    )


def _mark(mark, room, seconds):
    start, end, sure = mark["start"], mark["end"], mark.get("confidence")
    tip = f"{start:.2f}–{end:.2f} s"
    if sure is not None:
        tip += f", confidence {sure:.2f}"
    side = "left" if start < seconds / 2 else "right"
    return (
        f'<div class="d2v-word" tabindex="0" style="left:'
        f"{100 * start / seconds:.3f}%;width:{100 * room / seconds:.3f}%;"
        f'--sure:{100 * (1 if sure is None else sure**2):.0f}%">'
        f'<i style="width:{100 * (end - start) / room:.1f}%"></i>'
        f"<b>{escape(mark['text'])}</b>"
        f'<span class="d2v-tip d2v-{side}">{tip}</span></div>'
    )


def _shares(windows, seconds):
    """Windows, each with the time that lies nearest to its middle."""
    middles = [(window.start + window.end) / 2 for window in windows]
    bounds = [(a + b) / 2 for a, b in zip(middles, middles[1:], strict=False)]
    return zip(windows, [0, *bounds], [*bounds, seconds], strict=True)


def _window(window, begin, end, seconds):
    ranked = sorted(window.posteriors.items(), key=lambda pair: -pair[1])
    chances = ", ".join(f"{escape(n)} {100 * v:.0f} %" for n, v in ranked)
    side = "left" if begin < seconds / 2 else "right"
    return (
        f'<div class="d2v-window" style="left:{100 * begin / seconds:.3f}%;'
        f'width:{100 * (end - begin) / seconds:.3f}%">'
        f'<span class="d2v-tip d2v-{side}">{window.start:.1f}–'
        f"{window.end:.1f} s: {chances}</span></div>"
    )


def _areas(windows, seconds):
    """A polygon a class, through the windows' middles, to both ends."""
    middles = [(window.start + window.end) / 2 for window in windows]
    rows = torch.tensor([list(w.posteriors.values()) for w in windows])
    xs = [0.0, *(1000 * middle / seconds for middle in middles), 1000.0]
    rows = torch.cat([rows[:1], rows, rows[-1:]])
    edges = torch.nn.functional.pad(100 * rows.cumsum(dim=1), (1, 0))
    polygons = []
    for i, colour in zip(range(rows.shape[1]), cycle(COLOURS), strict=False):
        points = [*zip(xs, edges[:, i].tolist(), strict=True)]
        points += [*zip(xs, edges[:, i + 1].tolist(), strict=True)][::-1]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        polygons.append(f'<polygon points="{text}" fill="{colour}"/>')
    return "".join(polygons)


def _axis(seconds, width):
    fits = [t for t in TICKS if t * width / seconds >= TICK_WIDTH]
    step = fits[0] if fits else TICKS[-1]
    ticks = "".join(
        f'<span style="left:{100 * i * step / seconds:.3f}%">'
        f"{_clock(i * step)}</span>"
        for i in range(int(seconds / step) + 1)
    )
    return f'<div class="d2v-axis" aria-hidden="true">{ticks}</div>'


def _clock(seconds):
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
