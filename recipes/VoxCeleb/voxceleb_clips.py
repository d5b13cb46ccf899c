"""VoxCeleb's clips: found at any depth, and m4a made into FLAC.

The corpora lie as their authors ship them: ``<speaker>/<session>/<clip>.wav``
(VoxCeleb1) or ``.m4a`` (VoxCeleb2), in whatever folders. A session is a video.

Authors
 * The d2v_sb developers 2026
"""

import os
import re
import tempfile
from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.errors import DataError
from d2v_sb.folders import describe, walk
from d2v_sb.progress import Progress
from d2v_sb.transcoding import transcode_all

logger = get_logger(__name__)

URL = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/"
SPEAKER = re.compile(r"id\d{5}")
ENDINGS = (".flac", ".wav", ".m4a")  # of a clip in several, the first is taken
WAY_OUT = (
    "Give the folder that holds the clips with --data_folder. There is no "
    f"download: VoxCeleb has to be asked for at {URL}"
)


def find_clips(data_folder):
    """Finds VoxCeleb's clips at any depth, audio unopened.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Where to look; links to folders are followed.

    Returns
    -------
    dict of str to pathlib.Path
        By key, which is ``<speaker>/<session>/<clip>``. Of a clip in several
        formats, FLAC before WAV before m4a.

    Raises
    ------
    DataError
        If there is none.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "wav/id10001/1zcIwhmdeo4").mkdir(parents=True)
    >>> (folder / "wav/id10001/1zcIwhmdeo4/00001.wav").touch()
    >>> [*find_clips(folder)]
    ['id10001/1zcIwhmdeo4/00001']
    """
    data_folder = Path(data_folder).expanduser().absolute()
    check_folders(data_folder, ["."])
    clips, within = walk_clips(data_folder, ["."])
    check_found(within, data_folder, ["."])
    return {key: Path(path) for key, path in clips.items()}


def check_folders(data_folder, folders):
    """Raises a ``DataError`` for folders that are not there."""
    if not data_folder.is_dir():
        raise DataError(
            f"the data folder {data_folder} does not exist. {WAY_OUT}"
        )
    absent = [name for name in folders if not (data_folder / name).is_dir()]
    if absent or not folders:
        raise DataError(
            f"train_folders: {', '.join(absent) or 'none given'}; "
            f"{data_folder} has: {describe(data_folder)}. Give folders in it, "
            "or '.' for all of it."
        )


def walk_clips(root, folders):
    """Path of each clip in a folder, by key, and the keys of those that are
    in some of the folders in it."""
    clips, within, seen = {}, set(), set()
    with Progress("finding clips") as progress:
        # The root last: what is in a folder is entered only once, as its own.
        for top in [*folders, "."]:
            for folder, names in walk(root, top, seen, progress):
                where = str(root / folder)
                speaker, session = where.split(os.sep)[-2:]
                if not SPEAKER.fullmatch(speaker):
                    continue
                for name in names:
                    stem, ending = os.path.splitext(name)
                    if ending.lower() not in ENDINGS:
                        continue
                    key, path = f"{speaker}/{session}/{stem}", f"{where}/{name}"
                    clips[key] = min(clips.get(key, path), path, key=rank)
                    if top in folders:
                        within.add(key)
    logger.info(f"{root}: {len(clips)} clips")
    return clips, within


def rank(path):
    """Which of a clip's files is taken: the lowest, and the first found."""
    return ENDINGS.index(os.path.splitext(path)[1].lower())


def check_found(keys, data_folder, folders):
    """Raises a ``DataError`` if there is no clip in the folders."""
    if not keys:
        places = "" if folders == ["."] else f" in {', '.join(folders)}"
        raise DataError(
            f"{data_folder} has no clip{places} such as "
            "id10001/1zcIwhmdeo4/00001.wav (<speaker>/<session>/<clip>, .wav, "
            f".flac or .m4a; found there: {describe(data_folder)}). {WAY_OUT}"
        )


def add_converted(clips, converted_folder):
    """Enters what earlier runs made of m4a, where that lies elsewhere."""
    for key, path in walk_clips(converted_folder, ["."])[0].items():
        # Before one that is as good: the names of an earlier run stay.
        clips[key] = min(path, clips.get(key, path), key=rank)


def convert_clips(clips, needed, converted_folder, num_workers):
    """Transcodes the m4a clips that are needed, enters the FLAC files in their
    place, and returns the ``Fault`` of each that is unreadable, by key."""
    files = [
        (key, clips[key], converted_folder / f"{key}.flac")
        for key in needed
        if clips[key].lower().endswith(".m4a")
    ]
    if not files:
        return {}
    try:
        converted_folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=converted_folder).close()
    except OSError as error:
        raise DataError(
            f"{converted_folder} can not be written to ({error}), and "
            f"{len(files)} m4a clips are to become FLAC there. Give another "
            "folder with --converted_folder."
        ) from error
    faults = transcode_all(files, num_workers, "m4a to FLAC")
    clips.update((key, str(target)) for key, _, target in files)
    return {fault.id: fault for fault in faults}
