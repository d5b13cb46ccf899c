"""Protocols of emotion corpora: who is tested on, and what is never shared.

Authors
 * The d2v_sb developers 2026
"""

import importlib
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from d2v_sb.errors import DataError

RECIPE = Path(__file__).resolve().parents[2] / "recipes/IEMOCAP"
CLASSES = ("ang", "hap", "sad")


@pytest.fixture(scope="module")
def module():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("emotion_protocols")


@pytest.fixture(scope="module")
def check_folds():
    """What is to refuse folds whose scores would be worthless."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("emotion_fold_check").check_folds


def corpus(speakers, num=4):
    """Rows of each (session, speaker): ``num`` utterances of each class."""
    return [
        {
            "ID": f"{session}-{speaker}-{label}{i}",
            "spk_id": speaker,
            "session": session,
            "label": label,
        }
        for session, speaker in speakers
        for label in CLASSES
        for i in range(num)
    ]


PAIRS = [(str(k), f"Ses0{k}{g}") for k in range(1, 6) for g in "FM"]
SINGLE = [("", f"{1001 + k}") for k in range(11)]


def speakers(rows, ids):
    """Who says the utterances."""
    return {row["spk_id"] for row in rows if row["ID"] in ids}


def by_hand(rows, fold, test, dev):
    """Whether a fold tests on and is chosen by these, and trains on others."""
    everyone = {row["spk_id"] for row in rows}
    assert speakers(rows, fold.test) == set(test)
    assert speakers(rows, fold.dev) == set(dev)
    assert speakers(rows, fold.train) == everyone - set(test) - set(dev)
    ids = [*fold.train, *fold.dev, *fold.test]
    assert sorted(ids) == sorted(row["ID"] for row in rows)


def test_session_folds_are_those_made_by_hand(module):
    """Both of a session are tested; women and men of the next are dev."""
    rows = corpus(PAIRS)
    folds = module.make_folds(rows, "session")
    assert [fold.name for fold in folds] == [f"session{k}" for k in range(1, 6)]
    devs = ["Ses02F", "Ses03M", "Ses04F", "Ses05M", "Ses01F"]
    for k, (fold, dev) in enumerate(zip(folds, devs), 1):
        by_hand(rows, fold, [f"Ses0{k}F", f"Ses0{k}M"], [dev])


def test_session_of_one_speaker_is_dev_whole(module):
    """A user's corpus may have any number of speakers in a session."""
    rows = corpus([("1", "a"), ("2", "b"), ("3", "c"), ("3", "d"), ("3", "e")])
    folds = module.session_folds(rows)
    by_hand(rows, folds[0], "a", "b")
    by_hand(rows, folds[1], "b", "d")
    by_hand(rows, folds[2], "cde", "a")


def test_corpus_without_sessions_is_told_of_other_protocols(module):
    """All, or some: a session is not made up."""
    rows = corpus(SINGLE)
    with pytest.raises(DataError, match="132 of 132.*--protocol speaker"):
        module.make_folds(rows, "session")
    with pytest.raises(DataError, match="12 of 24.*no session.*-x-ang0"):
        module.make_folds(corpus([("1", "a"), ("", "x")]), "session")


def test_speaker_is_tested_and_the_other_of_the_session_is_dev(module):
    """Ten folds of IEMOCAP."""
    rows = corpus(PAIRS)
    folds = module.make_folds(rows, "speaker")
    assert [fold.name for fold in folds] == [speaker for _, speaker in PAIRS]
    for fold in folds:
        other = fold.name[:-1] + {"F": "M", "M": "F"}[fold.name[-1]]
        by_hand(rows, fold, [fold.name], [other])


def test_next_speaker_is_dev_where_there_is_no_other_in_the_session(module):
    """Without sessions, and in a session of one; the last goes round."""
    rows = corpus(SINGLE)
    folds = module.speaker_folds(rows)
    assert len(folds) == 11
    by_hand(rows, folds[0], ["1001"], ["1002"])
    by_hand(rows, folds[10], ["1011"], ["1001"])
    rows = corpus([("1", "a"), ("2", "b"), ("2", "c")])
    by_hand(rows, module.speaker_folds(rows)[0], "a", "b")


@pytest.mark.parametrize("num", [2, 4, 11])
def test_groups_of_speakers_are_each_tested_once(module, check_folds, num):
    """As large as each other, and never shared."""
    rows = corpus(SINGLE)
    folds = module.make_folds(rows, "speaker", num)
    check_folds(folds, rows, share_speakers=False)
    tested = [speakers(rows, fold.test) for fold in folds]
    assert sorted(sum(map(sorted, tested), [])) == [s for _, s in SINGLE]
    sizes = [len(group) for group in tested]
    assert len(folds) == num and max(sizes) - min(sizes) <= 1
    for fold, following in zip(folds, tested[1:] + tested[:1]):
        dev = speakers(rows, fold.dev)
        assert dev <= following and len(dev) == (len(following) + 1) // 2


def test_random_folds_deal_each_class_evenly(module, check_folds):
    """Each utterance is tested once; test and dev mirror the corpus."""
    rows = [
        {"ID": f"{c}{i}", "spk_id": "a", "session": "", "label": c}
        for c, num in (("ang", 83), ("hap", 41), ("sad", 7))
        for i in range(num)
    ]
    label_of = {row["ID"]: row["label"] for row in rows}
    folds = module.make_folds(rows, "random")
    check_folds(folds, rows, share_speakers=True)
    assert [fold.name for fold in folds] == [f"random{k}" for k in range(1, 6)]
    assert sorted(i for f in folds for i in f.test) == sorted(label_of)
    for fold in folds:
        test = Counter(label_of[id_] for id_ in fold.test)
        dev = Counter(label_of[id_] for id_ in fold.dev)
        for label, num in (("ang", 83), ("hap", 41), ("sad", 7)):
            assert abs(test[label] - num / 5) < 1
            assert abs(dev[label] - num / 10) < 1.5
        assert len(fold.test) in (26, 27) and len(fold.dev) in (13, 14)


def test_random_folds_depend_on_the_seed_and_on_nothing_else(module):
    """Not on the order of the rows, and not on numpy's global state."""
    rows = corpus(PAIRS)
    shuffled = random.Random(0).sample(rows, len(rows))
    folds = module.random_folds(rows, 5, seed=1)
    assert module.random_folds(shuffled, 5, seed=1) == folds
    assert module.random_folds(rows, 5, seed=2) != folds


@pytest.mark.parametrize("num", [0, 1, 12, 2.5, True, "3"])
def test_number_of_folds_that_can_not_be_is_refused(module, num):
    """Zero does not mean the default, and True is not one."""
    rows = corpus(SINGLE)
    with pytest.raises(DataError, match="from 2 to 11, the number of speakers"):
        module.make_folds(rows, "speaker", num)
    if num != 12:
        with pytest.raises(DataError, match="2 to 132, the number of utt"):
            module.make_folds(rows, "random", num)


def test_number_of_folds_must_be_that_of_the_sessions(module):
    """Ten asked for and five made would be a surprise in the results."""
    rows = corpus(PAIRS)
    assert len(module.make_folds(rows, "session", 5)) == 5
    with pytest.raises(DataError, match="num_folds is 10, .*makes 5 of"):
        module.make_folds(rows, "session", 10)


def test_unknown_protocol_names_the_known(module):
    """Each with what it does."""
    with pytest.raises(DataError, match="'loso'.*'session' .each session"):
        module.make_folds([], "loso")


def test_given_fold_is_that_of_the_column(module):
    """Other values, or none, are listed."""
    rows = corpus([("", "a"), ("", "b"), ("", "c")], num=1)
    for row in rows:
        row["split"] = {"a": "train", "b": "dev", "c": "test"}[row["spk_id"]]
    (fold,) = module.make_folds(rows, "given")
    by_hand(rows, fold, "c", "b")
    rows[4]["split"] = "valid"
    with pytest.raises(
        DataError, match="1 of 9 .* split of 'valid', first: -b"
    ):
        module.make_folds(rows, "given")
    with pytest.raises(DataError, match="3 of 3 .*needs a column split"):
        module.make_folds(corpus([("", "a")], num=1), "given")


# What is refused.


@pytest.fixture
def good(module):
    """Rows and the folds of them by session."""
    rows = corpus(PAIRS)
    return rows, module.session_folds(rows)


def test_protocols_share_no_speaker_and_random_does(module, check_folds, good):
    """The check is not one that always passes."""
    rows, folds = good
    check_folds(folds, rows, share_speakers=False)
    check_folds(module.speaker_folds(rows), rows, share_speakers=False)
    mixed = module.random_folds(rows)
    check_folds(mixed, rows, share_speakers=True)
    with pytest.raises(DataError, match="15 faults of the folds"):
        check_folds(mixed, rows, share_speakers=False)


def test_one_clip_of_a_tested_speaker_in_train_is_found(check_folds, good):
    """Named with the fold and the speaker, and other folds are not."""
    rows, folds = good
    moved = sorted(folds[2].test)[0]
    folds[2] = replace(
        folds[2],
        train=folds[2].train | {moved},
        test=folds[2].test - {moved},
    )
    with pytest.raises(DataError) as caught:
        check_folds(folds, rows, share_speakers=False)
    message = str(caught.value)
    assert "fold session3: train and test share speakers Ses03F\n" in message
    assert "1 faults" in message and "session1" not in message
    check_folds(folds, rows, share_speakers=True)


def test_speaker_of_two_sessions_is_found(module, check_folds):
    """A user's CSV may say so: the sessions are then not disjoint."""
    rows = corpus([("1", "a"), ("1", "b"), ("2", "a"), ("2", "c"), ("3", "d")])
    folds = module.session_folds(rows)
    with pytest.raises(DataError, match="fold session1: .*share speakers a"):
        check_folds(folds, rows, share_speakers=False)


def test_all_faults_are_listed_at_once(check_folds, good):
    """An id in two parts, an empty part, and classes that train lacks."""
    rows, folds = good
    twice = next(iter(folds[0].dev))
    folds[0] = replace(folds[0], test=folds[0].test | {twice})
    folds[1] = replace(folds[1], dev=frozenset())
    angry = {row["ID"] for row in rows if row["label"] == "ang"}
    folds[3] = replace(folds[3], train=folds[3].train & angry)
    with pytest.raises(DataError) as caught:
        check_folds(folds, rows, share_speakers=True)
    message = str(caught.value)
    assert message.startswith("4 faults")
    assert f"fold session1: dev and test share utterances {twice}" in message
    assert "fold session2: dev is empty" in message
    for part in ("dev", "test"):
        assert (
            f"session4: train has no utterance of hap, sad, but {part} has"
        ) in message


def test_class_that_dev_lacks_is_no_fault(check_folds, good):
    """A speaker may have been asked for fewer emotions."""
    rows, folds = good
    sad = {row["ID"] for row in rows if row["label"] == "sad"}
    folds[0] = replace(folds[0], dev=folds[0].dev - sad)
    check_folds(folds, rows, share_speakers=False)


@pytest.mark.parametrize("num", [1, 2])
def test_too_few_speakers_leave_a_part_empty(module, check_folds, num):
    """And are refused by it."""
    rows = corpus(SINGLE[:num])
    with pytest.raises(DataError, match="fold 1001: train is empty"):
        check_folds(module.speaker_folds(rows), rows, False)
