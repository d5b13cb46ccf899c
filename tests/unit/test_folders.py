"""Walking a tree: links, circles, what is hidden, what can not be listed.

Authors
 * The d2v_sb developers 2026
"""

import os

import pytest

from d2v_sb import folders
from d2v_sb.errors import DataError
from d2v_sb.folders import walk
from d2v_sb.progress import Progress


@pytest.fixture
def files(tmp_path):
    """Makes files; lists the paths that ``walk`` then gives."""

    def run(*made, tops=(".",)):
        for name in made:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        seen, found = set(), []
        for top in tops:
            for folder, names in walk(tmp_path, top, seen, Progress("test")):
                found += [os.path.join(folder, name) for name in names]
        return found

    return run


def test_order_is_that_of_names(files):
    """A folder's own files first, whatever the disk's order."""
    made = ["z", "b/2", "b/10", "b/c/1", "a/1"]
    assert files(*made) == ["./z", "a/1", "b/10", "b/2", "b/c/1"]


def test_hidden_is_skipped(files):
    assert files(".a", ".b/c", "d/.e", "d/f") == ["d/f"]


def test_linked_folder_is_followed(files, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").touch()
    (tmp_path / "tree").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "tree" / "link")
    assert files(tops=["tree"]) == ["tree/link/a"]


def test_circle_of_links_ends(files, tmp_path):
    """To a folder above, and to themselves: that is a file without content."""
    (tmp_path / "b").mkdir()
    os.symlink("..", tmp_path / "b" / "up")
    os.symlink("self", tmp_path / "self")
    assert files("b/a") == ["./self", "b/a"]


def test_folder_has_its_own_path_and_not_that_of_a_link(files, tmp_path):
    """Once, though the link's name comes first."""
    os.symlink("z", tmp_path / "a")
    assert files("z/y/1") == ["z/y/1"]


def test_folder_under_two_tops_is_the_first_ones(files):
    tops = ["a/b", "a", "a"]
    assert files("a/b/1", "a/2", tops=tops) == ["a/b/1", "a/2"]


def test_folder_that_can_not_be_listed_is_named(files, tmp_path, monkeypatch):
    """To leave it out silently would lose a part of the corpus."""
    scandir = os.scandir

    def forbidden(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(folders.os, "scandir", forbidden)
    with pytest.raises(
        DataError, match="a/b: the folder can not be listed.*move it out of the"
    ) as caught:
        files("a/b/1", "a/2")
    assert "--" not in str(caught.value)  # recipes have different options
