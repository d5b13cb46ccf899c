"""When a run ran and with which versions: ``log.txt`` and ``versions.json``.

Authors
 * The d2v_sb developers 2026
"""

import os
import re

from d2v_sb.versions import read_versions

PARTS = ("python", "torch", "torchaudio", "speechbrain", "d2v_sb", "commit")
UNKNOWN = "not known"
TAIL = 1 << 16  # bytes
TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d):\d\d,\d+ - ", re.MULTILINE)


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


def read_environment(folder):
    """Versions, the commit and the command.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of a run; ``versions.json`` need not be there.

    Returns
    -------
    dict of str to str
        Texts by what they are of. Of each later start there is what was
        then another.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> read_environment(folder)
    {'versions': 'not known'}
    >>> from d2v_sb.versions import write_versions
    >>> write_versions(folder)
    >>> list(read_environment(folder))[-2:]
    ['commit', 'command']
    """
    first = read_versions(folder)
    if first is None:
        return {"versions": UNKNOWN}
    facts = {
        name: str(first.get(name) or UNKNOWN) for name in (*PARTS, "command")
    }
    known = first
    for number, start in enumerate(first.get("resumed", []), 1):
        others = [
            f"{name} {start.get(name) or UNKNOWN}"
            for name in PARTS
            if start.get(name) != known.get(name)
        ]
        if others:
            facts[f"start {number + 1}, {start.get('begun')}"] = ", ".join(
                others
            )
        known = start
    return facts
