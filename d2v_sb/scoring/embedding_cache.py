"""Embeddings on the disk, each with what its audio file was at the time.

Authors
 * The d2v_sb developers 2026
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError

logger = get_logger(__name__)


class EmbeddingCache:
    """A safetensors file of embeddings, of one model.

    All embeddings are one matrix, beside it are the keys as bytes of JSON and
    the stamps: a tensor for each clip would need a header that safetensors
    refuses for a million clips.

    Arguments
    ---------
    path : str or pathlib.Path
        The file; it need not exist, and is written by ``save`` only.
    identity : str
        Of the model. What the file holds of another one is not read.

    Example
    -------
    >>> path = getfixture("tmp_path") / "cache.safetensors"
    >>> cache = EmbeddingCache(path, "model a")
    >>> cache.add("clip", (800, 1), torch.ones(3))
    >>> cache.save()
    >>> again = EmbeddingCache(path, "model a")
    >>> again.knows("clip", (800, 1)), again.knows("clip", (800, 2))
    (True, False)
    >>> EmbeddingCache(path, "model b").knows("clip", (800, 1))
    False
    """

    def __init__(self, path, identity):
        self.path, self.identity = Path(path), identity
        self._rows = {}  # key: (stamp, embedding)
        self._saved = True
        if self.path.exists():
            self._rows = self._read()

    def __getitem__(self, key):
        return self._rows[key][1]

    def knows(self, key, stamp):
        """Whether it holds a clip, and of the file as it is now."""
        return stamp is not None and self._rows.get(key, [None])[0] == stamp

    def add(self, key, stamp, embedding):
        """Takes an embedding (C,) of a file that has this stamp."""
        self._rows[key] = stamp, embedding
        self._saved = False

    def save(self):
        """Writes the file anew, if anything was added.

        Raises
        ------
        DataError
            If it can not be written.
        """
        if self._saved:
            return
        stamps, embeddings = zip(*self._rows.values())
        keys = json.dumps(list(self._rows)).encode()
        tensors = {
            "embeddings": torch.stack(embeddings).contiguous(),
            "stamps": torch.tensor(stamps, dtype=torch.int64),
            "keys": torch.frombuffer(bytearray(keys), dtype=torch.uint8),
        }
        with replacing(self.path) as beside:
            save_file(tensors, beside, {"identity": self.identity})
        self._saved = True

    def _read(self):
        try:
            with safe_open(self.path, framework="pt") as file:
                if file.metadata()["identity"] != self.identity:
                    logger.info(f"{self.path} is of another model: made anew")
                    return {}
                keys = json.loads(file.get_tensor("keys").numpy().tobytes())
                stamps = map(tuple, file.get_tensor("stamps").tolist())
                embeddings = file.get_tensor("embeddings")
        # TypeError: without metadata
        except (
            KeyError,
            OSError,
            TypeError,
            ValueError,
            SafetensorError,
        ) as error:
            # Ours are written whole, so this is something else: kept.
            raise DataError(
                f"{self.path} is no cache of embeddings ({error}): remove it "
                "or choose another folder"
            ) from error
        return dict(zip(keys, zip(stamps, embeddings.unbind()), strict=True))
