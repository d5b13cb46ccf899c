"""A benchmark's rows as a table of Markdown, for the README and the docs.

Encoders are its rows, tasks its columns. A column is headed by its corpus: a
figure of a stand-in is never shown under the name of the real one, and
``compared_table``, which puts published figures beside, is for real corpora.

Authors
 * The d2v_sb developers 2026
"""

import itertools

from d2v_sb.benchmark.groups import Group
from d2v_sb.benchmark.published import references
from d2v_sb.benchmark.rows import read_results
from d2v_sb.benchmark.summary import BEST, cells_of
from d2v_sb.benchmark.texts import label, ours, theirs, unit

LITERATURE = "published"
NONE = "–"


def own_table(rows, benchmark):
    """What was measured here.

    Arguments
    ---------
    rows : list of dict of str to str
        Of a CSV, see ``d2v_sb.benchmark.rows``; those of other benchmarks are
        passed over.
    benchmark : str
        As the column of that name has it: the name of the table's file.

    Returns
    -------
    str
        Lines of a table. Where several learning rates were run the cell is of
        the best on dev, which it says.

    Raises
    ------
    DataError
        If rows are none of a benchmark.

    Example
    -------
    >>> from types import SimpleNamespace as Some
    >>> from d2v_sb.benchmark.result import Measure, Result
    >>> from d2v_sb.benchmark.rows import result_rows
    >>> mine = Some(name="mine", title="Mine", encoders={})
    >>> dev, test = Measure("dev", "WER", 9.0), Measure("test", "WER", 9.5)
    >>> result = Result("asr", "linear", "tiny", "clean", 1, dev, [test])
    >>> print(own_table(result_rows([result], mine), "mine"))
    | encoder | mode | asr, linear: WER %, test |
    |---|---|---|
    | tiny | clean | 9.50 |
    """
    return _table(_figures(rows, benchmark))


def compared_table(rows, benchmark, source):
    """What was measured here, and below it what was published.

    Arguments
    ---------
    rows, benchmark
        As of ``own_table``; all on the corpora that the published figures are
        of.
    source : str
        Whose published figures, one of ``d2v_sb.benchmark.published``.

    Returns
    -------
    str
        Lines of a table.

    Raises
    ------
    DataError
        As of ``own_table``.
    """
    figures = _figures(rows, benchmark)
    columns = dict.fromkeys(column for _, column in figures)
    for column in columns:
        _, task, head, measure, split = column
        for one in references(source, task, head, split, measure):
            figures.setdefault(((one.name, LITERATURE), column), theirs(one))
    return _table(figures)


def published_table(benchmark, source=""):
    """The published figures of a benchmark.

    Arguments
    ---------
    benchmark : str
        One of ``d2v_sb.benchmark.published``.
    source : str
        A part of its name: figures of other sources are left out.

    Returns
    -------
    str
        Lines of a table, a row for each encoder and source.

    Example
    -------
    >>> print(published_table("emotion2vec"))
    | encoder | source | iemocap, linear: accuracy % |
    |---|---|---|
    | data2vec Base | emotion2vec, table 2: weighted accuracy, ...
    """
    figures = {}
    for one in references(benchmark):
        if source not in one.source:
            continue
        column = ("", one.task, one.head, one.measure, one.split)
        figures[(one.name, one.source), column] = theirs(one)
    return _table(figures, "source")


def _figures(rows, benchmark):
    """Texts by row (encoder, mode) and column."""
    rows = [row for row in rows if row.get("benchmark") == benchmark]
    figures = {}
    for (_, corpus), results in read_results(rows).items():
        for group in _groups(results):
            for cell in cells_of(group):
                column = (corpus, cell.task, cell.head, *group.measure)
                row = cell.encoder, cell.mode
                text = ours(cell)
                if cell.chosen == BEST:
                    text += f", lr {cell.lr:g}"
                figures[row, column] = text
    return figures


def _groups(results):
    """Groups of results of which nothing is known but themselves: seeds and
    folds that were run are those that were to be run."""
    runs = {}
    for one in results:
        key = (one.task, one.head, one.encoder, one.mode)
        for measure in one.measures:
            column = measure.name, measure.split
            runs.setdefault((*key, column), []).append(one)
    for key, own in runs.items():
        lrs = tuple(dict.fromkeys(one.lr for one in own))
        seeds = dict.fromkeys(one.seed for one in own)
        folds = dict.fromkeys(one.fold for one in own)
        expected = list(itertools.product(seeds, folds))
        yield Group(*key, expected, own, lrs if len(lrs) > 1 else ())


def _table(figures, second="mode"):
    columns = list(dict.fromkeys(column for _, column in figures))
    rows = list(dict.fromkeys(row for row, _ in figures))
    head = ["encoder", second, *map(_heading, columns)]
    lines = [_line(head), "|---" * len(head) + "|"]
    for row in rows:
        cells = (figures.get((row, column), NONE) for column in columns)
        lines.append(_line([*row, *cells]))
    return "\n".join(lines)


def _line(cells):
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _heading(column):
    corpus, task, head, measure, split = column
    return f"{label(corpus, task, head)}: {label(unit(measure), split)}"
