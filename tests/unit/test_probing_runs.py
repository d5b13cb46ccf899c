"""Whole runs: they go on where they were killed, share their work, verify.

Authors
 * The d2v_sb developers 2026
"""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from d2v_sb.benchmark.result import is_error, read_result
from d2v_sb.errors import DataError, UserError
from d2v_sb.manifest import write_rows
from d2v_sb.probing import run as run_module
from d2v_sb.probing.brain import ProbingBrain
from d2v_sb.probing.rows import read_utterances
from d2v_sb.scoring import verify
from d2v_sb.scoring.trials import key_of, keys_of, read_trials, speaker_of
from tests.integration.recipe_runs import ROOT, TORCHRUN, run_scripts
from tests.unit.probing_runs import (
    COLUMNS,
    HPARAMS,
    difference,
    finish,
    make,
    options_of,
    write_csvs,
)

OPTIONS = {
    "mode": "published",
    "number_of_epochs": 3,
    "ckpt_interval_minutes": 0,
    "lr_factor": 0.5,
}


MEAN = {"head": "mean", "head_options": {}}


@pytest.fixture(scope="module")
def prepared(corpora, tmp_path_factory):
    """The CSV files of real clips."""
    folder = tmp_path_factory.mktemp("prepared")
    write_csvs(corpora, folder)
    return folder


def argv(kind, csv_folder, output, **options):
    """The recipe's command line."""
    given = options_of(kind, csv_folder, output, **options)
    words = []
    for key, value in given.items():
        words += [f"--{key}", "null" if value is None else json.dumps(value)]
    return [
        str(ROOT / "recipes/Probing/train.py"),
        str(HPARAMS / f"probe_mp3s_{kind}.yaml"),
        *(word.strip('"') for word in words),
        *("--device", "cpu", "--noprogressbar"),
    ]


def never(*_, **__):
    """What is not to happen."""
    raise AssertionError("it trains")


@pytest.mark.integration
def test_killed_run_goes_on_to_the_same_weights_bit_for_bit(
    prepared, tmp_path, monkeypatch
):
    """Dropout, masks, order and learning rates: killed in the second pass,
    after a checkpoint in it. Without NewBob's state the rates would differ."""
    plain = finish(
        make("class", prepared, tmp_path / "plain", **OPTIONS), monkeypatch
    )
    output = tmp_path / "killed"
    command = argv("class", prepared, output, **OPTIONS)
    killed = run_scripts(
        {
            "argv": [*command, "--ckpt_interval_steps", "1"],
            "changes": {"kill_before": ["fit_batch", 6, "ProbingBrain"]},
        }
    )
    assert killed.returncode == -9
    assert not (output / "predictions_test.csv").exists()
    run = make("class", prepared, output, **OPTIONS)
    again = finish(run, monkeypatch)
    assert again.losses == plain.losses[-len(again.losses) :]
    assert again.rates == plain.rates[-len(again.rates) :]
    assert len(plain.losses) == 9 and len(again.losses) == 4
    assert difference(again.weights, plain.weights) == 0
    assert again.predictions == plain.predictions
    assert again.result.measures == plain.result.measures
    assert again.result.dev == plain.result.dev
    metrics = [
        r.run.hparams["head_rate"].scheduler.metric_values
        for r in (again, plain)
    ]
    assert metrics[0] == metrics[1] and metrics[0]


def test_masks_are_drawn_anew_in_each_batch(prepared, tmp_path, monkeypatch):
    """From the seed and the number of the batch in the run."""
    run = make("class", prepared, tmp_path, mode="published", seed=7, **MEAN)
    seeds, own = [], run.frozen.training_view._hidden
    monkeypatch.setattr(
        run.frozen.training_view,
        "_hidden",
        lambda *a: seeds.append(a[2]) or own(*a),
    )
    finish(run, monkeypatch)
    assert seeds == [(7, number) for number in range(6)]


def test_finished_run_is_only_tested_again(prepared, tmp_path, monkeypatch):
    """And gives what it gave."""
    output = tmp_path / "run"
    first = finish(make("ctc", prepared, output), monkeypatch)
    log = (output / "train_log.txt").read_text()
    for path in output.glob("*er_*.txt"):
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(ProbingBrain, "fit_batch", never)
        run = make("ctc", prepared, output)
        brain = run.train()
        result = run.test(brain)
    assert result.measures == first.result.measures
    assert result.dev == first.result.dev
    text = (output / "wer_test.txt").read_text()
    assert first.predictions == text
    added = (output / "train_log.txt").read_text()[len(log) :]
    assert added.startswith("split: test") and "train loss" not in added


def test_best_checkpoint_is_tested_and_the_last_if_asked_for(
    prepared, tmp_path, monkeypatch
):
    """Of dev's accuracy, or of its error rate; MP3S's speakers are verified
    with the last one."""
    for kind, given, tested, cheap in (
        ("class", [50.0, 40.0], 0, MEAN),
        ("ctc", [80.0, 90.0], 0, {}),
        ("class", [50.0, 40.0], 1, {**MEAN, "best_by": "update"}),
    ):
        run = make(kind, prepared, tmp_path / f"{kind}{tested}", **cheap)
        task, seen = run.task, []

        def stats(name=task.name, given=given, seen=seen, run=run):
            seen.append({k: v.clone() for k, v in model(run).items()})
            return {name: given[min(len(seen), 2) - 1]}

        monkeypatch.setattr(task, "stats", stats)
        monkeypatch.setattr(task, "error", lambda: 1.0)
        run.train()
        assert run.of_dev == given[tested]
        assert is_error(task.name) == (kind == "ctc")
        assert difference(model(run), seen[tested]) == 0
        assert difference(seen[1], seen[0]) > 0


def model(run):
    """Its weights."""
    return run.hparams["model"].state_dict()


@pytest.mark.parametrize("by", ["loss", "error"])
def test_rates_are_annealed_by_what_was_asked_for(
    prepared, tmp_path, monkeypatch, by
):
    """A rate holds from one validation to the next: three updates each; and
    is that of SpeechBrain on what the validations gave."""
    losses, errors = iter([9.0, 8.0, 8.1, 8.2]), iter([9.0, 9.0, 3.0, 3.0])
    run = make(
        "class",
        prepared,
        tmp_path / by,
        **MEAN,
        anneal_by=by,
        lr_factor=0.5,
        number_of_epochs=4,
    )
    monkeypatch.setattr(run.task, "error", lambda: next(errors))
    own = ProbingBrain.on_stage_end

    def on_stage_end(brain, stage, loss, epoch=None):
        if stage.name == "VALID":
            loss = next(losses)
        own(brain, stage, loss, epoch)

    monkeypatch.setattr(ProbingBrain, "on_stage_end", on_stage_end)
    found = finish(run, monkeypatch).rates
    expected = {"loss": [0, 0, 0, 1], "error": [0, 0, 1, 1]}[by]
    assert found == [
        pytest.approx([0.01 * 0.5**power, 0.01 * 0.9**power])
        for power in expected
        for _ in range(3)
    ]


@pytest.mark.parametrize("mode", ["clean", "published"])
def test_speakers_are_heard_in_chunks_in_the_published_mode_alone(
    voices, tmp_path, mode
):
    """Anew in each pass, so that nothing can be kept of them."""
    options = {
        "mode": mode,
        "trials": [],
        "test_splits": [],
        "piece_seconds": 0.5,
    }
    options["cache_folder"] = str(tmp_path / "cache")
    run = make("speaker", voices, tmp_path, **options)
    data = run.data.datasets()["train"]
    (published,) = {data.cached is None, data.batches.chunk == 8000}
    assert published == (mode == "published")


def test_layer_weights_have_a_rate_of_their_own_and_no_decay(voices, tmp_path):
    """MP3S has an optimiser for them; all that learns is in one group."""
    run = make("speaker", voices, tmp_path, trials=[], test_splits=[], lr=1e-3)
    hparams = run.hparams
    run.datasets = run.data.datasets()
    run._plan()
    brain = ProbingBrain(
        hparams["modules"], hparams["opt_class"], hparams, run.run_opts
    )
    brain.init_optimizers()
    head, weights = brain.optimizer.param_groups
    assert weights["params"] == [hparams["model"].layer_sum.weights]
    assert (head["weight_decay"], weights["weight_decay"]) == (2e-6, 0)
    learn = {id(p) for p in brain.modules.parameters() if p.requires_grad}
    assert learn == {id(p) for g in (head, weights) for p in g["params"]}
    brain.set_learning_rates()
    assert (head["lr"], weights["lr"]) == (pytest.approx(1e-3), 0.01)


@pytest.mark.integration
def test_two_processes_train_as_one_does(prepared, tmp_path, monkeypatch):
    """They share each batch of four; nothing is drawn at random here, so
    that weights come out as those of one process."""
    options = {
        **MEAN,
        "batch_size": 4,
        "mode": "clean",
        "test_batch_size": 1,
        "cache_folder": str(tmp_path / "cache"),
    }
    command = argv("class", prepared, tmp_path / "two", **options)
    command += ["--distributed_backend", "gloo"]
    both = run_scripts({"argv": command}, launcher=TORCHRUN)
    assert both.returncode == 0
    result = read_result(tmp_path / "two")
    one = finish(
        make("class", prepared, tmp_path / "one", **options), monkeypatch
    )
    assert result.measures == one.result.measures
    newest = max((tmp_path / "two/save").glob("CKPT*"))
    weights = torch.load(newest / "model.ckpt", weights_only=True)
    assert all(w.isfinite().all() for w in weights.values())
    best = torch.load(
        max((tmp_path / "one/save").glob("CKPT*")) / "model.ckpt",
        weights_only=True,
    )
    assert difference(weights, best) < 1e-4
    assert len(one.losses) == 4


def test_uneven_shares_are_refused_before_anything_is_encoded(
    prepared, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_module, "_num_processes", lambda: 2)
    with pytest.raises(UserError, match="2 processes can not share 3"):
        make("class", prepared, tmp_path, cache_folder=str(tmp_path / "c"))
    assert not (tmp_path / "c").exists()


def test_unknown_classes_of_a_test_are_said(prepared, tmp_path):
    """Before anything is trained, and not by a KeyError of a worker."""
    folder = tmp_path / "csv"
    shutil.copytree(prepared, folder)
    test = folder / "test.csv"
    test.write_text(test.read_text().replace(",many", ",more"))
    with pytest.raises(DataError, match="more"):
        make("class", folder, tmp_path)


def test_a_test_set_that_is_absent_is_known_before_the_training(
    prepared, tmp_path
):
    with pytest.raises(DataError, match="no .*other.csv.*--prepared_folder"):
        make("class", prepared, tmp_path, test_splits=["test", "other"])


def test_chunks_are_refused_where_utterances_are_whole(prepared, tmp_path):
    options = {"mode": "published", "random_chunks": True}
    with pytest.raises(UserError, match="piece_seconds"):
        make("class", prepared, tmp_path, **options)


def test_a_choice_that_there_is_not_is_said(prepared, tmp_path):
    run = make("class", prepared, tmp_path, best_by="accuracy")
    with pytest.raises(UserError, match="best_by accuracy"):
        run.train()


@pytest.fixture(scope="module")
def voices(corpora, tmp_path_factory):
    """CSV files to train on speakers, to measure and to verify."""
    folder = tmp_path_factory.mktemp("voices")
    root = corpora / "voxceleb_mini"
    trials = read_trials(root / "veri_test.txt")[:40]
    keys = set(keys_of(trials))
    rows = []
    for path in sorted((root / "wav").glob("*/*/*.wav")):
        name = str(path.relative_to(root / "wav"))
        row = {
            "ID": key_of(name),
            "duration": soundfile.info(path).duration,
            "wav": str(path),
            "spk_id": speaker_of(name),
        }
        rows.append({**dict.fromkeys(COLUMNS, ""), **row})
    others = [row for row in rows if row["ID"] not in keys][:12]
    write_rows(folder / "train.csv", others, COLUMNS)
    write_rows(folder / "dev.csv", others[:3], COLUMNS)
    clips = [row for row in rows if row["ID"] in keys]
    write_rows(folder / "trials.csv", clips, COLUMNS)
    lines = [f"{int(t.target)} {t.enrol} {t.test}" for t in trials]
    (folder / "few.txt").write_text("\n".join(lines) + "\n")
    return folder


@torch.no_grad()
def test_trials_are_scored_as_verify_does(voices, tmp_path, monkeypatch):
    """On embeddings that are made here of each clip alone; untrained ones
    would give others."""
    run = make(
        "speaker",
        voices,
        tmp_path,
        test_splits=[],
        trials=[str(voices / "few.txt")],
        head_options={"channels": 128, "embedding_size": 16},
        cache_folder=str(tmp_path / "cache"),
        test_batch_size=5,
    )
    before = {k: v.clone() for k, v in model(run).items()}
    with torch.enable_grad():
        found = finish(run, monkeypatch)
    assert difference(before, found.weights) > 1e-3
    # From the first pass's to the last one's, layers' weights at their own.
    updates = len(found.rates) // 2
    assert found.rates == pytest.approx(
        np.repeat([[0.01, 0.01], [0.0001, 0.01]], updates, axis=0)
    )
    eer, cost = found.result.measures
    assert (eer.name, eer.split, cost.name) == ("EER", "few", "minDCF")
    probe = run.hparams["model"].eval()
    trials = read_trials(voices / "few.txt")
    embeddings = {}
    for u in read_utterances(run.data.folder / "trials.csv"):
        wav, _ = soundfile.read(u.wav, dtype="float32")
        kept = run.frozen.test_view.keep([torch.from_numpy(wav)], len(wav))
        embeddings[u.id] = probe.embed(
            *run.frozen.test_view.complete(kept, [1], ())
        )[0, 0]
    expected = verify("few", trials, embeddings, tmp_path / "own")
    assert eer.value == pytest.approx(100 * expected.eer.value)
    assert eer.low == pytest.approx(100 * expected.eer.low)
    assert eer.high == pytest.approx(100 * expected.eer.high)
    assert cost.value == pytest.approx(expected.min_dcf_001.value)
    assert eer.count == cost.count == 40
    probe.load_state_dict(before)
    assert eer.value != 0
