"""An emotion corpus as a CSV of one's own: what is read, and what refused.

Authors
 * The d2v_sb developers 2026
"""

import importlib
from pathlib import Path

import pytest

from d2v_sb.errors import DataError

RECIPE = Path(__file__).resolve().parents[2] / "recipes/IEMOCAP"
HEADER = "ID,wav,spk_id,label"


@pytest.fixture(scope="module")
def module():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("emotion_manifest")


def write(path, *lines):
    """A CSV as a user writes it."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_own_csv_says_all(module, tmp_path):
    """Paths from its folder or absolute; columns in any order, others too."""
    path = write(
        tmp_path / "mine.csv",
        "label,ID,wav,spk_id,duration,session",
        f"glad,a,clips/a.wav,ann,1.5,1\n cross ,b,{tmp_path}/b.wav,ben,1.5,",
    )
    rows = module.list_manifest(path)
    said = {row["ID"]: (row["spk_id"], row["label"]) for row in rows}
    assert said == {"a": ("ann", "glad"), "b": ("ben", "cross")}
    assert [row["session"] for row in rows] == ["1", ""]
    assert rows[0]["wav"] == str(tmp_path / "clips" / "a.wav")
    assert rows[1]["wav"] == str(tmp_path / "b.wav")
    assert rows[1]["where"] == f"{path}, line 3" and "split" not in rows[0]


def test_own_csv_of_a_spreadsheet_is_read(module, tmp_path):
    """A mark at the beginning, and lines that end as on Windows."""
    path = tmp_path / "mine.csv"
    path.write_bytes(f"\ufeff{HEADER},split\r\na,a.wav,x,y,dev\r\n".encode())
    (row,) = module.list_manifest(path)
    assert row["ID"] == "a" and row["split"] == "dev" and row["session"] == ""


def test_all_faults_of_an_own_csv_are_listed(module, tmp_path):
    """Empty cells, short rows, ids twice, and names that lead elsewhere."""
    path = write(
        tmp_path / "mine.csv",
        HEADER,
        "a,a.wav,ann,glad",
        "b,,ann, ",
        "c,c.wav",
        "a,d.wav,ann,glad",
        "e,e.wav,../ann,glad",
        "f,f.wav,ann/1,glad",
        "g,g.wav,a.n n,glad",
    )
    with pytest.raises(DataError) as caught:
        module.list_manifest(path)
    message = str(caught.value)
    assert "mine.csv: 5 faults" in message
    assert "line 3: no wav, label" in message
    assert "line 4: no spk_id, label" in message
    assert "line 5: the ID of line 2, 'a'" in message
    assert "line 6: spk_id '../ann'" in message
    assert "line 7: spk_id 'ann/1'" in message


def test_what_is_no_csv_of_ones_own_says_what_is_needed(module, tmp_path):
    """A folder, nothing, other columns, other marks between, only a header."""

    def expect(path, text):
        with pytest.raises(DataError, match=text):
            module.list_manifest(path)

    path = write(tmp_path / "mine.csv", "ID,wav,emotion", "a,a.wav,glad")
    expect(path, "no column spk_id, label: .*'ID,wav,emotion'.*columns ID, wav")
    expect(
        tmp_path, "is a folder.*needs --data_folder to be.*there: .*mine.csv"
    )
    expect(tmp_path / "no.csv", "no.csv.*needs --data_folder to be a CSV")
    expect(write(path, HEADER.replace(",", ";")), "separated by commas")
    expect(write(path, HEADER), "lists no utterance")
    path.write_bytes(b"RIFF\xff\xfe")
    expect(path, "needs --data_folder to be a CSV")
