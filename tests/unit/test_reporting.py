"""The page of a run.

Authors
 * The d2v_sb developers 2026
"""

import json
from html.parser import HTMLParser

import pytest
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


def write_log(folder, rows=6):
    logger = FileTrainLogger(str(folder / "train_log.txt"))
    for n in range(1, rows + 1):
        logger.log_stats(
            {"update": n, "of": 10, "lr": 1e-3, "grad_norm": 2.0 / n},
            {"loss": 90.0 / n, "audio_s_per_s": 50.0},
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
    # A page elsewhere leads there too.
    elsewhere = Page(write_report(tmp_path, tmp_path / "pages/a.html"))
    assert "../session2/report.html" in elsewhere.addresses


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
