"""Results of runs that leave WER files."""

import random

import pytest
from speechbrain.utils.metric_stats import ErrorRateStats
from speechbrain.utils.train_logger import FileTrainLogger

from d2v_sb.benchmark.wer_files import read_wer_files
from d2v_sb.errors import DataError
from d2v_sb.scoring.bootstrap import error_rate_interval
from d2v_sb.versions import write_versions

HPARAMS = """\
# Generated 2026-11-25 from:
# /home/me/hparams/d2v_ctc.yaml
seed: 1987
data_folder: /home/me/LibriSpeech
regime: base_10min
encoder: facebook/data2vec-audio-base
test_splits: [test-clean, other/test]
lr: 5e-5
lm_path: {lm}
brain_class: !name:d2v_sb.finetuning.CTCBrain
"""
# Of two speakers: the first is heard better.
SAID = {
    f"{speaker}-1-{n:04}": ["A", "B", "C", "D"]
    for speaker in (11, 12)
    for n in range(6)
}


def write_test(folder, name, seed, kinds=("wer", "cer")):
    """A test's files as SpeechBrain writes them; errors of its utterances."""
    dice, errors = random.Random(seed), []
    heard = {
        key: [
            word
            if dice.random() < (0.9 if key.startswith("11") else 0.4)
            else "E"
            for word in words
        ]
        for key, words in SAID.items()
    }
    for kind in kinds:
        counts = ErrorRateStats(split_tokens=kind == "cer")
        counts.append(list(SAID), list(heard.values()), list(SAID.values()))
        with open(folder / f"{kind}_{name}.txt", "w") as stream:
            counts.write_stats(stream)
    for key, words in SAID.items():
        pairs = zip(words, heard[key], strict=True)
        errors.append(sum(said != word for said, word in pairs))
    return errors


def write_run(folder, lm=""):
    (folder / "hyperparams.yaml").write_text(HPARAMS.format(lm=lm))
    log = FileTrainLogger(str(folder / "train_log.txt"))
    for update, wer in ((10, 50.0), (20, 31.25), (30, 40.0)):
        log.log_stats({"update": update}, {"loss": 1.0}, {"WER": wer})
    (folder / "log.txt").write_text(
        "2026-11-25 10:00:00,000 - a - INFO - b\n"
        "2026-11-25 12:00:00,000 - a - INFO - c\n"
    )
    return log


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path)
    write_test(tmp_path, "other-test", 1)
    return tmp_path


def test_a_finished_run_is_a_result(run):
    errors = write_test(run, "test-clean", 2)
    write_versions(run)
    result = read_wer_files(run)
    assert result.task == "base_10min" and result.head == "CTC"
    assert result.encoder == "facebook/data2vec-audio-base"
    assert (result.seed, result.lr) == (1987, 5e-5)
    assert (result.dev.name, result.dev.value) == ("WER", 31.25)
    assert result.about["date"] == "2026-11-25"
    assert result.about["corpus"] == "LibriSpeech"
    assert result.about["versions"].startswith("python 3.")
    assert "not known" not in str(result.about)
    assert [(one.split, one.name) for one in result.measures] == [
        ("test-clean", "WER"),
        ("test-clean", "CER"),
        ("other-test", "WER"),
        ("other-test", "CER"),
    ]
    wer = result.measures[0]
    assert wer.value == pytest.approx(100 * sum(errors) / 48)
    assert (wer.count, wer.speakers) == (12, 2)


def test_its_interval_is_over_speakers_and_not_over_utterances(run):
    errors = write_test(run, "test-clean", 2)
    wer = read_wer_files(run).measures[0]
    own = error_rate_interval(errors, [4] * 12, [k[:2] for k in SAID])
    assert (wer.low, wer.high) == own
    assert own != error_rate_interval(errors, [4] * 12, list(SAID))


def test_a_test_of_one_speaker_has_no_interval(run, monkeypatch):
    for key in [key for key in SAID if key.startswith("12")]:
        monkeypatch.delitem(SAID, key)
    write_test(run, "test-clean", 2)
    wer = read_wer_files(run).measures[0]
    assert (wer.low, wer.high, wer.count) == (None, None, 6)


def test_a_run_that_has_not_tested_all_is_no_result_yet(run):
    assert read_wer_files(run) is None
    write_test(run, "test-clean", 2)
    assert read_wer_files(run) is not None


def test_a_run_with_a_language_model_tests_with_it_too(run):
    write_run(run, lm="4.bin")
    write_test(run, "test-clean", 2)
    assert read_wer_files(run) is None
    for name in ("test-clean_lm", "other-test_lm"):
        write_test(run, name, 3)
    splits = [one.split for one in read_wer_files(run).measures]
    assert splits[::2] == [
        "test-clean",
        "other-test",
        "test-clean_lm",
        "other-test_lm",
    ]


def test_a_run_that_went_on_after_its_test_is_no_result_until_it_tests(run):
    write_test(run, "test-clean", 2)
    log = FileTrainLogger(str(run / "train_log.txt"))
    log.log_stats(
        {"split": "test-clean", "best_update": 20}, test_stats={"WER": 9.0}
    )
    assert read_wer_files(run) is not None
    log.log_stats({"update": 40}, {"loss": 1.0}, {"WER": 20.0})
    assert read_wer_files(run) is None
    log.log_stats(
        {"split": "test-clean", "best_update": 40}, test_stats={"WER": 8.0}
    )
    assert read_wer_files(run).dev.value == 20.0


def test_a_file_that_was_cut_is_refused_and_named(run):
    write_test(run, "test-clean", 2)
    path = run / "wer_test-clean.txt"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(DataError, match="wer_test-clean.txt.*run its command"):
        read_wer_files(run)


def test_options_that_a_kill_tore_are_no_result_yet(run):
    """The next start writes them anew; as an error they would stop all jobs."""
    write_test(run, "test-clean", 2)
    path = run / "hyperparams.yaml"
    whole = path.read_text()
    path.write_text(whole[: whole.index("other/test")])
    assert read_wer_files(run) is None
    path.write_text(whole)
    assert read_wer_files(run) is not None
