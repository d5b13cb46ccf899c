"""What weights go back to: from run to run, as far as folders are at hand.

Authors
 * The d2v_sb developers 2026
"""

import filecmp
import re
from dataclasses import dataclass
from pathlib import Path

from d2v_sb.checkpoints import PRETRAINED, load_checkpoint, shipped_weights
from d2v_sb.presets import PRESETS
from d2v_sb.publishing.run import HPARAMS, began_from, read_values

FILTER_BANKS = "fbank"
HUB = re.compile(r"[\w.-]+/[\w.-]+")
# Of the weights that come with this package; d2v_sb/weights/README.md says why.
OF_SHIPPED = {"d2v_sb/small": "cc-by-sa-3.0"}
# From save/CKPT+x/model.ckpt to the folder of its run.
ABOVE = 3


@dataclass(frozen=True)
class Origin:
    """Where the weights of a model began.

    Arguments
    ---------
    name : str or None
        Weights that come with this package, a name of the hub, or what tells
        that there were none; None where it is not known.
    random : bool
        Whether training began without any weights.
    """

    name: str | None = None
    random: bool = False

    @property
    def licence(self):
        """The hub's identifier; None where it is not known."""
        return OF_SHIPPED.get(self.name)

    def __str__(self):
        if self.random:
            return f"random weights, {self.name}"
        return self.name or "not known"


def find_origin(value, folder=None):
    """Follows encoders to the first that was trained from nothing.

    Arguments
    ---------
    value : str, pathlib.Path or None
        The encoder that training began from, as the run was given it.
    folder : pathlib.Path, optional
        Of the run: its encoder's path may be relative to a folder above.

    Returns
    -------
    Origin

    Raises
    ------
    UserError
        If the record of a run on the way can not be read.

    Example
    -------
    >>> print(find_origin(shipped_weights()["d2v_sb/small"]))
    d2v_sb/small
    >>> print(find_origin("tiny"), find_origin("no.safetensors"), sep="; ")
    random weights, tiny; not known
    """
    seen = set()
    while value is not None:
        value = str(value)
        if value in PRESETS or value == FILTER_BANKS:
            return Origin(value, random=True)
        if value in shipped_weights():
            return Origin(value)
        path = _found(value, folder)
        if path is None:
            return Origin(_hub_name(value))
        if name := shipped_name(path):
            return Origin(name)
        if path in seen:
            break
        seen.add(path)
        value, folder = _before(path)
    return Origin()


def shipped_name(path):
    """The name of weights that come with this package, or None.

    Arguments
    ---------
    path : pathlib.Path
        One of them, a link to it or a copy; or a folder with a copy.

    Example
    -------
    >>> shipped_name(shipped_weights()["d2v_sb/small"])
    'd2v_sb/small'
    """
    if path.is_dir():
        path = path / PRETRAINED
    for name, file in shipped_weights().items():
        if path.is_file() and filecmp.cmp(path, file, shallow=False):
            return name
    return None


def _found(value, folder):
    """A path, relative to here or to where the run may have been started."""
    folders = [Path.cwd(), *(folder.resolve().parents if folder else ())]
    for above in folders:
        path = above / Path(value).expanduser()
        if path.exists():
            return path.resolve()
    return None


def _hub_name(value):
    """None of what can only be a path."""
    is_file = Path(value).suffix in (".safetensors", ".ckpt", ".pt", ".bin")
    return value if HUB.fullmatch(value) and not is_file else None


def _before(path):
    """What the run that made a file or a folder began from, and its folder."""
    for folder in [path, *path.parents][: ABOVE + 1]:
        if not (folder / HPARAMS).is_file():
            continue
        if value := began_from(read_values(folder / HPARAMS)):
            return value, folder
    file = path / PRETRAINED if path.is_dir() else path
    if file.suffix == ".safetensors" and file.is_file():
        record = load_checkpoint(file).training_config
        return began_from(record), file.parent
    return None, None
