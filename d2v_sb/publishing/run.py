"""What a run's output folder says of how its model was made.

Authors
 * The d2v_sb developers 2026
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from d2v_sb.errors import UserError
from d2v_sb.hparams import plain_values

HPARAMS = "hyperparams.yaml"
# SpeechBrain's first lines: "# Generated 2026-11-25 from:" and "# <file>".
GENERATED = re.compile(r"# Generated (\S+) from:\n# (.+)\n")
PYTHON = re.compile(r"Python version:\n(\S+)")
REVISION = re.compile(r"Git revision:\n([0-9a-f]+)")
PACKAGES = ("torch", "speechbrain")
# The recipe of each hparams file that comes with this project.
RECIPES = {
    "d2v_ctc": "LibriSpeech/train.py",
    "d2v_attention": "LibriSpeech/train.py",
    "d2v_pretrain_base": "LibriSpeech/pretrain.py",
    "d2v_pretrain_large": "LibriSpeech/pretrain.py",
    "d2v_speaker_id": "VoxCeleb/train.py",
    "d2v_speaker_verification": "VoxCeleb/train.py",
    "d2v_emotion": "IEMOCAP/train.py",
}
# Endings of keys that name files and folders.
PATHS = ("_folder", "_path", "_file", "_ids")
# Where a run is, which is nobody else's business.
PLACES = frozenset(
    "output_folder save_folder train_log inference_folder".split()
)


@dataclass(frozen=True)
class Run:
    """A run's record.

    Arguments
    ---------
    folder : pathlib.Path or None
        The output folder; None where the model came without it.
    values : dict
        Its hparams, plain values only, paths cut to their last part.
    yaml : str or None
        The name of the hparams file.
    date : str or None
        When it began.
    versions : dict
        Of Python and what it ran with, and the revision of the code.
    """

    folder: Path | None = None
    values: dict = field(default_factory=dict)
    yaml: str | None = None
    date: str | None = None
    versions: dict = field(default_factory=dict)

    @property
    def encoder(self):
        """What training began from."""
        return self.values.get("pretrain_from") or self.values.get("encoder")

    @property
    def corpus(self):
        """The name of the data folder."""
        return self.values.get("data_folder")

    def command(self, hparams_folder=Path(__file__).parents[2] / "hparams"):
        """The command that makes the model again, or None.

        Only what is not as the hparams file of this project has it is an
        option.
        """
        stem = Path(self.yaml or "").stem
        known = hparams_folder / f"{stem}.yaml"
        if stem not in RECIPES or not known.is_file():
            return None
        usual = plain_values(known)
        options = [
            f"--{key} {_option(value)}"
            for key, value in self.values.items()
            if key in usual and value != shown(key, usual[key])
        ]
        head = f"python recipes/{RECIPES[stem]} hparams/{stem}.yaml"
        return " \\\n    ".join([head, *options])


def read_run(folder):
    """Reads the record of a run.

    Arguments
    ---------
    folder : pathlib.Path or None
        Its output folder.

    Returns
    -------
    Run
        An empty one where there is no ``hyperparams.yaml``.

    Raises
    ------
    UserError
        If that can not be read.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "hyperparams.yaml").write_text(
    ...     "# Generated 2026-11-25 from:\\n# /home/me/d2v_ctc.yaml\\n"
    ...     "data_folder: /home/me/corpus\\nseed: 1"
    ... )
    >>> run = read_run(folder)
    >>> run.yaml, run.values
    ('d2v_ctc.yaml', {'data_folder': 'corpus', 'seed': 1})
    """
    path = folder / HPARAMS if folder else None
    if path is None or not path.is_file():
        return Run()
    text = path.read_text(encoding="utf-8")
    try:
        values = plain_values(path)
    except Exception as error:  # ruamel raises errors of many kinds
        raise UserError(f"{path} can not be read: {error}") from error
    date, yaml = None, None
    if found := GENERATED.search(text):
        date, yaml = found[1], Path(found[2]).name
    versions = read_versions(folder / "env.log")
    return Run(folder, without_places(values), yaml, date, versions)


def without_places(values):
    """Values of a run without folders of the machine that it was on.

    Arguments
    ---------
    values : dict
        Of an hparams file.

    Returns
    -------
    dict

    Example
    -------
    >>> without_places({"output_folder": "/x/y", "lm_path": "/x/a.arpa"})
    {'lm_path': 'a.arpa'}
    """
    return {k: shown(k, v) for k, v in values.items() if k not in PLACES}


def read_versions(path):
    """Versions from SpeechBrain's description of a system.

    Arguments
    ---------
    path : pathlib.Path
        The ``env.log`` of a run; need not exist.

    Returns
    -------
    dict
        Those that it names.

    Example
    -------
    >>> path = getfixture("tmp_path") / "env.log"
    >>> _ = path.write_text(
    ...     "Python version:\\n3.11.7 (main)\\ntorch==2.13.0\\n"
    ... )
    >>> read_versions(path)
    {'Python': '3.11.7', 'torch': '2.13.0'}
    """
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    found = {"Python": PYTHON.search(text)}
    for name in PACKAGES:
        found[name] = re.search(rf"^{name}==(\S+)", text, re.MULTILINE)
    found["revision of the code"] = REVISION.search(text)
    return {name: match[1] for name, match in found.items() if match}


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
    >>> shown("data_folder", "data/small")
    'small'
    >>> shown("encoder", "facebook/data2vec-audio-base")
    'facebook/data2vec-audio-base'
    >>> shown("encoder", "~/start.safetensors"), shown("train_folders", ["."])
    ('start.safetensors', ['.'])
    """
    if isinstance(value, dict):
        return {k: shown(str(k), item) for k, item in value.items()}
    if isinstance(value, list):
        return [shown(key, item) for item in value]
    if not isinstance(value, str):
        return value
    a_path = key.endswith(PATHS) or value.startswith(("/", "~", "./", "../"))
    if a_path or value.count("/") > 1:
        return Path(value).name or value
    return value


def _option(value):
    """A value as it is written on a command line."""
    if isinstance(value, list):
        return shlex.quote(f"[{', '.join(map(str, value))}]")
    if isinstance(value, bool):
        return str(value).lower()
    return shlex.quote("" if value is None else str(value))
