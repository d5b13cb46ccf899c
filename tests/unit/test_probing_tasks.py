"""What a probe is trained for, and how its errors are counted.

Authors
 * The d2v_sb developers 2026
"""

import logging

import jiwer
import pytest
import torch
from sklearn.metrics import accuracy_score
from speechbrain.decoders.ctc import CTCBeamSearcher, ctc_greedy_decode

from d2v_sb.errors import DataError, UserError
from d2v_sb.finetuning import AngularMargin, CrossEntropy
from d2v_sb.probing import ClassificationTask, CTCTask
from d2v_sb.probing.dataset import ProbeBatch
from d2v_sb.probing.rows import Utterance
from d2v_sb.scoring import error_rate_interval
from d2v_sb.tokens import Letters
from d2v_sb.utterances import Labels

LETTERS = Letters(" ABCDE")
SAID = ["AB CD", "A", "BAD CAB A", "DEED AB", "ACE"]
HEARD = ["AB CD", "", "BAD CB A E", "DEED", "ACE D"]
SPEAKERS = "xxyyz"
BEAM = {"beam_size": 20, "beam_prune_logp": -12.0, "token_prune_min_logp": -9}


def utterances(targets, speakers=SPEAKERS, num=16000):
    """Of these texts or classes."""
    return [
        Utterance(f"u{i}", "", speaker, target, 0, num, num)
        for i, (target, speaker) in enumerate(
            zip(targets, speakers, strict=True)
        )
    ]


def batch_of(task, targets, speakers=SPEAKERS):
    """As the dataset's collation gives it."""
    data = utterances(targets, speakers)
    labels = [torch.tensor(task.encode(u.target)) for u in data]
    return ProbeBatch(data, labels, [None] * len(data), [None] * len(data))


def spoken(texts, padding="E"):
    """Log-probabilities that say these, a blank behind each letter, and then
    what pads them; and their frames."""
    rows = [
        [label for letter in LETTERS.encode(text) for label in (letter, 0)]
        or [0]
        for text in texts
    ]
    T = max(map(len, rows)) + 4
    log_probs = torch.full((len(rows), T, len(LETTERS)), -8.0)
    for row, labels in zip(log_probs, rows, strict=True):
        own = labels + LETTERS.encode(padding) * (T - len(labels))
        row[torch.arange(T), torch.tensor(own)] = -0.01
    return log_probs.log_softmax(-1), [len(labels) for labels in rows]


def observed(task, testing=False, said=SAID, speakers=SPEAKERS):
    """A task that has counted the errors of ``HEARD``, in two batches."""
    task.begin(testing)
    for part in (slice(0, 2), slice(2, None)):
        log_probs, num_frames = spoken(HEARD[part])
        batch = batch_of(task, said[part], speakers[part])
        task.observe(log_probs, num_frames, batch)
    return task


@pytest.mark.parametrize("beam", [None, BEAM])
def test_error_rates_are_jiwers(beam, tmp_path):
    """Greedy and by beam search; padding, which says other things, is not
    heard: it would be letters more."""
    task = observed(CTCTask(LETTERS, beam), testing=True)
    wer, cer = (100 * f(SAID, HEARD) for f in (jiwer.wer, jiwer.cer))
    stats = task.stats()
    assert stats["WER"] == task.error() == pytest.approx(wer)
    measures = task.report(tmp_path, "test")
    assert [(m.split, m.name, m.count) for m in measures] == [
        ("test", "WER", 5),
        ("test", "CER", 5),
    ]
    assert measures[0].value == pytest.approx(wer)
    assert stats["CER"] == measures[1].value == pytest.approx(cer)
    said = (tmp_path / "wer_test.txt").read_text().splitlines()[0]
    assert said.startswith(f"%WER {wer:.2f}")
    assert (tmp_path / "cer_test.txt").is_file()


def test_padding_would_be_heard_if_lengths_were_not_told():
    log_probs, num_frames = spoken(HEARD)
    whole = ctc_greedy_decode(log_probs, torch.ones(5), blank_id=0)
    texts = [LETTERS.decode(row) for row in whole]
    assert texts == [f"{text}E" for text in HEARD]
    task = CTCTask(LETTERS)
    task.begin(testing=False)
    assert task._decode(log_probs, num_frames) == HEARD


def test_validation_is_greedy_and_tests_search(monkeypatch):
    """As in MP3S."""
    searched = []
    own = CTCBeamSearcher.__call__
    monkeypatch.setattr(
        CTCBeamSearcher,
        "__call__",
        lambda self, *a, **k: searched.append(1) or own(self, *a, **k),
    )
    task = CTCTask(LETTERS, BEAM)
    observed(task, testing=False)
    assert not searched
    observed(task, testing=True)
    assert len(searched) == 5
    assert task.searcher.beam_size == 20


def test_intervals_of_error_rates_are_over_speakers(tmp_path):
    """And there are none of one speaker."""
    task = observed(CTCTask(LETTERS))
    wer, _ = task.report(tmp_path, "dev")
    errors, words = [0, 1, 2, 1, 1], [2, 1, 3, 2, 1]
    assert wer.value == pytest.approx(100 * sum(errors) / sum(words))
    expected = error_rate_interval(errors, words, SPEAKERS)
    assert (wer.low, wer.high) == expected
    assert wer.low < wer.value < wer.high
    task = observed(CTCTask(LETTERS), speakers="xxxxx")
    wer, cer = task.report(tmp_path, "dev")
    assert wer.low is wer.high is cer.low is cer.high is None


def test_counting_begins_anew():
    task = observed(CTCTask(LETTERS))
    first = task.stats()
    assert observed(task).stats() == first
    assert len(task.speakers) == 5


def test_loss_is_torchs_mean_over_letters_and_utterances():
    """And padded frames do not matter."""
    task = CTCTask(LETTERS)
    log_probs, num_frames = spoken(SAID)
    batch = batch_of(task, SAID)
    loss = task.loss(log_probs, num_frames, batch)
    alone = [
        torch.nn.functional.ctc_loss(
            log_probs[i, : num_frames[i], None],
            batch.targets[i][None],
            (num_frames[i],),
            (len(batch.targets[i]),),
            reduction="sum",
        )
        / len(batch.targets[i])
        for i in range(5)
    ]
    assert loss.item() == pytest.approx(sum(alone).item() / 5, rel=1e-4)


def test_unknown_letters_stop_training_and_not_dev():
    """All are named at once, each with an utterance. Dev's count as errors:
    what is heard has them not."""
    task = CTCTask(LETTERS)
    with pytest.raises(DataError) as error:
        task.check(utterances(["AB", "XA", "A", "AY", "X"]), lambda n: n)
    assert "'X' (u1), 'Y' (u3). Add them" in str(error.value)
    assert task.encode("AXB Y") == LETTERS.encode("AB ")
    said = [text.replace("D", "Ŷ") for text in SAID]
    observed(task, said=said)
    assert task.stats()["WER"] == pytest.approx(100 * jiwer.wer(said, HEARD))


def test_what_is_too_short_for_its_labels_is_left_out(caplog):
    """CTC needs a blank between twins: AA of three frames, AB of two."""
    task = CTCTask(LETTERS)
    data = [
        Utterance(f"{text}{n}", "", "s", text, 0, n, n)
        for text, n in (("AB", 2), ("AB", 1), ("AA", 2), ("AA", 3), ("A", 1))
    ]
    with caplog.at_level(logging.WARNING):
        kept = task.check(data, lambda n: n)
    assert [u.id for u in kept] == ["AB2", "AA3", "A1"]
    assert "2 of 5 utterances" in caplog.text
    with pytest.raises(DataError, match="every utterance is too short"):
        task.check(data[1:3], lambda n: n)


@pytest.fixture
def labels(tmp_path):
    """Three classes."""
    path = tmp_path / "train.csv"
    path.write_text("ID,label\n1,sad\n2,ang\n3,hap\n")
    return Labels(path, "label")


def guessed(task, guesses, said, speakers=SPEAKERS):
    """A task that has seen these classes guessed."""
    task.begin(testing=True)
    outputs = torch.zeros(len(guesses), 1, 3)
    for row, guess in zip(outputs, guesses, strict=True):
        row[0, task.labels.encode_label(guess)] = 2.0
    task.observe(outputs, None, batch_of(task, said, speakers))
    return outputs


def test_accuracy_is_sklearns_with_an_interval(labels, tmp_path):
    """Over speakers; and what was predicted can be read, by name."""
    task = ClassificationTask(labels, CrossEntropy())
    said = ["sad", "ang", "hap", "hap", "sad"]
    guesses = ["sad", "ang", "sad", "hap", "ang"]
    outputs = guessed(task, guesses, said)
    expected = 100 * accuracy_score(said, guesses)
    assert task.stats()["accuracy"] == pytest.approx(expected)
    assert task.error() == pytest.approx(100 - expected)
    (measure,) = task.report(tmp_path, "test")
    assert measure.value == pytest.approx(expected) and measure.count == 5
    # x has both, y one of two, z none.
    assert (measure.low, measure.high) == pytest.approx((0, 100), abs=21)
    assert measure.low < measure.value < measure.high
    rows = (tmp_path / "predictions_test.csv").read_text().splitlines()
    assert rows[3].startswith("u2,y,hap,sad,0.78")
    batch = batch_of(task, said)
    loss = torch.nn.functional.cross_entropy(
        outputs[:, 0], torch.tensor([labels.encode_label(s) for s in said])
    )
    assert task.loss(outputs, None, batch).item() == pytest.approx(loss.item())


def test_accuracy_of_one_speaker_has_no_interval(labels, tmp_path):
    task = ClassificationTask(labels, CrossEntropy())
    guessed(task, ["sad", "ang"], ["sad", "sad"], speakers="xx")
    (measure,) = task.report(tmp_path, "test")
    assert measure.value == 50
    assert measure.low is measure.high is None


def test_posteriors_of_cosines_are_scaled(labels):
    """As the loss scales them."""
    task = ClassificationTask(labels, AngularMargin(0.2, scale=30.0))
    task.begin(testing=True)
    outputs = torch.tensor([[[0.9, 0.8, 0.1]]])
    task.observe(outputs, None, batch_of(task, ["sad"], "x"))
    expected = (30 * outputs).softmax(-1).max().item()
    assert task.rows[0]["posterior"] == pytest.approx(expected, abs=1e-6)
    assert task.rows[0]["predicted"] == "ang"


def test_unknown_classes_are_named(labels):
    """All of them, each with an utterance."""
    task = ClassificationTask(labels, CrossEntropy())
    data = utterances(["sad", "joy", "ang", "fear", "joy"])
    with pytest.raises(DataError, match=r"fear \(u3\), joy \(u[14]\)"):
        task.check_test(data)
    assert task.check_test(data[:1]) == data[:1]


def test_language_model_is_looked_for_before_the_training(tmp_path):
    task = CTCTask(LETTERS, BEAM, lm_path=str(tmp_path / "none.arpa"))
    with pytest.raises(UserError, match="none.arpa"):
        task.check(utterances(SAID), lambda n: n)
