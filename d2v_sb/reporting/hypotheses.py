"""Reads SpeechBrain's WER files: figures, and alignments of utterances.

Authors
 * The d2v_sb developers 2026
"""

import re
from collections import Counter
from typing import NamedTuple

from d2v_sb.errors import DataError

SEPARATOR = " ; "
COUNTS = r"\[ (\d+) / (\d+), (\d+) ins, (\d+) del, (\d+) sub \]"
SUMMARY = re.compile(r"%WER (\S+) " + COUNTS)
SENTENCES = re.compile(r"%SER (\S+) \[ (\d+) / (\d+) \]")  # codespell:ignore
HEADER = re.compile(r"(.*), %WER (\S+) " + COUNTS)
# By SpeechBrain's signs.
KINDS = {
    "=": "right",
    "S": "substitution",
    "D": "deletion",
    "I": "insertion",
}


class Token(NamedTuple):
    """A place of an alignment; what is not there is an empty text."""

    kind: str  # of KINDS
    reference: str
    hypothesis: str


class Utterance(NamedTuple):
    """An utterance and what was heard."""

    name: str
    rate: float  # percent
    tokens: tuple

    @property
    def length(self):
        """Tokens of the reference."""
        return sum(token.kind != "insertion" for token in self.tokens)


class ErrorFile(NamedTuple):
    """A WER or CER file."""

    rate: float  # percent, as are all rates
    errors: int
    tokens: int
    insertions: int
    deletions: int
    substitutions: int
    sentence_rate: float
    sentences: int
    utterances: list


def read_errors(path):
    """Reads a ``wer_*.txt`` or ``cer_*.txt``.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    ErrorFile

    Raises
    ------
    DataError
        If it is no such file.

    Example
    -------
    >>> from speechbrain.utils.metric_stats import ErrorRateStats
    >>> stats = ErrorRateStats()
    >>> stats.append(["a"], [["YES", "YOU"]], [["YES"]])
    >>> path = getfixture("tmp_path") / "wer_test.txt"
    >>> with open(path, "w") as stream:
    ...     stats.write_stats(stream)
    >>> errors = read_errors(path)
    >>> errors.rate, errors.utterances[0].tokens[1]
    (100.0, Token(kind='insertion', reference='', hypothesis='YOU'))
    """
    # Not splitlines: words may hold what Unicode takes for an end of a line.
    with open(path, encoding="utf-8", errors="replace", newline="\n") as stream:
        lines = [line.rstrip("\n") for line in stream]
    summary = SUMMARY.match(lines[0]) if lines else None
    if summary is None:
        raise DataError(f"{path} does not begin with a line of %WER")
    sentences = SENTENCES.match(lines[1]) if len(lines) > 1 else None
    rate, *counts = summary.groups()
    return ErrorFile(
        float(rate),
        *map(int, counts),
        float(sentences[1]) if sentences else float("nan"),
        int(sentences[3]) if sentences else 0,
        list(_utterances(lines)),
    )


def choose_samples(utterances, num):
    """The worst, some in the middle and the best, of each so many.

    Among equals those with more words come first: a right word says less than
    a right sentence. What is said and heard alike is shown once.

    Arguments
    ---------
    utterances : list of Utterance
        Of one file.
    num : int
        How many of each.

    Returns
    -------
    dict of str to list of Utterance
        By ``worst``, ``median`` and ``best``; none is in two of them.

    Example
    -------
    >>> some = [
    ...     Utterance(str(r), r, (Token("right", str(r), str(r)),))
    ...     for r in (0, 10, 50, 90, 100)
    ... ]
    >>> {k: [u.name for u in v] for k, v in choose_samples(some, 1).items()}
    {'worst': ['100'], 'median': ['50'], 'best': ['0']}
    """
    ranked = sorted(utterances, key=lambda one: (one.rate, -one.length))
    # Of all, not of the rest: that is what a median is.
    middle = ranked[len(ranked) // 2].rate if ranked else 0.0
    unlike = list({one.tokens: one for one in reversed(ranked)}.values())[::-1]
    best, rest = unlike[:num], unlike[num:]
    rest.sort(key=lambda one: (-one.rate, -one.length))
    worst, rest = rest[:num], rest[num:]
    rest.sort(key=lambda one: (abs(one.rate - middle), -one.length))
    return {"worst": worst, "median": rest[:num], "best": best}


def frequent_errors(utterances, num):
    """What goes wrong most often.

    Arguments
    ---------
    utterances : list of Utterance
        Of one file.
    num : int
        How many of each kind at most.

    Returns
    -------
    dict of str to list
        By kind, of (Token, count).

    Example
    -------
    >>> token = Token("deletion", "A", "")
    >>> frequent_errors([Utterance("x", 100.0, (token, token))], 3)
    {'substitution': [], 'deletion': [(Token(...), 2)], 'insertion': []}
    """
    counts = Counter(
        token
        for utterance in utterances
        for token in utterance.tokens
        if token.kind != "right"
    )
    return {
        kind: [pair for pair in counts.most_common() if pair[0].kind == kind][
            :num
        ]
        for kind in ("substitution", "deletion", "insertion")
    }


def _utterances(lines):
    for place, line in enumerate(lines):
        header = HEADER.fullmatch(line)
        if header and len(lines) > place + 3:
            tokens = tuple(_tokens(*lines[place + 1 : place + 4]))
            yield Utterance(header[1], float(header[2]), tokens)


def _tokens(references, signs, hypotheses):
    """Cuts the three lines where that of the signs has its separators: a word
    may hold a semicolon, a sign does not."""
    start = 0
    for sign in signs.split(SEPARATOR) if signs else ():
        end = start + len(sign)
        kind = KINDS.get(sign.strip())
        if kind is None:
            return
        yield Token(
            kind,
            "" if kind == "insertion" else references[start:end].strip(),
            "" if kind == "deletion" else hypotheses[start:end].strip(),
        )
        start = end + len(SEPARATOR)
