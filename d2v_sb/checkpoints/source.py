"""From what a user writes as `source` to weights and their architecture.

Authors
 * The d2v_sb developers 2026
"""

import re
import zipfile
from pathlib import Path

import torch

from d2v_sb.checkpoints.fairseq import load_fairseq
from d2v_sb.checkpoints.hf import load_hf
from d2v_sb.checkpoints.hub import fetch_from_hub
from d2v_sb.checkpoints.native import from_state_dict, load_native
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import PRESETS, EncoderConfig, known_sources

# The encoder's file in a checkpoint folder or inference folder of ours.
ENCODER_CKPT = "model.ckpt"
FILE_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def load_checkpoint(source, save_path=None, dictionary=None):
    """Reads an encoder, and what comes with it, from any supported source.

    Arguments
    ---------
    source : str, pathlib.Path or EncoderConfig
        A preset's name or a config (random weights), a path, a hub name.
    save_path : str, optional
        Folder in which weights from the hub are kept.
    dictionary : str, optional
        fairseq's dict.ltr.txt, for a CTC model without one beside it.

    Returns
    -------
    Checkpoint
        Its `encoder` is None for random weights.

    Raises
    ------
    CheckpointError
        If there is no such source, or it is damaged or of another model.

    Example
    -------
    >>> load_checkpoint("large").config.encoder_layers
    24
    """
    if isinstance(source, EncoderConfig):
        return Checkpoint("config", "random weights", source)
    source = str(source)
    if source in PRESETS:
        return Checkpoint(source, "random weights", PRESETS[source])
    path = Path(source).expanduser()
    if path.is_dir():
        return _load_folder(path)
    if path.is_file():
        return _load_file(path, dictionary)
    check_source(source)
    return load_hf(fetch_from_hub(source, save_path))


def check_source(source):
    """Refuses what can be no encoder, before any work is done for it.

    Arguments
    ---------
    source : str, pathlib.Path or EncoderConfig
        As for ``load_checkpoint``. A name of the hub is not looked up.

    Raises
    ------
    CheckpointError
        If it is neither a known name, a path, nor of the hub's form.

    Example
    -------
    >>> check_source("tiny")
    """
    if isinstance(source, EncoderConfig) or source in PRESETS:
        return
    source = str(source)
    if Path(source).expanduser().exists():
        return
    if source.endswith(FILE_ENDINGS) or source.startswith(("/", ".", "~")):
        raise CheckpointError(f"no such file or folder: {source}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise CheckpointError(f"unknown encoder {source!r}. {known_sources()}")


def _load_folder(path):
    if (path / "config.json").is_file():
        return load_hf(path)
    if (path / ENCODER_CKPT).is_file():
        return _load_file(path / ENCODER_CKPT, None)
    raise CheckpointError(
        f"{path} holds neither config.json (a Transformers folder) nor "
        f"{ENCODER_CKPT} (a checkpoint of SpeechBrain's with our encoder)"
    )


def _load_file(path, dictionary):
    if path.suffix == ".safetensors":
        return load_native(path)
    try:
        content = torch.load(
            path,
            map_location="cpu",
            weights_only=True,
            mmap=zipfile.is_zipfile(path),
        )
    except Exception:
        # Pickled options, or damage, which can fail in any way at all:
        # fairseq's reader tells which.
        return load_fairseq(path, dictionary)
    if isinstance(content, dict) and "model" not in content:
        checkpoint = from_state_dict(content, path)
        if checkpoint is not None:
            return checkpoint
        if any("feature_projection." in str(name) for name in content):
            raise CheckpointError(
                f"{path} holds weights of a Transformers model without its "
                "configuration: give the folder that it lies in"
            )
        names = ", ".join(list(map(str, content))[:5])
        raise CheckpointError(
            f"{path} holds no data2vec encoder: neither fairseq's 'model' nor "
            f"an encoder saved by d2v_sb. It starts with: {names}"
        )
    return load_fairseq(path, dictionary)
