"""What users name becomes audio files with names.

Authors
 * The d2v_sb developers 2026
"""

import pytest

from d2v_sb.bulk.inputs import Item, find_items
from d2v_sb.bulk.naming import output_paths
from d2v_sb.errors import DataError, UserError


@pytest.fixture
def folder(tmp_path):
    """Audio by its endings, some of it hidden, and what is none."""
    names = "a.wav b/c.MP3 b/d e.m4a b/.hidden.wav .git/x.wav notes.md"
    for name in names.replace("b/d e.m4a", "b/d_e.m4a").split():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_a_folder_gives_its_audio_named_by_paths_in_it(folder):
    names = [item.name for item in find_items([folder])]
    assert names == ["a.wav", "b/c.MP3", "b/d_e.m4a"]


def test_a_file_is_named_as_it_was_given(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_items(["./b/../a.wav"]) == [Item("a.wav", "b/../a.wav")]


@pytest.mark.parametrize(
    "text, name",
    [
        ("a.wav\n\n", "a.wav"),
        ("utt1 a.wav\n", "utt1"),
        ("utt 1\ta.wav\n", "utt 1"),
        ("\ufeffutt1  a.wav", "utt1"),
    ],
)
def test_a_list_has_paths_or_names_and_paths(folder, text, name):
    path = folder / "list.txt"
    path.write_text(text, encoding="utf-8")
    assert find_items([path]) == [Item(name, str(folder / "a.wav"))]


def test_a_path_with_blanks_is_no_name_and_path(tmp_path):
    (tmp_path / "my clip.wav").touch()
    path = tmp_path / "list.lst"
    path.write_text("my clip.wav\n")
    assert find_items([path])[0].path == str(tmp_path / "my clip.wav")


def test_a_csv_of_speechbrain_is_a_list(folder):
    path = folder / "test.csv"
    path.write_text(f"ID,duration,wav,wrd\nutt1,1.0,{folder}/a.wav,HELLO\n")
    assert find_items([path]) == [Item("utt1", str(folder / "a.wav"))]
    path.write_text("name,file\nutt1,a.wav\n")
    with pytest.raises(DataError, match="columns ID and wav"):
        find_items([path])


def test_two_files_of_one_name_are_refused(folder):
    path = folder / "list.txt"
    path.write_text("x a.wav\nx b/c.MP3\n")
    with pytest.raises(UserError, match="both named x"):
        find_items([path])


def test_a_file_named_twice_is_one(folder):
    assert len(find_items([folder / "a.wav", folder / "a.wav"])) == 1


def test_a_csv_may_have_any_text_and_no_empty_name(folder):
    path = folder / "test.csv"
    path.write_text("ID,wav,wrd\na,a.wav,ONE\u2028TWO\n", encoding="utf-8")
    assert [item.name for item in find_items([path])] == ["a"]
    for row in (",a.wav,X", "b"):
        path.write_text(f"ID,wav,wrd\n{row}\n")
        with pytest.raises(DataError, match="row 2 has no ID or no wav"):
            find_items([path])


def test_kaldis_commands_are_not_run(folder):
    path = folder / "wav.scp"
    path.write_text("utt1 sph2pipe -f wav x.sph |\n")
    with pytest.raises(DataError, match="is a command, which is not run"):
        find_items([path])


def test_what_is_not_there_or_holds_nothing_is_said(tmp_path):
    with pytest.raises(UserError, match="absent.wav: there is no such"):
        find_items([tmp_path / "absent.wav"])
    with pytest.raises(UserError, match="holds no audio"):
        find_items([tmp_path])
    (tmp_path / "list.txt").touch()
    with pytest.raises(UserError, match="lists no audio"):
        find_items([tmp_path / "list.txt"])


def test_outputs_stay_in_their_folder():
    names = ["../../etc/x.wav", "/y.flac", "a.b.wav", "noending"]
    paths = [str(path) for path in output_paths(names, ".npy").values()]
    assert paths == [
        "etc/x.wav.npy",
        "y.flac.npy",
        "a.b.wav.npy",
        "noending.npy",
    ]


@pytest.mark.parametrize(
    "names", [["/x.wav", "x.wav"], ["X.wav", "x.wav"], ["../x.wav", "x.wav"]]
)
def test_two_files_are_never_written_to_one(names):
    with pytest.raises(UserError, match="would both be written to"):
        output_paths(names, ".npy")
    for name in ("..", "/", ""):
        with pytest.raises(UserError, match="is no name"):
            output_paths([name], ".npy")


def test_a_path_does_not_hang_on_other_files():
    """Or a second run would write another file there."""
    alone = output_paths(["x.wav"], ".npy")["x.wav"]
    assert output_paths(["x.wav", "x.flac"], ".npy")["x.wav"] == alone
    with pytest.raises(UserError, match="x.wav and x.flac would both"):
        output_paths(["x.wav", "x.flac"], ".srt", replace=True)
