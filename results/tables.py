#!/usr/bin/env python3
"""Makes the README's results table from the rows in this folder.

> python results/tables.py          rewrites the table
> python results/tables.py --check  fails if it is not what the rows say

Authors
 * The d2v_sb developers 2026
"""

import csv
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
BEGIN = "<!-- results: made by results/tables.py -->\n"
END = "<!-- end of results -->"


def table():
    """The rows of all files, grouped over seeds, as Markdown."""
    groups = {}
    for path in sorted(HERE.glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                key = (row["corpus"], row["model"], row["decoding"])
                groups.setdefault(key, []).append((row, path.name))
    lines = [
        "| corpus | model | decoding | WER % | CER % | seeds | rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, members in groups.items():
        rows = [row for row, _ in members]
        cells = [*key, spread(rows, "wer"), spread(rows, "cer")]
        cells += [str(len(rows)), members[0][1]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(rows, name):
    """The median, and the range where there are several seeds."""
    values = sorted(float(row[name]) for row in rows)
    middle = median(values)
    if len(values) == 1:
        return f"{middle:.1f}"
    return f"{middle:.1f} ({values[0]:.1f} to {values[-1]:.1f})"


def main():
    """Rewrites the README, or checks it."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    new = head + BEGIN + table() + END + tail
    if "--check" in sys.argv[1:]:
        if new != text:
            sys.exit("README.md is not what results/*.csv say: run this script")
    else:
        README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
