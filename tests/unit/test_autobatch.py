"""The search for the largest batch, with memory that is made up.

Authors
 * The d2v_sb developers 2026
"""

import json
import logging
import math
import random
import types

import numpy as np
import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.nnet.linear import Linear
from speechbrain.utils.epoch_loop import EpochCounter

from d2v_sb import autobatch
from d2v_sb.autobatch import ADAM, HEADROOM, KEPT, find_batch, largest_batch
from d2v_sb.checkpointer import AtomicCheckpointer
from d2v_sb.errors import UserError
from d2v_sb.finetuning import CTCBrain
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.masking import FeatureMasking
from d2v_sb.tokens import Letters

RATE = 16000
LETTERS = Letters(" AB")


class Line:
    """Peaks on a line of seconds; out of memory above the capacity."""

    def __init__(self, capacity, base=100.0, slope=2.0, longest=10.0):
        self.capacity, self.base, self.slope = capacity, base, slope
        self.longest = longest
        self.counts = []

    def __call__(self, count):
        self.counts.append(count)
        peak = self.base + self.slope * count * self.longest
        return peak if peak <= self.capacity else None

    def largest(self, limit=math.inf, budget=None, **options):
        return largest_batch(
            self, self.longest, limit, budget or self.capacity, **options
        )


@pytest.mark.parametrize("capacity", [151, 199, 333, 1000, 4321])
def test_it_finds_where_a_line_meets_the_budget(capacity):
    memory = Line(capacity)
    found = memory.largest(limit=1e6)
    true = (capacity - 100) / 2
    assert found == pytest.approx(true)


def test_it_takes_few_trials_and_tries_what_it_says():
    memory = Line(4321)
    memory.largest(limit=1e6)
    assert memory.counts == [1, 2, 4, 8, 16, 32, 64, 128, 256, 211]


def test_where_one_alone_fits_there_is_no_line():
    assert Line(139).largest(limit=100) == 10


def test_more_than_an_updates_share_is_not_tried():
    memory = Line(1e9)
    assert memory.largest(limit=75.0) == 75.0
    assert max(memory.counts) == 7
    assert Line(1e9).largest(limit=4.0) == 4.0  # shorter than the longest


def test_nothing_is_found_where_the_longest_does_not_fit():
    assert Line(119).largest(limit=100) is None
    assert Line(139).largest(limit=100, least=2) is None
    assert Line(140).largest(limit=100, least=2) == 20


def test_a_budget_below_the_capacity_is_kept():
    memory = Line(1000)
    found = memory.largest(limit=1e6, budget=500)
    assert found == pytest.approx(200)


def test_what_grows_faster_than_a_line_is_tried_before_it_is_believed():
    """Attention that keeps (T, T), or an allocator's jump."""

    def peak_of(count):
        peak = 100 + 2 * count**2
        return peak if peak <= 2000 else None

    found = largest_batch(peak_of, 1.0, 1e6, 1700)
    assert found == 28 and peak_of(28) <= 1700 < peak_of(29)


def test_memory_that_runs_out_below_what_was_foretold_is_halved_into():
    memory = Line(1e9)

    def peak_of(count):
        return None if count > 20 else memory(count)

    assert largest_batch(peak_of, 10.0, 1e6, 800) == 200
    assert max(memory.counts) == 20


# A Brain's own


class Measured:
    """A GPU of so many bytes: a step needs 1 GB and 100 MB a second."""

    def __init__(self, capacity=2e9):
        self.capacity = capacity
        self.seconds = []
        self.seen = []

    def peak_of(self, call):
        call()
        return 1e9 + 1e8 * self.seconds[-1]


@pytest.fixture
def memory(monkeypatch):
    """In the place of a GPU's; notes how long each trial's batch is."""
    measured, trial_batch = Measured(), CTCBrain.trial_batch

    def noting(brain, dataset, count):
        batch = trial_batch(brain, dataset, count)
        measured.seconds.append(batch.sig.data.numel() / RATE)
        encoder = brain.hparams.data2vec
        measured.seen.append((encoder.frozen, encoder.encoder.layerdrop))
        return batch

    monkeypatch.setattr(CTCBrain, "trial_batch", noting)
    monkeypatch.setattr(autobatch, "memory_of", lambda device: measured)
    return measured


def dataset():
    """Utterances of half a second and of one; the second is the longest."""
    data = {
        str(i): {"duration": d, "wrd": "AB", "number": i}
        for i, d in enumerate((0.5, 1.0, 0.75))
    }
    made = DynamicItemDataset(data)

    @sb.utils.data_pipeline.takes("duration", "number")
    @sb.utils.data_pipeline.provides("sig")
    def audio(duration, number):
        generator = torch.Generator().manual_seed(number)
        return torch.randn(int(duration * RATE), generator=generator)

    @sb.utils.data_pipeline.takes("wrd")
    @sb.utils.data_pipeline.provides("tokens")
    def tokens(wrd):
        return torch.LongTensor(LETTERS.encode(wrd))

    made.add_dynamic_item(audio)
    made.add_dynamic_item(tokens)
    made.set_output_keys(["id", "sig", "wrd", "tokens"])
    return made


def brain_of(folder=None, **changes):
    """A Brain whose encoder waits two updates before it learns."""
    torch.manual_seed(0)
    encoder = Data2VecAudio(
        "tiny", freeze_finetune_updates=2, masking=FeatureMasking()
    )
    model = CTCModel(encoder, Linear(input_size=128, n_neurons=len(LETTERS)))
    model.register_buffer("mean", torch.zeros(1))

    def note(*_):
        model.mean.add_(1)  # as batch normalisation does

    model.register_forward_pre_hook(note)
    counter = EpochCounter(9)
    hparams = {
        "number_of_updates": 4,
        "validate_interval_updates": 2,
        "batch_seconds": 20.0,
        "gpu_batch_seconds": 1.0,
        "autobatch": True,
        "num_buckets": 2,
        "num_workers": 0,
        "seed": 1,
        "lr_schedule": lambda optimizer, update: None,
        "head_lr_scale": 1.0,
        "noprogressbar": True,
        "data2vec": encoder,
        "tokenizer": LETTERS,
        "blank_index": 0,
        "lm_path": None,
        "epoch_counter": counter,
        **changes,
    }
    checkpointer = None
    if folder is not None:
        parts = {"model": model, "counter": counter}
        checkpointer = AtomicCheckpointer(folder, parts)
    return CTCBrain(
        {"model": model}, torch.optim.Adam, hparams, checkpointer=checkpointer
    )


def allowed(brain, capacity=2e9):
    """Seconds that the made-up memory has room for."""
    learned = sum(p.numel() for p in brain.modules.parameters())
    return ((1 - HEADROOM) * capacity - ADAM * learned - 1e9) / 1e8


def test_a_brain_takes_what_fits_and_its_update_stays_as_large(memory):
    brain = brain_of()
    brain.train_loader(dataset())
    found = brain.hparams.gpu_batch_seconds
    assert found == pytest.approx(allowed(brain))
    assert brain.grad_accumulation_factor == math.ceil(20 / found) == 3
    assert brain.micro_batch_seconds * 3 == pytest.approx(20)
    assert memory.seconds[:3] == [1.0, 2.0, 4.0]  # of the longest
    assert memory.seconds[3] <= found < memory.seconds[4]


def test_trials_are_of_an_encoder_that_learns_and_drops_no_block(memory):
    """The memory must last for what comes after the frozen updates."""
    brain = brain_of()
    assert brain.hparams.data2vec.frozen
    brain.train_loader(dataset())
    assert set(memory.seen) == {(False, 0.0)}
    assert brain.hparams.data2vec.frozen
    assert brain.hparams.data2vec.encoder.layerdrop > 0
    assert not brain.hparams.data2vec.set_num_updates(1)
    assert brain.hparams.data2vec.set_num_updates(2)


def test_trials_leave_nothing_behind(memory):
    brain = brain_of()
    brain.modules.eval()
    before = {n: x.clone() for n, x in brain.modules.state_dict().items()}
    numbers = brain.step, brain.optimizer_step, brain._seconds

    def draws():
        return torch.rand(1).item(), random.random(), np.random.rand()

    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    expected = draws()
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    find_batch(brain, dataset())
    assert memory.seconds
    assert draws() == expected
    assert (brain.step, brain.optimizer_step, brain._seconds) == numbers
    after = brain.modules.state_dict()
    assert all(torch.equal(after[n], x) for n, x in before.items())
    assert all(p.grad is None for p in brain.modules.parameters())
    assert not any(module.training for module in brain.modules.modules())


def test_a_run_that_goes_on_takes_what_it_was_begun_with(
    memory, tmp_path, caplog
):
    brain = brain_of(tmp_path)
    brain.train_loader(dataset())
    found = brain.hparams.gpu_batch_seconds
    assert json.loads((tmp_path / KEPT).read_text()) == {
        "gpu_batch_seconds": found
    }
    brain.checkpointer.save_checkpoint()
    memory.capacity, memory.seconds = 1.2e9, []
    again = brain_of(tmp_path)
    with caplog.at_level(logging.INFO, "d2v_sb.autobatch"):
        again.train_loader(dataset())
    assert again.hparams.gpu_batch_seconds == found and not memory.seconds
    assert "to search again" in caplog.text


def test_without_a_checkpoint_it_is_searched_for_again(memory, tmp_path):
    brain_of(tmp_path).train_loader(dataset())
    memory.capacity = 1.5e9
    again = brain_of(tmp_path)
    again.train_loader(dataset())
    found = again.hparams.gpu_batch_seconds
    assert found == pytest.approx(allowed(again, 1.5e9))


def test_where_the_longest_does_not_fit_the_ways_out_are_named(memory):
    memory.capacity = 1e9
    with pytest.raises(UserError, match="1.0 s, does not fit .*checkpoint_act"):
        brain_of().train_loader(dataset())


def test_a_cpu_is_refused():
    with pytest.raises(UserError, match="this run is on cpu"):
        brain_of().train_loader(dataset())


def test_without_autobatch_nothing_is_tried(memory):
    for changes in ({"autobatch": False}, {}):
        brain = brain_of(**changes)
        if not changes:
            del brain.hparams.autobatch
        brain.train_loader(dataset())
        assert brain.hparams.gpu_batch_seconds == 1.0
    assert not memory.seconds


def test_the_smallest_over_processes_is_taken(memory, monkeypatch):
    """And its arithmetic holds DDP's copy of the gradients."""
    brain = brain_of()
    alone = find_batch(brain, dataset())

    def least(tensor, operation):
        assert operation == torch.distributed.ReduceOp.MIN
        tensor.fill_(min(float(tensor), 5.0))

    monkeypatch.setattr(torch.distributed, "all_reduce", least)
    brain.distributed_launch, brain.num_processes = True, 2
    monkeypatch.setattr(autobatch, "ddp_broadcast", lambda x, src: x)
    assert find_batch(brain, dataset()) == 5.0 < alone


def test_memory_that_ran_out_is_told_from_a_bug(monkeypatch):
    """Of the code for a GPU, what can be called without one."""
    from d2v_sb.trial_steps import GPUMemory

    cuda = types.SimpleNamespace(
        mem_get_info=lambda device: (70, 80),
        memory_reserved=lambda device: 5,
        empty_cache=lambda: None,
        reset_peak_memory_stats=lambda device: None,
        max_memory_allocated=lambda device: 42,
    )
    for name, function in vars(cuda).items():
        monkeypatch.setattr(torch.cuda, name, function)
    memory = GPUMemory(torch.device("cuda"))
    assert memory.capacity == 75

    def fail(error):
        raise error

    assert memory.peak_of(lambda: None) == 42
    assert memory.peak_of(lambda: fail(torch.OutOfMemoryError())) is None
    with pytest.raises(ZeroDivisionError):
        memory.peak_of(lambda: 1 / 0)
