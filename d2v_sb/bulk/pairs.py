"""Pairs of recordings: whether one speaker is in both.

Authors
 * The d2v_sb developers 2026
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from d2v_sb.bulk.inputs import Item
from d2v_sb.bulk.outputs import Formats
from d2v_sb.errors import DataError
from d2v_sb.journal import stamp
from d2v_sb.scoring.detection import equal_error_rate, min_dcf
from d2v_sb.scoring.embedding_cache import EmbeddingCache

INTERVAL = 60.0  # seconds of work that a kill may lose
SAVING_SHARE = 0.05


class Pair(NamedTuple):
    """Two recordings, and what a list says of them: one speaker, two, or
    nothing (None)."""

    one: str
    two: str
    target: bool | None = None


def read_pairs(path):
    """Reads a list of pairs: ``one two``, or ``1 one two`` and ``0 one two``.

    Arguments
    ---------
    path : str or pathlib.Path
        The list; paths in it hold no blanks, or tabs are between them.

    Returns
    -------
    list of Pair

    Raises
    ------
    DataError
        If lines are something else, or there is none.

    Example
    -------
    >>> path = getfixture("tmp_path") / "pairs.txt"
    >>> _ = path.write_text("1 a.wav b.wav\\n")
    >>> read_pairs(path)
    [Pair(one='a.wav', two='b.wav', target=True)]
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can not be read as a list: {error}") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) == 2:
            pairs.append(Pair(*fields))
        elif len(fields) == 3 and fields[0] in ("0", "1"):
            pairs.append(Pair(*fields[1:], fields[0] == "1"))
        elif fields:
            raise DataError(
                f"{path}, line {number}: {line!r} is no pair. A line is `one "
                "two`, or `1 one two` for one speaker and `0 one two` for two"
            )
    if not pairs:
        raise DataError(f"{path} lists no pairs: it has no line")
    return pairs


def items_of(pairs, folder=None):
    """The recordings of pairs, each once.

    Arguments
    ---------
    pairs : list of Pair
        With paths.
    folder : str or pathlib.Path, optional
        What paths are relative to.

    Returns
    -------
    list of Item
        Named as in the pairs.
    """
    names = dict.fromkeys(name for pair in pairs for name in pair[:2])
    folder = Path(folder or ".")
    return [Item(name, str(folder / name)) for name in names]


class CachedEmbeddings:
    """Embeddings by name, for ``run_all``; kept in a file if there is one.

    Arguments
    ---------
    path : str or pathlib.Path or None
        See ``EmbeddingCache``; None keeps them in memory.
    made_by : str
        Of the model.
    """

    def __init__(self, path, made_by):
        self.path = path
        # A cache reads nothing from where nothing is.
        self.cache = EmbeddingCache(path or "/dev/null/none", made_by)
        self._due = time.monotonic() + INTERVAL
        self._failed = set()

    def forget(self, names):
        """Leaves out recordings that can not be used any more."""
        self._failed.update(names)

    def knows(self, item):
        """Whether it has that of a file as it is now."""
        return self.cache.knows(item.name, stamp(item.path))

    def keep(self, item, found, read_at):
        """Takes what ``MeanCollector`` gave for a file."""
        self.cache.add(item.name, read_at, torch.from_numpy(found[0]))
        if self.path is not None and time.monotonic() > self._due:
            self.save()

    def save(self):
        """Writes the file."""
        begin = time.monotonic()
        if self.path is not None:
            self.cache.save()
        # It is written whole, which may take a share of the time, no more.
        end = time.monotonic()
        self._due = end + max(INTERVAL, (end - begin) / SAVING_SHARE)

    def score(self, pairs, threshold):
        """Cosines of pairs.

        Arguments
        ---------
        pairs : list of Pair
            What to score.
        threshold : float
            Above it a pair is of one speaker.

        Returns
        -------
        list of dict
            For each pair whose embeddings are there.
        """
        records = []
        for pair in pairs:
            if self._failed & {pair.one, pair.two}:
                continue
            try:
                one, two = self.cache[pair.one], self.cache[pair.two]
            except KeyError:
                continue
            score = torch.cosine_similarity(one.double(), two.double(), dim=-1)
            record = {"one": pair.one, "two": pair.two}
            record |= {"score": score.item(), "same": score.item() > threshold}
            if pair.target is not None:
                record["target"] = pair.target
            records.append(record)
        return records


def error_rates(records):
    """EER and minDCF of scored pairs, if a list says which are of one speaker.

    Arguments
    ---------
    records : list of dict
        Of ``CachedEmbeddings.score``.

    Returns
    -------
    dict
        "EER" in percent, "minDCF" at a prior of 0.01, "pairs"; empty where
        there are not both kinds of pairs.

    Example
    -------
    >>> scored = [(0.9, True), (0.1, False)]
    >>> records = [{"score": s, "target": t} for s, t in scored]
    >>> error_rates(records)
    {'EER': 0.0, 'minDCF': 0.0, 'pairs': 2}
    """
    known = [record for record in records if "target" in record]
    targets = np.array([record["target"] for record in known], dtype=bool)
    if not 0 < targets.sum() < len(known):
        return {}
    scores = np.array([record["score"] for record in known])
    return {
        "EER": round(100 * float(equal_error_rate(scores, targets)), 4),
        "minDCF": round(float(min_dcf(scores, targets, p_target=0.01)), 4),
        "pairs": len(known),
    }


def to_line(record):
    """A line: one, two, score, verdict.

    Example
    -------
    >>> to_line({"one": "a", "two": "b", "score": 0.5, "same": True})
    'a\\tb\\t0.5000\\tsame\\n'
    """
    verdict = "same" if record["same"] else "different"
    score = f"{record['score']:.4f}"
    return "\t".join((record["one"], record["two"], score, verdict)) + "\n"


PAIRS = Formats(
    text=to_line,
    tsv=to_line,
    tsv_header="one\ttwo\tscore\tverdict\n",
    each={},
    alone=None,
)
