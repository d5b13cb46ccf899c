"""Copies an inference folder: what SpeechBrain loads of it, and no more.

Authors
 * The d2v_sb developers 2026
"""

import shutil

from d2v_sb.errors import CheckpointError
from d2v_sb.hparams import read_plain
from d2v_sb.publishing.run import HPARAMS
from d2v_sb.publishing.subword_file import without_places

TOKENIZER = "tokenizer.ckpt"


def copy_inference(source, folder):
    """Copies the files that the folder's pretrainer names.

    Arguments
    ---------
    source : Source
        A model that SpeechBrain's interfaces load.
    folder : pathlib.Path
        The folder to make.

    Raises
    ------
    CheckpointError
        If a file is missing, or is a link to elsewhere.
    """
    folder.mkdir(parents=True)
    for name in needed(source.path):
        path = source.path / name
        if not path.resolve().is_relative_to(source.path.resolve()):
            raise CheckpointError(
                f"{path} is a link to a file elsewhere: put the file itself in "
                "its place, or give the run's command again, which writes it"
            )
        if not path.is_file():
            raise CheckpointError(
                f"{source.path} has no {name}: give the run's command again, "
                "which writes it anew"
            )
        if name == TOKENIZER and source.subwords:
            content = without_places(path.read_bytes())
            (folder / name).write_bytes(content)
        else:
            shutil.copyfile(path, folder / name)


def needed(folder):
    """The names of the files that an inference folder is loaded from.

    Arguments
    ---------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    list of str

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "hyperparams.yaml").write_text(
    ...     "pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer\\n"
    ...     "    loadables: {model: 1}\\n"
    ... )
    >>> needed(folder)
    ['hyperparams.yaml', 'model.ckpt']
    """
    pretrainer = read_plain(folder / HPARAMS).get("pretrainer") or {}
    return [HPARAMS, *(f"{name}.ckpt" for name in pretrainer["loadables"])]
