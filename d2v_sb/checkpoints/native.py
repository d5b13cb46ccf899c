"""Our own files: a ``.safetensors``, and the ``.ckpt`` that SpeechBrain writes.

Both hold the architecture beside the weights: the first in its metadata, the
second as the lobe's extra state. In a checkpoint of a pretraining run the
teacher has a file of its own.

Authors
 * The d2v_sb developers 2026
"""

import json
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sentencepiece import SentencePieceProcessor
from speechbrain.dataio.encoder import CTCTextEncoder

from d2v_sb.atomic import replacing
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import EncoderConfig

FORMAT = "d2v_sb"
VERSION = "1"
PARTS = ("ctc_head", "predictor", "teacher")
EXTRA_STATE = "_extra_state"
LABELS = "tokenizer.ckpt"
# What a checkpoint of a pretraining run holds.
STUDENT_CKPT = "student.ckpt"
TEACHER_CKPT = "teacher.ckpt"
TEACHER = "transformer."


def save_native(checkpoint, path, dtype=None):
    """Writes one ``.safetensors`` with all that the checkpoint holds.

    Arguments
    ---------
    checkpoint : Checkpoint
        What to write.
    path : str or pathlib.Path
        The file; one that is there already is replaced once all is written.
    dtype : torch.dtype, optional
        Of the weights in the file, float32 if not given. They are read as
        float32 in any case.

    Raises
    ------
    CheckpointError
        If a weight is too large for `dtype`.
    """
    tensors = dict(checkpoint.encoder)
    for part in PARTS:
        for name, value in (getattr(checkpoint, part) or {}).items():
            tensors[f"{part}.{name}"] = value
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "config": checkpoint.config.to_json(),
        "training_config": json.dumps(checkpoint.training_config),
    }
    if checkpoint.vocabulary is not None:
        metadata["vocabulary"] = json.dumps(checkpoint.vocabulary)
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    if dtype is not None:
        tensors = _cast(checkpoint, tensors, dtype)
    with replacing(path) as beside:
        save_file(tensors, beside, metadata=metadata)


def _cast(checkpoint, tensors, dtype):
    """The tensors in another precision, which must hold them."""
    cast = {name: value.to(dtype) for name, value in tensors.items()}
    for name, value in cast.items():
        if not value.isfinite().all():
            raise CheckpointError(
                f"{checkpoint.path}: {name} has values that {dtype} does not "
                "hold; write it in float32"
            )
    return cast


def load_native(path):
    """Reads a ``.safetensors`` of ours.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    Checkpoint
        All that was saved.

    Raises
    ------
    CheckpointError
        If it is damaged or not ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} can not be read ({error}); it is damaged or cut short"
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} does not say what architecture its weights have. If it is"
            " the model.safetensors of a Transformers folder, give the folder"
        )
    if metadata["version"] != VERSION:
        raise CheckpointError(
            f"{path} is of version {metadata['version']} of this format; this "
            f"d2v_sb reads version {VERSION}: update d2v_sb"
        )
    parts = {}
    for part in PARTS:
        names = [name for name in tensors if name.startswith(f"{part}.")]
        held = {name[len(part) + 1 :]: tensors.pop(name) for name in names}
        parts[part] = held or None
    return Checkpoint(
        str(path),
        "d2v_sb",
        EncoderConfig.from_json(metadata["config"]),
        tensors,
        vocabulary=json.loads(metadata.get("vocabulary", "null")),
        training_config=json.loads(metadata["training_config"]),
        **parts,
    )


def from_state_dict(state_dict, path):
    """The encoder, and what stands on it, in a ``.ckpt`` of SpeechBrain's.

    A student's predictor comes with it, and the teacher that lies beside it.

    Arguments
    ---------
    state_dict : dict
        Of a ``Data2VecAudio``, or of a module that holds one.
    path : str or pathlib.Path
        Where it was read, for messages and for what lies beside it.

    Returns
    -------
    Checkpoint or None
        None if no encoder of ours is in it.

    Raises
    ------
    CheckpointError
        If weights are missing, or what lies beside is damaged.
    """
    found = [k for k in state_dict if k.endswith(EXTRA_STATE)]
    if len(found) != 1:
        return None
    prefix = found[0].removesuffix(EXTRA_STATE)
    config = EncoderConfig.from_json(
        bytes(state_dict[found[0]].tolist()).decode()
    )
    encoder = {
        name.removeprefix(prefix): value
        for name, value in state_dict.items()
        if name.startswith(prefix) and name != found[0]
    }
    # CTCModel's head, a SpeechBrain Linear, and the labels saved beside it.
    head = _affine(state_dict, "head.w.")
    beside = Path(path).parent
    student = any(name.startswith("predictor.") for name in state_dict)
    return Checkpoint(
        str(path),
        "d2v_sb, SpeechBrain",
        config,
        encoder,
        ctc_head=head or None,
        vocabulary=_read_labels(beside / LABELS) if head else None,
        # LinearPredictor's; of others there is no place for the weights.
        predictor=_affine(state_dict, "predictor.linear.") or None,
        teacher=_read_teacher(beside / TEACHER_CKPT) if student else None,
    )


def _affine(state_dict, prefix):
    """Weight and bias of a linear layer, as far as they are there."""
    return {
        name: state_dict[prefix + name]
        for name in ("weight", "bias")
        if prefix + name in state_dict
    }


def _read_teacher(path):
    """The teacher's transformer from the file of its whole module."""
    if not path.is_file():
        return None
    try:
        state_dict = torch.load(
            path,
            map_location="cpu",
            weights_only=True,
            mmap=zipfile.is_zipfile(path),
        )
        return {
            name.removeprefix(TEACHER): value
            for name, value in state_dict.items()
            if name.startswith(TEACHER)
        }
    except Exception as error:  # a damaged pickle can fail in any way
        raise CheckpointError(
            f"{path} can not be read ({error}); it is damaged or cut short. "
            "To load the student beside it alone, move it away"
        ) from error


def _read_labels(path):
    """Labels in their order from the file of a label encoder."""
    if not path.is_file():
        return None
    # SentencePiece's protocol buffer begins with this byte, a label encoder's
    # text with a quotation mark.
    if path.read_bytes()[:1] == b"\n":
        subwords = SentencePieceProcessor(str(path))
        return [subwords.id_to_piece(i) for i in range(len(subwords))]
    encoder = CTCTextEncoder()
    encoder.load(path)
    return [encoder.ind2lab[i] for i in range(len(encoder.ind2lab))]
