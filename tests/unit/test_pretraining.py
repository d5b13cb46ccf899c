"""Student, teacher and objective of pretraining.

Authors
 * The d2v_sb developers 2026
"""

import copy

import pytest
import torch

from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.presets import EncoderConfig
from d2v_sb.pretraining import (
    LinearDecay,
    LinearPredictor,
    Student,
    Teacher,
    export_pretrained,
    start_from,
)
from d2v_sb.pretraining.objective import (
    frame_cosine,
    make_targets,
    mean_std,
    regression_loss,
)
from d2v_sb.pretraining.student import hide

D = 16
SMALL = EncoderConfig(
    conv_feature_layers=((8, 10, 5),) + ((8, 3, 2),) * 4 + ((8, 2, 2),) * 2,
    encoder_layers=3,
    encoder_embed_dim=D,
    encoder_ffn_embed_dim=D,
    encoder_attention_heads=2,
    conv_pos_groups=4,
)
T = 49  # frames of a second
HIDDEN = torch.tensor([3, 4, 5, 30, T + 7, T + 8])


def make_student(**overrides):
    torch.manual_seed(0)
    encoder = Data2VecAudio(SMALL, **overrides)
    student = Student(encoder, LinearPredictor(D)).train()
    return student


def make_teacher(student, decay=0.9, K=2, **options):
    transformer = student.encoder.encoder
    return Teacher(transformer, LinearDecay(decay, decay, 1), K, **options)


def wavs(seed=1, rows=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 16000, generator=generator)


# Student


def test_hide_changes_hidden_frames_only_and_not_x():
    x, mask_emb = torch.randn(2, T, D), torch.randn(D)
    before = x.clone()
    out = hide(x, HIDDEN, mask_emb)
    assert torch.equal(x, before)
    mask = torch.zeros(2, T, dtype=torch.bool)
    mask[[0, 0, 0, 0, 1, 1], [3, 4, 5, 30, 7, 8]] = True
    assert torch.equal(out[mask], mask_emb.expand(6, D))
    assert torch.equal(out[~mask], x[~mask])
    # Row after row: a position is b * T + t, not t * B + b.
    assert not torch.equal(
        out, hide(x.transpose(0, 1), HIDDEN, mask_emb).transpose(0, 1)
    )


def test_hide_keeps_the_precision_of_the_frames():
    x = torch.randn(1, T, D, dtype=torch.bfloat16)
    assert hide(x, HIDDEN[:4], torch.randn(D)).dtype == torch.bfloat16


def test_gather_then_scatter_is_the_identity():
    x = torch.randn(2, T, D)
    rows = x.flatten(0, 1).index_select(0, HIDDEN)
    back = torch.zeros(2 * T, D).index_copy(0, HIDDEN, rows).view(2, T, D)
    mask = torch.zeros(2 * T, dtype=torch.bool)
    mask[HIDDEN] = True
    mask = mask.view(2, T)
    assert torch.equal(back[mask], x[mask])
    assert not back[~mask].any()
    # The predictor takes the same rows as targets are taken.
    predictor = LinearPredictor(D)
    assert torch.equal(predictor(x, HIDDEN), predictor.linear(x[mask]))


def test_only_hidden_frames_are_predicted():
    student = make_student()
    out = student(wavs(), HIDDEN)
    assert out.prediction.shape == (len(HIDDEN), D)
    seen = []
    student.predictor.linear.register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0].shape)
    )
    student(wavs(), HIDDEN)
    assert seen == [(len(HIDDEN), D)]


def test_a_prediction_does_not_see_its_own_frame():
    """What lies under the mask reaches it by no way but the conv stack's."""
    student = make_student().eval()
    project = student.encoder.project

    def prediction(offset):
        def changed(frames):
            x = project(frames).clone()
            x.view(-1, D)[HIDDEN] += offset
            return x

        student.encoder.project = changed
        return student(wavs(), HIDDEN).prediction

    assert torch.equal(prediction(0.0), prediction(100.0))


def test_the_teachers_input_is_neither_hidden_nor_dropped():
    student = make_student(dropout=0.0, attention_dropout=0.0)
    student.encoder.projection.dropout = 0.5
    out = student(wavs(), HIDDEN)
    with torch.no_grad():
        frames = student.encoder.extract(wavs())
        projected = student.encoder.project(frames)
    assert torch.equal(out.projected, projected)
    assert torch.equal(out.frames, frames)
    # The student's own was dropped.
    again = student(wavs(), HIDDEN)
    assert not torch.equal(again.prediction, out.prediction)
    assert torch.equal(again.projected, out.projected)


def test_every_weight_of_the_student_learns_the_mask_embedding_too():
    student = make_student(encoder_layerdrop=0.0)
    student(wavs(), HIDDEN).prediction.square().sum().backward()
    for name, p in student.named_parameters():
        assert p.requires_grad and p.grad is not None, name
    assert student.encoder.mask_emb.grad.any()


# Teacher


def test_no_gradient_reaches_the_teacher_or_passes_through_it():
    student = make_student()
    teacher = make_teacher(student)
    out = student(wavs(), HIDDEN)
    assert not out.projected.requires_grad and not out.frames.requires_grad
    with torch.enable_grad():
        targets = teacher(out.projected.clone().requires_grad_())
    assert not targets.requires_grad
    assert not any(p.requires_grad for p in teacher.parameters())
    loss = regression_loss(
        out.prediction, targets.flatten(0, 1).index_select(0, HIDDEN)
    )
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())


def test_the_teacher_stays_in_eval_mode():
    student = make_student(dropout=0.5, encoder_layerdrop=0.5)
    teacher = make_teacher(student)
    holder = torch.nn.ModuleDict({"teacher": teacher, "student": student})
    for module in (holder, teacher):
        module.train()
        assert not any(m.training for m in teacher.modules())
    assert student.training
    x = torch.randn(2, T, D)
    assert torch.equal(teacher(x), teacher(x))
    # The student's transformer in train mode gives another each time.
    transformer = student.encoder.encoder
    a, b = (transformer(x).last_hidden_state for _ in "ab")
    assert not torch.equal(a, b)


def test_the_teacher_is_a_copy_that_shares_nothing():
    student = make_student()
    teacher = make_teacher(student)
    ours = {p.data_ptr() for p in student.parameters()}
    assert not ours & {p.data_ptr() for p in teacher.parameters()}
    named = dict(student.encoder.encoder.named_parameters())
    assert named.keys() == dict(teacher.transformer.named_parameters()).keys()
    for name, p in teacher.transformer.named_parameters():
        assert torch.equal(p, named[name]), name


def moved(teacher, update=1):
    """A student that differs in all weights, and the teacher before and
    after it followed; by name, less the positions."""
    student = copy.deepcopy(teacher.transformer)
    torch.manual_seed(2)
    for p in student.parameters():
        p.data += torch.randn_like(p)
    before = {k: p.clone() for k, p in teacher.transformer.named_parameters()}
    teacher.update(student, update)
    after = dict(teacher.transformer.named_parameters())
    theirs = dict(student.named_parameters())
    for name in before:
        if not name.startswith("positions."):
            yield before[name], theirs[name], after[name]


def test_decay_1_freezes_and_decay_0_copies():
    for before, _, after in moved(make_teacher(make_student(), 1.0)):
        assert torch.equal(after, before)
    for before, theirs, after in moved(make_teacher(make_student(), 0.0)):
        torch.testing.assert_close(after, theirs, rtol=0, atol=1e-6)
        assert not torch.equal(after, before)


def test_each_weight_moves_by_one_minus_the_decay():
    teacher = make_teacher(make_student())
    teacher.decay = LinearDecay(0.5, 0.9, 4)
    for before, theirs, after in moved(teacher, update=3):
        expected = 0.8 * before + 0.2 * theirs
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layers_only", (True, False))
def test_positional_convolutions_are_copied_or_averaged(layers_only):
    student = make_student()
    teacher = make_teacher(student, ema_layers_only=layers_only)
    before = teacher.transformer.positions.layers[2].conv.weight.clone()
    theirs = student.encoder.encoder.positions.layers[2].conv.weight
    theirs.data += 1
    teacher.update(student.encoder.encoder, 1)
    after = teacher.transformer.positions.layers[2].conv.weight
    expected = theirs if layers_only else before + 0.1
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)
    assert torch.equal(after, theirs) == layers_only


def test_small_steps_of_a_bfloat16_student_are_not_lost():
    student = make_student().to(torch.bfloat16)
    teacher = make_teacher(student, decay=0.9999)
    assert {p.dtype for p in teacher.parameters()} == {torch.float32}
    transformer = student.encoder.encoder
    weight = teacher.transformer.layers[0].final_layer_norm.weight
    before = weight.clone()
    transformer.layers[0].final_layer_norm.weight.data += 0.125
    for update in range(10):
        teacher.update(transformer, update)
    expected = 0.125 * (1 - 0.9999**10)
    assert (weight - before).mean().item() == pytest.approx(expected, rel=0.02)
    # In bfloat16 there is no number between.
    half = before.to(torch.bfloat16)
    assert torch.equal(half + 0.0001 * 0.125, half)


def test_targets_are_float32_under_autocast():
    student = make_student()
    teacher = make_teacher(student)
    with torch.autocast("cpu", torch.bfloat16):
        out = student(wavs(), HIDDEN)
        targets = teacher(out.projected)
        assert out.prediction.dtype == torch.bfloat16
        assert targets.dtype == torch.float32
        assert mean_std(out.prediction).dtype == torch.float32
        loss = regression_loss(out.prediction, targets[0, : len(HIDDEN)])
        assert loss.dtype == torch.float32


def test_a_teachers_state_holds_its_transformer_and_nothing_else():
    teacher = make_teacher(make_student())
    state = teacher.state_dict()
    assert all(name.startswith("transformer.") for name in state)
    other = make_teacher(make_student())
    for p in other.parameters():
        p.data += 1
    other.load_state_dict(state)
    x = torch.randn(1, T, D)
    assert torch.equal(other(x), teacher(x))


@pytest.mark.parametrize("K", (0, 4, -1))
def test_more_layers_than_there_are_can_not_be_averaged(K):
    with pytest.raises(ValueError, match=f"={K}, but .* has 3 blocks"):
        make_teacher(make_student(), K=K)


@pytest.mark.parametrize("K", (1, 3))
def test_the_last_layers_are_averaged(K):
    student = make_student()
    teacher = make_teacher(student, K=K)
    x = torch.randn(2, T, D)
    ffns = teacher.transformer(x, top_k_ffn=3).ffn_outputs
    assert torch.equal(teacher(x), make_targets(ffns[3 - K :]))
    assert not torch.allclose(teacher(x), make_targets(ffns[:2]), atol=0.01)


# Decay


@pytest.mark.parametrize("decays", ((-0.1, 0.9), (0.9, 1.1), (2, 0.5)))
def test_a_decay_outside_0_and_1_is_refused(decays):
    with pytest.raises(ValueError, match=r"lies in \[0, 1\], got"):
        LinearDecay(*decays, 10)


def test_the_decay_is_linear_and_then_constant():
    """fairseq: get_annealed_rate."""
    decay = LinearDecay(0.999, 0.9999, 30000)
    assert decay(0) == 0.999 and decay(30000) == decay(10**6) == 0.9999
    steps = [decay(i + 1) - decay(i) for i in (0, 14999, 29998)]
    assert steps == pytest.approx([0.0009 / 30000] * 3, rel=1e-6)
    assert LinearDecay(0.5, 0.6, 0)(0) == 0.6


# Objective


def test_targets_are_normalised_over_time_per_channel_and_utterance():
    x = torch.randn(2, 200, D) * torch.arange(1, D + 1) + 7
    (targets,) = make_targets([x]).unsqueeze(0)
    torch.testing.assert_close(
        targets.mean(1), torch.zeros(2, D), rtol=0, atol=1e-5
    )
    variance = targets.var(1, unbiased=False)
    torch.testing.assert_close(variance, torch.ones(2, D), rtol=0, atol=1e-4)


def test_targets_do_not_depend_on_batch_mates():
    """Nor on how loud these are: no statistics over the batch."""
    torch.manual_seed(0)
    layers = [torch.randn(3, 50, D) for _ in range(2)]
    whole = make_targets(layers)
    alone = make_targets([x[:1] for x in layers])
    torch.testing.assert_close(whole[:1], alone, rtol=0, atol=1e-6)
    louder = [x * torch.tensor([1.0, 9.0, 90.0])[:, None, None] for x in layers]
    torch.testing.assert_close(
        make_targets(louder)[:1], alone, rtol=0, atol=1e-6
    )
    over_batch = torch.nn.functional.batch_norm(
        layers[0].transpose(1, 2), None, None, training=True
    )
    ours = make_targets(layers[:1])[0]
    assert (over_batch[0].T - ours).abs().max() > 0.05


def test_each_layer_weighs_the_same_however_loud():
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 50, D)
    quiet, loud = make_targets([a, b]), make_targets([a, 1000 * b])
    torch.testing.assert_close(quiet, loud, rtol=0, atol=1e-4)


def test_targets_of_half_precision_are_those_of_float32():
    torch.manual_seed(0)
    x = (torch.randn(1, 400, D) + 20).to(torch.bfloat16)
    assert torch.equal(make_targets([x]), make_targets([x.float()]))


def test_the_loss_is_a_sum_over_frames_scaled_by_the_width():
    torch.manual_seed(0)
    p, t = torch.randn(2, 10, D)
    loss = regression_loss(p, t)
    by_hand = sum(((p[i] - t[i]) ** 2).sum() for i in range(10)) / D**0.5
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    parts = regression_loss(p[:3], t[:3]) + regression_loss(p[3:], t[3:])
    assert parts.item() == pytest.approx(loss.item(), rel=1e-6)


def test_mean_std_is_fairseqs_in_both_its_forms():
    """compute_var: y.var, or from sums over all processes."""
    torch.manual_seed(0)
    y = torch.randn(3, 40, D, dtype=torch.float64) * 0.3 + 0.5
    flat = y.view(-1, D)
    zc, zs, zss = len(flat), flat.sum(dim=0), (flat**2).sum(dim=0)
    var = zss / (zc - 1) - (zs**2) / (zc * (zc - 1))
    distributed = torch.sqrt(var + 1e-6).mean().item()
    assert mean_std(y).item() == pytest.approx(distributed, rel=1e-5)
    single = torch.sqrt(flat.var(dim=0) + 1e-6).mean().item()
    assert single == pytest.approx(distributed, rel=1e-9)
    # Not the deviation of everything together, and not a variance.
    flat = flat + torch.arange(D)
    assert mean_std(flat).item() == pytest.approx(single, rel=1e-5)
    assert flat.std() > 5 * single
    assert mean_std(2 * y).item() == pytest.approx(2 * single, rel=1e-4)


def test_frame_cosine_sees_features_that_stand_still():
    torch.manual_seed(0)
    still = torch.randn(8, 1, D).expand(8, 30, D)
    assert frame_cosine(still).item() == pytest.approx(1.0)
    assert frame_cosine(still + 0.1 * torch.randn(8, 30, D)) > 0.95
    assert abs(frame_cosine(torch.randn(2, 300, D))) < 0.1
    # Neighbours in time, not rows of the batch or channels.
    turning = still * torch.tensor([1.0, -1.0] * 15)[None, :, None]
    assert frame_cosine(turning).item() == pytest.approx(-1.0)
    # While its deviation over frames and utterances still looks healthy.
    assert mean_std(still) > 0.5


# Export


class OtherPredictor(torch.nn.Module):
    """Not data2vec's own."""

    def forward(self, x, hidden):
        return x.flatten(0, 1).index_select(0, hidden)


def test_another_predictor_is_trained_with_and_not_exported(tmp_path):
    student = Student(Data2VecAudio("tiny"), OtherPredictor())
    teacher = Teacher(student.encoder.encoder, LinearDecay(0.9, 0.9, 1), 2)
    path = tmp_path / "pretrained.safetensors"
    export_pretrained(path, student, teacher, {"seed": 1})
    checkpoint = load_checkpoint(str(path))
    assert checkpoint.predictor is None and checkpoint.teacher is not None
    start_from(str(path), student, teacher)


def test_one_frame_is_no_collapse():
    assert torch.isfinite(mean_std(torch.rand(1, 4)))
