"""Updates, clipping and skipping in our Brain; CTC on top of it.

Authors
 * The d2v_sb developers 2026
"""

import logging
import math
import sys
import types

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.nnet.linear import Linear
from speechbrain.utils.epoch_loop import EpochCounter

from d2v_sb import (
    brain as brain_module,
    waiting,
)
from d2v_sb.brain import UpdateBrain
from d2v_sb.checkpointer import AtomicCheckpointer
from d2v_sb.errors import UserError
from d2v_sb.finetuning import CTCBrain
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.masking import FeatureMasking
from d2v_sb.presets import EncoderConfig
from d2v_sb.tokens import Letters
from tests.arpa import write_arpa

RATE = 16000
SMALL = EncoderConfig(
    conv_feature_layers=((8, 10, 5),) + ((8, 3, 2),) * 4 + ((8, 2, 2),) * 2,
    encoder_layers=1,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=16,
    encoder_attention_heads=2,
    conv_pos_groups=4,
    dropout=0.0,
    attention_dropout=0.0,
    encoder_layerdrop=0.0,
)
HPARAMS = {
    "number_of_updates": 5,
    "batch_seconds": 4,
    "gpu_batch_seconds": 2,
    "validate_interval_updates": 2,
    "num_buckets": 2,
    "num_workers": 0,
    "seed": 1,
    "lr_schedule": lambda optimizer, update: None,
    "noprogressbar": True,
}


def two_groups(parameters):
    """SGD that moves each parameter by its gradient, in a group of its own."""
    return torch.optim.SGD([{"params": [p]} for p in parameters], lr=1.0)


class Toy(UpdateBrain):
    """Two parameters, fitted to the mean of each waveform."""

    def compute_forward(self, batch, stage):
        wavs, _ = batch.sig
        return self.modules.model(wavs.mean(dim=1, keepdim=True))

    def compute_objectives(self, outputs, batch, stage):
        return outputs.square().mean()


def toy(checkpointer=None, **changes):
    """A Toy whose optimiser is ready."""
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    if checkpointer is not None:
        checkpointer.add_recoverable("model", model)
    counter = EpochCounter(100)
    if checkpointer is not None:
        checkpointer.add_recoverable("counter", counter)
    hparams = {**HPARAMS, "epoch_counter": counter, **changes}
    brain = Toy(
        {"model": model}, two_groups, hparams, checkpointer=checkpointer
    )
    if checkpointer is None:
        brain.on_fit_start()
    return brain


def toy_data():
    """Five waveforms of a second each, as means of which one can learn."""
    data = {str(i): {"duration": 1.0, "mean": i / 5} for i in range(5)}
    dataset = DynamicItemDataset(data)

    @sb.utils.data_pipeline.takes("mean")
    @sb.utils.data_pipeline.provides("sig")
    def audio(mean):
        return torch.full((RATE,), mean)

    dataset.add_dynamic_item(audio)
    dataset.set_output_keys(["id", "sig"])
    return dataset


def weights(brain):
    """The model's two parameters."""
    return torch.cat([p.detach().flatten() for p in brain.modules.parameters()])


def step(brain, weight, bias):
    """One step with these gradients; returns by how much it moved."""
    before = weights(brain)
    brain.modules.model.weight.grad = torch.tensor([[weight]])
    brain.modules.model.bias.grad = torch.tensor([bias])
    brain.optimizers_step()
    return before - weights(brain)


@pytest.mark.parametrize("limit", [0, -1.0])
def test_max_grad_norm_of_0_or_less_does_not_clip(limit):
    moved = step(toy(max_grad_norm=limit), 30.0, 40.0)
    torch.testing.assert_close(moved, torch.tensor([30.0, 40.0]))


def test_clipping_covers_all_parameter_groups_together():
    brain = toy(max_grad_norm=1.0)
    assert len(brain.optimizer.param_groups) == 2
    moved = step(brain, 30.0, 40.0)
    torch.testing.assert_close(moved, torch.tensor([0.6, 0.8]))
    assert brain.grad_norm == 50
    moved = step(brain, 0.3, 0.4)
    torch.testing.assert_close(moved, torch.tensor([0.3, 0.4]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_that_is_not_finite_is_skipped_and_said(bad, caplog):
    brain = toy(max_grad_norm=0)
    step(brain, 1.0, 1.0)
    with caplog.at_level(logging.WARNING, "d2v_sb.brain"):
        moved = step(brain, 1.0, bad)
    assert not moved.any()
    assert brain.optimizer_step == 1 and brain.skipped_steps == 1
    assert "update 1 skipped: its gradient is not finite" in caplog.text
    assert brain.modules.model.weight.grad is None
    assert step(brain, 1.0, 1.0).all() and brain.optimizer_step == 2


def test_patience_with_skipped_steps_ends_with_the_way_out():
    brain = toy(nonfinite_patience=2)
    for _ in range(2):
        step(brain, math.nan, 1.0)
    with pytest.raises(ValueError, match="3 updates .* lower the learning"):
        step(brain, math.nan, 1.0)


def test_patience_is_for_skipped_updates_in_a_row():
    """A long run may skip more than that, only not one after the other."""
    brain = toy(nonfinite_patience=1)
    for _ in range(3):
        step(brain, math.nan, 1.0)
        step(brain, 1.0, 1.0)
    step(brain, math.nan, 1.0)
    with pytest.raises(ValueError, match="2 updates"):
        step(brain, math.nan, 1.0)


def test_a_skipped_update_does_not_use_up_the_runs_epochs():
    brain = toy()
    brain.hparams.epoch_counter.limit = brain.hparams.epoch_counter.current
    assert next(brain.epochs()) == brain.hparams.epoch_counter.current


def test_speechbrains_step_limit_ends_a_run_earlier_but_never_later():
    """From the command line it is a string."""
    for limit, updates in (("3", 3), (4, 4), ("9", 5)):
        brain = toy(optimizer_step_limit=limit)
        fit(brain)
        assert brain.optimizer_step == updates


def fit(brain):
    """Trains to the end; returns what happened, micro-batch by micro-batch."""
    events = []
    save, step = brain._save_intra_epoch_ckpt, brain.optimizers_step

    def stepped():
        step()
        events.append("step")

    def saved():
        events.append("save")
        save()

    brain._save_intra_epoch_ckpt, brain.optimizers_step = saved, stepped
    brain.on_fit_batch_end = lambda *_: events.append(brain.step)
    brain.fit(brain.epochs(), brain.train_loader(toy_data()))
    return events


def test_the_number_of_updates_is_exact_under_accumulation():
    """Two micro-batches each; passes of three, and 2 + 2 + 1 updates."""
    brain = toy()
    assert brain.grad_accumulation_factor == 2
    two = [1, "step", 2, 3, "step", 4]
    assert fit(brain) == [*two, *two, 1, "step", 2]
    assert brain.optimizer_step == 5


def test_updates_that_were_skipped_are_made_up_for():
    brain = toy()
    compute, skipped = brain.compute_objectives, []

    def once_not_finite(outputs, batch, stage):
        loss = compute(outputs, batch, stage)
        if brain.optimizer_step == 3 and not skipped:
            skipped.append(brain.step)
            return loss * math.nan
        return loss

    brain.compute_objectives = once_not_finite
    two = [1, "step", 2, 3, "step", 4]
    assert fit(brain) == [*two, *two, *two]
    assert brain.optimizer_step == 5 and skipped


def test_checkpoints_within_an_epoch_come_between_updates(tmp_path):
    checkpointer = AtomicCheckpointer(tmp_path)
    brain = toy(checkpointer, ckpt_interval_steps=1)
    two = [1, "step", 2, "save", 3, "step", 4, "save"]
    assert fit(brain) == [*two, *two, 1, "step", 2, "save"]
    brain.step = 1
    assert sb.Brain._should_save_intra_epoch_ckpt(brain, 0.0, 1)
    assert not brain._should_save_intra_epoch_ckpt(0.0, 1)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_run_resumed_within_an_epoch_ends_with_the_same_weights(
    tmp_path, num_workers
):
    def run(folder, break_at=None, num_workers=num_workers):
        checkpointer = AtomicCheckpointer(folder)
        options = {"lr": 0.1, "num_workers": num_workers}
        brain = toy(checkpointer, ckpt_interval_steps=1, **options)
        step = brain.optimizers_step

        def stepped():
            if brain.optimizer_step == break_at:
                raise KeyboardInterrupt
            step()

        brain.optimizers_step = stepped
        fit(brain)
        return weights(brain)

    whole = run(tmp_path / "whole", num_workers=0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", break_at=3)
    assert torch.equal(run(tmp_path / "broken"), whole)


def test_the_learning_rate_follows_the_updates_made():
    updates = []
    brain = toy(lr_schedule=lambda optimizer, update: updates.append(update))
    fit(brain)
    assert updates == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    updates.clear()
    brain.optimizer_step = 7
    step(brain, math.nan, 1.0)
    brain.on_fit_batch_start(batch_of([RATE]), True)
    assert updates == [7]


def batch_of(lengths, texts=None, seed=0):
    """A padded batch of noise, of so many samples each."""
    generator = torch.Generator().manual_seed(seed)
    items = []
    for i, length in enumerate(lengths):
        words = texts[i] if texts else "A"
        items.append(
            {
                "id": str(i),
                "sig": torch.randn(length, generator=generator),
                "wrd": words,
                "tokens": torch.tensor(ENCODER.encode_sequence(list(words))),
            }
        )
    return PaddedBatch(items)


def test_audio_per_second_is_true_audio_of_all_processes(monkeypatch):
    now = [100.0]
    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(brain_module, "time", clock)
    brain = toy()
    brain.num_processes = 4
    brain.on_stage_start(sb.Stage.TRAIN, 1)
    brain.on_fit_batch_start(batch_of([2 * RATE, RATE]), True)
    now[0] += 2.0
    assert brain.audio_per_second() == pytest.approx(4 * 3 / 2)
    brain.on_stage_start(sb.Stage.TRAIN, 2)
    assert brain.audio_per_second() == 0


def test_workers_stay_over_validations():
    brain = toy(num_workers=2, number_of_updates=6)
    loader, iterators = brain.train_loader(toy_data()), []
    on_stage_end = brain.on_stage_end

    def ended(*args):
        iterators.append(loader._speechbrain_iterator)
        on_stage_end(*args)

    brain.on_stage_end = ended
    brain.fit(brain.epochs(), loader)
    assert len(iterators) == 3 and len(set(map(id, iterators))) == 1


def test_a_stage_knows_its_share_of_waiting_for_the_loader(monkeypatch):
    """A second to read each waveform, three to train on it."""
    now, shares = [100.0], []
    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(waiting, "time", clock)
    brain, dataset = toy(), toy_data()
    read, step = dataset.pipeline.compute_outputs, brain.compute_forward

    def reading(row):
        now[0] += 1.0
        return read(row)

    def training(batch, stage):
        now[0] += 3.0 * len(batch.sig[0])
        return step(batch, stage)

    dataset.pipeline.compute_outputs = reading
    brain.compute_forward = training
    brain.on_stage_end = lambda *_: shares.append(brain.share_waiting())
    brain.fit(brain.epochs(), brain.train_loader(dataset))
    # The last stage also asks for a batch after the last update.
    assert shares[:2] == pytest.approx([1 / 4, 1 / 4])
    assert len(shares) == 3


# CTC

ENCODER = Letters(" 'ABCDEFGH")
LENGTHS = [16000, 9000, 13579, 5000]
TEXTS = ["A BE", "FED", "H'A", "BB"]


def ctc_brain(output_folder=None, masking=None, **changes):
    """A small random model whose outputs are far from uniform."""
    torch.manual_seed(0)
    encoder = Data2VecAudio(SMALL, masking=masking)
    head = Linear(input_size=16, n_neurons=len(ENCODER))
    model = CTCModel(encoder, head)
    with torch.no_grad():
        head.w.weight *= 4
    hparams = {
        **HPARAMS,
        "data2vec": encoder,
        "head_lr_scale": 1.0,
        "tokenizer": ENCODER,
        "blank_index": 0,
        "lm_path": None,
        "output_folder": str(output_folder),
        "epoch_counter": EpochCounter(100),
        "train_logger": types.SimpleNamespace(log_stats=lambda *a, **k: None),
        **changes,
    }
    brain = CTCBrain({"model": model}, torch.optim.Adam, hparams)
    brain.on_fit_start()
    return brain


def gradient_of(brain, batches):
    """The gradient of one update from these micro-batches."""
    found = []
    brain.grad_accumulation_factor = len(batches)
    brain.optimizers_step = lambda: found.extend(
        p.grad.clone() for p in brain.modules.parameters() if p.requires_grad
    )
    brain.modules.train()
    for batch in batches:
        brain.step += 1
        brain.fit_batch(batch)
    return found


def part(batch, rows):
    """A batch of its own from some rows, padded no more than needed."""
    lengths = (batch.sig.lengths * batch.sig.data.shape[1]).round().int()
    items = [
        {
            "id": batch.id[i],
            "sig": batch.sig.data[i, : lengths[i]],
            "wrd": batch.wrd[i],
            "tokens": torch.tensor(ENCODER.encode(batch.wrd[i])),
        }
        for i in rows
    ]
    return PaddedBatch(items)


def test_accumulated_micro_batches_give_the_whole_batchs_gradient():
    whole = batch_of(LENGTHS, TEXTS)
    halves = [part(whole, [0, 1]), part(whole, [2, 3])]
    expected = gradient_of(ctc_brain(), [whole])
    found = gradient_of(ctc_brain(), halves)
    size = torch.cat([g.flatten() for g in expected]).norm()
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() < 1e-5 * size


def test_ctc_is_computed_in_float32_under_bf16_autocast():
    brain = ctc_brain(precision="bf16")
    logits = []
    brain.modules.model.head.register_forward_hook(
        lambda module, inputs, output: logits.append(output)
    )
    # All one length: nothing is padding, so the logits are all that counts.
    batch = batch_of([32000] * 2, ["A B' EFGH", "CD"])
    with brain.training_ctx:
        log_probs = brain.compute_forward(batch, sb.Stage.TRAIN)
        loss = brain.compute_objectives(log_probs, batch, sb.Stage.TRAIN)
    assert logits[0].dtype == torch.bfloat16
    assert log_probs.dtype == loss.dtype == torch.float32
    tokens, token_lens = batch.tokens
    exact = torch.nn.functional.ctc_loss(
        logits[0].double().log_softmax(-1).transpose(0, 1),
        tokens,
        torch.full((2,), 99),
        (token_lens * tokens.shape[1]).round().long(),
    )
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)


def a_frame_short(longest=16000):
    """Samples whose relative length times the frames of the longest, rounded,
    is a frame short: what SpeechBrain's recipes tell the loss."""
    count = Data2VecAudio(SMALL).num_frames
    return [
        n
        for n in range(5000, longest, 7)
        if round(n / longest * count(longest)) < count(n)
    ]


def test_the_loss_of_a_padded_batch_is_the_mean_of_each_alone():
    lengths = [16000, *a_frame_short()[:3]]
    assert len(lengths) == 4
    whole = batch_of(lengths, TEXTS)
    brain = ctc_brain()

    def loss(batch):
        log_probs = brain.compute_forward(batch, sb.Stage.TRAIN)
        return brain.compute_objectives(log_probs, batch, sb.Stage.TRAIN).item()

    brain.modules.eval()
    with torch.no_grad():
        alone = [loss(part(whole, [i])) for i in range(4)]
        assert loss(whole) == pytest.approx(sum(alone) / 4, rel=1e-5)


@pytest.mark.parametrize("beams", [False, True], ids=["greedy", "beams"])
def test_decoding_a_padded_batch_gives_what_each_gives_alone(beams):
    whole = batch_of(LENGTHS, TEXTS)
    brain = ctc_brain()
    if beams:
        brain.beam_search(beam_size=5)
    brain.modules.eval()

    def texts(batch):
        return brain.decode(brain.compute_forward(batch, sb.Stage.TEST))

    with torch.no_grad():
        alone = [texts(part(whole, [i]))[0] for i in range(4)]
        assert texts(whole) == alone
    assert all(len(text) > 3 for text in alone)


class Items(torch.utils.data.Dataset):
    """Batches that are there already."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]


def run_test(tmp_path):
    """A brain that has tested two utterances, and what it returned."""
    brain = ctc_brain(tmp_path)
    loader = torch.utils.data.DataLoader(
        Items([batch_of(LENGTHS, TEXTS)]), batch_size=None
    )
    brain.eval_loader = lambda dataset: loader
    return brain, brain.test("dev", None, suffix="_x")


def test_a_test_returns_and_writes_its_errors(tmp_path):
    brain, stats = run_test(tmp_path)
    assert stats["utterances"] == 4 and stats["WER"] > 50 and stats["CER"] > 50
    for kind in ("WER", "CER"):
        first = (tmp_path / f"{kind.lower()}_dev_x.txt").open().readline()
        assert first.startswith(f"%WER {stats[kind]:.2f} ")


def test_a_wer_that_jiwer_does_not_find_is_an_error(tmp_path):
    brain, _ = run_test(tmp_path)
    brain._check_against_jiwer("dev")
    brain.test_stats["WER"] += 0.01
    with pytest.raises(AssertionError, match="dev: SpeechBrain .* jiwer"):
        brain._check_against_jiwer("dev")


def test_a_missing_language_model_is_named(tmp_path):
    with pytest.raises(UserError, match="no such language model: .*4gram"):
        ctc_brain().beam_search(lm_path=str(tmp_path / "4gram.arpa"))


def test_without_kenlm_the_extra_that_brings_it_is_named(tmp_path, monkeypatch):
    path = write_arpa(tmp_path / "lm.arpa", ["A"])
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(UserError, match=r"d2v_sb\[lm\]"):
        ctc_brain().beam_search(lm_path=str(path))
    with pytest.raises(UserError, match=r"d2v_sb\[lm\]"):  # before training
        ctc_brain(lm_path=str(path))


def test_beam_search_sums_over_the_paths_of_a_text():
    """Of two frames the best path is blank (0.36), the best text A (0.64)."""
    probs = torch.full((1, 2, len(ENCODER)), 1e-9)
    probs[..., 0], probs[..., ENCODER.lab2ind["A"]] = 0.6, 0.4
    brain = ctc_brain()
    assert brain.decode(probs.log()) == [""]
    brain.beam_search(beam_size=10)
    assert brain.decode(probs.log()) == ["A"]


# Fine-tuning


def test_the_encoder_learns_from_its_update_on():
    brain = ctc_brain()
    encoder = brain.hparams.data2vec
    encoder.freeze_finetune_updates = 3
    encoder._set_frozen(True)
    learns = []
    for update in range(5):
        brain.optimizer_step = update
        brain.on_fit_batch_start(batch_of(LENGTHS), True)
        learns.append(encoder.encoder.layers[0].fc1.weight.requires_grad)
    assert learns == [False, False, False, True, True]


def test_masks_depend_on_seed_epoch_and_micro_batch_alone():
    def masked(seed=1, epoch=1, step=1):
        masking = FeatureMasking(mask_prob=0.5, mask_length=2)
        brain = ctc_brain(masking=masking, seed=seed)
        brain.hparams.epoch_counter.current, brain.step = epoch, step
        torch.rand(seed + epoch + step)
        brain.on_fit_batch_start(batch_of(LENGTHS), True)
        x = torch.ones(2, 50, 16)
        return masking(x, [50, 50], torch.zeros(16))

    first = masked()
    assert 0 < first.mean() < 1
    assert torch.equal(masked(), first)
    for change in ({"seed": 2}, {"epoch": 2}, {"step": 2}):
        assert not torch.equal(masked(**change), first)
