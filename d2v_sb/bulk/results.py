"""Results of files as JSON lines, written as they come and known again.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from d2v_sb.atomic import explain_refusals, replacing
from d2v_sb.bulk.inputs import Item
from d2v_sb.errors import DataError
from d2v_sb.journal import stamp

# Beside a record's own keys.
STAMP, MADE_BY = "stamp", "made_by"
HEAD = b'{"name": "'  # of every line


class _Entry(NamedTuple):
    """What is kept of a record in memory: its line's offset, or, where there
    is no file, itself."""

    made_by: str
    stamp: tuple
    place: object


class Results:
    """One JSON object a line for each file that is done.

    A line holds for as long as the audio file keeps its size and its time of
    change, and the results are asked of the same model with the same options.
    A line that a kill tore is ignored. Memory holds names, not records: there
    may be millions.

    Arguments
    ---------
    path : str or pathlib.Path or None
        The file; None keeps results in memory.
    made_by : str
        What made them: another model or other options are another text.

    Raises
    ------
    DataError
        If it is there and holds something else, or can not be written.

    Example
    -------
    >>> from d2v_sb.bulk.inputs import Item
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.wav").write_bytes(b"audio")
    >>> item = Item("a", str(folder / "a.wav"))
    >>> results = Results(folder / "out.jsonl", "model 1")
    >>> results.knows(item)
    False
    >>> results.add(item, {"text": "HELLO"})
    >>> Results(folder / "out.jsonl", "model 1").knows(item)
    True
    >>> Results(folder / "out.jsonl", "model 2").knows(item)
    False
    """

    def __init__(self, path, made_by):
        self.path = None if path is None else Path(path)
        self.made_by = made_by
        self._entries = {}
        if self.path is None:
            return
        if self.path.exists():
            self._entries = _read(self.path)
        with explain_refusals(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(b"")

    def has(self, name):
        """Whether it has a result of that name by the same model."""
        entry = self._entries.get(name)
        return entry is not None and entry.made_by == self.made_by

    def knows(self, item):
        """Whether it has the result of a file as it is now."""
        if not self.has(item.name):
            return False
        now = stamp(item.path)
        return now is not None and self._entries[item.name].stamp == now

    def add(self, item, record, read_at=None):
        """Takes the result of a file and writes its line.

        Arguments
        ---------
        item : Item
            The file.
        record : dict
            What JSON can hold.
        read_at : tuple, optional
            The file's ``stamp`` from before it was read; it may have changed
            meanwhile.
        """
        self.add_all([(item, record, read_at)])

    def add_all(self, found):
        """Takes the results of several files, whose lines are written at once.

        Arguments
        ---------
        found : list of (Item, dict, tuple or None)
            As the arguments of ``add``.
        """
        entries, data = {}, b""
        for item, record, read_at in found:
            now = read_at or stamp(item.path)
            record = {
                "name": item.name,
                "path": os.path.abspath(item.path),
                **record,
                STAMP: now,
                MADE_BY: self.made_by,
            }
            # The break comes first: a torn line spoils no other.
            line = "\n" + json.dumps(record, ensure_ascii=False)
            place = record if self.path is None else len(data) + 1
            data += line.encode()
            entries[item.name] = _Entry(self.made_by, now, place)
        if self.path is not None:
            with explain_refusals(self.path):
                begin = self._append(data)
            entries = {
                name: entry._replace(place=begin + entry.place)
                for name, entry in entries.items()
            }
        self._entries.update(entries)

    def forget(self, names):
        """Drops results, so that their files are done again."""
        for name in names:
            self._entries.pop(name, None)

    def files(self):
        """``record["file"]`` of all results of this model, by name."""
        names = [Item(name, "") for name in self._entries if self.has(name)]
        return {r["name"]: r.get("file") for r in self.records(names)}

    def path_of(self, name):
        """Where the audio of a result lay."""
        return next(self.records([Item(name, "")]))["path"]

    def finish(self, items):
        """Writes the file anew, in the order of the items, without what was
        replaced. Lines of files that were not asked for this time stay.

        Arguments
        ---------
        items : list of Item
            What was asked for.
        """
        if self.path is None:
            return
        asked = {item.name for item in items}
        order = [item.name for item in items if item.name in self._entries]
        order += [name for name in self._entries if name not in asked]
        entries = {}
        with (
            replacing(self.path) as beside,
            open(beside, "wb") as stream,
            open(self.path, "rb") as old,
        ):
            for name in order:
                entry = self._entries[name]
                old.seek(entry.place)
                entries[name] = entry._replace(place=stream.tell())
                stream.write(old.readline().rstrip(b"\n") + b"\n")
        self._entries = entries

    def records(self, items):
        """Records of files that have one of this model, one after the other.

        Arguments
        ---------
        items : list of Item
            Which, and in what order.

        Yields
        ------
        dict
        """
        names = (item.name for item in items if self.has(item.name))
        if self.path is None:
            for name in names:
                yield self._entries[name].place
            return
        with open(self.path, "rb") as stream:
            for name in names:
                stream.seek(self._entries[name].place)
                yield json.loads(stream.readline())

    def _append(self, data):
        """Writes lines, and says where they begin."""
        # Opened each time, without a buffer: a kill loses no line.
        with open(self.path, "ab", buffering=0) as stream:
            stream.write(data)
            return stream.tell() - len(data)


def _read(path):
    """Entries by name; of a name's several, the last."""
    entries, place = {}, 0
    with open(path, "rb") as stream:
        for line in stream:
            begin, place = place, place + len(line)
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                if _is_torn(line):
                    continue
                record = None
            try:
                time = record[STAMP] and tuple(record[STAMP])
                entry = _Entry(record[MADE_BY], time, begin)
                entries[record["name"]] = entry
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"{path} is there already and holds something else than "
                    "results of this command: move it, or choose another -o"
                ) from error
    return entries


def _is_torn(line):
    """Whether it is the beginning of one of our lines."""
    line = line.strip()
    return line.startswith(HEAD) or HEAD.startswith(line)
