"""What a pretraining run writes down, and what it does when it goes wrong.

Authors
 * The d2v_sb developers 2026
"""

import functools
import logging
import math
import sys
import types

import pytest
import soundfile
import torch
from speechbrain.utils.epoch_loop import EpochCounter
from torch.utils.data import DataLoader

from d2v_sb import waiting
from d2v_sb.checkpointer import AtomicCheckpointer
from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.presets import EncoderConfig
from d2v_sb.pretraining import (
    CollapseGuard,
    CropDataset,
    Curves,
    LinearDecay,
    LinearPredictor,
    PretrainingBrain,
    Student,
    Teacher,
    audio as audio_module,
    brain as brain_module,
)
from d2v_sb.pretraining.audio import CropBatch
from d2v_sb.pretraining.collapse import CollapsedError
from d2v_sb.pretraining.curves import COLUMNS, Meter
from d2v_sb.pretraining.plot import plot_curves, read_curves

RATE = 16000
D = 16
SMALL = EncoderConfig(
    conv_feature_layers=((8, 10, 5),) + ((8, 3, 2),) * 4 + ((8, 2, 2),) * 2,
    encoder_layers=1,
    encoder_embed_dim=D,
    encoder_ffn_embed_dim=D,
    encoder_attention_heads=2,
    conv_pos_groups=4,
)

# Curves


def rows(path):
    """The lines below the header, split."""
    header, *lines = path.read_text().splitlines()
    assert header == ",".join(COLUMNS)
    return [dict(zip(COLUMNS, line.split(","), strict=True)) for line in lines]


def test_curves_are_a_csv_of_named_columns(tmp_path):
    path = tmp_path / "run" / "curves.csv"
    curves = Curves(path)
    assert not path.exists()
    curves.append({"loss": 1 / 3, "update": 200, "skipped": 2, "lr": 5e-7})
    curves.append({"update": 400, "loss": math.nan})
    first, second = rows(path)
    assert first["update"] == "200" and first["skipped"] == "2"
    assert first["loss"] == "0.333333" and first["lr"] == "5e-07"
    assert first["grad_norm"] == ""
    assert second["loss"] == "nan"


def test_a_run_that_goes_on_appends(tmp_path):
    path = tmp_path / "curves.csv"
    Curves(path).append({"update": 1})
    again = Curves(path)
    again.resume_at(1)
    again.append({"update": 2})
    assert [row["update"] for row in rows(path)] == ["1", "2"]


@pytest.mark.parametrize(
    "update, kept", ((0, []), (250, [100, 200]), (300, [100, 200, 300]))
)
def test_what_came_after_the_checkpoint_is_forgotten(tmp_path, update, kept):
    path = tmp_path / "curves.csv"
    curves = Curves(path)
    for at in (100, 200, 300):
        curves.append({"update": at, "loss": 1.0})
    curves.resume_at(update)
    assert [int(row["update"]) for row in rows(path)] == kept
    curves.append({"update": 999})
    assert [int(row["update"]) for row in rows(path)] == [*kept, 999]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("torn", ("4", "400,1.", "400,1.0,,,,,,,,,,"))
def test_a_line_that_a_kill_cut_short_is_forgotten(tmp_path, torn):
    """Also one that lacks its end alone: it may lack digits."""
    path = tmp_path / "curves.csv"
    Curves(path).append({"update": 200})
    with open(path, "a") as stream:
        stream.write(torn)
    curves = Curves(path)
    curves.resume_at(1000)
    curves.append({"update": 600})
    assert [row["update"] for row in rows(path)] == ["200", "600"]


def test_curves_that_are_not_there_are_resumed_as_none(tmp_path):
    Curves(tmp_path / "curves.csv").resume_at(100)
    assert not list(tmp_path.iterdir())


def test_a_run_of_an_older_version_goes_on_in_todays_columns(tmp_path):
    """Rows under a header that lacks a column would be read one off."""
    path = tmp_path / "curves.csv"
    path.write_text("update,loss,audio_s_per_s,skipped,gone\n1,4.50,7,3,8\n")
    curves = Curves(path)
    curves.resume_at(1)
    curves.append({"update": 2, "waiting": 0.25, "skipped": 4})
    old, new = rows(path)
    assert (old["loss"], old["waiting"], old["skipped"]) == ("4.50", "", "3")
    assert (new["loss"], new["waiting"], new["skipped"]) == ("", "0.25", "4")
    columns = read_curves(path)
    assert columns["waiting"] == pytest.approx([math.nan, 0.25], nan_ok=True)


def test_runs_with_and_without_a_column_are_drawn_together(tmp_path):
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("update,loss\n1,4.5\n2,4.0\n")
    new.write_text("update,loss,waiting\n1,4.5,0.5\n2,4.0,0.25\n")
    picture, title = tmp_path / "a.svg", "<!-- share of the time waiting"
    plot_curves({"old": old, "new": new}, picture)
    assert title in picture.read_text()
    plot_curves({"old": old}, picture)
    assert title not in picture.read_text()


def test_without_tensorboard_the_extra_that_brings_it_is_named(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    Curves(tmp_path / "curves.csv")
    with pytest.raises(UserError, match=r"\[tensorboard\]"):
        Curves(tmp_path / "curves.csv", tensorboard=True)


def test_tensorboard_gets_each_row_at_its_update(tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            assert folder == str(tmp_path / "tensorboard")

        def add_scalar(self, *args):
            written.append(args)

    module = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    curves = Curves(tmp_path / "curves.csv", tensorboard=True)
    curves.append({"update": 200, "loss": 1.5})
    curves.append({"update": 400, "loss": 1.25, "lr": 0.1})
    assert written == [
        ("loss", 1.5, 200),
        ("loss", 1.25, 400),
        ("lr", 0.1, 400),
    ]


# Meter


def test_a_meter_gives_means_and_starts_anew():
    meter = Meter()
    for value in (1.0, torch.tensor(2.0, requires_grad=True), 6):
        meter.add(loss=value)
    meter.add(std=torch.tensor(0.5, dtype=torch.float64), share=1)
    assert meter.means() == {"loss": 3.0, "std": 0.5, "share": 1.0}
    meter.add(loss=torch.tensor(7.0))
    assert meter.means() == {"loss": 7.0}


def test_a_meter_weighs_means_by_what_they_are_of():
    meter = Meter()
    meter.add(10, loss=torch.tensor(1.0))
    meter.add(30, loss=torch.tensor(2.0))
    assert meter.means() == {"loss": 1.75}


def test_a_meter_adds_in_float32():
    meter = Meter()
    for _ in range(1000):
        meter.add(x=torch.tensor(1.0, dtype=torch.bfloat16))
    assert meter.means() == {"x": 1.0}


# Guard


def test_each_deviation_has_its_limit():
    guard = CollapseGuard(start=100)
    assert guard.healthy(101, 0.1, 0.01)
    assert not guard.healthy(101, 0.0999, 0.5)
    assert not guard.healthy(101, 0.5, 0.00999)
    assert not guard.healthy(101, math.nan, 0.5)
    guard = CollapseGuard(min_target_var=0.3, min_pred_var=0.2, start=0)
    assert guard.healthy(1, 0.31, 0.21) and not guard.healthy(1, 0.29, 0.21)


def test_nothing_is_checked_before_the_start():
    """fairseq: num_updates > 5000."""
    guard = CollapseGuard()
    assert guard.act(5000, 0.0, 0.0) is False
    with pytest.raises(CollapsedError):
        guard.act(5001, 0.0, 0.0)


def test_stop_says_what_is_wrong_and_what_to_change():
    guard = CollapseGuard("stop", start=0)
    assert guard.act(1, 0.5, 0.5) is False
    with pytest.raises(CollapsedError) as error:
        guard.act(7, 0.0412, 0.5)
    for text in ("update 7", "target_std 0.0412 (least 0.1)", "lower lr"):
        assert text in str(error.value)
    assert isinstance(error.value, UserError)


def test_warn_goes_on(caplog):
    guard = CollapseGuard("warn", start=0)
    for _ in range(5):
        with caplog.at_level(logging.WARNING):
            assert guard.act(7, 0.5, 0.001) is False
    assert caplog.text.count("update 7: representations collapse") == 5


def test_rollback_is_tried_so_many_times(caplog):
    guard = CollapseGuard("rollback", start=0, max_rollbacks=2)
    with caplog.at_level(logging.WARNING):
        assert [guard.act(7, 0.0, 0.0) for _ in range(2)] == [True, True]
    assert "rollback 2" in caplog.text
    assert guard.act(8, 1.0, 1.0) is False
    with pytest.raises(CollapsedError):
        guard.act(9, 0.0, 0.0)


def test_an_unknown_policy_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="stop, warn, rollback, got 'halt'"):
        CollapseGuard("halt")


# In the Brain


def make_brain(folder, updates=8, accumulation=1, checkpoints=False, **changes):
    """A small one that logs each update and validates every second."""
    torch.manual_seed(0)
    encoder = Data2VecAudio(SMALL)
    student = Student(encoder, LinearPredictor(D))
    teacher = Teacher(encoder.encoder, LinearDecay(0.5, 0.5, 1), 1)
    counter = EpochCounter(1)
    checkpointer = None
    if checkpoints:
        parts = {"student": student, "teacher": teacher, "counter": counter}
        checkpointer = AtomicCheckpointer(folder / "save", parts)
    hparams = {
        "student": student,
        "teacher": teacher,
        "collapse_guard": CollapseGuard(start=0, min_target_var=0.0),
        "curves": Curves(folder / "curves.csv"),
        "train_logger": types.SimpleNamespace(log_stats=lambda *a, **k: None),
        "mask_prob": 0.65,
        "mask_length": 10,
        "require_same_masks": True,
        "max_seconds": 1.0,
        "log_interval_updates": 1,
        "keep_checkpoints": 10,
        "number_of_updates": updates,
        "validate_interval_updates": 2,
        "batch_seconds": 2 * accumulation,
        "published_batch_seconds": 2 * accumulation,
        "gpu_batch_seconds": 2,
        "max_grad_norm": 0.0,
        "num_workers": 0,
        "seed": 1,
        "lr_schedule": lambda optimizer, update: None,
        "epoch_counter": counter,
        "noprogressbar": True,
        **changes,
    }
    adam = functools.partial(torch.optim.Adam, lr=1e-2)
    brain = PretrainingBrain(
        {"student": student}, adam, hparams, checkpointer=checkpointer
    )
    assert brain.grad_accumulation_factor == accumulation
    return brain


def copy_of(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(state, other):
    return state.keys() == other.keys() and all(
        torch.equal(state[k], other[k]) for k in state
    )


def weights(brain):
    """Copies of the student's and the teacher's."""
    return copy_of(brain.student), copy_of(brain.teacher)


# A batch that is not finite


def batches(count, bad=()):
    """Two seconds each; those at `bad` hold an infinite sample."""
    made = []
    for i in range(count):
        generator = torch.Generator().manual_seed(i)
        wavs = torch.randn(2, RATE, generator=generator)
        if i in bad:
            wavs[1, 500] = math.inf
        names = tuple(f"clip{i}{k} from 0.00 s" for k in "ab")
        made.append(CropBatch(names, wavs))
    return made


def run(brain, made):
    """Trains; weights before each update and after the last."""
    before, step = [], brain.optimizers_step

    def stepping():
        before.append(weights(brain))
        step()

    brain.optimizers_step = stepping
    brain.fit(brain.epochs(), DataLoader(made, batch_size=None))
    return [*before, weights(brain)]


@pytest.mark.parametrize("accumulation", (1, 2))
def test_an_update_that_is_not_finite_changes_nothing(
    tmp_path, caplog, accumulation
):
    """The whole update is left out; what was bad in it is named."""
    A = accumulation
    brain = make_brain(
        tmp_path,
        2,
        A,
        validate_interval_updates=3,
        collapse_guard=CollapseGuard(
            start=0, min_target_var=0.01, min_pred_var=1e-6
        ),
    )
    bad = A + A - 1  # last micro-batch of the second update
    with caplog.at_level(logging.WARNING, "d2v_sb"):
        states = run(brain, batches(3 * A, [bad]))
    first, second, third, last = states
    for i in range(2):  # student, teacher
        assert not same(first[i], second[i])
        assert same(second[i], third[i])
        assert not same(third[i], last[i])
        assert all(torch.isfinite(x).all() for x in last[i].values())
    assert brain.total_skipped == 1 and brain.skipped_steps == 0
    assert brain.optimizer_step == 2

    said = [r.getMessage() for r in caplog.records]
    named = [text for text in said if "clip" in text]
    assert named == [
        f"loss not finite: clip{bad}a from 0.00 s, clip{bad}b from 0.00 s"
    ]
    assert any("update 1 skipped" in text for text in said)


def test_a_skipped_update_is_not_in_the_curves_but_counted(tmp_path):
    """One NaN would be the mean of its interval, and stop the run as a
    collapse."""
    guard = CollapseGuard("stop", 1e-3, 1e-6, start=0)
    brain = make_brain(
        tmp_path,
        4,
        log_interval_updates=2,
        validate_interval_updates=9,
        collapse_guard=guard,
    )
    run(brain, batches(5, [2]))
    first, second = rows(tmp_path / "curves.csv")
    assert (first["update"], second["update"]) == ("2", "4")
    assert (first["skipped"], second["skipped"]) == ("0", "1")
    for row in (first, second):
        assert all(math.isfinite(float(value)) for value in row.values())


def test_a_scaler_that_looks_for_its_scale_names_nothing(tmp_path, caplog):
    brain = make_brain(tmp_path)
    brain._micro_batches = [(("clip",), torch.tensor(1.0))]
    brain.after_skip()
    assert "gradient not finite: clip" in caplog.text
    caplog.clear()
    brain.scaler = types.SimpleNamespace(is_enabled=lambda: True)
    brain.after_skip()
    assert "clip" not in caplog.text
    brain._micro_batches = [(("clip",), torch.tensor(math.nan))]
    brain.after_skip()
    assert "loss not finite: clip" in caplog.text


def test_a_gradient_that_is_not_finite_names_the_whole_update(tmp_path, caplog):
    """Where each loss is finite nobody knows which it was."""
    brain = make_brain(tmp_path, 1, 2, validate_interval_updates=2)
    mean, done = brain.before_clipping, []

    def overflow(parameters):
        mean(parameters)
        if not done:
            done.append(True)
            parameters[0].grad[:] = math.inf

    brain.before_clipping = overflow
    with caplog.at_level(logging.WARNING, "d2v_sb"):
        before, after, last = run(brain, batches(4))
    assert same(before[0], after[0]) and not same(after[0], last[0])
    named = [r.getMessage() for r in caplog.records if "clip" in r.getMessage()]
    assert [text.split(":")[0] for text in named] == ["gradient not finite"] * 2
    assert "clip0a" in named[0] and "clip1b" in named[1]


# Its audio


@pytest.fixture
def audio(tmp_path):
    """Six seconds of noise, each in a file of its own."""
    lines = ["ID,duration,wav"]
    for i in range(6):
        wav = batches(1 + i)[i].wavs[0] / 8
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, wav.clamp(-1, 1).numpy(), RATE)
        lines.append(f"{i},1.0,{path}")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    return CropDataset(tmp_path / "a.csv")


def test_each_interval_says_how_long_it_waited_for_audio(
    tmp_path, audio, monkeypatch, caplog
):
    """Before the second update a batch takes three times as long as a step."""
    now, read = [100.0], audio_module.read_crop
    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(waiting, "time", clock)
    brain = make_brain(tmp_path, 3, validate_interval_updates=3)
    forward = brain.compute_forward

    def slow_read(*crop):
        now[0] += 1.5 * (brain.optimizer_step == 1)  # two crops a batch
        return read(*crop)

    def slow_step(batch, stage):
        now[0] += 1.0
        return forward(batch, stage)

    monkeypatch.setattr(audio_module, "read_crop", slow_read)
    brain.compute_forward = slow_step
    with caplog.at_level(logging.INFO, "d2v_sb"):
        brain.fit(brain.epochs(), brain.train_loader(audio))
    shares = [row["waiting"] for row in rows(tmp_path / "curves.csv")]
    assert shares == ["0", "0.75", "0"]
    for said in ("waiting 75.0 %", "75 % of the last 4 s was waiting"):
        assert said in caplog.text


# Rolling back


def forced(brain, monkeypatch, stds):
    """Deviations of update 1, 2, ... as they are asked for; the last stays."""
    left = list(stds)

    def deviation(x):
        return torch.tensor(left[0])

    end = brain._end_update

    def next_one():
        end()
        if len(left) > 1:
            left.pop(0)

    monkeypatch.setattr(brain_module, "mean_std", deviation)
    brain._end_update = next_one


def train(brain, audio):
    """The run; what it had after each update, and the number of its batch."""
    seen, end = [], brain._end_update

    def keeping():
        number = brain.batch_number
        end()
        seen.append((number, brain.optimizer_step, *weights(brain)))

    brain._end_update = keeping
    loader = brain.train_loader(audio)
    brain.fit(brain.epochs(), loader, brain.eval_loader(audio))
    return seen


def rollback_brain(tmp_path, **options):
    guard = CollapseGuard("rollback", 0.1, 0.01, start=0, **options)
    return make_brain(tmp_path, checkpoints=True, collapse_guard=guard)


def test_a_collapse_goes_back_to_the_last_good_checkpoint(
    tmp_path, audio, monkeypatch, caplog
):
    """That of update 4 has half collapsed already: 0.15 is below twice 0.1."""
    brain = rollback_brain(tmp_path)
    forced(brain, monkeypatch, [1.0, 1.0, 0.3, 0.15, 0.05, 1.0])
    with caplog.at_level(logging.WARNING):
        seen = train(brain, audio)
    updates = [update for _, update, *_ in seen]
    assert updates == [1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8]
    good, back, after = seen[1], seen[4], seen[5]
    for i in (2, 3):  # student, teacher
        assert same(back[i], good[i])
        assert not same(seen[3][i], good[i])
        assert not same(after[i], good[i])
    # The same audio again would lead to the same end.
    assert [number for number, *_ in seen] == list(range(11))
    for i in (2, 3):
        assert not same(after[i], seen[2][i])
    assert "went back to update 2" in caplog.text


def test_the_optimiser_goes_back_too(tmp_path, audio, monkeypatch):
    brain = rollback_brain(tmp_path)
    forced(brain, monkeypatch, [1.0, 1.0, 1.0, 0.05, 1.0])
    states, end = [], brain._end_update

    def keeping():
        end()
        state = brain.optimizer.state_dict()["state"]
        states.append({k: v["exp_avg"].clone() for k, v in state.items()})

    brain._end_update = keeping
    train(brain, audio)
    good, later, back = states[1], states[2], states[3]
    assert same(back, good) and not same(later, good)


def test_later_checkpoints_are_deleted_and_earlier_ones_stay(
    tmp_path, audio, monkeypatch
):
    brain = rollback_brain(tmp_path)
    forced(brain, monkeypatch, [1.0] * 4 + [0.15] * 2 + [0.05] + [1.0])
    kept = []
    act = brain.hparams.collapse_guard.act

    def saved():
        found = brain.checkpointer.list_checkpoints()
        return sorted(c.meta["update"] for c in found)

    def acting(*args):
        back = act(*args)
        if back:
            kept.append(saved())
        return back

    brain.hparams.collapse_guard.act = acting
    end = brain._end_update

    def after():
        number = len(kept)
        end()
        if len(kept) > number:
            kept.append(saved())

    brain._end_update = after
    train(brain, audio)
    assert kept == [[2, 4, 6], [2, 4]]


def test_a_run_that_went_back_can_be_resumed(tmp_path, audio, monkeypatch):
    """With the weights that it had, from the checkpoint made since."""
    brain = rollback_brain(tmp_path)
    forced(brain, monkeypatch, [1.0, 1.0, 0.3, 0.05, 1.0])
    train(brain, audio)
    again = rollback_brain(tmp_path)
    assert train(again, audio) == []
    assert again.optimizer_step == 8
    for ours, theirs in zip(weights(brain), weights(again), strict=True):
        assert same(ours, theirs)


def test_a_checkpoint_made_just_after_going_back_is_good(
    tmp_path, audio, monkeypatch
):
    """It is the only one kept, and the next collapse comes at once: both of
    the last updates before a validation, which saves."""
    brain = rollback_brain(tmp_path)
    brain.hparams.keep_checkpoints = 1
    forced(brain, monkeypatch, [1.0, 1.0, 1.0, 0.05, 1.0, 0.05, 1.0])
    updates = [update for _, update, *_ in train(brain, audio)]
    assert updates[:8] == [1, 2, 3, 2, 3, 2, 3, 4] and updates[-1] == 8


def test_after_so_many_rollbacks_the_run_stops(tmp_path, audio, monkeypatch):
    brain = rollback_brain(tmp_path, max_rollbacks=2)
    forced(brain, monkeypatch, [1.0, 1.0, 0.05])
    with pytest.raises(CollapsedError, match="update 3: .*Stopped"):
        train(brain, audio)
    assert brain.hparams.collapse_guard.rollbacks == 2
    assert brain.optimizer_step == 3


@pytest.mark.parametrize("before", ([], [0.15, 0.15]))
def test_without_a_good_checkpoint_there_is_no_way_back(
    tmp_path, audio, monkeypatch, before
):
    """Neither with none at all nor with one that has half collapsed."""
    brain = rollback_brain(tmp_path)
    forced(brain, monkeypatch, [*before, 0.05])
    with pytest.raises(CollapsedError, match="no checkpoint is good enough"):
        train(brain, audio)
    assert brain.optimizer_step == len(before) + 1


def test_stop_ends_the_run(tmp_path, audio, monkeypatch):
    guard = CollapseGuard("stop", start=2)
    brain = make_brain(tmp_path, checkpoints=True, collapse_guard=guard)
    forced(brain, monkeypatch, [0.05])
    with pytest.raises(CollapsedError, match="update 3: representations"):
        train(brain, audio)
    # What led there is in the curves.
    assert [r["target_std"] for r in rows(tmp_path / "curves.csv")] == (
        ["0.05"] * 3
    )


def test_warn_trains_to_the_end(tmp_path, audio, monkeypatch, caplog):
    guard = CollapseGuard("warn", start=2)
    brain = make_brain(tmp_path, 4, checkpoints=True, collapse_guard=guard)
    forced(brain, monkeypatch, [0.05])
    with caplog.at_level(logging.WARNING):
        train(brain, audio)
    assert brain.optimizer_step == 4
    assert caplog.text.count("representations collapse") == 2
