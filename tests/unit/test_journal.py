"""The journal of examined files: what it gives back, and what it survives.

Authors
 * The d2v_sb developers 2026
"""

import errno
from multiprocessing.pool import ThreadPool

import pytest

from d2v_sb import journal as module
from d2v_sb.errors import DataError
from d2v_sb.journal import Journal, stamp

OLD, NEW = (100, 1), (100, 2)


@pytest.fixture
def path(tmp_path):
    """The journal's file."""
    return tmp_path / "csv" / "dev.examined.jsonl"


def fill(path, names, now=OLD):
    """Notes files that have a stamp."""
    with Journal(path) as journal:
        for name in names:
            journal.add(name, now, 0.1, "8000 Hz")


def known(path, names, now=OLD):
    """Those of the files that are known, if they have that stamp."""
    with Journal(path) as journal:
        return "".join(x for x in names if journal.get(x, now))


def test_what_was_noted_is_given_back(path):
    """Odd names and exact durations too."""
    names = ["a b", "é\udcff", 'c"\n', "$d"]
    with Journal(path) as journal:
        for i, name in enumerate(names):
            journal.add(name, OLD, 1 / (i + 3), "")
    with Journal(path) as journal:
        assert [journal.get(name, OLD) for name in names] == [
            (1 / (i + 3), "") for i in range(4)
        ]
        assert len(journal) == 4


def test_changed_or_missing_file_is_not_known(path, tmp_path):
    """By its size or its time; the last entry counts."""
    fill(path, "ab")
    fill(path, "a", NEW)
    assert known(path, "abc", OLD) == "b"
    assert known(path, "abc", NEW) == "a"
    assert known(path, "abc", (101, 1)) == known(path, "abc", None) == ""
    (tmp_path / "a").write_text("a")
    before = stamp(tmp_path / "a")
    (tmp_path / "a").write_text("ab")
    assert stamp(tmp_path / "a") != before


def test_torn_line_costs_only_itself(path):
    """Wherever the kill tore it, and what follows is noted whole."""
    fill(path, "ab")
    whole = path.read_bytes()
    for end in range(len(whole) // 2 + 1, len(whole)):
        path.write_bytes(whole[:end])
        fill(path, "c")
        assert known(path, "abc") == "ac"


def test_lines_that_are_no_entries_are_ignored(path):
    fill(path, "a")
    with open(path, "ab") as file:
        file.write(b'\n{}\n["b", 1]\n["b", 100, 1, "x", ""]\n\0\0\xff\n[[\n')
    assert known(path, "ab") == "a"


def test_entries_are_on_the_disk_while_work_goes_on(path, monkeypatch):
    """After a second or a number of files, whichever comes first."""
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    with Journal(path) as journal:
        journal.add("a", OLD, 0.1, "")  # the first is written at once
        for name, on_disk in zip("bcde", ("a", "a", "abcd", "abcd")):
            journal.add(name, OLD, 0.1, "")
            assert known(path, "abcdef") == on_disk
        monkeypatch.setattr(module, "INTERVAL", 0.0)
        journal._due = 0.0
        journal.add("f", OLD, 0.1, "")
        assert known(path, "abcdef") == "abcdef"


def test_threads_and_runs_share_a_journal(path, monkeypatch):
    """No line is lost or mixed, though the file goes when one run is done."""
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    with Journal(path) as one, Journal(path) as other, ThreadPool(8) as pool:

        def add(i):
            (one if i % 2 else other).add(f"{i}", OLD, float(i), "")

        pool.map(add, range(400))
    with Journal(path) as journal:
        assert len(journal) == 400
        path.unlink()
        journal.add("last", OLD, 0.1, "")
    assert known(path, ["last"]) == "last"


def test_refusal_is_known_before_the_work(path, tmp_path):
    (tmp_path / "csv").write_text("a file in the folder's place")
    with pytest.raises(DataError, match="in its place: .*dev.examined.jsonl"):
        Journal(path).__enter__()


def test_full_disk_names_the_journal(path, monkeypatch):
    with pytest.raises(DataError, match="disk is full: .*dev.examined.jsonl"):
        with Journal(path) as journal:

            def full(_):
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(journal, "_append", full)
            journal.add("a", OLD, 0.1, "")
