"""What of a run's record is for others: no places, no secrets.

Authors
 * The d2v_sb developers 2026
"""

import re
import shlex
from pathlib import Path, PureWindowsPath

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

HPARAMS_FOLDER = Path(__file__).parents[2] / "hparams"  # of a clone
# Endings of keys that name files and folders.
PATHS = ("_folder", "_path", "_file", "_ids")
# Where a run is, which is nobody else's business.
PLACES = frozenset(
    "output_folder save_folder train_log inference_folder".split()
)
SECRET = re.compile("token|key|secret|password|passwd|credential", re.I)
NO_SECRET = "token_type"
# SpeechBrain's, and torchrun's.
OPTIONS = frozenset("device debug nproc_per_node nnodes".split())
WITHIN = re.compile(r"(?<![^\s=:,;'\"(\[])(?:~|\.{1,2})?/[^\s,;'\")\]]+")
DRIVE = re.compile(r"[A-Za-z]:\\")


def known_keys(folder=HPARAMS_FOLDER):
    """Keys of the hparams files that come with this project.

    Arguments
    ---------
    folder : pathlib.Path
        Where these are.

    Returns
    -------
    set of str
        Empty where they are not at hand, as in an installed package.

    Example
    -------
    >>> known_keys(getfixture("tmp_path"))
    set()
    """
    keys = set()
    for path in folder.glob("d2v_*.yaml"):
        text = path.read_text(encoding="utf-8")
        keys.update(re.findall(r"^(\w+):", text, re.MULTILINE))
    return keys


def public(values, known=None):
    """Values of a run without places of its machine and without secrets.

    Arguments
    ---------
    values : dict
        Of an hparams file, or the record of a checkpoint.
    known : set of str, optional
        Keys that may be shown, ``known_keys()`` if not given. Where there are
        none, all but those that are named like a secret.

    Returns
    -------
    dict

    Example
    -------
    >>> values = {"output_folder": "/x/y", "lm_path": "/x/a", "hub_key": "z"}
    >>> public(values, set())
    {'lm_path': 'a'}
    """
    known = known_keys() if known is None else known
    return {
        str(key): public(value, set())  # fairseq's record, which is nested
        if isinstance(value, dict)
        else shown(str(key), value)
        for key, value in values.items()
        if _may_be_shown(str(key), set() if isinstance(value, dict) else known)
    }


def public_command(command, known=None):
    """A command without places of its machine and without secrets.

    Arguments
    ---------
    command : str
        As a shell takes it.
    known : set of str, optional
        As of ``public``.

    Returns
    -------
    str
        A line an option.

    Example
    -------
    >>> command = "python /x/recipes/a.py /x/hparams/b.yaml --lm_path /x/c"
    >>> print(public_command(command + " --hub_key z --seed 1", set()))
    python recipes/a.py hparams/b.yaml \\
        --lm_path c \\
        --seed 1
    """
    known = known_keys() if known is None else known
    known = known and known | OPTIONS
    head, options = [], []
    for word in shlex.split(command):
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            options.append([name, value] if equals else [name])
        elif options:
            options[-1].append(word)
        else:
            head.append(_program(word))
    lines = [shlex.join(head)]
    for name, *values in options:
        key = name[2:].replace("-", "_")
        if _may_be_shown(key, known):
            lines.append(shlex.join([name, *(_option(key, v) for v in values)]))
    return " \\\n    ".join(lines)


def shown(key, value):
    """A value without the folders of the machine that it comes from.

    Arguments
    ---------
    key : str
        Of the hparams file: it tells a folder from a name of the hub.
    value : object
        Plain.

    Returns
    -------
    object

    Example
    -------
    >>> shown("data_folder", "data/small"), shown("note", "see /home/me/a")
    ('small', 'see a')
    >>> shown("encoder", "facebook/data2vec-audio-base")
    'facebook/data2vec-audio-base'
    >>> shown("encoder", "~/start.safetensors"), shown("train_folders", ["."])
    ('start.safetensors', ['.'])
    """
    if isinstance(value, list):
        return [shown(key, item) for item in value]
    if not isinstance(value, str):
        return value
    if DRIVE.search(value):
        return PureWindowsPath(value).name
    begins = value.startswith(("/", "~", "./", "../"))
    deep = value.count("/") > 1 and len(value.split()) == 1
    if begins or deep or key.endswith(PATHS):
        return Path(value).name or value
    return WITHIN.sub(lambda found: Path(found[0]).name, value)


def _may_be_shown(key, known):
    if key in PLACES:
        return False
    if known:
        return key in known
    return key == NO_SECRET or SECRET.search(key) is None


def _program(word):
    """Recipes and hparams files by their place in this project."""
    parts = Path(word).parts
    for folder in ("recipes", "hparams"):
        if folder in parts:
            return "/".join(parts[parts.index(folder) :])
    return parts[-1] if parts else word


def _option(key, word):
    """A list is written as YAML on a command line."""
    try:
        value = YAML(typ="safe").load(word)
    except YAMLError:
        value = word
    if isinstance(value, list):
        return f"[{', '.join(map(str, shown(key, value)))}]"
    return shown(key, word)
