"""Corpora of probes: whose preparation lists them, and where.

Authors
 * The d2v_sb developers 2026
"""

import importlib.util
from pathlib import Path

import pytest

from d2v_sb.errors import UserError
from tests.layouts.parts import part_of_voxceleb

PATH = Path(__file__).resolve().parents[2] / "recipes/Probing"


@pytest.fixture(scope="module")
def prepare():
    """The recipe's function."""
    path = PATH / "probing_corpora.py"
    spec = importlib.util.spec_from_file_location("probing_corpora", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.prepare


def test_lists_of_something_else_are_not_overwritten(
    prepare, corpora, tmp_path
):
    """A run may read them hours later: that of the test set."""
    data = part_of_voxceleb(tmp_path / "data", corpora)
    lists = tmp_path / "lists"
    split = {"split_file": "iden_split.txt"}
    prepare("voxceleb", str(data), str(lists), split)
    before = (lists / "train.csv").read_text()
    prepare("voxceleb", str(data), str(lists), split)
    trials = {"trials": ["veri_test2.txt"], "valid_percent": 0.3}
    with pytest.raises(UserError, match="something else: corpus_options"):
        prepare("voxceleb", str(data), str(lists), trials)
    assert (lists / "train.csv").read_text() == before
    assert not (lists / "trials.csv").exists()


def test_what_there_is_not_is_said(prepare, tmp_path):
    folders = str(tmp_path), str(tmp_path / "lists")
    with pytest.raises(UserError, match="--corpus librispeach: .*buckeye"):
        prepare("librispeach", *folders, {})
    with pytest.raises(UserError, match="has no languages; it has language"):
        prepare("common_voice", *folders, {"languages": "cy"})
    with pytest.raises(UserError, match="--fold session9"):
        prepare("csv", *folders, {}, "session9")
