"""From what a user writes as `source` to weights and their architecture.

Authors
 * The d2v_sb developers 2026
"""

import re
import zipfile
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpointer

from d2v_sb.checkpoints.fairseq import load_fairseq
from d2v_sb.checkpoints.hf import load_hf
from d2v_sb.checkpoints.hub import fetch_from_hub
from d2v_sb.checkpoints.native import STUDENT_CKPT, from_state_dict, load_native
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import PRESETS, EncoderConfig, known_sources

# The encoder's file in a checkpoint folder or inference folder of ours.
ENCODER_CKPT = "model.ckpt"
# What a pretraining run writes into its output folder once it is done, and the
# folder of its checkpoints.
PRETRAINED = "pretrained.safetensors"
SAVE = "save"
# Weights that come with this package: d2v_sb/<name> is <name>.safetensors.
SHIPPED_PREFIX = "d2v_sb/"
SHIPPED_FOLDER = Path(__file__).parents[1] / "weights"
FILE_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def load_checkpoint(source, save_path=None, dictionary=None):
    """Reads an encoder, and what comes with it, from any supported source.

    Arguments
    ---------
    source : str, pathlib.Path or EncoderConfig
        A preset's name or a config (random weights), the name of weights
        that come with the package, a path, a hub name.
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
    path = shipped_weights().get(source) or Path(source).expanduser()
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
    if source in shipped_weights() or Path(source).expanduser().exists():
        return
    if source.endswith(FILE_ENDINGS) or source.startswith(("/", ".", "~")):
        raise CheckpointError(f"no such file or folder: {source}")
    # Never the hub's: who owns that name there is not known.
    if source.startswith(SHIPPED_PREFIX):
        raise CheckpointError(
            f"d2v_sb comes without weights of the name {source!r}; it has "
            f"{', '.join(shipped_weights()) or 'none'}. {known_sources()}"
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise CheckpointError(f"unknown encoder {source!r}. {known_sources()}")


def shipped_weights():
    """Weights that come with this package.

    Returns
    -------
    dict
        Their files by name, such as "d2v_sb/small".

    Example
    -------
    >>> "d2v_sb/another" in shipped_weights()
    False
    """
    files = sorted(SHIPPED_FOLDER.glob("*.safetensors"))
    return {SHIPPED_PREFIX + file.stem: file for file in files}


def _load_folder(path):
    if (path / "config.json").is_file():
        return load_hf(path)
    for name in (PRETRAINED, ENCODER_CKPT, STUDENT_CKPT):
        if (path / name).is_file():
            return _load_file(path / name, None)
    newest = _newest_student(path / SAVE)
    if newest is not None:
        return _load_file(newest, None)
    raise CheckpointError(
        f"{path} holds neither config.json (a Transformers folder), "
        f"{PRETRAINED} (a pretraining run's output), {ENCODER_CKPT} or "
        f"{STUDENT_CKPT} (a checkpoint of SpeechBrain's with our encoder) nor "
        f"{SAVE}/{CKPT_PREFIX}+*/{STUDENT_CKPT} (a pretraining run that goes "
        "on). Of a fine-tuning run name a checkpoint or its inference folder"
    )


def _newest_student(folder):
    """The student in a pretraining run's newest checkpoint, or None."""
    if not folder.is_dir():
        return None
    student = Path(STUDENT_CKPT).stem
    try:
        newest = Checkpointer(folder).find_checkpoint(
            ckpt_predicate=lambda checkpoint: student in checkpoint.paramfiles
        )
    except Exception as error:  # a damaged description fails in many ways
        raise CheckpointError(
            f"the descriptions of the checkpoints in {folder} can not be read "
            f"({type(error).__name__}: {error}): name one of its folders"
        ) from error
    return newest and newest.path / STUDENT_CKPT


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
