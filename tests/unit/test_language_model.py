"""Language models in the wrong case or of the wrong words.

Authors
 * The d2v_sb developers 2026
"""

import sys
import types

import pytest

from d2v_sb.errors import DataError
from d2v_sb.language_model import Vocabulary, check_words
from tests.arpa import write_arpa

TEXTS = ["ONE TWO", "TWO THREE FOUR"]


@pytest.fixture(params=["stand-in", "kenlm"])
def write_lm(request, tmp_path, monkeypatch):
    """Makes a unigram model of words: with KenLM itself where it is there,
    and with something that has its interface."""
    if request.param == "kenlm":
        pytest.importorskip("kenlm", reason="the extra `lm` is not installed")

    def write(words):
        path = write_arpa(tmp_path / "lm.arpa", words)
        if request.param == "stand-in":
            fake = types.SimpleNamespace(Model=lambda _: set(words))
            monkeypatch.setitem(sys.modules, "kenlm", fake)
        return path

    return write


def test_a_model_of_the_words_is_taken(write_lm, caplog):
    path = write_lm(["ONE", "TWO", "THREE", "FOUR"])
    assert check_words(Vocabulary(path), TEXTS) == 1.0
    assert not caplog.records


def test_many_unknown_words_are_a_warning(write_lm, caplog):
    assert check_words(Vocabulary(write_lm(["TWO"])), TEXTS) == pytest.approx(
        0.4
    )
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
    path = write_lm(words)
    with pytest.raises(DataError, match=f"lm.arpa knows 0.0 %.*ONE.*{hint}"):
        check_words(Vocabulary(path), TEXTS)


def test_upper_case_is_found_for_lower_case_transcripts(write_lm):
    path = write_lm(["ONE", "TWO"])
    with pytest.raises(DataError, match="has them in upper case"):
        check_words(Vocabulary(path), ["one two"])
