"""Fetch archives: resumed where they broke, and checked before they are used.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request

from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from d2v_sb.errors import DataError

logger = get_logger(__name__)

BLOCK_SIZE = 1 << 20  # bytes
BROKEN = (OSError, http.client.HTTPException)  # of the network


def download(
    url,
    path,
    algorithm,
    digest,
    advice="",
    attempts=5,
    pause=5.0,
    timeout=60.0,
):
    """Makes a file that has the checksum expected, from a URL if need be.

    A file that is there already, put there by the user or by a run that was
    killed before it used it, is checked and not fetched.

    Arguments
    ---------
    url : str
        Where it is.
    path : Path
        Where it goes, by way of ``<path>.part``, which is kept when the
        transfer breaks and removed when the checksum is wrong.
    algorithm, digest : str
        A name that ``hashlib.new`` takes, and the checksum in hexadecimal.
    advice : str
        Other ways to get the file: the end of each message.
    attempts : int
        How often to try.
    pause, timeout : float
        Seconds between tries, and without a byte.

    Raises
    ------
    DataError
        If the server refuses, the last try breaks, the file is not the one
        expected, or the disk refuses.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.tar.gz"
    >>> path.write_bytes(b"as if")
    5
    >>> download(
    ...     "https://a.org", path, "md5", hashlib.md5(b"as if").hexdigest()
    ... )
    """
    with disk_errors(path.parent):
        if path.exists():
            verify(path, algorithm, digest, url, advice)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        fetch(url, part, attempts, pause, timeout, advice)
        try:
            verify(part, algorithm, digest, url, advice)
        except DataError:
            part.unlink()
            raise
        os.replace(part, path)


@contextlib.contextmanager
def disk_errors(folder):
    """Turns what the file system refuses into a ``DataError``.

    Arguments
    ---------
    folder : Path
        What the message names where the system names no file.

    Example
    -------
    >>> with disk_errors("data"):
    ...     os.listdir("no_such_folder")
    Traceback (most recent call last):
    d2v_sb.errors.DataError: no_such_folder: No such file or directory. ...
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: {error.strerror or error}. Make "
            "room or choose another data_folder, then run the same command "
            "again; what was fetched is kept."
        ) from error


def progress(name, total, initial=0):
    """A bar in bytes."""
    return tqdm(
        desc=name,
        total=total,
        initial=initial,
        unit="B",
        unit_scale=True,
        disable=not if_main_process() or None,  # None: on a terminal only
    )


def fetch(url, part, attempts, pause, timeout, advice):
    """Fetches into a file, taking up what an earlier try left there."""
    for attempt in range(1, attempts + 1):
        try:
            response = open_at(url, size_of(part), timeout)
        except urllib.error.HTTPError as error:
            problem = f"HTTP status {error.code} ({error.reason})"
            if error.code < 500:  # asking again would not help
                break
        except BROKEN as error:
            problem = str(getattr(error, "reason", error))
        else:
            if response is None:  # nothing is left to send
                return
            with response:
                problem = copy(response, part)
            if problem is None:
                return
        if attempt < attempts:
            logger.warning(f"{url}: {problem}; attempt {attempt + 1} follows")
            time.sleep(pause)
    raise DataError(
        f"{url}: {problem}, {attempt} attempt(s). {size_of(part)} bytes are in "
        f"{part}: run the same command again to go on from there. {advice}"
    )


def size_of(path):
    """Bytes in a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def open_at(url, start, timeout):
    """Asks for a URL from a byte on; None where nothing comes after it."""
    request = urllib.request.Request(url)
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        # "Range not satisfiable": the file is whole already, or it is longer
        # than it should be. The checksum tells.
        if start and error.code == 416:
            return None
        raise


def copy(response, part):
    """Writes an answer's body; says what broke, or None."""
    start, total = 0, None
    length = response.headers.get("Content-Length")
    content_range = response.headers.get("Content-Range", "")
    match = re.match(r"bytes (\d+)-\d+/(\d+)", content_range)
    if response.status == 206 and match:
        start, total = int(match[1]), int(match[2])
        if start != size_of(part):
            return f"the server sent Content-Range {content_range!r} unasked"
    elif length is not None:  # it ignored Range, or was not asked
        total = int(length)
    with open(part, "ab" if start else "wb") as file:
        with progress(part.name, total, start) as bar:
            while True:
                # Only reading may fail for the network's sake: what the disk
                # refuses must not be tried again.
                try:
                    block = response.read(BLOCK_SIZE)
                except BROKEN as error:
                    return f"the transfer broke ({error})"
                if not block:
                    break
                file.write(block)
                bar.update(len(block))
        # http.client ends a body that is cut short without an error.
        if total is not None and file.tell() < total:
            return f"the transfer broke at {file.tell()} of {total} bytes"
    return None


def verify(path, algorithm, digest, url, advice):
    """Raises a ``DataError`` where a file is not the archive expected."""
    found, size = hashlib.new(algorithm), path.stat().st_size
    with progress(f"{path.name}: checksum", size) as bar:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_SIZE):
                found.update(block)
                bar.update(len(block))
    if found.hexdigest() != digest:
        raise DataError(
            f"{path} ({size} bytes from {url}) is not the archive expected: "
            f"{algorithm} is {found.hexdigest()} but should be {digest}. "
            "Delete it if it is still there and run the same command again. "
            f"{advice}"
        )
