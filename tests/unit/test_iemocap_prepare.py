"""Preparation of emotion corpora: who speaks, what is kept, what is written.

Authors
 * The d2v_sb developers 2026
"""

import csv
import importlib
import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb import audio_files
from d2v_sb.errors import DataError

RECIPE = Path(__file__).resolve().parents[2] / "recipes/IEMOCAP"
COLUMNS = ["ID", "duration", "wav", "spk_id", "label"]
MERGED = {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu", "sad": "sad"}
SESSIONS = [f"session{k}" for k in range(1, 6)]


@pytest.fixture(scope="module")
def recipe():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("iemocap_prepare")


@pytest.fixture
def opened(monkeypatch):
    """Ids of the audio files that were opened."""
    ids, examine = [], audio_files.examine

    def spy(id_, path):
        ids.append(id_)
        return examine(id_, path)

    monkeypatch.setattr(audio_files, "examine", spy)
    return ids


@pytest.fixture
def corpus(tmp_path):
    """Three sessions of two speakers, each with each of six labels once.

    All dialogs are called by the woman, as half of IEMOCAP's are.
    """
    for k in "123":
        turns = [
            (f"{gender}{i:03d}", label)
            for gender in "FM"
            for i, label in enumerate(
                ["ang", "hap", "exc", "neu", "sad", "xxx"]
            )
        ]
        write_dialog(tmp_path / "data", k, "script01_1", turns)
    return tmp_path / "data"


@pytest.fixture
def prepare(recipe, tmp_path):
    """Prepares the folder of ``corpus`` and returns the rows of all.csv."""

    def run(**kwargs):
        options = {"labels": MERGED, **kwargs}
        recipe.prepare_emotion(tmp_path / "data", tmp_path / "csv", **options)
        return rows(tmp_path / "csv" / "all.csv")

    return run


def write_dialog(data, session, name, turns):
    """Writes a dialog as IEMOCAP does, single annotators' lines included."""
    dialog = f"Ses0{session}F_{name}"
    texts = data / f"Session{session}/dialog/EmoEvaluation"
    wavs = data / f"Session{session}/sentences/wav/{dialog}"
    texts.mkdir(parents=True, exist_ok=True)
    wavs.mkdir(parents=True)
    text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    for i, (turn, label) in enumerate(turns):
        text += (
            f"[{i}.2901 - {i}.8000]\t{dialog}_{turn}\t{label}"
            "\t[2.5000, 2.5000, 2.5000]\n"
            "C-E2:\tNeutral;\t()\nC-F1:\tAnger; Sadness;\t()\n"
            "A-E3:\tval 3; act 2; dom  2;\t()\n\n"
        )
        sf.write(wavs / f"{dialog}_{turn}.wav", noise(), 16000)
    (texts / f"{dialog}.txt").write_text(text)


def noise():
    """A tenth of a second of quiet white noise."""
    return 0.1 * np.random.default_rng(0).standard_normal(1600)


def rows(path):
    """Rows of a CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def parts(folder):
    """Rows of a fold by part."""
    return {p: rows(folder / f"{p}.csv") for p in ("train", "dev", "test")}


def column(table, name):
    """Values of a column, each once."""
    return {row[name] for row in table}


# A real corpus.


def test_real_corpus_gives_five_sessions(recipe, corpora, tmp_path):
    """280 clips: two speakers tested, one chosen by, seven trained on."""
    names = recipe.prepare_emotion(
        corpora / "iemocap_mini", tmp_path, labels=MERGED
    )
    assert names == SESSIONS
    table = rows(tmp_path / "all.csv")
    assert list(table[0]) == COLUMNS
    counts = Counter(row["label"] for row in table)
    assert counts == {"ang": 80, "hap": 80, "sad": 80, "neu": 40}
    assert len(column(table, "spk_id")) == 10
    assert 17.2 < sum(float(row["duration"]) for row in table) / 60 < 17.4
    for k, name in enumerate(names, 1):
        fold = parts(tmp_path / name)
        assert {p: len(t) for p, t in fold.items()} == {
            "train": 196,
            "dev": 28,
            "test": 56,
        }
        assert column(fold["test"], "spk_id") == {f"Ses0{k}F", f"Ses0{k}M"}
        speakers = [column(t, "spk_id") for t in fold.values()]
        assert sum(map(len, speakers)) == len(set.union(*speakers)) == 10
        assert fold["test"] == [r for r in table if r in fold["test"]]


def test_speaker_is_who_says_the_turn(recipe, corpora, tmp_path):
    """As the map says that the corpus was made by.

    The letter of the dialog would make five women of ten people.
    """
    recipe.prepare_emotion(corpora / "iemocap_mini", tmp_path, labels=MERGED)
    with open(corpora / "iemocap_mini/map.tsv", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    who = {r["turn"]: f"Ses0{r['session']}{r['gender']}" for r in table}
    what = {r["turn"]: r["emotion"] for r in table}
    prepared = rows(tmp_path / "all.csv")
    assert {r["ID"]: r["spk_id"] for r in prepared} == who
    assert {r["ID"]: r["label"] for r in prepared} == what
    of_dialog = {r["ID"]: r["ID"][:6] for r in prepared}
    assert of_dialog != who and len(set(of_dialog.values())) == 5


@pytest.mark.parametrize(
    "protocol, num_folds, num, sizes",
    [
        ("speaker", None, 10, (224, 28, 28)),
        ("speaker", 5, 5, (196, 28, 56)),
        ("random", None, 5, (196, 28, 56)),
        ("random", 10, 10, (238, 14, 28)),
    ],
)
def test_real_corpus_gives_folds_of_other_protocols(
    recipe, corpora, tmp_path, protocol, num_folds, num, sizes
):
    """Each utterance is tested once."""
    names = recipe.prepare_emotion(
        corpora / "iemocap_mini",
        tmp_path,
        labels=MERGED,
        protocol=protocol,
        num_folds=num_folds,
    )
    folds = [parts(tmp_path / name) for name in names]
    assert len(folds) == num
    for fold in folds:
        assert tuple(len(table) for table in fold.values()) == sizes
    tested = sorted(row["ID"] for fold in folds for row in fold["test"])
    assert tested == sorted(r["ID"] for r in rows(tmp_path / "all.csv"))


def test_folds_are_read_by_speechbrain(recipe, corpora, tmp_path):
    """SpeechBrain's dataset takes the files as they are."""
    from speechbrain.dataio.dataset import DynamicItemDataset

    recipe.prepare_emotion(corpora / "iemocap_mini", tmp_path, labels=MERGED)
    dataset = DynamicItemDataset.from_csv(
        tmp_path / "session1/dev.csv", output_keys=["id", "wav", "label"]
    )
    assert len(dataset) == 28 and Path(dataset[0]["wav"]).is_file()


# Labels.


@pytest.mark.parametrize(
    "exc, counts",
    [
        ("hap", {"ang": 6, "hap": 12, "neu": 6, "sad": 6}),
        (None, {"ang": 6, "hap": 6, "neu": 6, "sad": 6}),
        ("exc", {"ang": 6, "hap": 6, "exc": 6, "neu": 6, "sad": 6}),
    ],
)
def test_excitement_is_merged_left_out_or_a_class(corpus, prepare, exc, counts):
    """The three ways that papers differ by; xxx is in none."""
    table = prepare(labels={**MERGED, "exc": exc})
    assert Counter(row["label"] for row in table) == counts


def test_labels_left_out_are_counted_in_the_log(corpus, prepare, caplog):
    """By null, and by not being named; and classes have a line each."""
    with caplog.at_level(logging.INFO):
        prepare(labels={**MERGED, "exc": None})
    assert "labels left out: exc 6, xxx 6" in caplog.text
    assert "24 utterances, 6 speakers, 4 classes" in caplog.text
    for label in ("ang", "hap", "neu", "sad"):
        assert f"6 of class {label}\n" in caplog.text


def test_all_labels_are_classes_unless_told(corpus, prepare):
    """But xxx, on which annotators disagreed, only if it is asked for."""
    assert column(prepare(labels=None), "label") == set(MERGED)
    table = prepare(labels={"ang": "ang", "xxx": "unclear"})
    assert column(table, "label") == {"ang", "unclear"}


def test_label_that_the_corpus_never_has_is_warned_of(corpus, prepare, caplog):
    """A typing error would silently cost a class."""
    with caplog.at_level(logging.WARNING):
        table = prepare(labels={**MERGED, "angry": "ang"})
    assert "no utterance of angry, which the mapping" in caplog.text
    assert "it has ang 6, exc 6" in caplog.text
    assert len(table) == 30
    caplog.clear()
    prepare()
    assert "no utterance of" not in caplog.text


def test_fewer_than_two_classes_are_refused(corpus, prepare):
    """In what is asked for, or in what is there."""
    for labels in ({"ang": "ang"}, {"ang": "a", "sad": "a"}, {"ang": None}, {}):
        with pytest.raises(DataError, match="fewer than two classes.*xxx 6"):
            prepare(labels=labels)
    with pytest.raises(DataError, match="of 1 of the classes.*xxx 6"):
        prepare(labels={"ang": "ang", "SAD": "sad"})
    with pytest.raises(DataError, match="by 'ang', which must be a mapping"):
        prepare(labels="ang")


def test_numbers_are_labels_too(recipe, tmp_path):
    """YAML reads 1 as a number, and a CSV as text."""
    lines = ["ID,wav,spk_id,label"]
    for i in range(6):
        sf.write(tmp_path / f"{i}.wav", noise(), 16000)
        lines.append(f"{i},{i}.wav,s{i // 2},{i % 2}")
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    names = recipe.prepare_emotion(
        tmp_path / "mine.csv",
        tmp_path / "csv",
        corpus="manifest",
        labels={0: 0, 1: 1},
        protocol="speaker",
    )
    assert names == ["s0", "s1", "s2"]
    assert column(rows(tmp_path / "csv/s0/test.csv"), "label") == {"0", "1"}


# What is not as it should be.


def test_only_the_turns_lines_of_the_dialogs_files_count(corpus, prepare):
    """Not a Mac's hidden files, and not those of single annotators."""
    before = prepare()
    folder = corpus / "Session1/dialog/EmoEvaluation"
    (folder / "._Ses01F_script01_1.txt").write_bytes(b"\xff\x00mac")
    text = (folder / "Ses01F_script01_1.txt").read_text()
    for name in ("Categorical", "Attribute", "Self-evaluation"):
        (folder / name).mkdir()
        (folder / name / "Ses01F_script01_1.txt").write_text(text)
    assert prepare() == before and len(before) == 30


def test_labelled_turn_without_audio_is_a_fault(corpus, prepare, opened):
    """Named by its line; dropped if so chosen, and looked for next time."""
    name = "Ses01F_script01_1_M000.wav"
    wav = corpus / "Session1/sentences/wav/Ses01F_script01_1" / name
    wav.unlink()
    reason = rf"Ses01F_script01_1.txt, line 33: missing: no .*{name}"
    with pytest.raises(DataError, match=reason):
        prepare()
    opened.clear()
    assert len(prepare(on_bad_audio="drop")) == 29
    opened.clear()
    assert len(prepare(on_bad_audio="drop")) == 29 and opened == []
    sf.write(wav, noise(), 16000)
    assert len(prepare(on_bad_audio="drop")) == 30


def test_missing_audio_of_a_label_left_out_is_no_fault(corpus, prepare):
    """Nobody was to hear it."""
    for wav in corpus.glob("*/sentences/wav/*/*_M005.wav"):
        wav.unlink()
    assert len(prepare()) == 30


def test_folds_are_made_of_what_is_left(corpus, prepare, tmp_path):
    """A speaker of bad files only is in no part."""
    for wav in corpus.glob("Session2/sentences/wav/*/*_F*.wav"):
        wav.write_bytes(b"")
    prepare(on_bad_audio="drop")
    fold = parts(tmp_path / "csv" / "session1")
    assert column(fold["dev"], "spk_id") == {"Ses02M"}
    assert column(fold["train"], "spk_id") == {"Ses03F", "Ses03M"}


def test_class_that_train_lacks_stops_before_audio_is_opened(
    corpus, prepare, opened
):
    """All of them at once."""
    write_dialog(corpus, "2", "impro01", [("F000", "fea"), ("M000", "sur")])
    with pytest.raises(DataError) as caught:
        prepare(labels={**MERGED, "fea": "fea", "sur": "sur"})
    message = str(caught.value)
    assert "session1: train has no utterance of fea, but dev has" in message
    assert "session2: train has no utterance of fea, sur, but test" in message
    assert opened == []


def test_turn_in_two_files_is_refused(corpus, prepare):
    """A copy by mistake: which label counts?"""
    folder = corpus / "Session1/dialog/EmoEvaluation"
    text = (folder / "Ses01F_script01_1.txt").read_text()
    (folder / "Ses01F_script01_1 (copy).txt").write_text(text)
    with pytest.raises(DataError, match="20 utterances share id") as caught:
        prepare()
    assert "1 (copy).txt, line 3\n" in str(caught.value)


def test_what_is_not_iemocap_says_the_way_out(recipe, tmp_path, corpus):
    """No folder, one too high, another corpus, another name."""

    def expect(data, text):
        with pytest.raises(DataError, match=text) as caught:
            recipe.prepare_emotion(data, tmp_path / "csv", labels=MERGED)
        message = str(caught.value)
        assert "--data_folder" in message and "EmoEvaluation" in message
        assert "https://sail.usc.edu/iemocap/" in message

    expect(tmp_path / "nowhere", "nowhere is not laid out.*does not exist")
    expect(tmp_path, f"found there: data.*--data_folder {corpus}?")
    expect(corpus / "Session1", "found there: dialog, sentences")
    with pytest.raises(DataError, match="'iemo'.*iemocap, ravdess.*manifest"):
        recipe.prepare_emotion(corpus, tmp_path / "csv", corpus="iemo")


def test_labels_that_are_no_text_are_named(corpus, prepare):
    """A damaged file must not be a dialog less."""
    path = corpus / "Session1/dialog/EmoEvaluation/Ses01F_script01_1.txt"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match="Ses01F_script01_1.txt: the labels"):
        prepare(on_bad_audio="drop")


def test_unknown_choice_stops_before_anything_is_written(prepare, tmp_path):
    """A typing error must not mean the default."""
    with pytest.raises(DataError, match="'skip'.*'error'.*'drop'.*'convert'"):
        prepare(on_bad_audio="skip")
    assert not (tmp_path / "csv").exists()


# Other corpora, whole.


def test_ravdess_is_converted_when_asked(recipe, tmp_path):
    """48 kHz and stereo; the error says what would keep them."""
    for actor in range(1, 5):
        folder = tmp_path / f"data/Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion in ("03", "05"):
            name = f"03-01-{emotion}-01-02-01-{actor:02d}.wav"
            shape = (4800, 2) if actor == 1 else 4800
            sf.write(folder / name, np.full(shape, 0.1), 48000)
    options = tmp_path / "data", tmp_path / "csv", "ravdess", None, "speaker"
    with pytest.raises(DataError, match="'convert'.*would keep 8 of these"):
        recipe.prepare_emotion(*options)
    names = recipe.prepare_emotion(*options, on_bad_audio="convert")
    assert names == ["01", "02", "03", "04"]
    fold = parts(tmp_path / "csv" / "04")
    assert column(fold["dev"], "spk_id") == {"01"}
    assert column(fold["test"], "label") == {"happy", "angry"}
    assert float(fold["test"][0]["duration"]) == 0.1
    with pytest.raises(DataError, match="no session.*--protocol speaker"):
        recipe.prepare_emotion(*options[:4], "session")


def test_own_split_shares_speakers_only_if_told(recipe, tmp_path):
    """And missing audio of an own CSV is named by its line."""
    lines = ["ID,wav,spk_id,label,split"]
    for i, split in enumerate(["train", "dev", "test"]):
        for label in ("glad", "cross"):
            sf.write(tmp_path / f"{i}{label}.wav", noise(), 16000)
            lines.append(f"{i}{label},{i}{label}.wav,s{i},{label},{split}")
    path, out = tmp_path / "mine.csv", tmp_path / "csv"

    def run(**kwargs):
        path.write_text("\n".join(lines))
        options = {"corpus": "manifest", "protocol": "given", **kwargs}
        return recipe.prepare_emotion(path, out, **options)

    assert run() == ["given"]
    assert column(parts(out / "given")["dev"], "ID") == {"1glad", "1cross"}
    lines[-1] = lines[-1].replace(",s2,", ",s0,")
    with pytest.raises(DataError, match="given: train and test share .* s0"):
        run()
    assert run(share_speakers=True) == ["given"]
    (tmp_path / "0glad.wav").unlink()
    with pytest.raises(DataError, match="mine.csv, line 2: missing: no"):
        run(share_speakers=True)


# Again.


def test_second_run_opens_and_writes_nothing(corpus, prepare, opened, tmp_path):
    """The audio is known, and the CSVs say the same."""

    def inodes():
        return {p: os.stat(p).st_ino for p in tmp_path.glob("csv/**/*.csv")}

    prepare()
    before = inodes()
    assert len(opened) == 30 and len(before) == 1 + 3 * 3
    prepare()
    assert len(opened) == 30 and inodes() == before


def test_only_the_csvs_that_change_are_written_anew(corpus, prepare, tmp_path):
    """A label mended in session 3 changes each fold, in one part."""

    def inodes():
        return {
            f"{p.parent.name}/{p.stem}": os.stat(p).st_ino
            for p in tmp_path.glob("csv/*/*.csv")
        }

    prepare()
    before = inodes()
    path = corpus / "Session3/dialog/EmoEvaluation/Ses03F_script01_1.txt"
    path.write_text(path.read_text().replace("_F000\tang", "_F000\tsad"))
    prepare()
    changed = {k for k, v in inodes().items() if before[k] != v}
    assert changed == {"session1/train", "session2/train", "session3/test"}


def test_folds_of_another_protocol_are_refused_before_work(
    corpus, prepare, opened, tmp_path
):
    """A mean over both would be taken for one; nothing is removed."""
    prepare()
    before = sorted(tmp_path.glob("csv/**/*"))
    opened.clear()
    with pytest.raises(DataError, match="folds of other .*session1, session2"):
        prepare(protocol="random", num_folds=3, labels={"ang": 1, "sad": 2})
    assert sorted(tmp_path.glob("csv/**/*")) == before and opened == []


def test_skip_prep_returns_the_folds_that_are_there(
    recipe, corpus, prepare, tmp_path
):
    """In the order in which they were made; half a fold is none."""
    out = tmp_path / "csv"
    with pytest.raises(DataError, match="no fold is prepared in .*csv"):
        recipe.prepare_emotion("nowhere", out, skip_prep=True)
    prepare(protocol="random", num_folds=12)
    names = recipe.prepare_emotion("nowhere", out, skip_prep=True)
    assert names == [f"random{k}" for k in range(1, 13)]
    (out / "random2" / "dev.csv").unlink()
    names = recipe.prepare_emotion("nowhere", out, skip_prep=True)
    assert names == ["random1", *(f"random{k}" for k in range(3, 13))]
