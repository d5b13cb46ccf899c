"""Paths of what is written for each audio file.

Authors
 * The d2v_sb developers 2026
"""

import os
from collections import Counter
from pathlib import Path, PurePath

from d2v_sb.audio_folder import ENDINGS
from d2v_sb.bulk.inputs import AV_ENDINGS


def output_paths(names, ending):
    """A path below the output folder for each file, whatever its name.

    The audio's ending goes, unless it alone tells two files apart.

    Arguments
    ---------
    names : list of str
        Of all audio files.
    ending : str
        Of what is written.

    Returns
    -------
    dict of str to pathlib.Path
        Relative paths by names.

    Example
    -------
    >>> paths = output_paths(["/b/../a/x.flac", "y.wav", "y.mp3"], ".srt")
    >>> [str(path) for path in paths.values()]
    ['b/a/x.srt', 'y.wav.srt', 'y.mp3.srt']
    """
    bare = {name: _bare(name) for name in names}
    # Windows and macOS tell no capitals apart.
    counts = Counter(path.lower() for path in bare.values())
    return {
        name: Path(
            (path if counts[path.lower()] == 1 else _inside(name)) + ending
        )
        for name, path in bare.items()
    }


def _bare(name):
    stem, ending = os.path.splitext(_inside(name))
    return stem if ending.lower() in ENDINGS | AV_ENDINGS else stem + ending


def _inside(name):
    """A name that leads out of no folder."""
    path = PurePath(name)
    parts = [p for p in path.parts if p not in (path.anchor, "..", ".")]
    return os.path.join(*parts)
