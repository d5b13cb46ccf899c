"""Reading an hparams file without building what it describes.

Authors
 * The d2v_sb developers 2026
"""

import json
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


def given_overrides(overrides):
    """The options of a command line by key.

    Arguments
    ---------
    overrides : str
        YAML, as ``speechbrain.parse_arguments`` makes it.

    Returns
    -------
    dict

    Raises
    ------
    UserError
        If an option is given twice.

    Example
    -------
    >>> given_overrides("seed: 1")
    {'seed': 1}
    """
    try:
        return YAML(typ="safe").load(overrides) or {}
    except DuplicateKeyError as error:
        raise UserError(f"an option is given twice: {error.problem}") from error


def with_override(overrides, key, value):
    """The options of a command line, and one more.

    Arguments
    ---------
    overrides : str
        YAML, as ``speechbrain.parse_arguments`` makes it.
    key, value : str
        The option; it must not have been given already.

    Returns
    -------
    str
        YAML.

    Raises
    ------
    UserError
        If it was given.

    Example
    -------
    >>> with_override("seed: 1", "encoder", "base")
    'seed: 1\\nencoder: "base"\\n'
    """
    given = given_overrides(overrides)
    if key in given:
        raise UserError(f"leave out --{key}: what it says follows from {value}")
    lines = [overrides.rstrip("\n")] if given else []
    # JSON's escapes of what lies beyond 16 bits are none of YAML's.
    quoted = json.dumps(str(value), ensure_ascii=False)
    return "\n".join([*lines, f"{key}: {quoted}", ""])


def plain_values(path, overrides=""):
    """Numbers, texts and lists of an hparams file, objects left out.

    Arguments
    ---------
    path, overrides
        As for ``read_plain``.

    Returns
    -------
    dict
        Values by key, fit for JSON.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text(
    ...     "a: [1]\\nb: !ref <c>\\nc: x\\nd: !new:torch.nn.ReLU"
    ... )
    >>> plain_values(path)
    {'a': [1], 'b': 'x', 'c': 'x'}
    """
    kept = {}
    for key, value in read_plain(path, overrides).items():
        if isinstance(value, list) and value.tag.value is None:
            kept[key] = [_plain(item) for item in value]
        elif value is None or isinstance(value, (bool, int, float, str)):
            kept[key] = _plain(value)
    return kept


def _plain(value):
    """ruamel's scalars remember how they were written; JSON need not."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _check_names(path, known, overrides):
    """A mistyped option is said before anything is done."""
    if isinstance(overrides, str):
        overrides = given_overrides(overrides)
    for name in overrides:
        if name not in known:
            close = get_close_matches(name, known)
            meant = f"; did you mean {' or '.join(close)}?" if close else ""
            raise UserError(
                f"--{name} is neither a key of {path} nor an option of "
                f"SpeechBrain's{meant}"
            )
