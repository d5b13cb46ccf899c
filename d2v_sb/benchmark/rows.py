"""Results as rows of a CSV, one for each measure, and back.

Authors
 * The d2v_sb developers 2026
"""

import re

from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.benchmark.table_file import ROOT
from d2v_sb.benchmark.texts import encoder_name
from d2v_sb.errors import DataError
from d2v_sb.reporting.discretion import Discretion
from d2v_sb.reporting.options import Options

ABOUT = ("date", "commit", "hardware", "versions", "command")
KEY = ("task", "head", "encoder", "mode", "fold", "seed", "lr")
COLUMNS = (
    *("date", "commit", "benchmark", "title", "corpus", *KEY, "source"),
    *("split", "measure", "value", "low", "high", "count", "speakers"),
    *("dev_measure", "dev", "seconds_encoding", "seconds_training"),
    *("hardware", "versions", "command"),
)
LIMITS = ("low", "high")
# Where a clone lies, before what it holds.
CLONE = re.compile(r"(?<!\S)/(?:[^\s'\"]*/)?(?=(?:recipes|hparams)/)")
SMALL = ("minDCF",)  # measures of about 1, not of about 100


def result_rows(results, table):
    """Rows for ``results/probing.csv``.

    They hold no folder of the machine: of a path there is what follows the
    repository's root or the current folder, so that commands can be run from
    there, else the last part. Encoders go by their names in the table, as
    sources may end alike.

    Arguments
    ---------
    results : list of Result
        Any.
    table : Table
        Of whose jobs they are.

    Returns
    -------
    list of dict of str to str
        By ``COLUMNS``; what is not known is empty.

    Example
    -------
    >>> from types import SimpleNamespace as Some
    >>> table = Some(name="a", title="A", encoders={"mine": "/home/me/my.pt"})
    >>> dev = Measure("dev", "WER", 9.0)
    >>> result = Result(
    ...     "asr", "linear", "/home/me/my.pt", "clean", 1, dev, [dev]
    ... )
    >>> row = result_rows([result], table)[0]
    >>> row["encoder"], row["source"], row["value"], row["low"]
    ('mine', 'my.pt', '9.00', '')
    """
    discretion = Discretion(ROOT, Options())

    def shown(text):
        return discretion.value(CLONE.sub("", text))

    return [
        {name: shown(text) for name, text in _row(one, measure, table).items()}
        for one in results
        for measure in one.measures
    ]


def read_results(rows):
    """The results that rows were made of, by benchmark and corpus, encoders by
    their names.

    Arguments
    ---------
    rows : iterable of dict of str to str
        By ``COLUMNS``, as ``csv.DictReader`` gives them.

    Returns
    -------
    dict of tuple to list of Result
        By benchmark and corpus.

    Raises
    ------
    DataError
        If a row lacks a column or holds no number where one should be; all
        such rows are named.

    Example
    -------
    >>> from types import SimpleNamespace as Some
    >>> table = Some(name="mine", title="Mine", encoders={})
    >>> dev = Measure("dev", "WER", 9.0)
    >>> result = Result("asr", "linear", "tiny", "clean", 1, dev, [dev])
    >>> found = read_results(result_rows([result], table))
    >>> found["mine", ""][0].measures == [dev]
    True
    """
    measures, firsts, faults = {}, {}, []
    for place, row in enumerate(rows, 2):  # the header is line 1
        try:
            key = tuple(
                row[name] for name in ("benchmark", "corpus", *KEY, *ABOUT)
            )
            measures.setdefault(key, []).append(_measure(row))
            firsts.setdefault(key, _result(row))
        except (KeyError, ValueError) as error:
            faults.append(f"row {place}: {error!r}")
    if faults:
        raise DataError(
            f"{len(faults)} rows are none of a benchmark: {'; '.join(faults)}"
        )
    found = {}
    for key, result in firsts.items():
        result.measures.extend(measures[key])
        found.setdefault(key[:2], []).append(result)
    return found


def _row(result, measure, table):
    about, seconds = result.about, result.seconds
    row = {
        "benchmark": table.name,
        "title": table.title,
        "corpus": about.get("corpus", ""),
        **{name: about.get(name, "") for name in ABOUT},
        **{name: _text(getattr(result, name)) for name in KEY},
        "encoder": encoder_name(result.encoder, table.encoders),
        "source": result.encoder,
        "lr": "" if result.lr is None else f"{result.lr:g}",
        "split": measure.split,
        "measure": measure.name,
        **{
            name: _figure(getattr(measure, name), measure.name)
            for name in ("value", *LIMITS)
        },
        "count": str(measure.count),
        "speakers": _text(measure.speakers),
        "dev_measure": result.dev.name,
        "dev": _figure(result.dev.value, result.dev.name),
        **{
            f"seconds_{name}": f"{seconds[name]:.1f}" if name in seconds else ""
            for name in ("encoding", "training")
        },
    }
    return {name: row[name] for name in COLUMNS}


def _text(value):
    return "" if value is None else str(value)


def _figure(value, name):
    if value is None:
        return ""
    return f"{value:.{4 if name in SMALL else 2}f}"


def _measure(row):
    low, high = (float(row[name]) if row[name] else None for name in LIMITS)
    return Measure(
        row["split"],
        row["measure"],
        float(row["value"]),
        low,
        high,
        int(row["count"]),
        int(row["speakers"]) if row["speakers"] else None,
    )


def _result(row):
    return Result(
        task=row["task"],
        head=row["head"],
        encoder=row["encoder"],
        mode=row["mode"],
        seed=int(row["seed"]),
        dev=Measure("dev", row["dev_measure"], float(row["dev"])),
        measures=[],
        lr=float(row["lr"]) if row["lr"] else None,
        fold=row["fold"] or None,
        seconds={
            name: float(row[f"seconds_{name}"])
            for name in ("encoding", "training")
            if row[f"seconds_{name}"]
        },
        about={name: row[name] for name in ("corpus", *ABOUT) if row[name]},
    )
