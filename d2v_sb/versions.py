"""What a run was made with: versions, the commit, the command.

SpeechBrain's ``env.log`` lists the packages of the first ``pip`` on the PATH
and the commit of the current folder: both may be of something else.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from d2v_sb import __version__
from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError

NAME = "versions.json"
PACKAGES = ("torch", "torchaudio", "speechbrain")
PACKAGE = Path(__file__).resolve().parent
GIT_SECONDS = 30  # a work tree on a slow disk is not worth more


def write_versions(folder):
    """Writes down what a run is made with, in its ``versions.json``.

    Where the run was begun before, what it was begun with stays, and this
    start is added to ``resumed``.

    Arguments
    ---------
    folder : str or pathlib.Path
        Output folder of the run.

    Raises
    ------
    DataError
        If the file can not be written, or the one there is damaged.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_versions(folder)
    >>> write_versions(folder)
    >>> found = read_versions(folder)
    >>> found["python"] == platform.python_version(), len(found["resumed"])
    (True, 1)
    """
    now = {
        "python": platform.python_version(),
        **{name: _installed(name) for name in PACKAGES},
        # Of an editable install the metadata may be of an older version.
        "d2v_sb": __version__,
        "commit": commit_of(PACKAGE),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "begun": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    record = read_versions(folder) or now
    if record is not now:
        record["resumed"] = [*record.get("resumed", []), now]
    with replacing(Path(folder) / NAME) as beside:
        beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_versions(folder):
    """What a run was made with.

    Arguments
    ---------
    folder : str or pathlib.Path
        Output folder of the run.

    Returns
    -------
    dict, optional
        Texts by ``python``, ``torch``, ``torchaudio``, ``speechbrain``,
        ``d2v_sb``, ``commit``, ``command`` and ``begun``; what was not known
        is None. Of a run that went on, ``resumed`` has the same of each later
        start. None where nothing was written down.

    Raises
    ------
    DataError
        If the file is damaged.

    Example
    -------
    >>> read_versions(getfixture("tmp_path"))
    """
    path = Path(folder) / NAME
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(record, dict)
        whole = whole and isinstance(record.get("resumed", []), list)
    except ValueError:
        whole = False
    if not whole:
        raise DataError(
            f"{path} is damaged: remove it, and it is written anew when the "
            "run is begun again"
        )
    return record


def commit_of(package):
    """The commit that a package's code is of.

    Arguments
    ---------
    package : pathlib.Path
        Folder of the package, at the top of the work tree that tracks it.

    Returns
    -------
    str, optional
        Ends with ``-dirty`` where tracked files were changed. None without
        git, and where the package lies in the work tree of something else, as
        that of a virtual environment may.

    Example
    -------
    >>> commit_of(getfixture("tmp_path"))
    """
    tracked = _git(
        package, "ls-files", "--full-name", "--error-unmatch", "__init__.py"
    )
    if tracked != f"{package.name}/__init__.py":
        return None
    return _git(
        package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"
    )


def _git(folder, *arguments):
    """What git prints; None where it fails."""
    # A hook of git has variables that name another repository.
    names = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**names, "GIT_OPTIONAL_LOCKS": "0"},
            check=True,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None


def _installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
