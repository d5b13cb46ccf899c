"""What a run was told: its ``hyperparams.yaml``.

Authors
 * The d2v_sb developers 2026
"""

import re
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

from d2v_sb.hparams import plain_values

# SpeechBrain's head of the file.
SOURCE = re.compile(r"# Generated .* from:\n# (.+)\n")
BRAIN = re.compile(r"^brain_class: !name:\S*\.(\w+)", re.MULTILINE)


class Options(NamedTuple):
    """Options of a run."""

    text: str = ""  # the whole file
    values: dict = {}  # those that are no objects
    brain: str = ""  # the class that trains
    source: str = ""  # the hparams file that it was made from


def read_text(path):
    """The file alone, for where its values can not be read.

    Arguments
    ---------
    path : pathlib.Path
        ``hyperparams.yaml``; it need not be there.

    Returns
    -------
    Options
        Without values.
    """
    if not path.is_file():
        return Options()
    text = path.read_text(encoding="utf-8", errors="replace")
    source, brain = SOURCE.match(text), BRAIN.search(text)
    return Options(
        text,
        {},
        brain[1] if brain else "",
        source[1] if source else "",
    )


def read_options(path):
    """The options that a run was given.

    Arguments
    ---------
    path : pathlib.Path
        ``hyperparams.yaml``; it need not be there.

    Returns
    -------
    Options

    Example
    -------
    >>> path = getfixture("tmp_path") / "hyperparams.yaml"
    >>> _ = path.write_text(
    ...     "# Generated 2026-01-01 from:\\n# /a.yaml\\nlr: 0.5\\n"
    ...     "brain_class: !name:d2v_sb.finetuning.CTCBrain\\n"
    ... )
    >>> options = read_options(path)
    >>> options.values, options.brain, options.source
    ({'lr': 0.5}, 'CTCBrain', '/a.yaml')
    """
    options = read_text(path)
    if not options.text:
        return options
    return options._replace(values=plain_values(str(path)))


def changed_options(options):
    """What a run was told otherwise than its hparams file says by now.

    What the file refers to other keys for follows from those.

    Arguments
    ---------
    options : Options
        Of the run.

    Returns
    -------
    list of tuple
        Name, value of the run, value of the file. Empty where the file is not
        there any more.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("lr: 1\\nsteps: 5\\nhalf: !ref <lr> / 2\\n")
    >>> values = {"lr": 2, "steps": 5, "half": 1}
    >>> changed_options(Options(values=values, source=str(path)))
    [('lr', 2, 1)]
    """
    path = Path(options.source)
    if not options.source or not path.is_file():
        return []
    written = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    defaults = plain_values(str(path))
    return [
        (name, options.values[name], value)
        for name, value in defaults.items()
        if getattr(getattr(written[name], "tag", None), "value", None) is None
        and name in options.values
        and options.values[name] != value
    ]
