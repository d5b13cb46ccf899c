"""Which rows of a prepared CSV are trained on.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import soundfile
import torch

from d2v_sb.dataio import asr_dataset, read_audio
from d2v_sb.errors import DataError, UserError
from d2v_sb.manifest import read_rows, write_rows
from d2v_sb.tokens import Letters
from d2v_sb.train_rows import join_neighbours, keep_listed

LISTED = ["ID", "wrd"]
COLUMNS = ["ID", "duration", "wav", "spk_id", "wrd"]


# Lists of ids


def listed(tmp_path, text):
    """A CSV of three rows, and a list of ids."""
    path, ids = tmp_path / "train.csv", tmp_path / "ids.txt"
    write_rows(path, [{"ID": f"u{i}", "wrd": "A"} for i in range(3)], LISTED)
    if text is not None:
        ids.write_text(text)
    return path, ids


def test_only_listed_rows_are_kept(tmp_path):
    # What follows an id does not matter.
    path, ids = listed(tmp_path, "u2 4.2\n\nu0\n")
    keep_listed(path, ids, LISTED)
    assert [row["ID"] for row in read_rows(path, LISTED)] == ["u0", "u2"]


@pytest.mark.parametrize(
    "text, reason",
    [
        (
            "u1\nx8\nx9",
            "2 of its 3 ids are in none of the train splits, first:",
        ),
        ("\n", "names no utterance"),
        (None, "can not be read"),
    ],
)
def test_a_list_of_ids_that_can_not_be_kept(tmp_path, text, reason):
    path, ids = listed(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"ids.txt.*{reason}"):
        keep_listed(path, ids, LISTED)
    assert path.read_bytes() == before


# Neighbours, joined


def clips(folder, *speakers_and_seconds):
    """A CSV of clips of noise."""
    rows = []
    for i, (speaker, seconds) in enumerate(speakers_and_seconds):
        path = folder / f"{i}.flac"
        generator = torch.Generator().manual_seed(i)
        wav = 0.1 * torch.randn(int(16000 * seconds), generator=generator)
        soundfile.write(path, wav, 16000)
        row = (f"u{i}", seconds, str(path), speaker, f"W{chr(65 + i)}")
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    write_rows(folder / "train.csv", rows, COLUMNS)
    return folder / "train.csv"


def test_neighbours_of_a_speaker_are_joined_as_far_as_they_fit(tmp_path):
    path = clips(
        tmp_path,
        *(("a", 2.0), ("a", 1.5), ("a", 1.0)),  # the third does not fit
        *(("b", 0.5), ("b", 0.5), ("b", 0.5)),
        ("c", 9.0),
        ("a", 0.5),  # again, but alone
    )
    before = read_rows(path, COLUMNS)
    assert join_neighbours(path, 4.0, COLUMNS) == 2
    rows = read_rows(path, COLUMNS)
    assert rows[:8] == before
    assert [
        (row["ID"], row["duration"], row["spk_id"], row["wrd"])
        for row in rows[8:]
    ] == [("u0+1", "3.5", "a", "WA WB"), ("u3+2", "1.5", "b", "WD WE WF")]


def test_a_joined_row_is_its_clips_one_after_the_other(tmp_path):
    path = clips(tmp_path, ("a", 0.5), ("a", 0.25))
    join_neighbours(path, 1.0, COLUMNS)
    letters = Letters(" WAB")
    item = asr_dataset(path, letters)[2]
    parts = [read_audio(tmp_path / f"{i}.flac") for i in range(2)]
    assert torch.equal(item["sig"], torch.cat(parts))
    assert letters.decode(item["tokens"].tolist()) == "WA WB"


@pytest.mark.parametrize("seconds", [-1, "long", None, float("nan")])
def test_a_length_that_is_none_is_refused(tmp_path, seconds):
    path = clips(tmp_path, ("a", 0.5), ("a", 0.5))
    with pytest.raises(UserError, match=f"join_seconds must be .*{seconds}"):
        join_neighbours(path, seconds, COLUMNS)
    assert len(read_rows(path, COLUMNS)) == 2


def test_where_nothing_fits_nothing_changes(tmp_path):
    path = clips(tmp_path, ("a", 2.0), ("a", 2.5))
    before = path.read_bytes()
    assert join_neighbours(path, 4.0, COLUMNS) == 0
    assert path.read_bytes() == before
