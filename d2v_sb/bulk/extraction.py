"""From pieces to features of files, and the folder that holds them.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
from pathlib import Path

import numpy as np

from d2v_sb.atomic import remove_left_overs, replacing
from d2v_sb.bulk.feature_files import FeatureFiles
from d2v_sb.bulk.features import Embeddings, Mean
from d2v_sb.bulk.hearing import seconds_of
from d2v_sb.bulk.naming import output_paths
from d2v_sb.bulk.results import Results
from d2v_sb.bulk.shards import EmbeddingParts, FrameParts, import_parquet
from d2v_sb.errors import DataError, UserError
from d2v_sb.presets import SAMPLE_RATE

FORMATS = ("safetensors", "npy", "parquet")
# Readers of Parquet take a folder whole, less what begins so.
INDEX, SETTINGS = "_index.jsonl", "_settings.json"


class FeatureFolder:
    """A folder of features: files or parts, ``_index.jsonl``, ``_settings.json``.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder; it may hold files of an earlier run with the same settings.
    items : list of Item
        All audio files.
    model : LayerFeatures, WeightedFeatures or Embeddings
        What gives features.
    pool : str
        How frames become one vector, or "none".
    format : str
        One of ``FORMATS``.
    settings : dict
        What tells these features from others, and says what they are.

    Raises
    ------
    UserError
        If the folder holds features of other settings, or parts in it hold
        audio files that are not the same any more.
    """

    def __init__(self, folder, items, model, pool, format, settings):
        self.folder = Path(folder)
        self.model, self.pool = model, pool
        self.items = items
        ending, pooled = f".{format}", pool != "none"
        paths = output_paths([item.name for item in items], ending)
        if format == "parquet":
            import_parquet()
        _keep_settings(self.folder, {**settings, "format": format})
        self.results = Results(self.folder / INDEX, settings["made_by"])
        self._forget_missing()
        self._refuse_changed(pooled or format == "parquet")
        if pooled:
            self.files = EmbeddingParts(self.folder, ending, self.results)
        elif format == "parquet":
            frame_seconds = model.cut.hop / SAMPLE_RATE
            self.files = FrameParts(self.folder, self.results, frame_seconds)
        else:
            self.files = FeatureFiles(self.folder, paths, self.results)

    def begin(self, item):
        """What collects a file's pieces."""
        if self.pool == "none":
            return _FrameCollector(self.files.frames())
        return MeanCollector(Mean(self.pool == "mean_std"))

    def keep(self, item, found, read_at):
        """Takes what a file's collector gave."""
        features, seconds = found
        self.files.write(item, features, {"seconds": seconds}, read_at)

    def close(self):
        """Writes what waits, and the index in the order of the files."""
        self.files.close()
        self.results.finish(self.items)

    def _forget_missing(self):
        """What the index tells of files that are not there: of a run that was
        killed, or of someone who removed them."""
        missing = [
            name
            for name, file in self.results.files().items()
            if not (self.folder / file).is_file()
        ]
        if missing:
            self.results.forget(missing)
            self.results.finish(self.items)

    def _refuse_changed(self, in_parts):
        """Features of another file of the same name are not overwritten, and a
        row that is written can not be taken back."""
        for item in self.items:
            if not self.results.has(item.name) or self.results.knows(item):
                continue
            before = self.results.path_of(item.name)
            if in_parts or before != os.path.abspath(item.path):
                raise UserError(
                    f"{self.folder} has features of {before} as {item.name}, "
                    f"and {item.path} is not the same file any more: begin in "
                    "another folder"
                )


class _FrameCollector:
    def __init__(self, frames):
        self.frames = frames

    def add(self, piece, output):
        self.frames.add(_counting(piece, output))
        return (self.frames, seconds_of(piece)) if piece.last else None

    def discard(self):
        self.frames.discard()


class MeanCollector:
    """One vector of a file's frames, or of its pieces' embeddings.

    Arguments
    ---------
    mean : Mean
        Empty.
    """

    def __init__(self, mean):
        self.mean = mean

    def add(self, piece, output):
        """Takes a piece; after the last, (vector, seconds of the file)."""
        if piece.num_frames is None:
            weight = piece.num_samples / SAMPLE_RATE
            self.mean.add(_finite(output), weight)
        else:
            self.mean.add(_counting(piece, output))
        return (self.mean.result(), seconds_of(piece)) if piece.last else None


def _counting(piece, output):
    """The frames of a piece that count."""
    return _finite(output[piece.first : piece.first + piece.num_frames])


def _finite(array):
    if not np.isfinite(array).all():
        raise DataError(
            "its features are not finite: if other files are fine, try "
            "--precision fp32"
        )
    return array


def describe(model, pool, source, dtype):
    """What a folder's features are, for who reads ``_settings.json``."""
    if isinstance(model, Embeddings):
        return {"source": source, "pool": pool, "dtype": "float32"}
    encoder = model.encoder.config
    return {
        "source": source,
        "layers": "weighted" if model.layers is None else model.layers,
        "pool": pool,
        "dtype": "float32" if pool != "none" else dtype,
        "frame_seconds": model.cut.hop / SAMPLE_RATE,
        "width": encoder.encoder_embed_dim,
    }


def _keep_settings(folder, settings):
    """Writes the settings of a new folder, and refuses others of an old one."""
    path = folder / SETTINGS
    remove_left_overs(folder, SETTINGS)
    # Where a model lies says nothing about it.
    compared = {k: v for k, v in settings.items() if k != "source"}
    compared = json.loads(json.dumps(compared))
    if path.is_file():
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
            theirs = {k: v for k, v in theirs.items() if k != "source"}
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path} is no settings of features") from error
        changed = [
            f"{key} {theirs.get(key)}, now {compared.get(key)}"
            for key in sorted({*theirs, *compared})
            if theirs.get(key) != compared.get(key) and key != "made_by"
        ]
        if theirs != compared:
            changed = changed or ["another model, or other options"]
            raise UserError(
                f"{folder} holds features of other settings: "
                f"{'; '.join(changed)}. Choose another -o"
            )
        return
    if folder.is_dir() and any(
        path.name != f".{INDEX}.lock" for path in folder.iterdir()
    ):
        raise UserError(
            f"{folder} holds something else than features: choose another -o"
        )
    with replacing(path) as beside:
        text = json.dumps(settings, indent=2) + "\n"
        beside.write_text(text, encoding="utf-8")
