"""All files of a command: heard, kept, counted, the failed ones told.

Authors
 * The d2v_sb developers 2026
"""

import time
from dataclasses import dataclass, field

from d2v_sb.bulk.loading import Failed, longest_first
from d2v_sb.errors import DataError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.progress import Progress


@dataclass
class Summary:
    """What became of the files.

    Arguments
    ---------
    done, known : int
        Files of this time, and of an earlier one.
    failed : list of Failed
        Those that can not be used.
    audio_seconds, seconds : float
        Of audio that was heard, and that it took.
    """

    done: int = 0
    known: int = 0
    failed: list = field(default_factory=list)
    audio_seconds: float = 0.0
    seconds: float = 0.0

    def __str__(self):
        """For people.

        Example
        -------
        >>> print(Summary(3, 1, [], 7200.0, 60.0))
        3 files, 2.0 h of audio in 1.0 min: 120 s of audio per s; 1 done before
        """
        rate = self.audio_seconds / max(self.seconds, 1e-9)
        files = "1 file" if self.done == 1 else f"{self.done:,} files"
        text = f"{files}, {span(self.audio_seconds)} of audio in "
        text += f"{span(self.seconds)}: {rate:,.0f} s of audio per s"
        if self.known:
            text += f"; {self.known:,} done before"
        return text


def span(seconds):
    """A duration for people.

    Example
    -------
    >>> span(5.25), span(600), span(90000)
    ('5.2 s', '10.0 min', '25.0 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def run_all(engine, items, results, begin, name, keep=None):
    """Gives files to a model and keeps what it gives.

    Arguments
    ---------
    engine : Engine
        The model, and how files are cut for it.
    items : list of Item
        All files.
    results : Results
        Files that it knows are not opened.
    begin : callable
        Gives, for an Item, an object whose ``add(piece, output)`` takes the
        pieces of this file and gives its record after the last. A
        ``DataError`` there is of the file. What it may have on the disk goes
        with its ``discard()`` if the file fails.
    name : str
        What is being done.
    keep : callable, optional
        Takes an Item, what `begin`'s object gave after the last piece, and the
        file's stamp; by default ``results.add``.

    Returns
    -------
    Summary

    Example
    -------
    >>> from d2v_sb.bulk.results import Results
    >>> print(run_all(None, [], Results(None, ""), None, "example"))
    0 files, 0.0 s of audio in 0.0 s: 0 s of audio per s
    """
    start = time.monotonic()
    todo = [item for item in items if not results.knows(item)]
    summary = Summary(known=len(items) - len(todo))
    if not todo:
        return summary
    keep = keep or results.add
    collectors, ends, failed = {}, {}, set()

    def fail(item, reason):
        failed.add(item)
        summary.failed.append(Failed(item, reason))
        # What an earlier run said of the file is not so any more.
        results.forget([item.name])
        discard = getattr(collectors.pop(item, None), "discard", None)
        if discard is not None:
            discard()

    known_lengths, unreadable = longest_first(todo)
    for found in unreadable:
        fail(*found)
    with Progress(name, len(known_lengths)) as progress:
        for found in engine.run([item for item, _ in known_lengths]):
            item = found.item
            if isinstance(found, Failed):
                fail(*found)
                progress.update()
                continue
            if item in failed:
                continue
            piece = found.piece
            end = piece.start + piece.num_samples
            new = end - ends.pop(item, 0)  # the rest is context or overlap
            summary.audio_seconds += new / SAMPLE_RATE
            if item not in collectors:
                collectors[item] = begin(item)
            try:
                record = collectors[item].add(piece, found.output)
            except DataError as error:
                fail(item, str(error))
                progress.update()
                continue
            if piece.last:
                del collectors[item]
                keep(item, record, found.read_at)
                summary.done += 1
                progress.update()
            else:
                ends[item] = end
            summary.seconds = time.monotonic() - start
            rate = summary.audio_seconds / summary.seconds
            progress.note(f"{rate:,.0f} s of audio per s")
    summary.seconds = time.monotonic() - start
    return summary
