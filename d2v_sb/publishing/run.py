"""What a run's output folder says of how its model was made.

Authors
 * The d2v_sb developers 2026
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from d2v_sb.errors import UserError
from d2v_sb.hparams import plain_values
from d2v_sb.publishing.private import public, public_command
from d2v_sb.versions import read_versions

HPARAMS = "hyperparams.yaml"
# SpeechBrain's first lines: "# Generated 2026-11-25 from:" and "# <file>".
GENERATED = re.compile(r"# Generated (\S+) from:\n# (.+)\n")
# Of versions.json: how the card says it.
VERSIONS = {
    "python": "Python",
    "torch": "torch",
    "torchaudio": "torchaudio",
    "speechbrain": "speechbrain",
    "d2v_sb": "d2v_sb",
}


@dataclass(frozen=True)
class Run:
    """A run's record, as others may read it.

    Arguments
    ---------
    folder : pathlib.Path or None
        The output folder; None where the model came without it.
    values : dict
        Its hparams, plain values only, without places and secrets.
    began_from : str or None
        The encoder as the run was given it, for reading on: not for others.
    yaml : str or None
        The name of the hparams file.
    date : str or None
        When it began.
    starts : list of dict
        What is known of its first start and of those that went on: their
        "versions", "commit" and "command", texts or None.
    """

    folder: Path | None = None
    values: dict = field(default_factory=dict)
    began_from: str | None = None
    yaml: str | None = None
    date: str | None = None
    starts: list = field(default_factory=list)

    @property
    def corpus(self):
        """The name of the data folder."""
        return self.values.get("data_folder")


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
    >>> run.yaml, run.values, run.starts
    ('d2v_ctc.yaml', {'data_folder': 'corpus', 'seed': 1}, [])
    """
    path = folder / HPARAMS if folder else None
    if path is None or not path.is_file():
        return Run()
    values = read_values(path)
    date, yaml = None, None
    if found := GENERATED.search(path.read_text(encoding="utf-8")):
        date, yaml = found[1], Path(found[2]).name
    record = read_versions(folder)
    starts = [record, *record.get("resumed", [])] if record else []
    return Run(
        folder,
        public(values),
        began_from(values),
        yaml,
        date,
        [_start(start) for start in starts],
    )


def read_values(path):
    """The plain values of an hparams file.

    Raises
    ------
    UserError
        If it can not be read.
    """
    try:
        return plain_values(path)
    except Exception as error:  # ruamel raises errors of many kinds
        raise UserError(f"{path} can not be read: {error}") from error


def began_from(values):
    """What training began from, of its hparams.

    Example
    -------
    >>> began_from({"pretrain_from": None, "encoder": "base"})
    'base'
    """
    return values.get("pretrain_from") or values.get("encoder")


def _start(record):
    versions = ", ".join(
        f"{name} {record[key]}"
        for key, name in VERSIONS.items()
        if record.get(key)
    )
    command = record.get("command")
    return {
        "versions": versions or None,
        "commit": record.get("commit"),
        "command": command and public_command(command),
    }
