"""Inference folders with a language model inside.

Authors
 * The d2v_sb developers 2026
"""

import shutil
from pathlib import Path

from d2v_sb.atomic import replacing
from d2v_sb.errors import CheckpointError

# The file is `language_model.ckpt`: what SpeechBrain's pretrainer looks for
# beside the weights.
NAME = "language_model"
LOADABLES = "    loadables:\n"
HOOKS = "    custom_hooks:\n"
# The change for a language model that is a ``LanguageModelFile``.
FOUND = {
    HOOKS: f"{HOOKS}        {NAME}: "
    "!name:d2v_sb.lm_folders.LanguageModelFile.found\n"
}


class LanguageModelFile:
    """Where the n-gram language model of an inference folder is.

    Arguments
    ---------
    path : str, optional
        An ARPA or KenLM binary file; else ``found`` tells.

    Example
    -------
    >>> file = LanguageModelFile()
    >>> file.found("folder/language_model.ckpt")
    >>> file.path
    'folder/language_model.ckpt'
    """

    def __init__(self, path=None):
        self.path = path

    def found(self, path):
        """What the folder's pretrainer calls."""
        self.path = str(path)


def add_language_model(folder, target, lm_path, changes):
    """Writes an inference folder again, with a language model.

    Arguments
    ---------
    folder : str or pathlib.Path
        What ``export_ctc`` or ``export_joint`` wrote.
    target : str or pathlib.Path
        The folder to make.
    lm_path : str or pathlib.Path
        The language model's file, which is copied.
    changes : dict
        Parts of the folder's YAML, and what takes their place; there it is
        called `language_model`.

    Raises
    ------
    CheckpointError
        If the folder's YAML has not these parts.
    """
    yaml = Path(folder) / "hyperparams.yaml"
    text = yaml.read_text(encoding="utf-8") if yaml.is_file() else ""
    loadable = f"{LOADABLES}        {NAME}: !ref <{NAME}>\n"
    for old, new in {**changes, LOADABLES: loadable}.items():
        if text.count(old) != 1:
            raise CheckpointError(
                f"{folder} is no inference folder of this recipe, or has a "
                f"language model already: {old.split()[0]} is not as expected "
                "in its hyperparams.yaml"
            )
        text = text.replace(old, new)
    with replacing(target) as beside:
        shutil.copytree(folder, beside)
        (beside / yaml.name).write_text(text, encoding="utf-8")
        shutil.copyfile(lm_path, beside / f"{NAME}.ckpt")
