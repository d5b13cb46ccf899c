"""Batches of a run: none repeated, none skipped, the same when resumed.

Authors
 * The d2v_sb developers 2026
"""

import math

import pytest
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import DynamicBatchSampler

from d2v_sb.sampling import UpdateBatchSampler, plan_accumulation

NUM_CLIPS = 41


def one_pass():
    """Dynamic batches of clips of 1 to 5 s, shuffled anew in each pass."""
    clips = {str(i): {"duration": 1.0 + i % 5} for i in range(NUM_CLIPS)}
    return DynamicBatchSampler(
        DynamicItemDataset(clips),
        max_batch_length=12.0,
        num_buckets=3,
        shuffle=True,
        batch_ordering="random",
        seed=5,
    )


def passes(count):
    """Batches of that many passes, one after another."""
    batches = []
    for number in range(count):
        sampler = one_pass()
        sampler.set_epoch(number)
        batches += list(sampler)
    return batches


def epochs(sampler, numbers):
    out = []
    for number in numbers:
        sampler.set_epoch(number)
        out.append(list(sampler))
    return out


def test_passes_of_speechbrains_sampler_are_shuffled_and_whole():
    """What the tests below rely on."""
    first, second = passes(1), passes(2)[len(passes(1)) :]
    assert first != second
    for batches in (first, second):
        clips = [clip for batch in batches for clip in batch]
        assert sorted(clips) == list(range(NUM_CLIPS))


@pytest.mark.parametrize("num_batches", (1, 3, 10, 40))
def test_epoch_has_exactly_the_batches_asked_for(num_batches):
    sampler = UpdateBatchSampler(one_pass(), num_batches)
    assert len(sampler) == num_batches
    for drawn in epochs(sampler, (1, 2, 3)):
        assert len(drawn) == num_batches


# Shorter than a pass, about one, and several passes.
@pytest.mark.parametrize("num_batches", (1, 4, 13, 30))
def test_epochs_follow_one_another_without_a_seam(num_batches):
    sampler = UpdateBatchSampler(one_pass(), num_batches)
    drawn = sum(epochs(sampler, range(1, 8)), [])
    expected = passes(1 + math.ceil(len(drawn) / len(passes(1)) * 1.5))
    assert len(expected) > len(drawn) == 7 * num_batches
    assert drawn == expected[: len(drawn)]


@pytest.mark.parametrize("num_processes", (1, 3))
def test_resumed_run_draws_what_the_running_one_drew(num_processes):
    for rank in range(num_processes):

        def fresh():
            return UpdateBatchSampler(one_pass(), 7, rank, num_processes)

        running = epochs(fresh(), range(1, 6))
        for epoch in range(1, 6):
            assert epochs(fresh(), [epoch]) == [running[epoch - 1]]
        # In any order, and one epoch twice.
        order = (4, 1, 5, 5, 2, 3)
        expected = [running[epoch - 1] for epoch in order]
        assert epochs(fresh(), order) == expected


def test_epoch_that_was_broken_off_starts_anew():
    sampler = UpdateBatchSampler(one_pass(), 20)
    sampler.set_epoch(2)
    iterator = iter(sampler)
    begun = [next(iterator) for _ in range(15)]
    assert list(sampler)[:15] == begun


@pytest.mark.parametrize("num_processes", (2, 3))
def test_processes_take_turns(num_processes):
    drawn = [
        sum(
            epochs(
                UpdateBatchSampler(one_pass(), 9, rank, num_processes),
                range(1, 5),
            ),
            [],
        )
        for rank in range(num_processes)
    ]
    together = [batch for turn in zip(*drawn) for batch in turn]
    assert together == passes(len(together))[: len(together)]
    # Within a pass no clip is seen twice, by whichever process.
    clips = [clip for batch in together[: len(passes(1))] for clip in batch]
    assert len(set(clips)) == len(clips)


def test_nothing_to_train_on_is_said():
    class Empty(list):
        def set_epoch(self, epoch):
            pass

    with pytest.raises(ValueError, match="nothing to train on"):
        list(UpdateBatchSampler(Empty(), 3))


# plan_accumulation


@pytest.mark.parametrize("num_processes", (1, 2, 8, 16))
@pytest.mark.parametrize("gpu_batch_seconds", (3.7, 80.0, 100.0, 5000.0))
@pytest.mark.parametrize("batch_seconds", (1.0, 1600.0, 3780.0))
def test_plan_gives_the_asked_audio_and_fits(
    batch_seconds, gpu_batch_seconds, num_processes
):
    micro, steps = plan_accumulation(
        batch_seconds, gpu_batch_seconds, num_processes
    )
    assert micro * steps * num_processes == pytest.approx(batch_seconds)
    assert micro <= gpu_batch_seconds * (1 + 1e-6)
    # With a step fewer it would not fit.
    if steps > 1:
        share = batch_seconds / num_processes
        assert share / (steps - 1) > gpu_batch_seconds


def test_plan_does_not_add_a_step_for_rounding():
    assert 2.1 / 0.7 > 3
    assert plan_accumulation(2.1, 0.7, 1) == (pytest.approx(0.7), 3)


@pytest.mark.parametrize("wrong", (0, -1.0, float("nan")))
def test_plan_needs_positive_seconds(wrong):
    with pytest.raises(ValueError, match="^batch_seconds must be positive"):
        plan_accumulation(wrong, 80, 1)
    with pytest.raises(ValueError, match="gpu_batch_seconds must be positive"):
        plan_accumulation(1600, wrong, 1)
