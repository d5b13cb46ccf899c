"""Buckeye's recordings: found as unzipped folders, or in the zips as they come.

The corpus comes as ``s01.zip`` ... ``s40.zip``, one a speaker, each of zips of
its recordings (``s01/s0101a.zip``), each of ``s0101a.wav``, ``s0101a.words``
and more. All may be unzipped into whatever folders, or none, or some.

Authors
 * The d2v_sb developers 2026
"""

import os
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from d2v_sb.errors import DataError
from d2v_sb.folders import describe, walk
from d2v_sb.progress import Progress

NAME = re.compile(r"s\d{4}[a-z]")
URL = "https://buckeyecorpus.osu.edu/"
WAY_OUT = (
    "Give the folder that holds s01.zip to s40.zip, or what they hold. There "
    f"is no download: Buckeye has to be asked for at {URL}"
)
# What ZipFile raises at damaged, locked or strange archives.
ZIP_ERRORS = (OSError, BadZipFile, RuntimeError, NotImplementedError, EOFError)


@dataclass(frozen=True)
class Recording:
    """A recording, and where its files are.

    Arguments
    ---------
    name : str
        Such as ``s0101a``.
    place : pathlib.Path
        The folder or the zip that has them.
    inner : str
        The zip within that zip that has them, if it is one.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "s0101a.words").write_text("#")
    >>> Recording("s0101a", folder).read(".words")
    b'#'
    """

    name: str
    place: Path
    inner: str = ""

    @property
    def speaker(self):
        """``s01`` to ``s40``."""
        return self.name[:3]

    def source(self, ending):
        """The file on the disk that one of its files is, or is in."""
        if self.place.suffix == ".zip":
            return self.place
        return self.place / f"{self.name}{ending}"

    def where(self, ending):
        """Of one of its files, for messages."""
        if self.place.suffix == ".zip":
            name = f"{self.name}{ending}"
            return ":".join(filter(None, [str(self.place), self.inner, name]))
        return str(self.source(ending))

    def read(self, ending):
        """One of its files as bytes.

        Raises
        ------
        ValueError
            If there is none, or it can not be read.
        """
        try:
            if self.place.suffix != ".zip":
                return self.source(ending).read_bytes()
            with ZipFile(self.place) as archive:
                if not self.inner:
                    return _member(archive, self.name + ending)
                held = BytesIO(archive.read(self.inner))
            with ZipFile(held) as archive:
                return _member(archive, self.name + ending)
        except ZIP_ERRORS as error:
            raise ValueError(f"unreadable: {error}") from error


def find_recordings(data_folder):
    """Finds the recordings at any depth, unzipped or not.

    Arguments
    ---------
    data_folder : pathlib.Path
        Where to look; links to folders are followed.

    Returns
    -------
    list of Recording
        By name. Of one that is there both ways, the unzipped one.

    Raises
    ------
    DataError
        If there is none, or if a zip is damaged.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with ZipFile(folder / "s01.zip", "w") as archive:
    ...     archive.writestr("s01/s0101a.zip", b"")
    >>> [recording.name for recording in find_recordings(folder)]
    ['s0101a']
    """
    if not data_folder.is_dir():
        raise DataError(
            f"the data folder {data_folder} does not exist. {WAY_OUT}"
        )
    unzipped, zips = {}, []
    with Progress("finding recordings") as progress:
        for folder, names in walk(data_folder, ".", set(), progress):
            place = data_folder / folder
            for name in names:
                stem, ending = os.path.splitext(name)
                if ending == ".words" and NAME.fullmatch(stem):
                    unzipped.setdefault(stem, Recording(stem, place))
                elif ending == ".zip":
                    zips.append(place / name)
    zipped, faults = {}, []
    for path in zips:
        try:
            for recording in _look_into(path):
                zipped.setdefault(recording.name, recording)
        except ZIP_ERRORS as error:
            faults.append(f"{path}: {error}")
    if faults:
        raise DataError(
            f"{len(faults)} zips can not be read. Fetch them again, or move "
            "them away:\n  " + "\n  ".join(faults)
        )
    found = {**zipped, **unzipped}
    if not found:
        raise DataError(
            f"{data_folder} has no recording of Buckeye such as s0101a.words, "
            f"nor a zip of them (folders found there: {describe(data_folder)}"
            f"). {WAY_OUT}"
        )
    return [found[name] for name in sorted(found)]


def _look_into(path):
    """Recordings of a zip: its own, or those of the zips in it."""
    if NAME.fullmatch(path.stem):
        return [Recording(path.stem, path)]
    found = []
    with ZipFile(path) as archive:
        for member in archive.namelist():
            stem, ending = os.path.splitext(member.rpartition("/")[2])
            if not NAME.fullmatch(stem):
                continue
            if ending == ".zip":
                found.append(Recording(stem, path, member))
            elif ending == ".words":
                found.append(Recording(stem, path))
    return found


def _member(archive, name):
    """A file in a zip, in whatever folder there."""
    for member in archive.namelist():
        if member.rpartition("/")[2] == name:
            return archive.read(member)
    raise OSError(f"no {name} in it")
