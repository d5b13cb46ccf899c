"""Subtitles: words with times as short lines, in SRT and WebVTT.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

MAX_LETTERS = 84  # as two lines of 42 take, which players break
MAX_SECONDS = 7.0
PAUSE = 0.8  # seconds of silence that end a subtitle


class Cue(NamedTuple):
    """A subtitle, with its time in seconds."""

    start: float
    end: float
    text: str


def cues(record):
    """Subtitles of a transcript.

    Arguments
    ---------
    record : dict
        As ``d2v_sb.bulk.hearing.transcript`` gives it.

    Returns
    -------
    list of Cue
        Of its words. Where these have no times, a segment's time is shared out.

    Example
    -------
    >>> words = [("HELLO", 0.5, 0.9), ("THERE", 1.0, 1.4), ("BYE", 3.0, 3.2)]
    >>> words = [dict(zip(("text", "start", "end"), word)) for word in words]
    >>> cues({"words": words})
    [Cue(start=0.5, end=1.4, text='HELLO THERE'), Cue(start=3.0, end=3.2, \
text='BYE')]
    """
    words = record.get("words")
    if words is None:
        words = [w for x in record["segments"] for w in _spread(Cue(**x))]
    found = []
    for word in words:
        new = Cue(word["start"], word["end"], word["text"])
        if found and _together(found[-1], new):
            before = found.pop()
            text = f"{before.text} {new.text}"
            new = Cue(before.start, max(before.end, new.end), text)
        found.append(new)
    return found


def _spread(segment):
    """Words of a segment, each as long as its share of the letters."""
    words, begin = segment.text.split(), segment.start
    total = sum(map(len, words))
    for word in words:
        end = begin + (segment.end - segment.start) * len(word) / total
        yield {"text": word, "start": begin, "end": end}
        begin = end


def _together(before, word):
    return (
        word.start - before.end < PAUSE
        and word.end - before.start <= MAX_SECONDS
        and len(before.text) + 1 + len(word.text) <= MAX_LETTERS
    )


def to_srt(record):
    """A transcript as SubRip (SRT).

    Example
    -------
    >>> word = {"text": "HELLO", "start": 3661.5, "end": 3662.0}
    >>> print(to_srt({"words": [word]}), end="")
    1
    01:01:01,500 --> 01:01:02,000
    HELLO
    """
    blocks = [
        f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n"
        f"{cue.text}\n"
        for number, cue in enumerate(cues(record), 1)
    ]
    return "\n".join(blocks)


def to_vtt(record):
    """A transcript as WebVTT.

    Example
    -------
    >>> word = {"text": "R&B", "start": 0.0, "end": 0.5}
    >>> print(to_vtt({"words": [word]}), end="")
    WEBVTT
    <BLANKLINE>
    00:00:00.000 --> 00:00:00.500
    R&amp;B
    """
    blocks = ["WEBVTT\n"]
    for cue in cues(record):
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;")
        blocks.append(f"{clock(cue.start)} --> {clock(cue.end)}\n{text}\n")
    return "\n".join(blocks)


def clock(seconds, point="."):
    """Seconds as hours, minutes, seconds and milliseconds.

    Example
    -------
    >>> clock(59.9996)
    '00:01:00.000'
    """
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{milliseconds:03d}"
