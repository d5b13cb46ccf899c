"""Language models: what their files tell, and which are refused.

Authors
 * The d2v_sb developers 2026
"""

import gzip
import sys
import types

import pytest

from d2v_sb.errors import DataError, UserError
from d2v_sb.language_model import (
    BINARY,
    check_language_model,
    check_words,
    identity,
    read_words,
)
from tests.arpa import write_arpa

TEXTS = ["ONE TWO", "TWO THREE FOUR"]
SPECIAL = {"<s>", "</s>", "<unk>"}


@pytest.fixture
def write_lm(tmp_path):
    return lambda words: write_arpa(tmp_path / "lm.arpa", words)


# Words


def test_words_are_those_of_the_1_grams_with_or_without_back_off(tmp_path):
    path = write_arpa(tmp_path / "lm.arpa", ["ONE", "TWO"], ["ONE TWO"])
    text = path.read_text().replace("-1.0\tTWO\t0\n", "-1.0\tTWO\n")
    path.write_text("a remark\n" + text)
    assert read_words(path) == SPECIAL | {"ONE", "TWO"}


def test_a_binary_file_has_its_words_at_its_end(tmp_path):
    path = tmp_path / "lm.bin"
    # As KenLM's build_binary writes them, both kinds of it.
    words = b"<unk>\0<s>\0</s>\0ONE\0\xc3\x9cBER\0"
    path.write_bytes(BINARY + b" version 5\n\0" + bytes(1000) + words)
    assert read_words(path) == SPECIAL | {"ONE", "ÜBER"}
    path.write_bytes(BINARY + b" version 5\n\0" + bytes(1000))
    assert read_words(path) is None
    assert check_words(path, TEXTS) is None


def test_a_file_without_words_is_named(tmp_path):
    path = tmp_path / "lm.arpa"
    for content in (b"\\data\\\n\\2-grams:\n-1 A B\n", b"\\1-grams:\n\x8b"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"lm\.arpa can not be read as a"):
            read_words(path)


def test_another_model_of_the_same_name_and_size_is_another(tmp_path, write_lm):
    first = identity(write_lm(["ONE", "TWO"]))
    second = identity(write_lm(["ONE", "SIX"]))
    assert first["bytes"] == second["bytes"] and first != second
    assert identity(write_lm(["ONE", "TWO"])) == first


# Files


@pytest.mark.parametrize(
    "content, reason",
    [
        (gzip.compress(b"\\data\\", mtime=0), "is compressed: gunzip it first"),
        (b"ONE TWO\n", "neither an ARPA nor a KenLM binary file"),
        (None, "no such language model"),
    ],
)
def test_what_is_no_language_model_is_said(tmp_path, content, reason):
    path = tmp_path / "lm.arpa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=reason):
        check_language_model(path)


def test_the_extra_is_named_where_kenlm_is_not_installed(write_lm, monkeypatch):
    path = write_lm(["ONE"])
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(UserError, match=r"d2v_sb\[lm\]"):
        check_language_model(path)
    for name in ("kenlm", "pygtrie"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    check_language_model(path)


# Whether it fits


def test_a_model_of_the_words_is_taken(write_lm, caplog):
    path = write_lm(["ONE", "TWO", "THREE", "FOUR"])
    assert check_words(path, TEXTS) == 1.0
    assert not caplog.records


def test_many_unknown_words_are_a_warning(write_lm, caplog):
    assert check_words(write_lm(["TWO"]), TEXTS) == pytest.approx(0.4)
    assert "knows 40 %" in caplog.text and "ONE, THREE, FOUR" in caplog.text


@pytest.mark.parametrize(
    "words, hint",
    [
        (["one", "two"], "has them in lower case"),
        (["EINS", "ZWEI"], "another language, or not of words"),
        (["O", "N", "E"], "another language, or not of words"),
    ],
)
def test_a_model_that_can_not_help_is_refused(write_lm, words, hint):
    with pytest.raises(DataError, match=f"lm.arpa knows 0.0 %.*ONE.*{hint}"):
        check_words(write_lm(words), TEXTS)


def test_upper_case_is_found_for_lower_case_transcripts(write_lm):
    with pytest.raises(DataError, match="has them in upper case"):
        check_words(write_lm(["ONE", "TWO"]), ["one two"])
