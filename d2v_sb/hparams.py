"""Reading an hparams file without building what it describes.

Authors
 * The d2v_sb developers 2026
"""

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML


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

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("a: 1\\nb: !ref <a>/x\\nc: !new:torch.nn.ReLU")
    >>> read_plain(path, "a: 2")["b"]
    '2/x'
    """
    with open(path, encoding="utf-8") as stream:
        text = resolve_references(stream, overrides)
    return YAML(typ="rt").load(text)
