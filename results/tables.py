#!/usr/bin/env python3
"""Makes the tables of the README and of docs/ from the rows in this folder.

> python results/tables.py          rewrites the tables
> python results/tables.py --check  fails if one is not what the rows say

Authors
 * The d2v_sb developers 2026
"""

import csv
import sys
from pathlib import Path
from statistics import median

from d2v_sb.benchmark.markdown import compared_table, own_table
from d2v_sb.benchmark.table_file import find_table, read_table
from d2v_sb.errors import UserError

HERE = Path(__file__).resolve().parent
END = "<!-- end of results -->"
# Document, its marker, the rows, columns that name a group, columns of figures.
TABLES = (
    (
        "docs/results.md",
        "results",
        "*_ctc.csv",
        ("corpus", "model", "decoding"),
        {"wer": "WER %", "cer": "CER %"},
    ),
    (
        "docs/results.md",
        "verification",
        "speaker_verification.csv",
        ("corpus", "model", "scoring"),
        {
            "eer": "EER %",
            "eer_low": "95 % from",
            "eer_high": "to",
            "min_dcf_001": "minDCF 0.01",
            "min_dcf_005": "0.05",
        },
    ),
    (
        "docs/results.md",
        "identification",
        "speaker_identification.csv",
        ("corpus", "model"),
        {
            "accuracy": "accuracy %",
            "accuracy_low": "95 % from",
            "accuracy_high": "to",
        },
    ),
    (
        "docs/results.md",
        "emotion",
        "emotion.csv",
        ("corpus", "protocol", "model"),
        {"wa": "WA %", "ua": "UA %", "f1": "F1 %"},
    ),
    (
        "docs/pretraining.md",
        "probe",
        "pretraining_probe.csv",
        ("corpus", "encoder", "update"),
        {"accuracy": "speaker accuracy %"},
    ),
    (
        "docs/results.md",
        "bulk",
        "bulk.csv",
        ("task", "encoder", "recordings"),
        {"ours": "d2v-sb", "peer": "loop", "ratio": "ratio"},
    ),
    (
        "docs/speed.md",
        "speed",
        "speed.csv",
        ("case", "encoder", "audio", "precision", "options", "peer_name"),
        {"ours": "d2v_sb, s", "peer": "other, s", "ratio": "ratio"},
    ),
    (
        "docs/speed.md",
        "speed_memory",
        "speed_memory.csv",
        ("case", "encoder", "audio", "precision", "peer_name"),
        {"ours": "d2v_sb, MB", "peer": "other, MB", "ratio": "ratio"},
    ),
    (
        "docs/memory.md",
        "memory",
        "memory_fit.csv",
        ("kind", "encoder", "task", "precision", "policy"),
        {
            "kept_15": "kept, MB/s",
            "peak": "peak, MB/s",
            "fits_24": "s in 24 GB",
            "fits_40": "40 GB",
            "fits_80": "80 GB",
            "fits_141": "141 GB",
        },
    ),
    (
        "docs/scaling.md",
        "throughput",
        "throughput.csv",
        ("task", "encoder", "precision", "device", "seconds", "batch"),
        {
            "rate": "s of audio per s",
            "rate_low": "from",
            "rate_high": "to",
            "tflops": "TFLOP/s",
        },
    ),
    (
        "docs/benchmark.md",
        "cache",
        "probing_cache.csv",
        ("encoder", "task", "epochs", "run"),
        {"no_cache": "no cache, s", "cached": "this run, s", "ratio": "ratio"},
    ),
    (
        "docs/pretraining.md",
        "loading",
        "loading.csv",
        ("case", "file_seconds", "workers"),
        {"ours": "d2v_sb, s per s", "peer": "loop, s per s", "ratio": "ratio"},
    ),
)


SMALL = "small"  # the benchmark whose table the README has


def probing_rows():
    """What benchmarks measured."""
    with open(HERE / "probing.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def probing_tables(rows):
    """A table for each benchmark, encoders by tasks.

    Published figures stand in those whose corpora are all the real ones, by
    their folders' names.
    """
    parts = []
    for name, title in {row["benchmark"]: row["title"] for row in rows}.items():
        try:
            known = read_table(find_table(name))
        except UserError:  # somebody's own
            known = None
        lines = own_table(rows, name)
        if known is not None and known.published:
            real = {Path(folder).name for folder in known.data.values()}
            ours = {row["corpus"] for row in rows if row["benchmark"] == name}
            if ours <= real:
                lines = compared_table(rows, name, known.published)
        parts.append(f"{title} (`{name}`):\n\n{lines}\n")
    return "\n".join(parts)


def table(pattern, names, figures):
    """The rows of some files, grouped over seeds, as Markdown."""
    groups = {}
    for path in sorted(HERE.glob(pattern)):
        with open(path, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                key = tuple(row[name] for name in names)
                groups.setdefault(key, []).append((row, path.name))
    head = [*names, *figures.values(), "seeds", "rows"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for key, members in groups.items():
        rows = [row for row, _ in members]
        cells = [*key, *(spread(rows, name) for name in figures)]
        cells += [str(len(rows)), members[0][1]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(rows, name):
    """The median, and the range where there are several seeds."""
    values = sorted(float(row[name]) for row in rows)
    fine = name.startswith("min_dcf") or name == "ratio"  # of about 1
    digits = 2 if fine else 0 if name.startswith("fits_") else 1
    digits = 3 if name == "tflops" else digits  # of a CPU below 0.1
    middle, low, high = (
        f"{value:.{digits}f}"
        for value in (median(values), values[0], values[-1])
    )
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def main():
    """Rewrites the documents, or checks them."""
    made = [
        (document, marker, table(*rows)) for document, marker, *rows in TABLES
    ]
    rows = probing_rows()
    made += [
        ("README.md", "probing", own_table(rows, SMALL) + "\n"),
        ("docs/benchmark.md", "probing", probing_tables(rows)),
    ]
    for document, marker, lines in made:
        path = HERE.parent / document
        begin = f"<!-- {marker}: made by results/tables.py -->\n"
        text = path.read_text(encoding="utf-8")
        head, rest = text.split(begin)
        _, tail = rest.split(END, 1)
        new = head + begin + lines + END + tail
        if "--check" not in sys.argv[1:]:
            path.write_text(new, encoding="utf-8")
        elif new != text:
            sys.exit(
                f"{document} is not what results/*.csv say: run {__file__}"
            )


if __name__ == "__main__":
    main()
