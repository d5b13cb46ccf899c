"""Features of many files in few: a part is written when it is large enough.

A file counts as done when the part that holds it is on the disk.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import re
import shutil
import time

import numpy as np

from d2v_sb.atomic import replacing
from d2v_sb.bulk.feature_files import (
    SPILL,
    Frames,
    write_npy,
    write_safetensors,
)
from d2v_sb.errors import UserError

ROWS = 4096  # embeddings in a part
BYTES = 256 << 20  # of a part of frames
SECONDS = 300.0  # of work that a kill may lose
FRAMES_AT_A_TIME = 8192


def next_part(folder, ending):
    """Path of the part after the last.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "part-00007.npy").touch()
    >>> next_part(folder, ".npy").name
    'part-00008.npy'
    """
    named = re.compile(rf"part-(\d+){re.escape(ending)}")
    found = (named.fullmatch(path.name) for path in folder.iterdir())
    numbers = [int(match[1]) for match in found if match]
    return folder / f"part-{max(numbers, default=-1) + 1:05d}{ending}"


class _Parts:
    """What parts of embeddings and of frames have in common."""

    def __init__(self, folder, results):
        self.folder, self.results = folder, results
        self._rows = []  # (item, record, read_at) of the part that is open
        self._due = time.monotonic() + SECONDS
        self.spool = folder / ".unfinished"
        shutil.rmtree(self.spool, ignore_errors=True)

    def close(self):
        """Writes the last part."""
        self.flush()
        shutil.rmtree(self.spool, ignore_errors=True)

    def _publish(self, beside, path, rows):
        """A part that is whole gets its name once the results tell of it: what
        they tell of a part that is not there is not believed."""
        self.results.add_all(
            [
                (item, {**record, "file": path.name}, read_at)
                for item, record, read_at in rows
            ]
        )
        os.replace(beside, path)
        self._due = time.monotonic() + SECONDS


class EmbeddingParts(_Parts):
    """One vector a file, as rows of matrices.

    Arguments
    ---------
    folder : pathlib.Path
        Where the parts go.
    ending : str
        ".npy", ".safetensors" or ".parquet".
    results : Results
        Told of each file that is there.

    Example
    -------
    >>> from d2v_sb.bulk.inputs import Item
    >>> from d2v_sb.bulk.results import Results
    >>> folder = getfixture("tmp_path")
    >>> parts = EmbeddingParts(folder, ".npy", Results(None, ""))
    >>> parts.write(Item("a", "a.wav"), np.ones(3), {"seconds": 1.0}, (1, 1))
    >>> parts.close()
    >>> np.load(folder / "part-00000.npy").shape
    (1, 3)
    """

    def __init__(self, folder, ending, results):
        super().__init__(folder, results)
        self.ending = ending
        self._arrays = []

    def write(self, item, array, record, read_at):
        """Takes a file's vector (C,), or (K, C) of several layers."""
        record = {**record, "row": len(self._rows), "shape": list(array.shape)}
        self._rows.append((item, record, read_at))
        self._arrays.append(array)
        if len(self._rows) >= ROWS or time.monotonic() >= self._due:
            self.flush()

    def flush(self):
        """Writes the part that is open."""
        rows, arrays = self._rows, self._arrays
        self._rows, self._arrays = [], []
        if not rows:
            return
        path = next_part(self.folder, self.ending)
        beside = self.spool / path.name
        matrix = np.stack(arrays)
        names = [item.name for item, _, _ in rows]
        if self.ending == ".npy":
            write_npy(beside, matrix, {})
        elif self.ending == ".safetensors":
            metadata = {"names": json.dumps(names)}
            write_safetensors(beside, matrix, metadata)
        else:
            seconds = [record["seconds"] for _, record, _ in rows]
            self._write_parquet(beside, names, seconds, matrix)
        self._publish(beside, path, rows)

    def _write_parquet(self, path, names, seconds, matrix):
        pa, pq = import_parquet()
        columns = {
            "name": pa.array(names),
            "seconds": pa.array(seconds, pa.float64()),
            "embedding": fixed_lists(pa, matrix),
        }
        table = pa.table(columns).replace_schema_metadata(
            {"shape": json.dumps(list(matrix.shape[1:]))}
        )
        with replacing(path) as beside:
            pq.write_table(table, beside)


class FrameParts(_Parts):
    """Frames in Parquet: a row each, those of a file together.

    Arguments
    ---------
    folder : pathlib.Path
        Where the parts go.
    results : Results
        Told of each file that is there.
    frame_seconds : float
        From one frame to the next.
    """

    ending = ".parquet"

    def __init__(self, folder, results, frame_seconds):
        super().__init__(folder, results)
        self.frame_seconds = frame_seconds
        self._writer, self._path, self._bytes = None, None, 0
        self._is_within = False  # a file that is in the part in part

    def frames(self):
        """What takes frames of one file."""
        return Frames(self.spool, SPILL)

    def write(self, item, frames, record, read_at):
        """Takes a file's frames."""
        self._is_within = True
        with frames as array:
            for begin in range(0, len(array), FRAMES_AT_A_TIME):
                some = array[begin : begin + FRAMES_AT_A_TIME]
                self._add(item.name, begin, some)
            record = {**record, "shape": list(array.shape)}
            self._bytes += array.nbytes
        self._rows.append((item, record, read_at))
        self._is_within = False
        if self._bytes >= BYTES or time.monotonic() >= self._due:
            self.flush()

    def flush(self):
        """Writes the part that is open, unless a file was stopped in it."""
        writer, rows = self._writer, self._rows
        self._writer, self._rows, self._bytes = None, [], 0
        if writer is None:
            return
        writer.close()
        if not self._is_within:
            path = next_part(self.folder, self.ending)
            self._publish(self._path, path, rows)

    def _add(self, name, begin, array):
        pa, pq = import_parquet()
        starts = (begin + np.arange(len(array))) * self.frame_seconds
        columns = {
            "name": pa.array([name] * len(array)).dictionary_encode(),
            "start": pa.array(starts),
            "features": fixed_lists(pa, array),
        }
        table = pa.table(columns).replace_schema_metadata(
            {"shape": json.dumps(list(array.shape[1:]))}
        )
        if self._writer is None:
            self.spool.mkdir(parents=True, exist_ok=True)
            self._path = self.spool / "part.parquet"
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)


def fixed_lists(pa, array):
    """Rows of a matrix, or of what has more axes, as Arrow's lists."""
    flat = np.ascontiguousarray(array).reshape(len(array), -1)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(flat.reshape(-1)), flat.shape[1]
    )


def import_parquet():
    """pyarrow, or how to get it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            'parquet needs pyarrow: pip install "d2v_sb[parquet]", or in a '
            'clone pip install -e ".[parquet]"'
        ) from error
    return pyarrow, pyarrow.parquet
