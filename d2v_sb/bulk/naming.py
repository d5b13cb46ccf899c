"""Paths of what is written for each audio file.

Authors
 * The d2v_sb developers 2026
"""

import os
from pathlib import Path, PurePath

from d2v_sb.audio_folder import ENDINGS
from d2v_sb.bulk.inputs import AV_ENDINGS
from d2v_sb.errors import UserError


def output_paths(names, ending, replace=False):
    """A path below the output folder for each file, whatever its name.

    It depends on the name alone, or another run would put another file there.

    Arguments
    ---------
    names : list of str
        Of all audio files.
    ending : str
        Of what is written.
    replace : bool
        Whether it takes the place of the audio's ending, as that of subtitles
        does.

    Returns
    -------
    dict of str to pathlib.Path
        Relative paths by names.

    Raises
    ------
    UserError
        If two files would have one path.

    Example
    -------
    >>> paths = output_paths(["/b/../a/x.flac", "y.wav"], ".npy")
    >>> [str(path) for path in paths.values()]
    ['b/a/x.flac.npy', 'y.wav.npy']
    >>> str(output_paths(["a/x.mp3"], ".srt", replace=True)["a/x.mp3"])
    'a/x.srt'
    """
    paths, owners = {}, {}
    for name in names:
        inside = _inside(name)
        stem, own = os.path.splitext(inside)
        if replace and own.lower() in ENDINGS | AV_ENDINGS:
            inside = stem
        path = inside + ending
        # Windows and macOS tell no capitals apart.
        other = owners.setdefault(path.lower(), name)
        if other != name:
            raise UserError(
                f"{other} and {name} would both be written to {path}: give one "
                "of them another name by a list of lines NAME<tab>PATH"
            )
        paths[name] = Path(path)
    return paths


def _inside(name):
    """A name that leads out of no folder."""
    path = PurePath(name)
    parts = [p for p in path.parts if p not in (path.anchor, "..", ".")]
    if not parts:
        raise UserError(f"{name!r} is no name for a file of results")
    return os.path.join(*parts)
