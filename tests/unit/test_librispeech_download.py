"""LibriSpeech download: against a local server that misbehaves on request.

Authors
 * The d2v_sb developers 2026
"""

import errno
import hashlib
import io
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from d2v_sb import download
from d2v_sb.errors import DataError

RECIPE = Path(__file__).parents[2] / "recipes" / "LibriSpeech"
NAME = "LibriSpeech/dev/1/10/1-10"


@pytest.fixture
def recipe(monkeypatch):
    """The download script as a module; no proxy before the local server."""
    monkeypatch.syspath_prepend(str(RECIPE))
    monkeypatch.setenv("no_proxy", "*")
    import librispeech_download

    return librispeech_download


class Server(ThreadingHTTPServer):
    """Serves ``files``, as its switches say, and remembers what it did."""

    files = {}
    ranges = True  # answers Range requests
    break_after = None  # bytes of a body, after which the line goes dead once
    status = None  # sent instead of a file, once

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.sent = [], 0


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        """Sends a file, or a part of it, or less than was promised."""
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked))
        status, server.status = server.status, None
        body = server.files.get(self.path)
        if status or body is None:
            return self.send_error(status or 404)
        start = 0
        if asked and server.ranges:
            start = int(asked[len("bytes=") : -1])
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            last = len(body) - 1
            self.send_header(
                "Content-Range", f"bytes {start}-{last}/{len(body)}"
            )
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        limit, server.break_after = server.break_after, None
        part = body[start:][:limit]
        server.sent += len(part)
        self.wfile.write(part)

    def log_message(self, *_):
        """Keeps quiet."""


@pytest.fixture
def server():
    """A running server."""
    with Server() as running:
        thread = threading.Thread(
            target=running.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def pack(members):
    """Bytes of a ``.tar.gz``: bytes make a file, a str a link to it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def offer(recipe, server, tmp_path):
    """Puts an archive of split ``dev`` on the server; returns a fetcher."""

    def put(members=None, digest=None, algorithm="sha256"):
        members = members or {
            "LibriSpeech/LICENSE.TXT": b"CC BY 4.0",
            f"{NAME}.trans.txt": b"1-10-0000 HELLO\n",
            f"{NAME}-0000.flac": os.urandom(100000),
        }
        body = pack(members)
        server.files = {"/12/dev.tar.gz": body}
        digest = digest or hashlib.new(algorithm, body).hexdigest()
        archives = {"dev": recipe.Archive(12, algorithm, digest)}

        def fetch(attempts=1):
            recipe.download_librispeech(
                tmp_path / "data",
                "dev",
                base_url=f"http://127.0.0.1:{server.server_port}/",
                archives=archives,
                attempts=attempts,
                pause=0.0,
                timeout=5.0,
            )

        return fetch

    return put


def names(folder):
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_split_is_fetched_checked_and_unpacked(
    offer, server, tmp_path, algorithm
):
    """Without the archive's top folder, and nothing else is left."""
    offer(algorithm=algorithm)()
    assert names(tmp_path / "data") == ["LICENSE.TXT", "dev"]
    chapter = tmp_path / "data" / "dev" / "1" / "10"
    assert names(chapter) == ["1-10-0000.flac", "1-10.trans.txt"]
    assert server.requests == [("/12/dev.tar.gz", None)]


def test_fetched_split_is_found_by_the_preparation(offer, recipe, tmp_path):
    """Both scripts mean the same folder."""
    import librispeech_prepare

    offer()()
    found = librispeech_prepare.find_split(tmp_path / "data", "dev")
    assert len(librispeech_prepare.list_split(found).rows) == 1


def test_split_that_is_there_is_not_fetched(offer, server, tmp_path):
    """Whoever put it there."""
    (tmp_path / "data" / "dev").mkdir(parents=True)
    offer()()
    assert server.requests == []


def test_archive_that_is_there_is_unpacked(offer, server, tmp_path):
    """Fetched by other means, or by a run killed while unpacking."""
    fetch = offer()
    room = tmp_path / "data" / ".dev.unpacking" / "LibriSpeech" / "dev"
    room.mkdir(parents=True)
    (room / "half").write_bytes(b"")
    archive = tmp_path / "data" / "dev.tar.gz"
    archive.write_bytes(server.files["/12/dev.tar.gz"])
    fetch()
    assert server.requests == []
    assert names(tmp_path / "data") == ["LICENSE.TXT", "dev"]
    assert names(tmp_path / "data" / "dev") == ["1"]


def test_broken_transfer_goes_on_in_the_next_run(offer, server, tmp_path):
    """By a Range request, and no byte is sent twice."""
    fetch = offer()
    size = len(server.files["/12/dev.tar.gz"])
    server.break_after = 30000
    with pytest.raises(DataError, match=f"30000 of {size} bytes.*run the same"):
        fetch()
    assert names(tmp_path / "data") == ["dev.tar.gz.part"]
    fetch()
    assert [asked for _, asked in server.requests] == [None, "bytes=30000-"]
    assert server.sent == size
    assert names(tmp_path / "data") == ["LICENSE.TXT", "dev"]


def test_broken_transfer_goes_on_in_the_same_run(offer, server):
    """As does one that met a server error."""
    fetch = offer()
    server.break_after = 30000
    fetch(attempts=2)
    assert server.requests[-1][1] == "bytes=30000-"
    assert server.sent == len(server.files["/12/dev.tar.gz"])


def test_server_without_range_starts_again(offer, server, tmp_path):
    """The whole file comes, and replaces the part."""
    fetch = offer()
    server.ranges, server.break_after = False, 30000
    fetch(attempts=2)
    assert [asked for _, asked in server.requests] == [None, "bytes=30000-"]
    assert server.sent == len(server.files["/12/dev.tar.gz"]) + 30000
    assert (tmp_path / "data" / "dev").is_dir()


def test_whole_part_is_not_fetched_again(offer, server, tmp_path):
    """Killed between the last byte and the checksum: status 416."""
    fetch = offer()
    (tmp_path / "data").mkdir()
    part = tmp_path / "data" / "dev.tar.gz.part"
    part.write_bytes(server.files["/12/dev.tar.gz"])
    fetch()
    assert server.sent == 0 and (tmp_path / "data" / "dev").is_dir()


def test_wrong_checksum_is_refused_and_the_part_removed(offer, tmp_path):
    """Before anything is unpacked; both values are named."""
    with pytest.raises(DataError, match="sha256 is .* but should be 123") as e:
        offer(digest="123")()
    assert "/12/dev.tar.gz" in str(e.value)
    assert names(tmp_path / "data") == []


def test_damaged_part_is_refused_then_fetched_whole(offer, server, tmp_path):
    """A rerun must not meet the same part for ever."""
    fetch = offer()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev.tar.gz.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="not the archive expected"):
        fetch()
    fetch()
    assert server.requests[-1][1] is None
    assert (tmp_path / "data" / "dev").is_dir()


def test_archive_of_the_user_is_refused_but_not_removed(offer, tmp_path):
    """It is not ours to delete."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev.tar.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match="Delete it"):
        offer()()
    assert names(tmp_path / "data") == ["dev.tar.gz"]


def test_http_refusal_is_not_tried_again(offer, server):
    """404 names the URL and the status."""
    fetch = offer()
    server.files = {}
    with pytest.raises(DataError, match="/12/dev.tar.gz: HTTP status 404"):
        fetch(attempts=3)
    assert len(server.requests) == 1


def test_server_error_is_tried_again(offer, server, tmp_path):
    """503 passes."""
    fetch = offer()
    server.status = 503
    fetch(attempts=2)
    assert (tmp_path / "data" / "dev").is_dir()


def test_no_network_names_url_and_way_out(recipe, server, tmp_path):
    """Nobody listens."""
    with Server() as other:
        port = other.server_port
    with pytest.raises(DataError) as caught:
        recipe.download_librispeech(
            tmp_path,
            ["dev-clean-2"],
            base_url=f"http://127.0.0.1:{port}",
            attempts=2,
            pause=0.0,
        )
    message = str(caught.value)
    assert f"{port}/31/dev-clean-2.tar.gz" in message
    assert "refused" in message and "by other means" in message


def test_unknown_split_names_the_known_ones(recipe, tmp_path):
    """Before anything is fetched or made."""
    with pytest.raises(DataError, match="'dev-klean'.*dev-clean.*train-clean"):
        recipe.download_librispeech(
            tmp_path / "data", ["dev-clean", "dev-klean"]
        )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "evil",
    [{"../../evil": b""}, {"LibriSpeech/dev/evil": "../../../.."}],
    ids=["path", "link"],
)
def test_archive_that_leads_outside_is_refused(offer, tmp_path, evil):
    """By a path or by a link; no half split is left."""
    fetch = offer({f"{NAME}.trans.txt": b"", **evil})
    with pytest.raises(DataError, match="can not be unpacked .*outside"):
        fetch()
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["dev.tar.gz"]


def test_archive_without_the_split_is_refused(offer, tmp_path):
    """Right checksum, wrong table."""
    with pytest.raises(DataError, match="no folder LibriSpeech/dev in it"):
        offer({"LibriSpeech/dev-other/1.txt": b""})()
    assert names(tmp_path / "data") == ["dev.tar.gz"]


def test_full_disk_keeps_the_archive_and_no_half_split(
    offer, recipe, tmp_path, monkeypatch
):
    """ENOSPC while unpacking; the next run goes on from the archive."""
    fetch = offer()

    def full(tar, room, *_, **__):
        room.mkdir()
        (room / "half").write_bytes(b"")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", full)
        with pytest.raises(DataError, match="No space left.*Make room"):
            fetch()
    assert names(tmp_path / "data") == ["dev.tar.gz"]
    fetch()
    assert names(tmp_path / "data") == ["LICENSE.TXT", "dev"]


def test_full_disk_while_fetching_is_not_tried_again(
    offer, server, monkeypatch
):
    """What the disk refuses is not the network's fault."""
    fetch = offer()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "copy", full)
    with pytest.raises(DataError, match="No space left"):
        fetch(attempts=3)
    assert len(server.requests) == 1


def test_table_of_archives_is_complete(recipe):
    """All of LibriSpeech and mini LibriSpeech, with whole checksums."""
    digits = {"sha256": 64, "md5": 32}
    assert len(recipe.ARCHIVES) == 7 + 2
    for archive in recipe.ARCHIVES.values():
        assert len(archive.digest) == digits[archive.algorithm]
        assert int(archive.digest, 16)


def test_checksums_are_torchaudios(recipe):
    """Where torchaudio still holds them."""
    module = pytest.importorskip("torchaudio.datasets.librispeech")
    theirs = {
        Path(url).name[: -len(".tar.gz")]: digest
        for url, digest in module._CHECKSUMS.items()
    }
    ours = {k: a.digest for k, a in recipe.ARCHIVES.items() if a.resource == 12}
    assert ours == theirs
