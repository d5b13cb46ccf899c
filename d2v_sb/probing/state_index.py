"""What a cache of states says of itself: settings and an index, in text.

A cache has a folder for each settings, and in it::

    settings.json      what the states are of
    states-00000.bin   states, one utterance after the other; a shard
    index.jsonl        [key, shard, offset, T, K, D, checksum] of each

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import json
import math
from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

SETTINGS = "settings.json"
INDEX = "index.jsonl"
SHARDS = "states-*.bin"
FIELDS = (str, int, int, int, int, int, int)


class Place(NamedTuple):
    """Where the states (T, K, D) of an utterance lie; `checksum` by CRC-32."""

    shard: int
    offset: int
    num_frames: int
    num_layers: int
    width: int
    checksum: int

    @property
    def shape(self):
        """(T, K, D)."""
        return self.num_frames, self.num_layers, self.width


class Index:
    """The places of utterances by key, as far as the file has been read.

    Numbers are kept in one array and not as objects: 300,000 utterances take
    80 MB, most of it for their keys.

    Arguments
    ---------
    path : pathlib.Path
        The file; it need not exist.
    itemsize : int
        Bytes of a number of the states.

    Example
    -------
    >>> path = getfixture("tmp_path") / "index.jsonl"
    >>> _ = path.write_text('["a", 0, 0, 5, 2, 4, 1]\\n["b", 0, 80, 5, 2')
    >>> index = Index(path, itemsize=2)
    >>> index.read_on()
    >>> "a" in index, "b" in index, index["a"].shape, index.ends
    (True, False, (5, 2, 4), {0: 80})
    """

    def __init__(self, path, itemsize):
        self.path, self.itemsize = path, itemsize
        self._clear()

    def _clear(self):
        self._rows = {}
        self._columns = array("q")
        self.checked = bytearray()  # 1 in rows whose states are known as sound
        self.ends = {}  # bytes of each shard that lines speak of
        self.size = 0  # bytes of whole lines that have been read

    def __len__(self):
        return len(self._rows)

    def __contains__(self, key):
        return key in self._rows

    def __iter__(self):
        return iter(self._rows)

    def __getitem__(self, key):
        first = self._rows[key] * len(Place._fields)
        return Place(*self._columns[first : first + len(Place._fields)])

    def row(self, key):
        """Number of the line of a key, for `checked`."""
        return self._rows[key]

    def forget(self, keys):
        """Leaves out utterances until a later line tells of them again."""
        for key in keys:
            del self._rows[key]

    def read_on(self):
        """Reads lines that were added; of a key's several the last counts.

        A line without its end is not read: it is being written, or a kill
        tore it. Lines that are no entries are ignored.
        """
        if not self.path.exists():
            self._clear()
            return
        with open(self.path, "rb") as file:
            if file.seek(0, 2) < self.size:  # removed and begun anew
                self._clear()
            file.seek(self.size)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.size += len(line)
                self._take(line)

    def rows_beyond(self, sizes):
        """Keys of states that do not lie in their shards whole.

        Arguments
        ---------
        sizes : dict of int to int
            Bytes of each shard.

        Returns
        -------
        list of str
        """
        table = np.array(self._columns).reshape(-1, len(Place._fields))
        shards, offsets = table[:, 0], table[:, 1]
        ends = offsets + table[:, 2:5].prod(axis=1) * self.itemsize
        lengths = np.zeros(max(sizes, default=0) + 1, dtype=np.int64)
        lengths[list(sizes)] = list(sizes.values())
        lost = set(np.flatnonzero(ends > lengths[shards]).tolist())
        return [k for k, row in self._rows.items() if row in lost]

    def _take(self, line):
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if type(entry) is not list or tuple(map(type, entry)) != FIELDS:
            return
        key, *numbers = entry
        if min(numbers) < 0:
            return
        place = Place(*numbers)
        self._rows[key] = len(self.checked)
        self._columns.extend(place)
        self.checked.append(0)
        end = place.offset + math.prod(place.shape) * self.itemsize
        self.ends[place.shard] = max(self.ends.get(place.shard, 0), end)


def line_of(key, place):
    """The line of an index that tells of an utterance, as bytes."""
    return (json.dumps([key, *place]) + "\n").encode()


def settings_text(settings):
    """Settings as they are written and, in a cache, told apart.

    Example
    -------
    >>> settings_text({"b": 1, "a": (1, 2)}) == settings_text(
    ...     {"a": [1, 2], "b": 1}
    ... )
    True
    """
    return json.dumps(settings, indent=2, sort_keys=True) + "\n"


def settings_folder(folder, settings):
    """The folder of settings in a cache, named by their SHA-256.

    Arguments
    ---------
    folder : str or pathlib.Path
        The cache.
    settings : dict
        What JSON can hold.

    Returns
    -------
    pathlib.Path

    Example
    -------
    >>> settings_folder("cache", {"mode": "clean"}).as_posix()
    'cache/...'
    """
    digest = hashlib.sha256(settings_text(settings).encode()).hexdigest()
    return Path(folder) / digest[:16]


def shard_path(folder, shard):
    """The file of a shard.

    Example
    -------
    >>> shard_path(Path("cache"), 7).name
    'states-00007.bin'
    """
    return folder / SHARDS.replace("*", f"{shard:05d}")


class Cached(NamedTuple):
    """What a cache holds of some settings."""

    folder: Path
    settings: dict
    num_utterances: int
    num_bytes: int


def cached(folder):
    """What a cache holds, of each settings, the largest first.

    Arguments
    ---------
    folder : str or pathlib.Path
        The cache; it need not exist.

    Returns
    -------
    list of Cached
        Utterances are those of the index, damaged ones and all.

    Example
    -------
    >>> cached("absent")
    []
    """
    found = []
    for path in Path(folder).glob(f"*/{SETTINGS}"):
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            index = path.with_name(INDEX)
            lines = index.read_bytes().count(b"\n") if index.exists() else 0
            sizes = [p.stat().st_size for p in path.parent.glob(SHARDS)]
        except (OSError, ValueError):  # another run removes it, or no cache
            continue
        found.append(Cached(path.parent, settings, lines, sum(sizes)))
    return sorted(found, key=lambda c: (-c.num_bytes, c.folder))


def describe(folder):
    """Lines on what a cache holds, for a user who wants some of it back.

    Arguments
    ---------
    folder : str or pathlib.Path
        The cache.

    Returns
    -------
    str
        A line for each settings: folder, size, utterances, settings.

    Example
    -------
    >>> describe("absent")
    ''
    """
    return "\n".join(
        f"{part.folder}: {size_text(part.num_bytes)}, "
        f"{part.num_utterances} utterances: "
        + ", ".join(f"{k} {v}" for k, v in part.settings.items())
        for part in cached(folder)
    )


def size_text(num_bytes):
    """A size with two digits or more, in the unit that has them.

    Example
    -------
    >>> [size_text(n) for n in (48, 38_400, 2.6e6, 999.6e6, 1.25e9, 9e11)]
    ['48 bytes', '38 kB', '2.6 MB', '1.0 GB', '1.2 GB', '900 GB']
    """
    size, unit = num_bytes, "bytes"
    for larger in ("kB", "MB", "GB"):
        if round(size) < 1000:
            break
        size, unit = size / 1000, larger
    digits = 1 if size < 9.95 and unit != "bytes" else 0
    return f"{size:.{digits}f} {unit}"
