"""The page of a run.

Authors
 * The d2v_sb developers 2026
"""

import json
import math
from html.parser import HTMLParser

import pytest
import torch
from click.testing import CliRunner
from speechbrain.utils.metric_stats import ErrorRateStats
from speechbrain.utils.train_logger import FileTrainLogger

from d2v_sb.cli.report import report
from d2v_sb.errors import UserError
from d2v_sb.reporting import write_report, write_report_or_warn
from d2v_sb.scoring.predictions import report as report_predictions

EVIL = "<script>alert(1)</script>"
# Void elements have no end.
VOID = ("meta", "img", "br", "link", "input")


class Page(HTMLParser):
    """What of a page counts here; elements that do not match are an error."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [
            value
            for name, value in attrs
            if name in ("src", "href", "xlink:href", "data", "action")
        ]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.strip())

    @property
    def words(self):
        return " ".join(filter(None, self.text))


def write_log(folder, rows=6, **train):
    logger = FileTrainLogger(str(folder / "train_log.txt"))
    for n in range(1, rows + 1):
        logger.log_stats(
            {"update": n, "of": 10, "lr": 1e-3, "grad_norm": 2.0 / n},
            {"loss": 90.0 / n, "audio_s_per_s": 50.0, **train},
            {"loss": 80.0 / n, "CER": 40.0, "WER": 60.0 + abs(n - 4)},
        )


def write_wer(folder, name="test-clean", utterance="one", words=("A", "B")):
    for kind in ("wer", "cer"):
        stats = ErrorRateStats(split_tokens=kind == "cer")
        stats.append([utterance], [["A", "C"]], [list(words)])
        with open(
            folder / f"{kind}_{name}.txt", "w", encoding="utf-8"
        ) as stream:
            stats.write_stats(stream)


def write_options(folder, brain="CTCBrain", **values):
    lines = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
    lines.append(f"brain_class: !name:d2v_sb.finetuning.{brain}")
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    (folder / "hyperparams.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """The page of a run of speech recognition."""
    folder = tmp_path_factory.mktemp("speech")
    write_options(folder, encoder="base", data_folder="/data/LibriSpeech")
    write_log(folder)
    write_wer(folder)
    write_wer(folder, "test-clean_lm", words=("A", "C"))
    return Page(write_report(folder))


def test_the_page_of_speech_says_rates_curves_and_what_was_heard(speech):
    words = speech.words
    assert "Speech recognition with CTC" in words
    assert "Encoder base, fine-tuned on LibriSpeech." in words
    assert "50.0 % WER on test-clean" in words
    assert "0.0 % WER on test-clean, with a language model" in words
    # Of six validations the fourth is the best, and six of ten are done.
    assert "60.0 % best WER on dev, at update 4" in words
    assert "6 updates of 10" in words
    assert "B ≠ C" in words
    assert speech.tags.count("svg") == 5


def test_the_page_needs_nothing_beside_it(speech):
    assert "script" not in speech.tags and "link" not in speech.tags
    assert speech.addresses  # markers of the curves
    for address in speech.addresses:
        assert address.startswith(("#", "data:"))
    assert "@import" not in speech.source and "url(http" not in speech.source


def test_curves_take_their_colours_from_the_page(speech):
    svg = speech.source.split("<svg", 1)[1].split("</svg>")[0]
    assert "var(--c0)" in svg and "var(--muted)" in svg
    assert "#0000f" not in svg
    # Text stays text, which the page's style colours.
    assert "<text" in svg


def test_strange_names_and_values_are_harmless(tmp_path):
    write_options(tmp_path, encoder=EVIL, data_folder=f"/data/{EVIL}")
    logger = FileTrainLogger(str(tmp_path / "train_log.txt"))
    for n in (1, 2, 3):
        logger.log_stats(
            {"update": n, "of": EVIL, "lr": float("inf")},
            {"loss": float("nan") if n == 2 else 1.0, EVIL: 1.0},
            {"loss": float("nan"), "WER": float("nan")},
        )
    write_wer(tmp_path, utterance=EVIL, words=(EVIL, "$x$", "a ; b"))
    page = Page(write_report(tmp_path))
    assert EVIL not in page.source
    assert "script" not in page.tags
    # It is shown nevertheless, and so is the curve with a gap.
    assert page.words.count(EVIL) > 3 and "a ; b" in page.words
    assert page.tags.count("svg") == 1


@pytest.mark.parametrize(
    "name, text",
    [
        ("hyperparams.yaml", "a: [1\nb: {"),
        ("train_log.txt", "\x00 - : \nupdate: x\nupdate: 3, of"),
        ("curves.csv", "update,loss\n1,x\n"),
        ("wer_test.txt", ""),
        ("wer_test.txt", "nothing"),
        ("predictions_test.json", '{"UA": '),
        ("predictions_test.json", '{"UA": {}, "confusion": [["x"]]}'),
        ("predictions_test.json", "[]"),
        ("summary.json", "[]"),
    ],
)
def test_damaged_and_half_written_files_leave_a_page(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "all.csv").touch()
    page = Page(write_report(tmp_path))
    assert "The run" in page.words


def test_what_can_not_be_read_is_named(tmp_path):
    write_wer(tmp_path)
    (tmp_path / "wer_other.txt").write_text("nothing")
    words = Page(write_report(tmp_path)).words
    assert "⚠ wer_other.txt can not be read" in words
    assert "50.0 % WER on test-clean" in words


def test_a_resumed_run_is_drawn_once(tmp_path):
    write_log(tmp_path, 6)
    before = Page(write_report(tmp_path)).source.count("<use")
    write_log(tmp_path, 6)  # all of it again
    assert Page(write_report(tmp_path)).source.count("<use") == before > 0


def test_pretraining_shows_what_tells_of_a_collapse(tmp_path):
    columns = "update,loss,target_std,prediction_std,feature_std,frame_cosine"
    lines = [f"{n},4.5,0.8,0.6,0.4,0.9" for n in range(100, 300)]
    text = "\n".join([columns + ",skipped", *(f"{x},0" for x in lines)])
    (tmp_path / "curves.csv").write_text(text)
    write_options(
        tmp_path, "PretrainingBrain", min_target_var=0.25, encoder="base"
    )
    page = Page(write_report(tmp_path))
    assert "data2vec pretraining" in page.words
    assert "targets fall below 0.25" in page.words
    assert "299 updates" in page.words
    # Nothing was left out: no chart of that.
    assert page.tags.count("svg") == 4
    assert "Updates left out" not in page.words


WAITING = "Share of the time that the loader was waited for"


@pytest.mark.parametrize(
    "text",
    [
        "update,loss\n1,4.5\n2,4.0\n",
        "update,loss,waiting\n1,4.5,0.25\n2,4.0,0.5\n",
    ],
)
def test_curves_with_and_without_waiting_are_read(tmp_path, text):
    """Older versions did not measure it."""
    write_options(tmp_path, "PretrainingBrain", encoder="base")
    (tmp_path / "curves.csv").write_text(text)
    shown = WAITING in Page(write_report(tmp_path)).words
    assert shown == ("waiting" in text)


@pytest.mark.parametrize("train", [{}, {"waiting": 0.025}])
def test_a_train_log_with_and_without_waiting_is_read(tmp_path, train):
    write_options(tmp_path)
    write_log(tmp_path, 2, **train)
    assert (WAITING in Page(write_report(tmp_path)).words) == bool(train)


def predictions(right):
    guesses = ["sad"] * right + ["ang"] * (4 - right)
    return [
        {"spk_id": f"s{n}", "label": "sad", "predicted": guess}
        for n, guess in enumerate(guesses)
    ]


def write_fold(folder, right=2):
    write_options(folder, "ClassificationBrain", protocol="session")
    for part in ("train", "dev", "test"):
        (folder / f"{part}.csv").touch()
    report_predictions(predictions(right), folder / "predictions_test")


def test_a_run_of_folds_leads_to_their_pages_and_back(tmp_path):
    (tmp_path / "all.csv").touch()
    for n, name in enumerate(("session2", "session10")):
        write_fold(tmp_path / name, 2 + n)
    (tmp_path / "session11").mkdir()  # not begun: no page to lead to
    for part in ("train", "dev", "test"):
        (tmp_path / f"session11/{part}.csv").touch()
    page = Page(write_report(tmp_path))
    assert [x for x in page.addresses if x.endswith(".html")] == [
        "session2/report.html",
        "session10/report.html",
    ]
    assert "Emotion recognition" in page.words
    assert "50.0 (" in page.words and "75.0 (" in page.words
    fold = Page(tmp_path / "session2/report.html")
    assert "../report.html" in fold.addresses
    assert "Confusion, test" in fold.words


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_page_elsewhere_touches_no_run_and_leads_nowhere(tmp_path):
    run = tmp_path / "run"
    write_fold(run / "session1")
    (run / "all.csv").touch()
    before = contents(run)
    page = Page(write_report(run, tmp_path / "a.html"))
    assert contents(run) == before
    assert not [x for x in page.addresses if x.endswith(".html")]
    # The run's own page writes the folds' pages, and is found to be another.
    write_report(run)
    assert contents(run).keys() - before.keys() == {
        run / "report.html",
        run / "session1/report.html",
    }
    fold = Page(write_report(run / "session1", tmp_path / "b.html"))
    assert not [x for x in fold.addresses if x.endswith(".html")]


def test_a_fold_leads_back_only_to_a_page_that_is_there(tmp_path):
    write_fold(tmp_path / "session1")
    (tmp_path / "all.csv").touch()
    fold = tmp_path / "session1"
    assert "../report.html" not in Page(write_report(fold)).addresses
    write_report(tmp_path)
    assert "../report.html" in Page(fold / "report.html").addresses
    assert "../report.html" in Page(write_report(fold)).addresses


def test_a_fold_that_lost_its_way_once_leaves_the_others_best(tmp_path):
    (tmp_path / "all.csv").touch()
    for name, values in (("session1", [math.nan, 40, 50]), ("session2", [70])):
        write_fold(tmp_path / name)
        logger = FileTrainLogger(str(tmp_path / name / "train_log.txt"))
        for n, value in enumerate(values, 1):
            logger.log_stats({"update": n}, {"loss": 1.0}, {"UA": value})
    words = Page(write_report(tmp_path)).words
    assert "their best are 50.0 to 70.0 %" in words


def test_a_summary_without_its_folds_is_shown(tmp_path):
    found = report_predictions(predictions(2), tmp_path / "all")
    folds = {"session1": found, "session2": found}
    summary = {"folds": folds, "mean": found, "majority": found, "all": found}
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "summary.json").write_text(json.dumps(summary))
    words = Page(write_report(alone)).words
    assert "50.0 % UA mean of 2 folds" in words
    assert "Emotion recognition" in words and "Confusion, all folds" in words
    assert "Nothing was measured yet" not in words


def log_test(folder, split, update):
    logger = FileTrainLogger(str(folder / "train_log.txt"))
    logger.log_stats({"split": split, "best_update": update}, test_stats={})


def test_figures_say_their_update_and_that_the_run_went_on(tmp_path):
    write_log(tmp_path, 4)
    write_wer(tmp_path, "my-clean")
    write_wer(tmp_path, "my-clean_lm")
    log_test(tmp_path, "my/clean", 3)
    log_test(tmp_path, "my/clean_lm", 3)
    words = Page(write_report(tmp_path)).words
    assert "50.0 % WER on my-clean, of update 3" in words
    assert "with a language model, of update 3" in words
    assert "went on" not in words
    # Of the longer run only one test was made again.
    write_log(tmp_path, 6)
    log_test(tmp_path, "my/clean", 5)
    words = Page(write_report(tmp_path)).words
    assert "50.0 % WER on my-clean, of update 5" in words
    assert "went on after the test on my-clean_lm, of update 3" in words
    assert words.count("went on after") == 1


def test_a_fold_that_went_on_is_named(tmp_path):
    (tmp_path / "all.csv").touch()
    for name in ("session1", "session2"):
        write_fold(tmp_path / name)
        log_test(tmp_path / name, "test", 3)
    write_log(tmp_path / "session2")
    words = Page(write_report(tmp_path)).words
    assert "⚠ session2: the run went on after the test on test" in words
    assert "session1: the run" not in words
    fold = Page(tmp_path / "session1/report.html").words
    assert "50.0 % UA on test, of update 3" in fold


def test_versions_are_those_of_the_run_or_not_known(tmp_path):
    write_options(tmp_path)
    (tmp_path / "env.log").write_text("Python version:\n2.0\ntorch==0.1\n")
    words = Page(write_report(tmp_path)).words
    assert "versions not known" in words
    assert "python" not in words and torch.__version__ not in words
    first = {"python": "3.99", "torch": "8.8", "commit": "abc-dirty"}
    later = {**first, "torch": "9.9", "begun": "2026-01-01"}
    record = {**first, "resumed": [first, later, later]}
    (tmp_path / "versions.json").write_text(json.dumps(record))
    words = Page(write_report(tmp_path)).words
    assert "python 3.99 torch 8.8 torchaudio not known" in words
    assert "commit abc-dirty" in words
    assert words.count("torch 9.9") == 1
    assert "start 3, 2026-01-01 torch 9.9" in words
    (tmp_path / "versions.json").write_text("{")
    words = Page(write_report(tmp_path)).words
    assert "versions.json is damaged" in words


def test_a_page_names_no_folder_of_the_machine_and_no_secret(tmp_path):
    run = tmp_path / "jane doe/results/run"
    corpus = tmp_path / "jane doe/my corpora/LibriSpeech"
    yaml = tmp_path / "jane doe/hparams/d2v_ctc.yaml"
    write_options(
        run,
        data_folder=str(corpus),
        output_folder=str(run),
        lm_path=str(corpus / "lm.arpa"),
        encoder=str(tmp_path / "jane doe/models/pretrained.safetensors"),
        token_type="letters",
        hf_token="hf_12345678",
        api_key="short",
    )
    options = run / "hyperparams.yaml"
    yaml.parent.mkdir(parents=True)
    yaml.write_text("lr: 1\ndata_folder: /home/jane/x\nhf_token: hf_0\n")
    head = f"# Generated 2026-01-01 from:\n# {yaml}\n"
    more = f"model: !new:a.B\n  save: {run}/save/hub\n  use: hf_12345678\n"
    options.write_text(head + options.read_text() + more)
    command = f"python train.py '{yaml}' --hf_token hf_12345678"
    versions = json.dumps({"command": command})
    (run / "versions.json").write_text(versions)
    (run / "predictions_a.json").mkdir()  # the error names the path
    page = Page(write_report(run))
    assert "jane" not in page.source and tmp_path.name not in page.source
    for secret in ("hf_12345678", "short", "hf_0"):
        assert secret not in page.source
    # What is no secret and no place is there still.
    assert "token_type letters" in page.words
    assert "data_folder LibriSpeech" in page.words
    assert "save: save/hub" in page.words and "lm.arpa" in page.words
    assert "predictions_a.json can not be read" in page.words
    assert "python train.py 'd2v_ctc.yaml' --hf_token" in page.words


def test_a_model_folder_is_no_run(tmp_path):
    """A page in it would be published with the model."""
    (tmp_path / "hyperparams.yaml").write_text("sample_rate: 16000\n")
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(UserError, match="is a model folder"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_run_beside_others_is_no_fold(tmp_path):
    for name in ("a", "b"):
        write_fold(tmp_path / name)
    with pytest.raises(UserError, match="no output folder of a recipe"):
        write_report(tmp_path)
    page = Page(write_report(tmp_path / "a"))
    assert "../report.html" not in page.addresses


def test_trials_are_a_table_with_their_pictures(tmp_path):
    measure = {"value": 0.25, "low": 0.2, "high": 0.3}
    result = {
        "name": "veri",
        "num_trials": 180,
        "num_speakers": 10,
        "scores": "cosine",
        "eer": measure,
        "min_dcf_001": measure,
        "min_dcf_005": measure,
        "cllr": None,
    }
    folder = tmp_path / "trials"
    folder.mkdir()
    (folder / "veri.json").write_text(json.dumps(result))
    (folder / "calibration.json").write_text('{"slope": 1}')
    (folder / "veri.det.png").write_bytes(b"picture")
    write_options(tmp_path, "ClassificationBrain", trials=["veri.txt"])
    page = Page(write_report(tmp_path))
    assert "Speaker verification" in page.words
    assert "25.00 % EER, veri, cosine" in page.words
    assert "0.250 (0.200 to 0.300)" in page.words
    assert "Cllr" not in page.words and "⚠" not in page.words
    assert any(x.startswith("data:image/png") for x in page.addresses)


def test_no_run_is_said_with_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match="train_log.txt, curves.csv"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        write_report(tmp_path / "none")


def test_a_failure_does_not_reach_the_recipe(tmp_path, monkeypatch, caplog):
    write_log(tmp_path)

    def fail(*_, **__):
        raise RuntimeError("no fonts")

    monkeypatch.setattr("d2v_sb.reporting.fine_tuning.draw", fail)
    with pytest.raises(RuntimeError):
        write_report(tmp_path)
    write_report_or_warn(tmp_path)
    assert "no fonts" in caplog.text and "d2v-sb report" in caplog.text
    assert not (tmp_path / "report.html").exists()


def test_the_command_writes_a_page_for_each_run(tmp_path):
    runs = [tmp_path / name for name in "ab"]
    for run in runs:
        write_options(run)
    result = CliRunner().invoke(report, list(map(str, runs)))
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(run / "report.html") for run in runs]
    target = tmp_path / "page.html"
    arguments = [str(runs[0]), "-o", str(target)]
    assert CliRunner().invoke(report, arguments).exit_code == 0
    assert "Nothing was measured yet" in Page(target).words
    two = CliRunner().invoke(report, [*map(str, runs), "-o", str(target)])
    assert isinstance(two.exception, UserError)
