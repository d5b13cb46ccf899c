"""Lists of trials: read, checked against the corpus, scored.

Authors
 * The d2v_sb developers 2026
"""

import math

import numpy as np
import pytest

from d2v_sb.errors import DataError
from d2v_sb.scoring import read_trials
from d2v_sb.scoring.trials import (
    Trial,
    check_trials,
    key_of,
    keys_of,
    read_scores,
    speaker_of,
    speakers_of,
    write_scores,
)

TEXT = (
    "1 id1/a/00001.wav id1/b/00002.wav\n0 id1/a/00001.wav id2/c/00001.wav\r\n\n"
)


@pytest.fixture
def path(tmp_path):
    """A list of two trials, with an end of line of Windows."""
    (tmp_path / "trials.txt").write_text(TEXT, newline="")
    return tmp_path / "trials.txt"


def test_trials_are_read_as_they_stand(path):
    """Names as in the list; keys without ending; speakers first."""
    trials = read_trials(path)
    assert trials == [
        Trial(True, "id1/a/00001.wav", "id1/b/00002.wav"),
        Trial(False, "id1/a/00001.wav", "id2/c/00001.wav"),
    ]
    assert keys_of(trials) == ["id1/a/00001", "id1/b/00002", "id2/c/00001"]
    assert speakers_of(trials) == {"id1", "id2"}


def test_key_loses_endings_of_audio_only():
    """A session's name may hold a dot."""
    for ending in (".wav", ".m4a", ".flac", ".WAV", ""):
        assert key_of(f"id1/a.b/00001{ending}") == "id1/a.b/00001"
    assert key_of("id1/a/x.y") == "id1/a/x.y"
    assert speaker_of("id1/a/00001") == "id1"


def test_all_wrong_lines_are_named(path):
    """With their numbers; the first twenty are shown."""
    bad = ["2 a b", "1 a", "1 a b c", "true a b"]
    path.write_text(TEXT + "".join(f"{line}\n" for line in bad))
    with pytest.raises(DataError) as caught:
        read_trials(path)
    message = str(caught.value)
    assert f"{path}: 4 lines" in message and "0 name name" in message
    for number, line in enumerate(bad, 4):
        assert f"line {number}: {line!r}" in message
    path.write_text("x\n" * 25)
    with pytest.raises(DataError, match="line 20: 'x'\n.* and 5 more"):
        read_trials(path)


def test_lists_that_give_no_error_rate_are_refused(tmp_path, path):
    """Absent, empty, no text, or of one kind of trial."""
    with pytest.raises(DataError, match="absent.txt can not be read"):
        read_trials(tmp_path / "absent.txt")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="can not be read"):
        read_trials(path)
    for text, counts in [
        ("", "0 target and 0 impostor"),
        ("1 a b\n1 a c\n", "2 target and 0 impostor"),
        ("0 a b\n", "0 target and 1 impostor"),
    ]:
        path.write_text(text)
        with pytest.raises(DataError, match=counts):
            read_trials(path)


def test_all_missing_clips_are_listed(tmp_path, path):
    """Each once, in a file; the list goes when they are there."""
    trials = read_trials(path)
    missing = tmp_path / "out" / "missing.txt"
    with pytest.raises(DataError, match="2 of its 3 clips") as caught:
        check_trials(path, trials, {"id1/b/00002"}, missing)
    message = str(caught.value)
    assert "id1/a/00001.wav" in message and str(missing) in message
    assert missing.read_text() == "id1/a/00001.wav\nid2/c/00001.wav\n"
    check_trials(path, trials, set(keys_of(trials)), missing)
    assert not missing.exists()


def test_message_shows_twenty_of_many_missing_clips(tmp_path):
    """The file has all of them."""
    trials = [Trial(True, "a/b/0.wav", f"a/b/{i}.wav") for i in range(30)]
    missing = tmp_path / "missing.txt"
    with pytest.raises(DataError, match="and 10 more") as caught:
        check_trials("list", trials, {}, missing)
    assert "a/b/19.wav" in str(caught.value)
    assert "a/b/20.wav" not in str(caught.value)
    assert len(missing.read_text().splitlines()) == 30


def test_scores_come_back_to_the_bit(tmp_path, path):
    """Also the least and the largest; six digits would not do."""
    trials = read_trials(path) * 3
    scores = np.array([0.1, 1 / 3, -math.pi, 5e-324, 1.7976931348623157e308, 0])
    write_scores(tmp_path / "scores.tsv", trials, scores)
    again, read = read_scores(tmp_path / "scores.tsv")
    assert again == trials
    assert read.tobytes() == scores.tobytes()
    assert np.array([float(f"{x:.6g}") for x in scores]).tobytes() != (
        scores.tobytes()
    )
    line = (tmp_path / "scores.tsv").read_text().splitlines()[0]
    assert line == "1\tid1/a/00001.wav\tid1/b/00002.wav\t0.1"


def test_scores_of_another_form_are_refused(tmp_path, path):
    """All wrong lines are named."""
    (tmp_path / "s.tsv").write_text("1\ta\tb\t0.5\n2\ta\tb\t1\n1\ta\tb\tx\n")
    with pytest.raises(DataError, match="(?s)2 lines.*line 2.*line 3"):
        read_scores(tmp_path / "s.tsv")


def test_real_list_is_read(corpora):
    """In VoxCeleb's own form."""
    trials = read_trials(corpora / "voxceleb_mini" / "veri_test.txt")
    assert len(trials) == 180 and sum(t.target for t in trials) == 90
    for trial in trials:
        same = speaker_of(trial.enrol) == speaker_of(trial.test)
        assert same == trial.target
