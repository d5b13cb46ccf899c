"""Reading an hparams file without building what it describes.

Authors
 * The d2v_sb developers 2026
"""

from difflib import get_close_matches
from pathlib import Path

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError

from d2v_sb.errors import UserError


def read_plain(path, overrides=""):
    """The plain values of an hparams file, references resolved.

    ``load_hyperpyyaml`` builds every object at once: with a model that is
    fetched from a hub that is too late for a look at the folders.

    Arguments
    ---------
    path : str
        The hparams file.
    overrides : str or dict
        As for ``load_hyperpyyaml``.

    Returns
    -------
    dict
        Values by key; objects are left as the YAML has them.

    Raises
    ------
    UserError
        If there is no such file, or an override is no key of it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("a: 1\\nb: !ref <a>/x\\nc: !new:torch.nn.ReLU")
    >>> read_plain(path, "a: 2")["b"]
    '2/x'
    """
    if not Path(path).is_file():
        raise UserError(f"no such hparams file: {path}")
    plain = YAML(typ="rt")
    with open(path, encoding="utf-8") as stream:
        known = list(plain.load(stream))
        stream.seek(0)
        _check_names(path, known, overrides)
        text = resolve_references(stream, overrides)
    return plain.load(text)


def _check_names(path, known, overrides):
    """A mistyped option is said before anything is done."""
    if isinstance(overrides, str):
        try:
            overrides = YAML(typ="safe").load(overrides) or {}
        except DuplicateKeyError as error:
            raise UserError(f"an option is given twice: {error.problem}") from (
                error
            )
    for name in overrides:
        if name not in known:
            close = get_close_matches(name, known)
            meant = f"; did you mean {' or '.join(close)}?" if close else ""
            raise UserError(
                f"--{name} is neither a key of {path} nor an option of "
                f"SpeechBrain's{meant}"
            )
