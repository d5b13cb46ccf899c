"""The command line of a corpus's preparation."""

import pytest

from d2v_sb.errors import DataError
from d2v_sb.preparation_command import preparation_parser, run_preparation


def test_a_choice_that_there_is_not_is_refused_with_the_known(capsys):
    parser = preparation_parser("Prepare it.", "the corpus")
    words = ["data", "csv", "--on_bad_audio", "hide"]
    with pytest.raises(SystemExit) as info:
        run_preparation(print, parser, words)
    assert info.value.code == 2 and capsys.readouterr().out == ""


def test_an_error_of_a_user_ends_it_without_a_traceback():
    def prepare(data_folder, **_):
        raise DataError(f"{data_folder} has no audio")

    parser = preparation_parser("Prepare it.", "the corpus")
    with pytest.raises(SystemExit, match="data has no audio"):
        run_preparation(prepare, parser, ["data", "csv"])
