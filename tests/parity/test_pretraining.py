"""Three updates of the Brain are those that fairseq made.

The shipped step runs: PretrainingBrain with its student, teacher, objective
and curves, on the recorded waveforms. Only the masks are the recording's, for
fairseq draws them without a seed. That the tolerances mean something is shown
by plausible mistakes, each of which must break the comparison by far.

Authors
 * The d2v_sb developers 2026
"""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from safetensors.torch import load_file
from speechbrain.utils.epoch_loop import EpochCounter
from torch.utils.data import DataLoader

from d2v_sb.__main__ import main
from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.checkpoints.keys import FAIRSEQ, OURS, rename
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.pretraining import (
    CollapseGuard,
    LinearDecay,
    LinearPredictor,
    PretrainingBrain,
    Student,
    Teacher,
    brain as brain_module,
    export_pretrained,
    student as student_module,
    teacher as teacher_module,
)
from d2v_sb.pretraining.audio import CropBatch

pytestmark = pytest.mark.parity

NAME = "fairseq_v1_tiny"
UPDATES = 3
# Relative, of norms; and largest absolute difference of weights.
TOLERANCE = {"train": 1e-5, "after.student": 3e-5, "after.teacher": 1e-5}
WHOLE = ((0, 1, 2, 3),)  # rows of each micro-batch


@pytest.fixture(scope="module")
def recorded(reference):
    return load_file(reference / f"{NAME}.safetensors")


@pytest.fixture(scope="module")
def checkpoint(reference):
    return load_checkpoint(reference / f"{NAME}.pt")


class Replay(PretrainingBrain):
    """Hides what the recording hid, and keeps what it can be compared to."""

    def __init__(self, recorded, splits, *args):
        super().__init__(*args)
        assert self.grad_accumulation_factor == len(splits)
        self.masks = [
            recorded[f"train.{update}.mask"][list(rows)]
            for update in range(UPDATES)
            for rows in splits
        ]
        self.losses, self.sizes = [], []

    def draw_hidden(self, B, N, stage):
        """Instead of drawing."""
        mask = self.masks[self.step - 1]
        assert mask.shape == (B, self.student.encoder.num_frames(N))
        return mask.flatten().nonzero().squeeze(1)

    def compute_objectives(self, outputs, batch, stage):
        """Keeps the summed loss."""
        loss = super().compute_objectives(outputs, batch, stage)
        self.losses.append(loss.item())
        self.sizes.append(len(outputs[1]))
        return loss

    def init_optimizers(self):
        """Keeps the gradients of the first step."""
        super().init_optimizers()
        self.gradients = {}

        def keep(*_):
            if not self.gradients:
                self.gradients = {
                    name: p.grad.clone()
                    for name, p in self.student.named_parameters()
                    if p.grad is not None
                }

        self.optimizer.register_step_pre_hook(keep)


class Rows(list):
    """Curves that stay in memory."""

    def resume_at(self, update):
        """Nothing to forget."""


def make_brain(reference, checkpoint, recorded, splits=WHOLE):
    """Student and teacher as fairseq's were, from the same weights."""
    options = checkpoint.training_config["model"]
    encoder = Data2VecAudio(str(reference / f"{NAME}.pt"))
    for name in ("dropout", "attention_dropout", "encoder_layerdrop"):
        assert getattr(encoder.config, name) == 0
    predictor = LinearPredictor(encoder.output_size)
    predictor.linear.load_state_dict(checkpoint.predictor)
    student = Student(encoder, predictor)
    teacher = Teacher(
        encoder.encoder,
        LinearDecay(0.9, 0.99, 10),
        options["average_top_k_layers"],
        options["ema_layers_only"],
    )
    seconds = recorded["train.wavs"].numel() / 16000
    hparams = {
        "student": student,
        "teacher": teacher,
        "collapse_guard": CollapseGuard(start=UPDATES),
        "curves": Rows(),
        "number_of_updates": UPDATES,
        "validate_interval_updates": UPDATES,
        "batch_seconds": seconds,
        "gpu_batch_seconds": seconds / len(splits),
        "log_interval_updates": 1,
        "max_grad_norm": 0.0,
        "seed": 1,
        "lr_schedule": lambda optimizer, update: None,
        "epoch_counter": EpochCounter(1),
        "noprogressbar": True,
    }
    adam = functools.partial(
        torch.optim.Adam,
        lr=5e-4,
        betas=(0.9, 0.98),
        eps=1e-6,
        weight_decay=0.01,
    )
    return Replay(recorded, splits, {"student": student}, adam, hparams)


def train(brain, recorded, splits=WHOLE):
    """Three updates; returns what they left, under the recording's names."""
    batches = [
        CropBatch(tuple(map(str, rows)), recorded["train.wavs"][list(rows)])
        for _ in range(UPDATES)
        for rows in splits
    ]
    decays = []
    make = teacher_module.get_ema_multi_avg_fn

    def keeping(decay):
        decays.append(decay)
        return make(decay)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher_module, "get_ema_multi_avg_fn", keeping)
        brain.fit(brain.epochs(), DataLoader(batches, batch_size=None))
    assert brain.optimizer_step == len(decays) == UPDATES

    found, M = {}, len(splits)
    for update, row in enumerate(brain.hparams.curves):
        micro = slice(update * M, (update + 1) * M)
        prefix = f"train.{update}."
        found[prefix + "loss_sum"] = sum(brain.losses[micro])
        found[prefix + "sample_size"] = sum(brain.sizes[micro])
        found[prefix + "loss"] = row["loss"]
        found[prefix + "target_var"] = row["target_std"]
        found[prefix + "pred_var"] = row["prediction_std"]
        found[prefix + "ema_decay"] = decays[update]
    found.update(of_student("train.0.grad.", brain.gradients))
    found.update(of_student("after.student.", brain.student.state_dict()))
    found.update(of_teacher("after.teacher.", brain.teacher))
    return found


def of_student(prefix, state):
    """A student's tensors under fairseq's names, none left out."""
    encoder = {
        name.removeprefix("encoder."): value
        for name, value in state.items()
        if name.startswith("encoder.") and not name.endswith("_extra_state")
    }
    renamed, unknown = rename(encoder, OURS, FAIRSEQ)
    assert not unknown
    for name in ("weight", "bias"):
        renamed[f"final_proj.{name}"] = state[f"predictor.linear.{name}"]
    return {prefix + name: value for name, value in renamed.items()}


def of_teacher(prefix, teacher):
    """A teacher's weights under the names of fairseq's _ema."""
    state = {
        f"encoder.{k}": v for k, v in teacher.transformer.state_dict().items()
    }
    renamed, unknown = rename(state, OURS, FAIRSEQ)
    assert not unknown
    return {
        prefix + name.removeprefix("encoder."): value
        for name, value in renamed.items()
    }


def deviations(found, recorded):
    """Error of each recorded quantity, in units of its tolerance."""
    errors = {}
    for name, expected in recorded.items():
        kind = name.rsplit(".", 1)[-1]
        if not name.startswith(("train.", "after.")) or kind in (
            "wavs",
            "mask",
        ):
            continue
        if name not in found:
            errors[name] = math.inf
            continue
        expected = expected.double()
        error = torch.as_tensor(found[name]).double() - expected
        if name.startswith("train."):
            error = error.norm() / expected.norm()
        key = ".".join(name.split(".")[: 2 - name.startswith("train.")])
        errors[name] = error.abs().max().item() / TOLERANCE[key]
    return errors


# Parity


@pytest.fixture(scope="module")
def replayed(reference, checkpoint, recorded):
    """A brain after the three updates, and what they left."""
    brain = make_brain(reference, checkpoint, recorded)
    return brain, train(brain, recorded)


def test_three_updates_are_fairseqs(replayed, recorded):
    """Losses, deviations, decays, gradients, and all weights afterwards."""
    brain, found = replayed
    errors = deviations(found, recorded)
    # 6 figures an update, 5 gradients, and the weights.
    assert len(errors) == 3 * 6 + 5 + 104 + 76
    assert max(errors.values()) < 1, errors
    # Nothing of ours that the recording does not have.
    ours = {k for k in found if k.startswith("after.")}
    assert ours == {k for k in recorded if k.startswith("after.")}
    # The curves say what was used.
    for update, row in enumerate(brain.hparams.curves):
        assert row["update"] == update + 1
        assert row["decay"] == found[f"train.{update}.ema_decay"]


def test_the_updates_are_real(replayed, recorded, checkpoint):
    """Weights that nothing had moved would not pass."""
    untrained = {f"encoder.{k}": v for k, v in checkpoint.encoder.items()}
    for name, value in checkpoint.predictor.items():
        untrained[f"predictor.linear.{name}"] = value
    before = of_student("after.student.", untrained)
    moved = deviations(before, recorded)
    moved = [v for k, v in moved.items() if k.startswith("after.student.")]
    assert len(moved) == 104 and min(moved) > 10


# Also a split by which a mean of the micro-batches' means would be wrong.
@pytest.mark.parametrize("splits", (((0, 1), (2, 3)), ((0,), (1, 2, 3))))
def test_accumulated_updates_are_fairseqs(
    reference, checkpoint, recorded, splits
):
    brain = make_brain(reference, checkpoint, recorded, splits)
    errors = deviations(train(brain, recorded, splits), recorded)
    # Each micro-batch has deviations of its own.
    errors = {k: v for k, v in errors.items() if not k.endswith("_var")}
    assert len(errors) == 3 * 4 + 5 + 104 + 76
    assert max(errors.values()) < 1, errors


def test_means_of_micro_batches_would_not_be_fairseqs(
    reference, checkpoint, recorded, monkeypatch
):
    """Each micro-batch's loss over its own number of frames."""
    splits = ((0,), (1, 2, 3))
    brain = make_brain(reference, checkpoint, recorded, splits)
    loss = brain_module.regression_loss
    monkeypatch.setattr(
        brain_module, "regression_loss", lambda p, t: loss(p, t) / len(t)
    )
    brain.before_clipping = lambda parameters: torch._foreach_mul_(
        [p.grad for p in parameters], 1 / len(splits)
    )
    errors = deviations(train(brain, recorded, splits), recorded)
    for part in ("train.0.grad.", "after.student."):
        worst = max(v for k, v in errors.items() if k.startswith(part))
        assert worst > 10, part


def test_a_teacher_that_follows_each_micro_batch_is_not_fairseqs(
    reference, checkpoint, recorded
):
    """fairseq's own quirk under accumulation, which we do not follow."""
    splits = ((0, 1), (2, 3))
    brain = make_brain(reference, checkpoint, recorded, splits)
    follow = brain.after_update

    def twice():
        follow()
        brain.teacher.update(brain.student.encoder.encoder, 1)

    brain.after_update = twice
    with pytest.raises(AssertionError):
        train(brain, recorded, splits)  # more decays than updates
    errors = deviations(of_teacher("after.teacher.", brain.teacher), recorded)
    errors = [v for k, v in errors.items() if k.startswith("after.teacher.")]
    assert max(errors) > 10


def test_the_teachers_dropout_is_off(reference, checkpoint, recorded):
    """Its config has dropout, as in real runs, and the targets none."""
    brain = make_brain(reference, checkpoint, recorded)
    give_dropout(brain.teacher)
    brain.teacher.train()
    assert max(deviations(train(brain, recorded), recorded).values()) < 1


def give_dropout(teacher):
    """What a config with dropout 0.1 would have made."""
    teacher.transformer.dropout = 0.1
    for layer in teacher.transformer.layers:
        layer.dropout = layer.self_attn.dropout = 0.1


# Plausible mistakes, each far outside the tolerances

MISTAKES = {}


def mistake(factor=100, **options):
    """Registers one, and by how many tolerances it shows at least."""

    def register(break_it):
        name = " ".join(map(str, (break_it.__name__, *options.values())))
        partial = functools.partial(break_it, **options)
        MISTAKES[name.replace("_", " ")] = partial, factor
        return break_it

    return register


def with_targets(make_targets):
    def break_it(brain, monkeypatch):
        monkeypatch.setattr(teacher_module, "make_targets", make_targets)

    return break_it


@mistake()
def block_outputs_as_targets(brain, monkeypatch):
    teacher, K = brain.teacher, brain.teacher.average_top_k_layers

    @torch.no_grad()
    def forward(projected):
        context = teacher.transformer(projected, output_all_hiddens=True)
        return teacher_module.make_targets(context.hidden_states[-K:])

    teacher.forward = forward


@mistake()
def residual_stream_as_targets(brain, monkeypatch):
    def forward(self, x, packing=None):
        x = self.self_attn_layer_norm(x + self.self_attn(x, packing))
        ffn = self.fc2(F.gelu(self.fc1(x)))
        return self.final_layer_norm(x + ffn), x + ffn

    for layer in brain.teacher.transformer.layers:
        layer.forward = forward.__get__(layer)


@mistake()
def first_layers_instead_of_last(brain, monkeypatch):
    teacher, K = brain.teacher, brain.teacher.average_top_k_layers

    @torch.no_grad()
    def forward(projected):
        num_layers = len(teacher.transformer.layers)
        context = teacher.transformer(projected, top_k_ffn=num_layers)
        return teacher_module.make_targets(context.ffn_outputs[:K])

    teacher.forward = forward


@mistake(K=2)
@mistake(K=4)
def average_of_other_layers(brain, monkeypatch, K):
    assert brain.teacher.average_top_k_layers == 3
    brain.teacher.average_top_k_layers = K


@mistake()
def sum_instead_of_average(brain, monkeypatch):
    make = teacher_module.make_targets
    with_targets(lambda ffns: make(ffns) * len(ffns))(brain, monkeypatch)


@mistake()
def targets_not_normalised(brain, monkeypatch):
    with_targets(lambda ffns: sum(ffns) / len(ffns))(brain, monkeypatch)


@mistake()
def normalised_over_channels(brain, monkeypatch):
    def make(ffns):
        return sum(F.layer_norm(x, x.shape[-1:]) for x in ffns) / len(ffns)

    with_targets(make)(brain, monkeypatch)


@mistake()
def normalised_over_the_batch(brain, monkeypatch):
    def norm(x):
        x = F.batch_norm(x.transpose(1, 2), None, None, training=True)
        return x.transpose(1, 2)

    with_targets(lambda ffns: sum(map(norm, ffns)) / len(ffns))(
        brain, monkeypatch
    )


@mistake()
def normalised_after_the_average(brain, monkeypatch):
    make = teacher_module.make_targets
    with_targets(lambda ffns: make([sum(ffns) / len(ffns)]))(brain, monkeypatch)


@mistake()
def unbiased_variance(brain, monkeypatch):
    def norm(x):
        x = x - x.mean(1, keepdim=True)
        return x / (x.var(1, keepdim=True) + 1e-5).sqrt()

    with_targets(lambda ffns: sum(map(norm, ffns)) / len(ffns))(
        brain, monkeypatch
    )


@mistake()
def teacher_with_dropout(brain, monkeypatch):
    give_dropout(brain.teacher)
    for module in brain.teacher.transformer.modules():
        module.training = True


@mistake()
def teacher_sees_the_mask(brain, monkeypatch):
    hide, kept = student_module.hide, []

    def keeping(*args):
        x = hide(*args)
        kept[:] = [x.detach()]
        return x

    monkeypatch.setattr(student_module, "hide", keeping)
    forward = brain.teacher.forward
    brain.teacher.forward = lambda projected: forward(kept[0])


@mistake()
def teacher_of_the_file(brain, monkeypatch):
    checkpoint = load_checkpoint(brain.source)
    brain.teacher.transformer.load_state_dict(checkpoint.teacher)


@mistake()
def nothing_hidden(brain, monkeypatch):
    monkeypatch.setattr(student_module, "hide", lambda x, *_: x)


@mistake()
def hidden_frames_are_zero(brain, monkeypatch):
    hide = student_module.hide
    monkeypatch.setattr(
        student_module, "hide", lambda x, hidden, e: hide(x, hidden, 0 * e)
    )


@mistake()
def loss_of_all_frames(brain, monkeypatch):
    draw, hide, drawn = brain.draw_hidden, student_module.hide, []

    def all_frames(B, N, stage):
        drawn[:] = [draw(B, N, stage)]
        return torch.arange(B * brain.student.encoder.num_frames(N))

    brain.draw_hidden = all_frames
    monkeypatch.setattr(
        student_module, "hide", lambda x, hidden, e: hide(x, drawn[0], e)
    )


def with_loss(change):
    def break_it(brain, monkeypatch):
        loss = brain_module.regression_loss
        monkeypatch.setattr(
            brain_module,
            "regression_loss",
            lambda p, t: change(loss, p, t),
        )

    return break_it


@mistake()
def loss_averaged_over_width(brain, monkeypatch):
    with_loss(lambda loss, p, t: loss(p, t) / math.sqrt(p.shape[-1]))(
        brain, monkeypatch
    )


@mistake()
def smooth_l1_loss(brain, monkeypatch):
    def smooth(_, p, t):
        error = F.smooth_l1_loss(p, t, reduction="sum", beta=0.25)
        return error / math.sqrt(p.shape[-1])

    with_loss(smooth)(brain, monkeypatch)


@mistake()
def gradient_of_the_sum(brain, monkeypatch):
    brain.before_clipping = lambda parameters: None


@mistake()
def gradient_clipped(brain, monkeypatch):
    brain.max_grad_norm = 0.1


@mistake()
def gradient_through_the_targets(brain, monkeypatch):
    project, kept, teacher = brain.student.encoder.project, [], brain.teacher

    def keeping(frames):
        kept[:] = [project(frames)]
        return kept[0]

    brain.student.encoder.project = keeping
    forward = Teacher.forward.__wrapped__  # without no_grad
    teacher.forward = lambda projected: forward(teacher, kept[0])


@mistake()
def extractor_gradients_scaled_down(brain, monkeypatch):
    """As in wav2vec 2.0. Adam hides it: it shows in the gradients."""
    encoder = brain.student.encoder
    extract = encoder.extract

    def scaled(wavs):
        x = extract(wavs)
        return 0.1 * x + 0.9 * x.detach()

    encoder.extract = scaled


@mistake(10)
def teacher_follows_before_the_step(brain, monkeypatch):
    mean, follow = brain.before_clipping, brain.after_update

    def first(parameters):
        brain.optimizer_step += 1
        follow()
        brain.optimizer_step -= 1
        mean(parameters)

    brain.before_clipping, brain.after_update = first, lambda: None


@mistake(10)
def positional_convolutions_averaged(brain, monkeypatch):
    brain.teacher.ema_layers_only = False


@mistake(10)
def encoder_norm_copied(brain, monkeypatch):
    follow, student = brain.after_update, brain.student.encoder.encoder

    def copying():
        follow()
        state = student.layer_norm.state_dict()
        brain.teacher.transformer.layer_norm.load_state_dict(state)

    brain.after_update = copying


@mistake(10)
def everything_copied(brain, monkeypatch):
    brain.teacher.decay = lambda update: 0.0


@mistake()
def decay_of_the_update_before(brain, monkeypatch):
    transformer = brain.student.encoder.encoder
    brain.after_update = lambda: brain.teacher.update(
        transformer, brain.optimizer_step - 1
    )


@pytest.mark.parametrize("name", MISTAKES)
def test_plausible_mistake_breaks_parity(
    reference, checkpoint, recorded, monkeypatch, name
):
    break_it, factor = MISTAKES[name]
    brain = make_brain(reference, checkpoint, recorded)
    brain.source = str(reference / f"{NAME}.pt")
    break_it(brain, monkeypatch)
    errors = deviations(train(brain, recorded), recorded)
    assert max(errors.values()) > factor, errors


# Export


def test_an_exported_run_converts_to_fairseqs_form(replayed, tmp_path):
    brain, found = replayed
    options = {"average_top_k_layers": 3, "ema_decay": 0.9, "lr": 5e-4}
    ours, theirs = tmp_path / "pretrained.safetensors", tmp_path / "a.pt"
    export_pretrained(ours, brain.student, brain.teacher, options)
    words = ["convert", str(ours), str(theirs), "--to", "fairseq"]
    result = CliRunner(catch_exceptions=False).invoke(main, words)
    assert result.exit_code == 0 and "it has no" not in result.output

    file = torch.load(theirs, weights_only=True)
    model, ema = file["model"], file["model"].pop("_ema")
    for part, weights in (("student", model), ("teacher", ema)):
        expected = {
            name.removeprefix(f"after.{part}."): value
            for name, value in found.items()
            if name.startswith(f"after.{part}.")
        }
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[k], expected[k]) for k in expected)
    # The teacher's own weights, not the student's again.
    name = "layers.0.fc1.weight"
    assert not torch.equal(ema[name], model[f"encoder.{name}"])
    config = file["cfg"]["model"]
    assert config["average_top_k_layers"] == 3 and config["ema_decay"] == 0.9
