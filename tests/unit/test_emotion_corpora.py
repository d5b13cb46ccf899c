"""Emotion corpora by their file names.

Authors
 * The d2v_sb developers 2026
"""

import csv
import importlib
import logging
from collections import Counter
from pathlib import Path

import pytest

from d2v_sb.errors import DataError

RECIPE = Path(__file__).resolve().parents[2] / "recipes/IEMOCAP"


@pytest.fixture(scope="module")
def module():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("emotion_corpora")


def touch(folder, *names):
    """Empty files: listing opens none."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def said(rows):
    """What the names say: speaker and label by id."""
    return {row["ID"]: (row["spk_id"], row["label"]) for row in rows}


# By hand, from the descriptions that come with the corpora.
NAMES = {
    "ravdess": {
        "Actor_01/03-01-01-01-02-01-01.wav": ("01", "neutral"),
        "Actor_01/03-01-02-01-02-01-01.wav": ("01", "calm"),
        "Actor_02/03-01-03-01-02-01-02.wav": ("02", "happy"),
        "Actor_02/03-01-04-02-01-01-02.wav": ("02", "sad"),
        "Actor_02/03-01-05-02-01-01-02.wav": ("02", "angry"),
        "Actor_24/03-01-06-01-02-02-24.wav": ("24", "fearful"),
        "Actor_24/03-01-07-01-02-02-24.wav": ("24", "disgust"),
        "Actor_24/03-01-08-01-02-02-24.WAV": ("24", "surprised"),
    },
    "crema_d": {
        "AudioWAV/1001_DFA_ANG_XX.wav": ("1001", "ANG"),
        "AudioWAV/1001_IEO_DIS_HI.wav": ("1001", "DIS"),
        "AudioWAV/1002_IEO_FEA_LO.wav": ("1002", "FEA"),
        "AudioWAV/1002_IEO_HAP_MD.wav": ("1002", "HAP"),
        "AudioWAV/1091_WSI_NEU_XX.wav": ("1091", "NEU"),
        "AudioWAV/1040_ITH_SAD_X.wav": ("1040", "SAD"),
    },
    "emodb": {
        "wav/03a01Fa.wav": ("03", "happiness"),
        "wav/03a01Nc.wav": ("03", "neutral"),
        "wav/03a01Wa.wav": ("03", "anger"),
        "wav/08b02Lb.wav": ("08", "boredom"),
        "wav/16a07Eb.wav": ("16", "disgust"),
        "wav/16b10Aa.wav": ("16", "fear"),
        "wav/16b10Td.wav": ("16", "sadness"),
    },
}
FOREIGN = {
    "ravdess": [
        "Actor_01/03-02-05-01-02-01-01.wav",  # sung
        "Actor_01/01-01-05-01-02-01-01.wav",  # of a film
        "Actor_01/03-01-09-01-02-01-01.wav",
        "Actor_01/03-01-05-01-02-01-01-x.wav",
    ],
    "crema_d": ["AudioWAV/1001_DFA_BOR_XX.wav", "AudioWAV/DFA_ANG_XX.wav"],
    "emodb": ["wav/03a01Xa.wav", "wav/3a01Fa.wav", "wav/03a01F.wav"],
}


@pytest.mark.parametrize("corpus", NAMES)
@pytest.mark.parametrize("above", ["", "some/where"])
def test_names_are_decoded_as_by_hand(module, tmp_path, corpus, above):
    """At any depth; what is no WAV, or hidden, is not counted."""
    touch(tmp_path / above, *NAMES[corpus], "README.txt", "wav/._03a01Fa.wav")
    rows = module.NAMED_CORPORA[corpus](tmp_path)
    wanted = {Path(name).stem: what for name, what in NAMES[corpus].items()}
    assert said(rows) == wanted
    for row in rows:
        assert set(row) == {"ID", "wav", "spk_id", "session", "label"}
        assert Path(row["wav"]).is_file() and row["session"] == ""


@pytest.mark.parametrize("corpus", NAMES)
def test_foreign_files_are_warned_of_and_left_out(
    module, tmp_path, caplog, corpus
):
    """With their number and the first of them."""
    touch(tmp_path, *NAMES[corpus], *FOREIGN[corpus])
    with caplog.at_level(logging.WARNING):
        rows = module.NAMED_CORPORA[corpus](tmp_path)
    assert len(rows) == len(NAMES[corpus])
    assert f"{len(FOREIGN[corpus])} WAV files are not named as" in caplog.text
    assert all(name in caplog.text for name in FOREIGN[corpus])


def test_nothing_is_warned_of_where_all_names_fit(module, tmp_path, caplog):
    """A warning that always comes is not read."""
    touch(tmp_path, *NAMES["emodb"])
    with caplog.at_level(logging.WARNING):
        module.list_emodb(tmp_path)
    assert caplog.text == ""


@pytest.mark.parametrize("corpus", NAMES)
def test_folder_of_another_corpus_says_what_is_expected(
    module, tmp_path, corpus
):
    """Each is told from the others, and from nothing."""
    for other in set(NAMES) - {corpus}:
        touch(tmp_path / "data", *NAMES[other])
    example = {
        "ravdess": "Actor_01/03-01-05-01-02-01-01.wav",
        "crema_d": "AudioWAV/1001_DFA_ANG_XX.wav",
        "emodb": "wav/03a01Fa.wav",
    }[corpus]
    list_it = module.NAMED_CORPORA[corpus]
    num = sum(len(NAMES[other]) for other in set(NAMES) - {corpus})
    with pytest.raises(DataError, match=f"none of its {num} WAV") as caught:
        list_it(tmp_path / "data")
    assert example in str(caught.value) and "first: " in str(caught.value)
    assert "--data_folder" in str(caught.value) and "http" in str(caught.value)
    with pytest.raises(DataError, match="nowhere does not exist.*expected as"):
        list_it(tmp_path / "nowhere")


def test_second_copy_of_a_file_is_warned_of_and_left_out(
    module, tmp_path, caplog
):
    """RAVDESS goes about with everything in it twice."""
    touch(tmp_path, *NAMES["ravdess"])
    touch(tmp_path / "audio_speech_actors_01-24", *NAMES["ravdess"])
    with caplog.at_level(logging.WARNING):
        rows = module.list_ravdess(tmp_path)
    assert len(rows) == len({row["ID"] for row in rows}) == 8
    assert "8 WAV files are there a second time" in caplog.text


def test_ravdess_agrees_with_what_a_corpus_was_made_of(
    module, corpora, tmp_path
):
    """280 real names, whose emotions and actors were written down before."""
    with open(corpora / "iemocap_mini/map.tsv", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    touch(tmp_path, *(row["source_file"] for row in table))
    rows = said(module.list_ravdess(tmp_path))
    emotions = {"neu": "neutral", "hap": "happy", "sad": "sad", "ang": "angry"}
    assert rows == {
        row["source_file"].removesuffix(".wav"): (
            row["actor"],
            emotions[row["emotion"]],
        )
        for row in table
    }
    assert Counter(label for _, label in rows.values())["neutral"] == 40
