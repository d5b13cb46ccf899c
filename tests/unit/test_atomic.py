"""What is written is there whole or not at all, and refusals are explained.

Authors
 * The d2v_sb developers 2026
"""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from d2v_sb.atomic import REFUSALS, remove_left_overs, replacing
from d2v_sb.errors import DataError

ROOT = Path(__file__).parents[2]


def write_folder(path, text):
    """A folder of one file, by way of ``replacing``."""
    with replacing(path) as beside:
        beside.mkdir()
        (beside / "file").write_text(text)


@pytest.fixture
def old(tmp_path):
    """A file that is there before."""
    path = tmp_path / "made" / "a.txt"
    path.parent.mkdir()
    path.write_text("old")
    return path


def only(path):
    """Whether nothing else lies beside."""
    return list(path.parent.iterdir()) == [path]


def test_file_is_replaced_and_nothing_else_is_left(old):
    with replacing(old) as beside:
        beside.write_text("new")
        assert old.read_text() == "old"
    assert old.read_text() == "new" and only(old)


def test_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "made" / "folder"
    write_folder(path, "old")
    (path / "more").write_text("old")
    write_folder(path, "new")
    assert [p.name for p in path.iterdir()] == ["file"] and only(path)


def test_folders_above_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b" / "c.txt") as beside:
        beside.write_text("new")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "new"


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_exception_keeps_what_was_there(old, error):
    with pytest.raises(error), replacing(old) as beside:
        beside.write_text("half")
        raise error
    assert old.read_text() == "old" and only(old)


KILLED = """
import os, sys, time
from d2v_sb.atomic import replacing

def stop(*_):
    print("STOPPED", flush=True)
    time.sleep(60)

{patch}
with replacing(sys.argv[1]) as beside:
    beside.write_text("half")
    {line}
"""


@pytest.mark.parametrize(
    "patch, line",
    [("", "stop()"), ("os.fsync = stop", ""), ("os.replace = stop", "")],
    ids=["while writing", "while flushing", "before renaming"],
)
def test_kill_keeps_what_was_there(old, patch, line):
    code = KILLED.format(patch=patch, line=line)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(old)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"STOPPED\n"
        process.send_signal(signal.SIGKILL)
    assert old.read_text() == "old" and not only(old)
    (old.parent / ".mine.abc").mkdir()
    remove_left_overs(old.parent, ".txt")
    (old.parent / ".mine.abc").rmdir()
    assert only(old)


def test_full_disk_keeps_what_was_there_and_says_so(old, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="disk is full: .*a.txt was not.*free"):
        with replacing(old) as beside:
            beside.write_text("new")
    assert old.read_text() == "old" and only(old)


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_refusal_names_the_path_the_cause_and_the_way_out(old, number):
    error = OSError(number, os.strerror(number))
    with pytest.raises(DataError, match="a.txt was not written") as caught:
        with replacing(old) as beside:
            beside.write_text("half")
            raise error
    message = str(caught.value)
    assert os.strerror(number) in message and REFUSALS[number][1] in message
    assert caught.value.__cause__ is error
    assert old.read_text() == "old" and only(old)


def test_kernel_that_allows_no_larger_file_is_explained(old):
    """A refusal of the system's own, met while writing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(DataError, match="no file may be that large"):
        with replacing(old) as beside:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
            try:
                beside.write_bytes(bytes(2000))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert old.read_text() == "old" and only(old)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_is_read_only_is_explained(old):
    old.parent.chmod(0o500)
    try:
        with pytest.raises(DataError, match="not permitted: .*a.txt"):
            with replacing(old) as beside:
                beside.write_text("new")
    finally:
        old.parent.chmod(0o700)
    assert old.read_text() == "old" and only(old)


@pytest.mark.parametrize("below", ["b.txt", "folder/b.txt"])
def test_file_where_a_folder_should_be_is_explained(old, below):
    with pytest.raises(DataError, match=f"in its place: .*a.txt/{below}"):
        with replacing(old / below):
            pass
    assert old.read_text() == "old" and only(old)


def test_file_never_replaces_a_folder_nor_a_folder_a_file(old):
    with pytest.raises(DataError, match="something else is in its place"):
        with replacing(old.parent) as beside:
            beside.write_text("new")
    with pytest.raises(DataError, match="something else is in its place"):
        write_folder(old, "new")
    assert old.read_text() == "old" and only(old)


def test_folder_that_can_not_be_replaced_comes_back(tmp_path, monkeypatch):
    path = tmp_path / "made" / "folder"
    write_folder(path, "old")

    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DataError, match="not permitted"):
        write_folder(path, "new")
    assert (path / "file").read_text() == "old" and only(path)


def test_error_that_is_not_of_writing_is_left_as_it_is(old):
    """A source that is absent, and a caller that writes nothing."""
    for read in (lambda: open("absent"), lambda: None):
        with pytest.raises(FileNotFoundError), replacing(old):
            read()
    assert old.read_text() == "old" and only(old)
