"""Finds what was published for a cell of a table.

Authors
 * The d2v_sb developers 2026
"""

import re

from d2v_sb.benchmark.published.emotion import EMOTION
from d2v_sb.benchmark.published.librispeech import LIBRISPEECH
from d2v_sb.benchmark.published.mp3s import MP3S
from d2v_sb.benchmark.published.superb import SUPERB

REFERENCES = (*MP3S, *SUPERB, *EMOTION, *LIBRISPEECH)
BENCHMARKS = tuple(dict.fromkeys(one.benchmark for one in REFERENCES))
# Other names of heads, letters and digits only.
ALIASES = {
    "lstm": "bilstm",
    "bilstmlinear": "bilstm",
    "timepoolinglinear": "linear",
    "meanlinear": "linear",
    "mean": "linear",
    "xvectors": "xvector",
    "ecapa": "ecapatdnn",
}


def published(benchmark, task, encoder, head=None, split=None, measure=None):
    """What was published for a cell.

    Arguments
    ---------
    benchmark : str or None
        One of ``BENCHMARKS``; of None nothing is published.
    task : str
        By its name in our tables, such as "librispeech100" of MP3S, "sid" of
        SUPERB or "base_10min" of data2vec.
    encoder : str
        By its source.
    head : str, optional
        By its name; any if not given, and where the benchmark has but one.
    split : str, optional
        What was measured on, ``<split>_lm`` with a language model; any if not
        given, and where the source does not say.
    measure : str, optional
        Such as "WER"; any if not given.

    Returns
    -------
    Reference or None
        None: not published. Where there are several, the first.

    Example
    -------
    >>> source = "facebook/data2vec-audio-base"
    >>> found = published("MP3S", "voxceleb1", source, "ECAPA-TDNN")
    >>> found.value, found.source
    (3.75, 'speechbrain/benchmarks, benchmarks/MP3S/README.md')
    >>> published("MP3S", "voxceleb1", "facebook/wav2vec2-base") is None
    True
    """
    found = references(benchmark, task, head, split, measure)
    return next((one for one in found if one.encoder == encoder), None)


def references(benchmark, task=None, head=None, split=None, measure=None):
    """What was published for a column, or for all, of whatever encoder.

    Arguments
    ---------
    benchmark, task, head, split, measure
        As of ``published``.

    Returns
    -------
    list of Reference
        With a value each.

    Example
    -------
    >>> [one.name for one in references("emotion2vec", "iemocap")][:2]
    ['data2vec Base', 'data2vec 2.0 Base']
    """
    return [
        one
        for one in REFERENCES
        if one.benchmark == benchmark
        and task in (None, one.task)
        and one.value is not None
        and (None in (head, one.head) or _key(head) == _key(one.head))
        and (None in (split, one.split) or split == one.split)
        and measure in (None, one.measure)
    ]


def _key(head):
    letters = re.sub(r"[\W_]", "", head.lower())
    return ALIASES.get(letters, letters)
