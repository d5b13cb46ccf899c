"""Features on the disk: a file for each audio file, in bounded memory.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from d2v_sb.atomic import replacing

SPILL = 64 << 20  # bytes of a file's features that are kept in memory
SAFETENSORS = {"float32": "F32", "float16": "F16"}


class Frames:
    """Features of one file as they come, on the disk once they are many.

    Arguments
    ---------
    folder : pathlib.Path
        Where to put them meanwhile.
    spill : int
        Bytes above which they go there.

    Example
    -------
    >>> frames = Frames(getfixture("tmp_path"), spill=8)
    >>> frames.add(np.ones((2, 3), "float32"))
    >>> frames.add(np.zeros((1, 3), "float32"))
    >>> with frames as array:
    ...     array.shape
    (3, 3)
    """

    def __init__(self, folder, spill=SPILL):
        self.folder, self.spill = folder, spill
        self._parts, self._bytes, self._file = [], 0, None

    def add(self, array):
        """Takes frames (T, …)."""
        # A copy: a view would keep the whole batch.
        self._parts.append(np.array(array, order="C"))
        self._bytes += array.nbytes
        if self._bytes > self.spill:
            self._to_disk()

    def __enter__(self):
        """All frames in one array, mapped from the disk if they are there."""
        if self._file is None:
            return np.concatenate(self._parts)
        like = self._parts[0] if self._parts else self._like
        self._to_disk()
        mapped = np.memmap(self._file, like.dtype, mode="r")
        return mapped.reshape(-1, *like.shape[1:])

    def __exit__(self, *_):
        self.discard()

    def discard(self):
        """Removes what is on the disk."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None

    def _to_disk(self):
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=".raw", dir=self.folder)
            os.close(handle)
            self._file = Path(name)
        with open(self._file, "ab") as stream:
            for part in self._parts:
                part.tofile(stream)
        if self._parts:
            self._like = self._parts[0][:0]
        self._parts, self._bytes = [], 0


def write_npy(path, array, metadata):
    """Writes ``.npy``, which has no place for metadata.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.npy"
    >>> write_npy(path, np.ones((2, 3), "float16"), {})
    >>> np.load(path).shape
    (2, 3)
    """
    with replacing(path) as beside, open(beside, "wb") as stream:
        np.save(stream, array)


def write_safetensors(path, array, metadata):
    """Writes ``.safetensors`` with the tensor `features`.

    As the library, but from an array that may be larger than the memory.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    array : np.ndarray
        Of float32 or float16; may be mapped from a file.
    metadata : dict of str to str
        Kept in the file.

    Example
    -------
    >>> from safetensors.numpy import load_file
    >>> path = getfixture("tmp_path") / "a.safetensors"
    >>> write_safetensors(path, np.ones((2, 3), "float32"), {"name": "a"})
    >>> load_file(path)["features"].shape
    (2, 3)
    """
    header = {
        "__metadata__": metadata,
        "features": {
            "dtype": SAFETENSORS[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [0, array.nbytes],
        },
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as beside, open(beside, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        array.tofile(stream)


WRITERS = {".npy": write_npy, ".safetensors": write_safetensors}


class FeatureFiles:
    """A file for each audio file.

    Arguments
    ---------
    folder : pathlib.Path
        Where they go.
    paths : dict of str to pathlib.Path
        Of each file below it, by names, all with one ending of ``WRITERS``.
    results : Results
        Told of each file that is there.
    """

    def __init__(self, folder, paths, results):
        self.folder, self.paths, self.results = folder, paths, results
        self.spool = folder / ".unfinished"
        shutil.rmtree(self.spool, ignore_errors=True)

    def frames(self):
        """What takes frames of one file."""
        return Frames(self.spool)

    def write(self, item, frames, record, read_at):
        """Writes a file's features.

        Arguments
        ---------
        item : Item
            The audio file.
        frames : Frames
            All of them.
        record : dict
            What the results say of it besides.
        read_at : tuple
            See ``Results.add``.
        """
        path = self.paths[item.name]
        metadata = {"name": item.name, "seconds": str(record["seconds"])}
        with frames as array:
            shape = list(array.shape)
            WRITERS[path.suffix](self.folder / path, array, metadata)
        record = {**record, "file": str(path), "shape": shape}
        self.results.add(item, record, read_at)

    def close(self):
        """Removes what was not finished."""
        shutil.rmtree(self.spool, ignore_errors=True)
