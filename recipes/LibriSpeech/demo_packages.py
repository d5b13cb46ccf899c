"""The demo's recordings, as packages from Debian's archive.

Authors
 * The d2v_sb developers 2026
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from d2v_sb.errors import DataError

PACKAGES = ("asterisk-core-sounds-en", "asterisk-core-sounds-en-g722")
ELSEWHERE = "or train on LibriSpeech: make demo DATA=/path/to/LibriSpeech"


def fetch_packages(cache, names=PACKAGES):
    """Downloads packages into a folder; no root, no installation.

    Arguments
    ---------
    cache : Path
        Made where missing; what it has is not fetched again.
    names : sequence of str
        The packages.

    Returns
    -------
    list of Path
        One file for each.

    Raises
    ------
    DataError
        Where this is no Debian system or the archive does not answer.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DataError(
                f"The demo's recordings come as Debian packages, and {tool} "
                "is not on this machine. Run the demo on Debian or Ubuntu, "
                f"{ELSEWHERE}"
            )
    cache.mkdir(parents=True, exist_ok=True)
    missing = [p for p in names if not any(cache.glob(f"{p}_*.deb"))]
    if missing:
        # In a folder of its own first: a killed apt-get leaves half a file.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _download(missing, Path(folder))
            for file in Path(folder).glob("*.deb"):
                file.replace(cache / file.name)
    return [max(cache.glob(f"{package}_*.deb")) for package in names]


def _download(packages, folder):
    done = _apt(["download", *packages], folder)
    if done.returncode != 0:
        # No package lists, or old ones. Lists of our own need no root.
        (folder / "lists/partial").mkdir(parents=True)
        own = [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}"]
        # Without the error mode, apt-get update calls a dead network a success.
        done = _apt([*own, "-oAPT::Update::Error-Mode=any", "update"], folder)
        if done.returncode == 0:
            done = _apt([*own, "download", *packages], folder)
    if done.returncode != 0:
        # The first error is the cause; apt's last line is often a summary.
        lines = done.stderr.strip().splitlines() or ["no message"]
        cause = next((x for x in lines if x.startswith("E:")), lines[-1])
        raise DataError(
            f"apt-get could not download {' and '.join(packages)}: "
            f"{cause} - Check the network and apt's sources, run apt-get "
            f"update as root, {ELSEWHERE}"
        )


def _apt(arguments, folder):
    # As root, apt would warn that its own user can not write here.
    options = ["-qq", "-oAPT::Sandbox::User=root", "-oAcquire::Retries=1"]
    options += [f"-oAcquire::{p}::Timeout=20" for p in ("http", "https")]
    return subprocess.run(
        ["apt-get", *options, *arguments],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def unpack_package(package, root):
    """Unpacks a package into a folder, without installing it.

    Arguments
    ---------
    package : Path
        The ``.deb`` file.
    root : Path
        Stands for ``/``; made where missing.

    Raises
    ------
    DataError
        Where the file is damaged.
    """
    done = subprocess.run(
        ["dpkg-deb", "-x", package, root],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DataError(
            f"{package} can not be unpacked: {done.stderr.strip()} - Delete it "
            "and run again."
        )
