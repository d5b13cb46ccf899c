"""Pretraining as users run it: to its end, killed, on several processes.

Authors
 * The d2v_sb developers 2026
"""

import csv
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from speechbrain.utils.checkpoints import Checkpointer

from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.lobes import Data2VecAudio
from tests.integration import fixed_batches
from tests.integration.recipe_runs import (
    ROOT,
    TORCHRUN,
    pretrain_argv,
    recipe_command,
    run_scripts,
)

pytestmark = pytest.mark.integration

PLAIN = {
    "number_of_updates": 12,
    "validate_interval_updates": 6,
    "ckpt_interval_minutes": 0,
    "ckpt_interval_steps": 3,
}
# On a folder tree of one's own. Checkpoints after the updates 2, 4, 6, … of an
# epoch: the first one after three micro-batches that ends an update.
ACCUMULATED = {
    **PLAIN,
    "train_splits": "[.]",
    "dev_splits": "[]",
    "number_of_updates": 8,
    "validate_interval_updates": 3,
    "gpu_batch_seconds": 3,
}
TWO_PROCESSES = {
    "number_of_updates": 8,
    "validate_interval_updates": 5,
    "ckpt_interval_minutes": 0,
    "ckpt_interval_steps": 2,
    "distributed_backend": "gloo",
}


def weights(output):
    """All that a run leaves: student, predictor, teacher."""
    found = load_file(output / "pretrained.safetensors")
    parts = {name.split(".")[0] for name in found}
    assert parts >= {"encoder", "predictor", "teacher"}
    return found


def same_bits(one, other):
    """Whether two runs end with the same weights, every one of them."""
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def curves(output):
    """The rows of curves.csv less what depends on the machine's speed."""
    with open(output / "curves.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(float(row.pop("audio_s_per_s")) > 0 for row in rows)
    assert all(0 <= float(row.pop("waiting")) < 1 for row in rows)
    return rows


def newest(output):
    """The checkpoint that a run goes on from, and the updates it has made."""
    found = Checkpointer(output / "save").find_checkpoint()
    return str(found.path), found.meta


def updates_of(log):
    """Updates that a process reports."""
    return [int(n) for n in re.findall(r"- update (\d+)  loss", log)]


def went_on(result, checkpoint, last):
    """Whether a process loaded a checkpoint and made the updates after it."""
    path, meta = checkpoint
    assert result.returncode == 0
    assert f"Loading a checkpoint from {path}" in result.stdout
    expected = list(range(meta["update"] + 1, last + 1))
    return updates_of(result.stdout) == expected


@pytest.fixture(scope="module")
def runs(noise_corpus, tmp_path_factory):
    """Runs that nothing stops, and one that is killed in its first epoch, two
    updates after a checkpoint."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"plain": PLAIN, "accumulated": ACCUMULATED, "killed": PLAIN}
    jobs = [
        {"argv": pretrain_argv(noise_corpus, folder / name, **chosen)}
        for name, chosen in options.items()
    ]
    jobs[-1]["changes"] = {"kill_before": ["fit_batch", 6]}
    result = run_scripts(*jobs)
    assert result.returncode == -9
    assert "1 process(es) x 1 micro-batch(es) of up to 6.0 s" in result.stdout
    assert "1 process(es) x 2 micro-batch(es) of up to 3.0 s" in result.stdout
    return folder


def test_a_run_leaves_curves_checkpoints_and_an_encoder(runs):
    output = runs / "plain"
    rows = curves(output)
    assert [row["update"] for row in rows] == [str(n + 1) for n in range(12)]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert all(value for row in rows for value in row.values())
    log = (output / "train_log.txt").read_text().splitlines()
    assert [line.split(" - ")[0] for line in log] == [
        "update: 6, of: 12",
        "update: 12, of: 12",
    ]
    assert all("valid loss: " in line for line in log)
    assert "Cosine of neighbouring" in (output / "report.html").read_text()
    assert len(list((output / "save").glob("CKPT+*"))) == 3
    encoder, found = Data2VecAudio(str(output)), weights(output)
    for name, tensor in encoder.state_dict().items():
        if name != "_extra_state":
            assert torch.equal(tensor, found[name])


def test_the_export_says_what_the_run_was_made_with(runs):
    options = load_checkpoint(str(runs / "plain")).training_config
    assert options["encoder_layerdrop"] == 0.3
    # SpeechBrain's own options too, which are no overrides of the YAML.
    assert options["precision"] == "fp32"
    assert options["ckpt_interval_minutes"] == 0


def test_a_longer_run_does_not_leave_the_shorter_ones_export(
    runs, noise_corpus, tmp_path
):
    output = tmp_path / "longer"
    shutil.copytree(runs / "plain", output)
    options = {**PLAIN, "number_of_updates": 18}
    argv = pretrain_argv(noise_corpus, output, **options)
    job = {"argv": argv, "changes": {"kill_before": ["fit_batch", 2]}}
    assert run_scripts(job).returncode == -9
    assert not (output / "pretrained.safetensors").exists()
    # Its newest checkpoint is the encoder instead.
    assert "CKPT+" in load_checkpoint(str(output)).path


def test_a_folder_tree_of_ones_own_is_a_corpus(runs):
    """All of it to train on, less what is held out."""
    names = {}
    for part in ("train", "dev"):
        path = runs / "accumulated" / f"{part}.csv"
        with open(path, newline="") as stream:
            names[part] = [row["ID"] for row in csv.DictReader(stream)]
    splits = {name.split("/")[0] for name in names["train"]}
    assert splits == {"train-clean-5", "dev-clean", "test-clean"}
    assert len(names["dev"]) == 1 and len(names["train"]) == 32
    assert not set(names["train"]) & set(names["dev"])


def test_a_run_killed_twice_ends_with_the_bits_of_one_that_was_not(
    runs, noise_corpus
):
    output = runs / "killed"
    first = newest(output)
    assert first[1]["update"] == 3 and not first[1]["end-of-epoch"]
    assert len(curves(output)) == 5
    argv = pretrain_argv(noise_corpus, output, **PLAIN)
    # All of the epoch is trained, its validation has begun.
    kill = {"argv": argv, "changes": {"kill_before": ["evaluate_batch", 1]}}
    result = run_scripts(kill)
    assert result.returncode == -9
    assert updates_of(result.stdout) == [4, 5, 6]
    second = newest(output)
    assert second[1]["update"] == 6 and not second[1]["end-of-epoch"]
    assert not (output / "train_log.txt").exists()

    assert went_on(run_scripts({"argv": argv}), second, 12)
    assert same_bits(weights(output), weights(runs / "plain"))
    assert curves(output) == curves(runs / "plain")
    log = (output / "train_log.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["update: 6", "update: 12"]


def test_a_run_killed_within_an_update_does_too_with_workers_that_read_ahead(
    runs, noise_corpus, tmp_path
):
    output, other = tmp_path / "run", tmp_path / "other"
    options = {**ACCUMULATED, "num_workers": 2}
    argv = pretrain_argv(noise_corpus, output, **options)
    # In the second epoch, after half of its third update.
    kill = {"argv": argv, "changes": {"kill_before": ["fit_batch", 12]}}
    assert run_scripts(kill).returncode == -9
    checkpoint = newest(output)
    # It goes on within the epoch, not where the last one ended.
    assert checkpoint[1]["update"] == 5
    assert not checkpoint[1]["end-of-epoch"]
    shutil.copytree(output, other)
    mistaken = pretrain_argv(noise_corpus, other, **options)
    result = run_scripts(
        {"argv": argv},
        {"argv": mistaken, "changes": {"never_seed": []}},
    )
    log, _, _ = result.stdout.partition(f"Experiment folder: {other}")
    assert result.returncode == 0
    assert f"Loading a checkpoint from {checkpoint[0]}" in log
    assert updates_of(log) == [6, 7, 8]
    expected = weights(runs / "accumulated")
    assert same_bits(weights(output), expected)
    assert curves(output) == curves(runs / "accumulated")
    # Dropout and LayerDrop drew, and from each batch's own seed.
    assert not same_bits(weights(other), expected)


# Several processes


@pytest.fixture(scope="module")
def two(noise_corpus, tmp_path_factory):
    """A run on two processes, what they make of given batches, and a run of
    which one process is killed; torchrun then ends the other."""
    folder = tmp_path_factory.mktemp("two")
    script = str(ROOT / "tests/integration/fixed_batches.py")
    whole, killed = (
        pretrain_argv(noise_corpus, folder / name, **TWO_PROCESSES)
        for name in ("whole", "killed")
    )
    result = run_scripts(
        {"argv": whole, "changes": {"keep_weights": [str(folder)]}},
        {"argv": [script, str(folder / "fixed")]},
        {"argv": killed, "changes": {"kill_before": ["fit_batch", 4]}},
        launcher=TORCHRUN,
    )
    assert "Signal 9 (SIGKILL) received" in result.stdout
    assert "2 process(es) x 1 micro-batch(es) of up to 3.0 s" in result.stdout
    return folder


def identical_ranks(folder):
    """Whether two processes hold the same student and teacher."""
    one, other = (torch.load(folder / f"rank{rank}.pt") for rank in (0, 1))
    return all(same_bits(one[part], other[part]) for part in one)


def test_two_processes_hold_the_same_weights_and_go_on_after_a_kill(
    two, noise_corpus, tmp_path
):
    assert identical_ranks(two)
    output = two / "killed"
    checkpoint = newest(output)
    assert checkpoint[1]["update"] == 2
    argv = pretrain_argv(noise_corpus, output, **TWO_PROCESSES)
    keep = {"argv": argv, "changes": {"keep_weights": [str(tmp_path)]}}
    result = run_scripts(keep, launcher=TORCHRUN)
    assert went_on(result, checkpoint, 8)
    assert identical_ranks(tmp_path)
    assert same_bits(weights(output), weights(two / "whole"))
    assert curves(output) == curves(two / "whole")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The given batches in one process, whole and in two micro-batches."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, {
        n: fixed_batches.train(folder / str(n), accumulation=n) for n in (1, 2)
    }


def apart(outcome, expected):
    """How far weights are from expected ones, relative to the way that these
    went; the larger of student's and teacher's."""
    distances = []
    for part, start in expected["before"].items():
        assert torch.equal(outcome["before"][part], start)
        way = (expected["after"][part] - start).norm()
        assert way > 0.1
        error = outcome["after"][part] - expected["after"][part]
        distances.append((error.norm() / way).item())
    return max(distances)


def losses(output):
    """The loss of each update, as logged."""
    return [float(row["loss"]) for row in curves(output)]


def test_accumulation_equals_the_large_batch(alone):
    folder, outcomes = alone
    assert apart(outcomes[2], outcomes[1]) < 1e-5
    expected = pytest.approx(losses(folder / "1"), rel=2e-5)
    assert losses(folder / "2") == expected


@pytest.mark.parametrize("accumulation", [1, 2])
def test_two_processes_equal_one_with_the_whole_batch(two, alone, accumulation):
    folder, outcomes = alone
    for rank in (0, 1):
        path = two / "fixed" / f"FixedBrain{accumulation}"
        assert apart(torch.load(path / f"rank{rank}.pt"), outcomes[1]) < 1e-5
        # A mean over processes of their own means, as DDP makes it.
        mistake = two / "fixed" / f"MeanOfMeans{accumulation}/rank{rank}.pt"
        assert apart(torch.load(mistake), outcomes[1]) > 0.05
    expected = pytest.approx(losses(folder / "1"), rel=2e-5)
    assert losses(path) == expected


# From a checkpoint, and to fine-tuning


def test_pretraining_goes_on_from_a_checkpoint_of_fairseqs(
    reference, noise_corpus, tmp_path
):
    source = reference / "fairseq_v1_tiny.pt"
    nothing = {"lr": 0, "ema_decay": 1, "ema_end_decay": 1}
    argv = pretrain_argv(
        noise_corpus,
        tmp_path,
        encoder=None,
        pretrain_from=source,
        number_of_updates=1,
        validate_interval_updates=1,
        # fairseq copies them from the student.
        ema_layers_only=False,
        **nothing,
    )
    result = run_scripts({"argv": argv})
    assert result.returncode == 0
    assert "teacher from its file, predictor from its file" in result.stdout
    before, after = load_checkpoint(source), load_checkpoint(tmp_path)
    for part in ("encoder", "predictor", "teacher"):
        assert same_bits(getattr(after, part), getattr(before, part))
    # As fairseq itself names them; its teacher is not its student.
    theirs = torch.load(source, weights_only=True)["model"]
    name = "layers.1.fc1.weight"
    assert torch.equal(after.teacher[name], theirs["_ema"][name])
    assert torch.equal(after.predictor["weight"], theirs["final_proj.weight"])
    assert not torch.equal(
        after.teacher[name], after.encoder[f"encoder.{name}"]
    )


def test_fine_tuning_starts_from_the_student_or_the_teacher(
    runs, noise_corpus, tmp_path
):
    source = runs / "plain"
    jobs = []
    for choice in ("student", "teacher"):
        _, *argv = recipe_command(
            noise_corpus,
            tmp_path / choice,
            encoder=source,
            weights=choice,
            number_of_updates=1,
            validate_interval_updates=1,
            # Fixed meanwhile.
            freeze_finetune_updates=1000,
        )
        jobs.append({"argv": argv})
    assert run_scripts(*jobs).returncode == 0
    found = weights(source)
    for choice in ("student", "teacher"):
        checkpoint = max((tmp_path / choice / "save").glob("CKPT*"))
        model = torch.load(checkpoint / "model.ckpt", weights_only=True)
        block = "layers.1.fc1.weight"
        inside = model[f"encoder.encoder.{block}"]
        student = torch.equal(inside, found[f"encoder.{block}"])
        teacher = torch.equal(inside, found[f"teacher.{block}"])
        assert (student, teacher) == (choice == "student", choice == "teacher")
        conv = "feature_extractor.layers.0.conv.weight"
        assert torch.equal(model[f"encoder.{conv}"], found[conv])


# What users get wrong


def message(monkeypatch, argv):
    """What the script stops with; anything but a message is raised."""
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.syspath_prepend(str(Path(argv[0]).parent))
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(argv[0], run_name="__main__")
    assert isinstance(stopped.value.code, str)
    return stopped.value.code


def test_the_literal_command_without_the_corpus_says_what_to_do(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    script, hparams, *_ = pretrain_argv("", "")
    said = message(monkeypatch, [script, hparams])
    for hint in ("data/LibriSpeech", "--data_folder", "--download true"):
        assert hint in said


@pytest.mark.parametrize(
    "options, hint",
    [
        ({"encoder": "bse"}, "Known names: tiny, "),
        ({"pretrain_from": "base"}, "leave out --encoder"),
        ({"encoder": None, "pretrain_from": "/no.pt"}, "no such file or f"),
        ({"on_bad_audio": "ignore"}, "drop"),
        ({"batch_secs": 4}, "did you mean batch_seconds"),
        ({"train_splits": "[train-clean-50]"}, "train-clean-50"),
        ({"min_seconds": 9}, "min_seconds"),
        ({"average_top_k_layers": 8}, "the encoder has 2 blocks"),
        ({"on_collapse": "sigh"}, "stop, warn, rollback"),
        ({"ema_decay": 1.5}, "a decay lies in"),
    ],
)
def test_a_wrong_option_is_one_message(
    noise_corpus, tmp_path, monkeypatch, options, hint
):
    argv = pretrain_argv(noise_corpus, tmp_path, **options)
    assert hint in message(monkeypatch, argv)
