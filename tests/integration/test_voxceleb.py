"""The VoxCeleb recipe as users run it, from its command lines.

Authors
 * The d2v_sb developers 2026
"""

import json
import shutil
import signal
import sys

import pytest
import torch

from d2v_sb.scoring import equal_error_rate
from d2v_sb.scoring.trials import read_scores
from tests.integration.recipe_runs import (
    TORCHRUN,
    classifier_command,
    final_weights,
    refusal,
    run,
    run_scripts,
)

pytestmark = pytest.mark.integration
IDENTIFICATION = "d2v_speaker_id.yaml"
VERIFICATION = "d2v_speaker_verification.yaml"
# Random numbers of every kind, and both kinds of checkpoints.
OPTIONS = {
    "number_of_updates": 30,
    "validate_interval_updates": 5,
    "ckpt_interval_minutes": 0,
    "ckpt_interval_steps": 4,
    "gpu_batch_seconds": 3,
    "freeze_finetune_updates": 10,
    "crop_seconds": "[0.5, 0.9]",
    "encoder_layerdrop": 0.3,
    "dropout": 0.1,
}
LARGE_MARGIN = {
    "large_margin_updates": 12,
    "large_margin_crop_seconds": 1.2,
    "valid_percent": 0.4,
    "snorm_top": 3,
}
# Each pair of files by SpeechBrain's own interface, the network cut off.
VERIFY_FILES = """
import socket, sys
def refuse(*args, **kwargs): raise OSError("the network is cut off")
socket.socket.connect = socket.create_connection = refuse
from speechbrain.inference.speaker import SpeakerRecognition
from d2v_sb.scoring.trials import read_scores
model = SpeakerRecognition.from_hparams(source=sys.argv[1])
trials, scores = read_scores(sys.argv[2])
for trial, expected in zip(trials, scores, strict=True):
    paths = [f"{sys.argv[3]}/wav/{name}" for name in trial[1:]]
    score, _ = model.verify_files(*paths)
    assert abs(float(score) - expected) < 1e-5, (trial, score, expected)
print("trials", len(trials))
"""


def commands(hparams, corpus, **options):
    """The same run for two folders."""
    return lambda output: classifier_command(
        "VoxCeleb", hparams, corpus, output, **{**OPTIONS, **options}
    )


def with_noise(corpus):
    """Verification, noise and rooms among what is drawn at random."""
    noises = {
        "noise_folder": corpus / "wav/id10000",
        "rir_folder": corpus / "wav/id10001",
    }
    return commands(VERIFICATION, corpus, **LARGE_MARGIN, **noises)


@pytest.fixture(scope="module")
def verified(noise_voxceleb, tmp_path_factory):
    """A finished verification run."""
    output = tmp_path_factory.mktemp("verification")
    command = with_noise(noise_voxceleb)(output)
    result = run(command)
    assert result.returncode == 0
    return output, result.stdout


def test_a_verification_run_freezes_learns_and_widens_the_margin(verified):
    output, log = verified
    assert "2 micro-batch(es) of up to 3.0 s" in log
    assert "update 10: the encoder learns" in log
    assert "a margin of 0.5 from now on, crops of up to 1.2 s" in log
    speakers = {
        line.split(",")[3]
        for line in (output / "train.csv").read_text().splitlines()[1:]
    }
    assert speakers == {f"id1000{i}" for i in range(4)}
    for name in ("veri_test2", "veri_test2_snorm"):
        result = json.loads((output / f"trials/{name}.json").read_text())
        scores = output / f"trials/{name}.scores.tsv"
        trials, values = read_scores(scores)
        labels = [trial.target for trial in trials]
        eer = equal_error_rate(values, labels)
        assert result["eer"]["value"] == pytest.approx(eer)
        assert (output / f"trials/{name}.det.png").is_file()
        assert f"EER, {name}" in (output / "report.html").read_text()


def test_the_folder_alone_gives_the_tests_scores(
    verified, noise_voxceleb, tmp_path
):
    output, _ = verified
    shutil.copytree(output / "inference", tmp_path / "moved")
    scores = output / "trials/veri_test2.scores.tsv"
    command = [sys.executable, "-c", VERIFY_FILES, "moved", str(scores)]
    result = run([*command, str(noise_voxceleb)], cwd=tmp_path)
    assert result.returncode == 0 and "trials 12" in result.stdout


def test_a_run_killed_in_its_large_margin_gives_the_same_scores(
    verified, noise_voxceleb, tmp_path
):
    whole, log = verified
    assert "the margin is large from update 15 on" in log
    command = with_noise(noise_voxceleb)(tmp_path)
    # Two micro-batches an update: in update 23 of 30.
    kill = {"kill_before": ["fit_batch", 46, "ClassificationBrain"]}
    job = {"argv": command[1:], "changes": kill}
    assert run_scripts(job).returncode == -signal.SIGKILL
    assert not (tmp_path / "inference").exists()
    result = run(command)
    assert result.returncode == 0
    assert "Loading a checkpoint" in result.stdout
    for name in ("veri_test2", "veri_test2_snorm"):
        file = f"trials/{name}.scores.tsv"
        assert (tmp_path / file).read_text() == (whole / file).read_text()
    expected, resumed = final_weights(whole), final_weights(tmp_path)
    assert all(torch.equal(resumed[k], expected[k]) for k in expected)


def test_trials_that_name_missing_files_stop_before_training(
    noise_voxceleb, tmp_path
):
    lines = ["1 id10004/aaa/00001.wav id10004/zzz/00001.wav"]
    lines.append("0 id10004/aaa/00001.wav id19999/aaa/00009.wav")
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    command = classifier_command(
        "VoxCeleb",
        VERIFICATION,
        noise_voxceleb,
        tmp_path / "run",
        trials=f"[{tmp_path}/list.txt]",
    )
    said = refusal(command)
    assert "id10004/zzz/00001" in said and "id19999/aaa/00009" in said


def test_identification_names_most_speakers(noise_voxceleb, tmp_path):
    options = {"number_of_updates": 60, "lr": 3e-3, "dropout": 0.0}
    command = commands(IDENTIFICATION, noise_voxceleb, **options)(tmp_path)
    assert run(command).returncode == 0
    result = json.loads((tmp_path / "predictions_test.json").read_text())
    assert result["utterances"] == 12 and result["WA"] > 40


def test_two_processes_train_filter_banks_and_an_unfreezing_encoder(
    noise_voxceleb, tmp_path
):
    jobs = []
    for encoder in ("tiny", "fbank"):
        command = classifier_command(
            "VoxCeleb",
            IDENTIFICATION,
            noise_voxceleb,
            tmp_path / encoder,
            encoder=encoder,
            number_of_updates=4,
            validate_interval_updates=2,
            freeze_finetune_updates=2,
            encoder_layerdrop=0.5,
            distributed_backend="gloo",
        )
        jobs.append({"argv": command[1:]})
    result = run_scripts(*jobs, launcher=TORCHRUN)
    assert result.returncode == 0
    assert "2 process(es) x 1 micro-batch(es)" in result.stdout
    for encoder in ("tiny", "fbank"):
        assert (tmp_path / encoder / "inference" / "model.ckpt").is_file()
        assert (tmp_path / encoder / "predictions_test.csv").is_file()
