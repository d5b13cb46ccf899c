"""Transcripts as text for people and programs.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.bulk.cues import to_srt, to_vtt
from d2v_sb.bulk.outputs import Formats


def to_text(record):
    """A line: name, tab, text.

    Example
    -------
    >>> to_text({"name": "a.wav", "text": "HELLO"})
    'a.wav\\tHELLO\\n'
    """
    return f"{record['name']}\t{record['text']}\n"


def text_alone(record):
    """A line without the name.

    Example
    -------
    >>> text_alone({"name": "a.wav", "text": "HELLO"})
    'HELLO\\n'
    """
    return f"{record['text']}\n"


def to_tsv(record):
    """A line for each word, or for each segment where words have no times.

    Example
    -------
    >>> word = {"text": "HI", "start": 0.5, "end": 1.0, "confidence": 0.9}
    >>> to_tsv({"name": "a.wav", "words": [word]})
    'a.wav\\t0.500\\t1.000\\t0.900\\tHI\\n'
    """
    rows = record["words"] if "words" in record else record["segments"]
    return "".join(
        f"{record['name']}\t{row['start']:.3f}\t{row['end']:.3f}\t"
        + (f"{row['confidence']:.3f}" if "confidence" in row else "")
        + f"\t{row['text']}\n"
        for row in rows
    )


TRANSCRIPTS = Formats(
    text=to_text,
    tsv=to_tsv,
    tsv_header="name\tstart\tend\tconfidence\ttext\n",
    each={"srt": to_srt, "vtt": to_vtt},
    alone=text_alone,
)
