"""The IEMOCAP recipe as users run it, from its command line.

Authors
 * The d2v_sb developers 2026
"""

import json
import sys

import pytest

from tests.integration.recipe_runs import (
    classifier_command,
    refusal,
    run,
    run_killed,
)

pytestmark = pytest.mark.integration
HPARAMS = "d2v_emotion.yaml"
OPTIONS = {
    "number_of_updates": 8,
    "validate_interval_updates": 4,
    "freeze_finetune_updates": 4,
    "batch_seconds": 12,
    "lr": 3e-3,
}
# The test's predictions by SpeechBrain's own interface, the network cut off.
CLASSIFY = """
import socket, sys
def refuse(*args, **kwargs): raise OSError("the network is cut off")
socket.socket.connect = socket.create_connection = refuse
from speechbrain.dataio.dataio import load_data_csv
from speechbrain.inference.classifiers import EncoderClassifier
from d2v_sb.windows import classify_windows
model = EncoderClassifier.from_hparams(source=sys.argv[1])
clips = load_data_csv(sys.argv[2])
for name, row in load_data_csv(sys.argv[3]).items():
    path = clips[name]["wav"]
    log_probs, score, _, (label,) = model.classify_file(path)
    assert label == row["predicted"], (name, label, row)
    assert abs(float(score.exp()) - float(row["posterior"])) < 1e-4
    (window,) = classify_windows(model, path)
    assert window.label == label
print("clips", len(clips))
"""


def command_of(folder, output, **options):
    """The recipe's command with small options."""
    return classifier_command(
        "IEMOCAP", HPARAMS, folder, output, **{**OPTIONS, **options}
    )


@pytest.fixture(scope="module")
def finished(noise_iemocap, tmp_path_factory):
    """All folds, one session left out after the other."""
    output = tmp_path_factory.mktemp("emotion")
    result = run(command_of(noise_iemocap, output))
    assert result.returncode == 0
    return output, result.stdout


def test_one_command_runs_all_folds_and_averages_them(finished):
    output, log = finished
    summary = json.loads((output / "summary.json").read_text())
    assert list(summary["folds"]) == ["session1", "session2", "session3"]
    means = [fold["UA"] for fold in summary["folds"].values()]
    assert summary["mean"]["UA"] == pytest.approx(sum(means) / 3)
    assert summary["all"]["utterances"] == 60
    assert summary["all"]["classes"] == ["ang", "hap", "neu", "sad"]
    assert summary["majority"]["UA"] == 25
    rows = (output / "session1/posteriors_test.csv").read_text().splitlines()
    assert rows[0] == "ID,ang,hap,neu,sad" and len(rows) == 21
    for row in rows[1:]:
        values = [float(value) for value in row.split(",")[1:]]
        assert sum(values) == pytest.approx(1, abs=1e-5)
    assert (output / "all.confusion.png").is_file()
    assert "session1/report.html" in (output / "report.html").read_text()
    assert (output / "session1/report.html").is_file()
    assert "mean of 3 folds: WA" in log


def test_the_folder_alone_gives_the_tests_predictions(finished, tmp_path):
    fold = finished[0] / "session2"
    files = ("inference", "test.csv", "predictions_test.csv")
    paths = [str(fold / name) for name in files]
    result = run([sys.executable, "-c", CLASSIFY, *paths], cwd=tmp_path)
    assert result.returncode == 0 and "clips 20" in result.stdout


def test_killed_folds_go_on_to_the_same_predictions(
    finished, noise_iemocap, tmp_path
):
    command = command_of(noise_iemocap, tmp_path)
    run_killed(command, tmp_path)
    assert run(command).returncode == 0
    for fold in ("session1", "session2", "session3"):
        name = f"{fold}/predictions_test.csv"
        expected = (finished[0] / name).read_text()
        assert (tmp_path / name).read_text() == expected


def test_a_folder_does_not_go_on_with_other_options(finished, noise_iemocap):
    for option in ({"lr": 1e-4}, {"head": "attentive"}):
        command = command_of(noise_iemocap, finished[0], **option)
        said = refusal(command)
        (name,) = option
        assert f"was trained with other options: {name}" in said
        assert "another --output_folder" in said


def test_another_protocol_head_and_classes_are_options(noise_iemocap, tmp_path):
    command = command_of(
        noise_iemocap,
        tmp_path,
        protocol="speaker",
        fold="Ses02M",
        head="attentive",
        classes="{exc: exc}",
        class_balance="weights",
        number_of_updates=2,
        validate_interval_updates=2,
    )
    assert run(command).returncode == 0
    path = tmp_path / "Ses02M/posteriors_test.csv"
    assert path.read_text().startswith("ID,ang,exc,hap,neu,sad\n")
    assert (tmp_path / "Ses02M/predictions_test.confusion.png").is_file()
    # One fold is no summary, and another job finds it prepared.
    assert not (tmp_path / "summary.json").exists()
    before = (tmp_path / "all.csv").stat()
    (noise_iemocap / "Session1/dialog").rename(noise_iemocap / "moved")
    try:
        assert run(command).returncode == 0
    finally:
        (noise_iemocap / "moved").rename(noise_iemocap / "Session1/dialog")
    assert (tmp_path / "all.csv").stat() == before


def test_a_csv_is_all_that_another_corpus_needs(noise_iemocap, tmp_path):
    lines = ["ID,wav,spk_id,label"]
    for i, path in enumerate(sorted(noise_iemocap.rglob("*.wav"))):
        label = ("calm", "cross")[i % 2]
        lines.append(f"clip{i},{path},s{i % 5},{label}")
    manifest = tmp_path / "mine.csv"
    manifest.write_text("\n".join(lines) + "\n")
    command = command_of(
        manifest,
        tmp_path / "run",
        corpus="manifest",
        classes="null",
        protocol="random",
        num_folds=2,
        class_balance="sampling",
        number_of_updates=2,
        validate_interval_updates=2,
    )
    assert run(command).returncode == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert list(summary["folds"]) == ["random1", "random2"]
    assert summary["all"]["classes"] == ["calm", "cross"]


@pytest.mark.parametrize(
    "option, hint",
    [
        ({"fold": "session9"}, "the protocol has session1, session2, session3"),
        ({"corpus": "emovo"}, "crema_d"),
        ({"protocol": "loso"}, "session"),
        ({"best_by": "WAR"}, "one of WA, UA, F1, update"),
        ({"class_balance": "yes"}, "none, weights, sampling"),
        ({"head": "lstm"}, "mean, statistics, attentive"),
        ({"classes": "ang"}, "--classes ang: it is a mapping"),
    ],
)
def test_a_wrong_option_is_said_with_the_way_out(
    noise_iemocap, tmp_path, option, hint
):
    assert hint in refusal(command_of(noise_iemocap, tmp_path, **option))
