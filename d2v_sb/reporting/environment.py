"""When a run ran and with which versions: ``env.log`` and ``log.txt``.

Authors
 * The d2v_sb developers 2026
"""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version

from d2v_sb import __version__

PACKAGES = ("torch", "speechbrain", "d2v_sb")
NOW = "when this page was written"
TAIL = 1 << 16  # bytes
TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d,\d+ - ", re.MULTILINE)
PYTHON = re.compile(r"^Python version:\n(\S+)", re.MULTILINE)
COMMIT = re.compile(r"^Git revision:\n([0-9a-f]{7,40})$", re.MULTILINE)
CUDA = re.compile(r"^(CUDA|ROCm) version:\n(\S+)", re.MULTILINE)


def read_times(path):
    """The first and the last time in a log.

    Arguments
    ---------
    path : pathlib.Path
        ``log.txt`` of an output folder; it may be long, or not be there.

    Returns
    -------
    list of str
        Two of them, or none.

    Example
    -------
    >>> path = getfixture("tmp_path") / "log.txt"
    >>> _ = path.write_text("2026-01-02 03:04:05,678 - a - INFO - b\\n")
    >>> read_times(path)
    ['2026-01-02 03:04', '2026-01-02 03:04']
    """
    if not path.is_file():
        return []
    with open(path, "rb") as stream:
        head = stream.read(TAIL)
        stream.seek(max(0, os.path.getsize(path) - TAIL))
        tail = stream.read()
    times = TIME.findall(head.decode("utf-8", "replace"))[:1]
    times += TIME.findall(tail.decode("utf-8", "replace"))[-1:]
    return times if len(times) == 2 else []


def read_environment(path):
    """Versions and the commit.

    SpeechBrain writes down the packages of the first ``pip`` it finds, which
    may be another Python's. What is not there is taken from now, and says so.

    Arguments
    ---------
    path : pathlib.Path
        ``env.log`` of an output folder; it need not be there.

    Returns
    -------
    dict of str to str
        Texts by what they are of.

    Example
    -------
    >>> path = getfixture("tmp_path") / "env.log"
    >>> _ = path.write_text("Python version:\\n3.11.7 (main)\\ntorch==2.7.1\\n")
    >>> found = read_environment(path)
    >>> found["Python"], found["torch"]
    ('3.11.7', '2.7.1')
    >>> found["d2v_sb"].endswith(NOW)
    True
    """
    text = ""
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    python = PYTHON.search(text)
    facts = {
        "Python": python[1] if python else f"{platform.python_version()}, {NOW}"
    }
    for name in PACKAGES:
        pattern = re.escape(name).replace("_", "[-_]")
        found = re.search(rf"(?m)(?:^|\(){pattern}==([^\s)]+)", text)
        facts[name] = found[1] if found else f"{_installed(name)}, {NOW}"
    cuda, commit = CUDA.search(text), COMMIT.search(text)
    if cuda:
        facts[cuda[1]] = cuda[2]
    if commit:
        facts["commit of the folder it ran in"] = commit[1]
    return facts


def _installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return __version__ if name == "d2v_sb" else "not installed"
