"""Where results of a command are written, and in which of its formats.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from d2v_sb.atomic import replacing
from d2v_sb.bulk.naming import output_paths
from d2v_sb.errors import UserError

ENDINGS = {"text": ".txt", "tsv": ".tsv", "jsonl": ".jsonl"}


class Formats(NamedTuple):
    """What a command writes, besides JSON lines.

    `text` and `tsv` make lines of a record, in one file for all; `tsv_header`
    stands above the latter; `each`, by format, makes a file of a record;
    `alone`, if there is one, is `text` for the standard output and one record.
    """

    text: object
    tsv: object
    tsv_header: str
    each: dict
    alone: object

    @property
    def names(self):
        """Of all formats."""
        return [*ENDINGS, *self.each]

    @property
    def endings(self):
        """Formats by the endings of files."""
        own = {ending: name for name, ending in ENDINGS.items()}
        return {**own, **{f".{name}": name for name in self.each}}


class OutputFiles:
    """The output that a user named, and the results beside it.

    Results are JSON lines: the file that was asked for, or one beside what is
    made of them, by which a command goes on.

    Arguments
    ---------
    formats : Formats
        Of the command.
    output : str or pathlib.Path or None
        A file, or a folder for formats that make a file each; None is the
        standard output.
    format : str or None
        None goes by the output's ending.
    names : list of str
        Of the audio files.
    beside : str, optional
        Ending of what is kept beside the output, for commands that keep
        something else than results.

    Raises
    ------
    UserError
        If these do not fit each other.

    Example
    -------
    >>> formats = Formats(str, str, "", {"srt": str}, None)
    >>> files = OutputFiles(formats, "all.tsv", None, ["a.wav"])
    >>> files.format, str(files.results_path)
    ('tsv', 'all.tsv.jsonl')
    >>> files = OutputFiles(formats, "subtitles", "srt", ["a.wav"])
    >>> files.results_path.name
    'results.jsonl'
    """

    def __init__(self, formats, output, format, names, beside=None):
        self.formats = formats
        self.beside = beside
        self.output = None if output is None else Path(output)
        self.format = format or self._by_ending()
        self.names = names
        makes_each = self.format in formats.each
        # A file for each audio file, or the one file of the only one.
        self.is_folder = makes_each and not (
            self.output is not None
            and self.output.suffix == f".{self.format}"
            and not self.output.is_dir()
        )
        if makes_each and len(names) > 1:
            if self.output is None or not self.is_folder:
                raise UserError(
                    f"--format {self.format} makes a file for each of the "
                    f"{len(names)} audio files: name a folder with -o"
                )
        if self.results_path != self.output:
            self._refuse_others()
        if not makes_each and output is not None and self.output.is_dir():
            raise UserError(
                f"-o {output} is a folder, and --format {self.format} makes "
                "one file"
            )

    @property
    def results_path(self):
        """The JSON lines; None for the standard output."""
        if self.output is None:
            return None
        if self.beside is not None:
            return Path(f"{self.output}{self.beside}")
        if self.format == "jsonl":
            return self.output
        if self.is_folder:
            return self.output / "results.jsonl"
        return Path(f"{self.output}.jsonl")

    def write(self, records):
        """Writes what is made of the results; to the standard output if there
        is no other.

        Arguments
        ---------
        records : iterable of dict
            Of all files that have one.
        """
        if self.output is None:
            sys.stdout.writelines(self.lines(records))
        elif self.is_folder:
            make = self.formats.each[self.format]
            paths = self._paths()
            for record in records:
                path = self.output / paths[record["name"]]
                write_lines(path, [make(record)])
        elif self.format != "jsonl":
            write_lines(self.output, self.lines(records))

    def _paths(self):
        return output_paths(self.names, f".{self.format}", replace=True)

    def lines(self, records):
        """Texts of records in the format, with what is above them."""
        if self.format == "tsv" and self.formats.tsv_header:
            yield self.formats.tsv_header
        alone = self.output is None and len(self.names) == 1
        make = {
            "text": (alone and self.formats.alone) or self.formats.text,
            "tsv": self.formats.tsv,
            "jsonl": to_json,
            **self.formats.each,
        }[self.format]
        yield from map(make, records)

    def _refuse_others(self):
        """What is there without results beside it is not of this command."""
        paths = [self.output]
        if self.is_folder:
            # Two of one name are told here too, before the work.
            paths = [self.output / path for path in self._paths().values()]
        if self.results_path.exists():
            return
        for path in paths:
            if path.is_file():
                raise UserError(
                    f"{path} is there already, and is not of this command: "
                    "move it, or choose another -o"
                )

    def _by_ending(self):
        if self.output is None:
            return "text"
        try:
            return self.formats.endings[self.output.suffix.lower()]
        except KeyError as error:
            raise UserError(
                f"-o {self.output}: choose a --format "
                f"({', '.join(self.formats.names)}), or a file that ends in "
                f"{', '.join(self.formats.endings)}"
            ) from error


@contextlib.contextmanager
def kept(files, results, items):
    """Has results in order and written at the end, and at a stop.

    A stopped run leaves the output of an earlier one as it is.

    Arguments
    ---------
    files : OutputFiles
        The output.
    results : Results
        What the block fills.
    items : list of Item
        All audio files.

    Example
    -------
    >>> from d2v_sb.bulk.results import Results
    >>> formats = Formats(str, str, "", {}, None)
    >>> with kept(OutputFiles(formats, None, None, []), Results(None, ""), []):
    ...     pass
    """
    try:
        yield
    except BaseException:
        results.finish(items)
        if files.output is None or not files.output.exists():
            files.write(results.records(items))
        raise
    results.finish(items)
    files.write(results.records(items))


def to_json(record):
    """A line of JSON.

    Example
    -------
    >>> to_json({"text": "É"})
    '{"text": "É"}\\n'
    """
    return json.dumps(record, ensure_ascii=False) + "\n"


def write_lines(path, lines):
    """Writes a file whole or not at all."""
    with (
        replacing(path) as beside,
        open(beside, "w", encoding="utf-8") as stream,
    ):
        stream.writelines(lines)
