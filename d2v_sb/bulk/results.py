"""Results of files as JSON lines, written as they come and known again.

Authors
 * The d2v_sb developers 2026
"""

import json
from pathlib import Path

from d2v_sb.atomic import explain_refusals, replacing
from d2v_sb.errors import DataError
from d2v_sb.journal import stamp

# Beside a record's own keys.
STAMP, MADE_BY = "stamp", "made_by"


class Results:
    """One JSON object a line for each file that is done.

    A line holds for as long as the audio file keeps its size and its time of
    change, and the results are asked of the same model with the same options.
    A line that a kill tore is ignored.

    Arguments
    ---------
    path : str or pathlib.Path or None
        The file; None keeps results in memory only.
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
        self._records = {}
        if self.path is None:
            return
        if self.path.exists():
            self._records = _read(self.path)
        with explain_refusals(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append("")

    def __getitem__(self, name):
        return self._records[name]

    def has(self, name):
        """Whether it has a result of that name by the same model."""
        return self._records.get(name, {}).get(MADE_BY) == self.made_by

    def knows(self, item):
        """Whether it has the result of a file as it is now."""
        if not self.has(item.name):
            return False
        now = stamp(item.path)
        return now is not None and self[item.name].get(STAMP) == list(now)

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
        now = read_at or stamp(item.path)
        record = {
            "name": item.name,
            **record,
            STAMP: now and list(now),
            MADE_BY: self.made_by,
        }
        self._records[item.name] = record
        if self.path is not None:
            with explain_refusals(self.path):
                # The break comes first: a torn line spoils no other.
                line = json.dumps(record, ensure_ascii=False)
                self._append(f"\n{line}")

    def finish(self, items):
        """Writes the file anew, in the order of the items, without what was
        replaced. Lines of files that were not asked for this time stay.

        Arguments
        ---------
        items : list of Item
            What was asked for.

        Returns
        -------
        list of dict
            The records of those that have one.
        """
        named = {item.name for item in items}
        asked = [
            self._records[i.name] for i in items if i.name in self._records
        ]
        asked = [record for record in asked if record[MADE_BY] == self.made_by]
        if self.path is not None:
            rest = [r for name, r in self._records.items() if name not in named]
            with (
                replacing(self.path) as beside,
                open(beside, "w", encoding="utf-8") as stream,
            ):
                for record in asked + rest:
                    stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        return asked

    def _append(self, text):
        # Opened each time, without a buffer: a kill loses no line.
        with open(self.path, "ab", buffering=0) as stream:
            stream.write(text.encode())


def _read(path):
    """Records by name; of a name's several, the last."""
    records, strange = {}, 0
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in filter(str.strip, stream):
            try:
                record = json.loads(line)
                records[record["name"]] = record
                record[MADE_BY]
            except (ValueError, KeyError, TypeError):
                strange += 1
    if strange > 1:
        raise DataError(
            f"{path} is there already and holds something else than results "
            "of this command: move it, or choose another -o"
        )
    return records
