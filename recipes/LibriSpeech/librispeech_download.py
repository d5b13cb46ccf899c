"""Fetch LibriSpeech and mini LibriSpeech from OpenSLR.

Each step may be killed and run again: a transfer goes on where it stopped,
and a split's folder appears only when all of it is there.

Authors
 * The d2v_sb developers 2026
"""

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from d2v_sb.download import disk_errors, download
from d2v_sb.errors import DataError
from d2v_sb.manifest import as_list

logger = get_logger(__name__)

OPENSLR = "https://www.openslr.org/resources"
# FilterError, a TarError, is a path that leads out of the folder.
DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class Archive(NamedTuple):
    """Where a split lies below the base URL, and its checksum."""

    resource: int
    algorithm: str
    digest: str


# Resource 12 (LibriSpeech): SHA-256 as in torchaudio 2.11's
# datasets/librispeech.py. Resource 31 (mini LibriSpeech): MD5 as in OpenSLR's
# own resources/31/md5sum.txt.
ARCHIVES = {
    "dev-clean": Archive(
        12,
        "sha256",
        "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    ),
    "dev-other": Archive(
        12,
        "sha256",
        "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    ),
    "test-clean": Archive(
        12,
        "sha256",
        "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    ),
    "test-other": Archive(
        12,
        "sha256",
        "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    ),
    "train-clean-100": Archive(
        12,
        "sha256",
        "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "train-clean-360": Archive(
        12,
        "sha256",
        "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    ),
    "train-other-500": Archive(
        12,
        "sha256",
        "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    ),
    "train-clean-5": Archive(31, "md5", "5df7d4e78065366204ca6845bb08f490"),
    "dev-clean-2": Archive(31, "md5", "6d7ab67ac6a1d2c993d050e16d61080d"),
}


def download_librispeech(
    data_folder,
    splits,
    base_url=OPENSLR,
    archives=ARCHIVES,
    attempts=5,
    pause=5.0,
    timeout=60.0,
):
    """Makes ``<data_folder>/<split>`` for each split that is not there.

    Arguments
    ---------
    data_folder : str or Path
        Where the splits' folders go; made if need be.
    splits : list of str, or str
        Keys of ``archives``.
    base_url : str
        OpenSLR or a mirror of it: what comes before
        ``/<resource>/<split>.tar.gz``.
    archives : dict of str to Archive
        The known splits.
    attempts : int
        How often a broken transfer is taken up again at once.
    pause : float
        Seconds between attempts.
    timeout : float
        Seconds without a byte after which a transfer counts as broken.

    Raises
    ------
    DataError
        If a split is unknown, a transfer fails, or an archive is not the
        one expected or can not be unpacked.

    Example
    -------
    >>> download_librispeech("data/LibriSpeech", [])
    """
    data_folder = Path(data_folder).expanduser().absolute()
    splits = as_list(splits)
    unknown = [split for split in splits if split not in archives]
    if unknown:
        raise DataError(
            f"LibriSpeech has no split {', '.join(map(repr, unknown))}; "
            f"known: {', '.join(archives)}."
        )
    for split in splits:
        if (data_folder / split).is_dir():
            logger.info(f"{split}: already in {data_folder}")
            continue
        path = data_folder / f"{split}.tar.gz"
        archive = archives[split]
        url = f"{base_url.rstrip('/')}/{archive.resource}/{path.name}"
        advice = (
            "Or fetch the archive from a mirror of OpenSLR or by other means "
            f"into {data_folder} (or unpack it there: the split's folder "
            "directly below), and the download is skipped."
        )
        download(
            url,
            path,
            archive.algorithm,
            archive.digest,
            advice,
            attempts,
            pause,
            timeout,
        )
        with disk_errors(data_folder):
            unpack(path, split)
            path.unlink()
        logger.info(f"{split}: fetched into {data_folder / split}")


def unpack(path, split):
    """Turns ``<split>.tar.gz`` into a folder ``<split>`` beside it."""
    target = path.parent / split
    room = path.parent / f".{split}.unpacking"
    shutil.rmtree(room, ignore_errors=True)  # of a killed run
    try:
        with tarfile.open(path, "r:gz") as tar:
            members = tqdm(
                tar,
                desc=f"{split}: unpacking",
                unit="file",
                disable=not if_main_process() or None,  # None: terminal only
            )
            tar.extractall(room, members, filter="data")
        top = room / "LibriSpeech"
        if not (top / split).is_dir():
            raise DataError(f"{path}: no folder LibriSpeech/{split} in it.")
        for document in top.glob("*.TXT"):  # licence, readers, books
            if not (path.parent / document.name).exists():
                os.replace(document, path.parent / document.name)
        os.rename(top / split, target)
    except DAMAGED as error:
        raise DataError(
            f"{path}: can not be unpacked ({error}). Delete it and run the "
            "same command again."
        ) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
