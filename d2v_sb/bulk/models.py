"""Model folders, and SpeechBrain's interface for each.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import re
from pathlib import Path

import torch
from speechbrain.utils.fetching import fetch

from d2v_sb.errors import CheckpointError, UserError

SMALL = 64 << 20  # bytes of a file that is looked at as a whole
FOR = {
    "EncoderASR": "speech recognition",
    "EncoderDecoderASR": "speech recognition",
    "SpeakerRecognition": "speakers or classes",
}
# What tells interfaces apart, in a folder's YAML.
MARKS = (
    ("EncoderASR", re.compile(r"^decoding_function:", re.M)),
    ("EncoderDecoderASR", re.compile(r"^modules:\n(?: .*\n)* +decoder:", re.M)),
    ("SpeakerRecognition", re.compile(r"^ +embedding_model:", re.M)),
)


def find_folder(source):
    """A model folder by what a user names.

    Arguments
    ---------
    source : str or pathlib.Path
        The folder, the output folder of the recipe that wrote it, or a hub
        name.

    Returns
    -------
    str
        What SpeechBrain's ``from_hparams`` takes.

    Raises
    ------
    UserError
        If it is a path and none of these.

    Example
    -------
    >>> find_folder(getfixture("tmp_path"))
    Traceback (most recent call last):
    d2v_sb.errors.UserError: ... is no model folder: ...
    """
    path = Path(source)
    for folder in (path, path / "inference"):
        if (folder / "hyperparams.yaml").is_file() and list(
            folder.glob("*.ckpt")
        ):
            return str(folder)
    folds = [p.parent.name for p in sorted(path.glob("*/inference"))]
    if folds:
        raise UserError(
            f"{source} holds several models: name one of {', '.join(folds)} in "
            "it"
        )
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise UserError(
            f"{source} is no model folder: it needs hyperparams.yaml and "
            "weights in .ckpt files, as `inference` in a recipe's output "
            "folder has. A hub name is USER/NAME"
        )
    return str(source)


def interface_name(source):
    """Name of SpeechBrain's interface for a model folder.

    Arguments
    ---------
    source : str
        Of ``find_folder``.

    Returns
    -------
    str
        "EncoderASR", "EncoderDecoderASR" or "SpeakerRecognition"; the last is
        an ``EncoderClassifier`` too.

    Raises
    ------
    CheckpointError
        If it is a model of another kind, or can not be fetched.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "hyperparams.yaml").write_text("decoding_function: x")
    >>> interface_name(str(folder))
    'EncoderASR'
    """
    text = _yaml_of(source)
    for name, mark in MARKS:
        if mark.search(text):
            return name
    raise CheckpointError(
        f"{source}: its hyperparams.yaml has neither decoding_function, nor "
        "modules: decoder, nor modules: embedding_model: it is a model for "
        "another interface of SpeechBrain"
    )


def load_interface(source, device, expected):
    """Loads a model folder, if it is of a kind that a command can use.

    Arguments
    ---------
    source : str
        See ``find_folder``.
    device : torch.device
        Where to put it.
    expected : sequence of str
        Names of interfaces.

    Returns
    -------
    speechbrain.inference.interfaces.Pretrained

    Raises
    ------
    CheckpointError, UserError
        As the functions above; or if it is of another kind.
    """
    from speechbrain.inference import ASR, speaker

    folder = find_folder(source)
    name = interface_name(folder)
    if name not in expected:
        raise CheckpointError(
            f"{source} is a model for {FOR[name]} ({name}), and this command "
            f"needs one for {FOR[expected[0]]}"
        )
    kind = getattr(speaker if name == "SpeakerRecognition" else ASR, name)
    try:
        loaded = kind.from_hparams(folder, run_opts={"device": str(device)})
    except ImportError as error:
        if re.search("kenlm|pygtrie", str(error), re.I):
            raise UserError(
                f"{source} searches with a language model, which needs kenlm: "
                'pip install -e ".[lm]" (a compiler is needed)'
            ) from error
        raise CheckpointError(
            f"{source} was written by another version of d2v_sb, or needs "
            f"another package ({error}). The command that trained it writes "
            "the folder again"
        ) from error
    loaded.eval()
    return loaded


def identity(source, module, *options):
    """What tells results of one model and its options from those of another.

    Arguments
    ---------
    source : str
        Of ``find_folder``; empty if the weights say it all.
    module : torch.nn.Module
        The model.
    *options : object
        Whatever changes results, as texts and numbers.

    Returns
    -------
    str
        16 hexadecimal digits, the same wherever the folder lies.

    Example
    -------
    >>> from torch import nn
    >>> layer = nn.Linear(2, 2)
    >>> identity("", layer, "a") == identity("", layer, "b")
    False
    """
    digest = hashlib.sha256(repr(options).encode())
    for path in _files_of(source):
        digest.update(path.name.encode())
        if path.stat().st_size <= SMALL:
            digest.update(path.read_bytes())
        else:  # weights, which come below, or a language model
            digest.update(str(path.stat().st_size).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        data = value.detach().cpu().contiguous().flatten()
        digest.update(data.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _files_of(source):
    """What lies in a model folder, or was fetched of one: labels too decide
    what a model says."""
    if not source:
        return []
    folder = Path(fetch("hyperparams.yaml", source, savedir=None)).parent
    return sorted(path for path in folder.iterdir() if path.is_file())


def _yaml_of(source):
    try:
        path = fetch("hyperparams.yaml", source, savedir=None)
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source}: its hyperparams.yaml can not be had. It is no folder "
            "here; is it a hub name, and is the network there? "
            f"({str(error).rstrip('.')})"
        ) from error
