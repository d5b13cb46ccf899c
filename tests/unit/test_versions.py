"""What is written down of what a run was made with.

Authors
 * The d2v_sb developers 2026
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from d2v_sb import versions
from d2v_sb.errors import DataError
from d2v_sb.versions import commit_of, read_versions, write_versions


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package at the top of a repository of its own."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    package = tmp_path / "tree/d2v_sb"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("a = 1\n")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "one")
    return package


def test_versions_are_of_this_python(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "a.yaml", "--x", "b c"])
    monkeypatch.setenv("PATH", "")  # no other pip nor python, and no git
    write_versions(tmp_path)
    found = read_versions(tmp_path)
    for name in ("torch", "torchaudio", "speechbrain"):
        assert found[name] == version(name)
    assert found["commit"] is None
    assert found["command"].endswith(" train.py a.yaml --x 'b c'")
    assert found["command"].startswith("python")
    assert "resumed" not in found


def test_a_later_start_is_added_and_the_first_one_stays(tmp_path, monkeypatch):
    write_versions(tmp_path)
    first = read_versions(tmp_path)
    monkeypatch.setattr(versions, "__version__", "9.9")
    for count in (1, 2):
        write_versions(tmp_path)
        found = read_versions(tmp_path)
        resumed = found.pop("resumed")
        assert found == first
        assert [one["d2v_sb"] for one in resumed] == ["9.9"] * count


def test_the_commit_is_of_the_package_and_not_of_the_current_folder(
    package, tmp_path, monkeypatch
):
    commit = git(package, "rev-parse", "HEAD")
    monkeypatch.chdir(tmp_path)
    # What a hook of another repository would set.
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert commit_of(package) == commit
    (package / "new.py").touch()  # not tracked
    assert commit_of(package) == commit
    (package / "__init__.py").write_text("a = 2\n")
    assert commit_of(package) == f"{commit}-dirty"


def test_the_repository_around_an_environment_is_not_taken(package):
    inside = package.parent / ".venv/lib/d2v_sb"
    inside.mkdir(parents=True)
    (inside / "__init__.py").touch()
    assert commit_of(inside) is None
    # Not even where that is committed.
    git(package, "add", str(inside))
    git(package, "commit", "-q", "-m", "two")
    assert commit_of(package) is not None
    assert commit_of(inside) is None


def test_a_git_that_hangs_is_no_error(package, monkeypatch):
    def hang(*_, **options):
        raise subprocess.TimeoutExpired("git", options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert commit_of(package) is None


def test_a_folder_that_can_not_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="in its place"):
        write_versions(tmp_path / "file")


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"resumed": 1})])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, text):
    (tmp_path / "versions.json").write_text(text)
    with pytest.raises(DataError, match="versions.json is damaged: remove it"):
        read_versions(tmp_path)


def test_every_recipe_that_trains_writes_its_versions():
    recipes = Path(__file__).parents[2] / "recipes"
    texts = {path: path.read_text() for path in recipes.glob("*/*.py")}
    train = {
        path: text
        for path, text in texts.items()
        if "sb.create_experiment_directory(" in text
    }
    assert len(train) == 5
    for path, text in train.items():
        _, after = text.split("sb.create_experiment_directory(")
        call = after.split("\n    )\n")[1].split("\n")[0]
        assert "run_on_main(write_versions, args=[" in call, path
