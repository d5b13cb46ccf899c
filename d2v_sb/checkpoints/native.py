"""Our own files: a ``.safetensors``, and the ``.ckpt`` that SpeechBrain writes.

Both hold the architecture beside the weights: the first in its metadata, the
second as the lobe's extra state.

Authors
 * The d2v_sb developers 2026
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
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


def save_native(checkpoint, path):
    """Writes one ``.safetensors`` with all that the checkpoint holds.

    Arguments
    ---------
    checkpoint : Checkpoint
        What to write.
    path : str or pathlib.Path
        The file; one that is there already is replaced once all is written.
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
    with replacing(path) as beside:
        save_file(tensors, beside, metadata=metadata)


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
    """The encoder, and the CTC head, in a ``.ckpt`` of SpeechBrain's.

    Arguments
    ---------
    state_dict : dict
        Of a ``Data2VecAudio``, or of a module that holds one.
    path : str or pathlib.Path
        Where it was read, for messages.

    Returns
    -------
    Checkpoint or None
        None if no encoder of ours is in it.
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
    head = {
        name: state_dict[f"head.w.{name}"]
        for name in ("weight", "bias")
        if f"head.w.{name}" in state_dict
    }
    return Checkpoint(
        str(path),
        "d2v_sb, SpeechBrain",
        config,
        encoder,
        ctc_head=head or None,
        vocabulary=_read_labels(Path(path).parent / LABELS) if head else None,
    )


def _read_labels(path):
    """Labels in their order from a SpeechBrain label encoder's file."""
    if not path.is_file():
        return None
    encoder = CTCTextEncoder()
    encoder.load(path)
    return [encoder.ind2lab[i] for i in range(len(encoder.ind2lab))]
