"""The share of its time that training waits for its loader.

Authors
 * The d2v_sb developers 2026
"""

import logging
import types

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer
from torch.utils.data import get_worker_info

from d2v_sb import waiting as module
from d2v_sb.pretraining.crops import CropSampler
from d2v_sb.waiting import LEAST, MOST, TimedLoader, Waiting


@pytest.fixture
def clock(monkeypatch):
    """A list of the time alone, in seconds, which only tests move."""
    now = [100.0]
    fake = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(module, "time", fake)
    return now


class Slow(torch.utils.data.Dataset):
    """Items that take so many seconds each of the clock to read."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def __len__(self):
        return len(self.seconds)

    def __getitem__(self, index):
        self.clock[0] += self.seconds[index]
        return index


def shares(clock, read, train, waiting=None):
    """The share after items were read and trained on, so many seconds each."""
    waiting = waiting or Waiting()
    loader = TimedLoader(Slow(clock, read), batch_size=None, waiting=waiting)
    for index in loader:
        clock[0] += train[index]
    return waiting.share()


def test_only_the_time_before_a_batch_comes_is_waiting(clock):
    share = shares(clock, [1.0, 2.0, 3.0], [4.0, 0.0, 6.0])
    assert share == pytest.approx(6 / 16)
    assert shares(clock, [0.0, 0.0], [4.0, 5.0]) == 0


def test_a_share_is_of_the_time_since_the_clock_was_started(clock):
    waiting = Waiting()
    shares(clock, [1.0, 2.0], [4.0, 5.0], waiting)
    waiting.restart()
    clock[0] += 2.0
    assert waiting.share() == 0
    assert shares(clock, [1.0, 2.0], [5.0, 2.0], waiting) == pytest.approx(0.25)


def test_the_start_of_the_workers_is_waiting(clock, monkeypatch):
    start = module.SaveableDataLoader.__iter__

    def slow_start(loader):
        clock[0] += 5.0
        return start(loader)

    monkeypatch.setattr(module.SaveableDataLoader, "__iter__", slow_start)
    assert shares(clock, [1.0], [4.0]) == pytest.approx(6 / 10)


def warnings_of(caplog, *calls):
    """What the log warns of while functions are called."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, module.__name__):
        for call in calls:
            call()
    return [record.getMessage() for record in caplog.records]


def test_too_much_waiting_is_warned_of_once_with_the_way_out(clock, caplog):
    waiting = Waiting()

    def interval():
        waiting.restart()
        shares(clock, [0.0, 2.0], [3.0, 5.0], waiting)

    (said,) = warnings_of(caplog, interval, interval)
    assert "20 % of the last 10 s was waiting" in said
    assert "--num_workers" in said and "FLAC" in said


@pytest.mark.parametrize("share, warned", [(0.9 * MOST, 0), (1.1 * MOST, 1)])
def test_a_share_that_is_small_is_not_warned_of(clock, caplog, share, warned):
    waiting = Waiting()
    waiting.add_next(100 * share)
    clock[0] += 100.0
    assert len(warnings_of(caplog, waiting.share)) == warned


def test_a_moment_is_not_warned_of_until_moments_add_up(clock, caplog):
    waiting, counts = Waiting(), []
    for _ in range(2):
        waiting.restart()
        waiting.add_next(0.6 * LEAST)
        clock[0] += LEAST
        counts.append(len(warnings_of(caplog, waiting.share)))
    assert counts == [0, 1]


def test_the_first_batch_is_no_reason_to_warn(clock, caplog):
    """Workers are started for it: more of them would take longer."""
    waiting = Waiting()
    waiting.add_first(50.0)
    clock[0] += 100.0
    assert not warnings_of(caplog, waiting.share)
    assert waiting.share() == pytest.approx(0.5)


def test_of_several_processes_the_one_that_waits_longest_counts(
    clock, monkeypatch
):
    asked = []

    def all_reduce(shares, op):
        asked.append((shares.tolist(), op))
        shares.copy_(torch.tensor([0.5, 0.25]))

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    waiting = Waiting()
    waiting.add_first(1.0)
    waiting.add_next(2.0)
    clock[0] += 10.0
    assert waiting.share() == 0.5
    ((values, op),) = asked
    assert values == pytest.approx([0.3, 0.2])
    assert op == torch.distributed.ReduceOp.MAX


# The loader with workers that stay


class Whose(torch.utils.data.Dataset):
    """Crops as they are, and the seed of the process that read them."""

    def __getitem__(self, crop):
        info = get_worker_info()
        return crop, info and info.seed


def loader_of(num_workers, num_batches=6):
    """A loader of crops, its sampler, and its place in a checkpoint."""
    sampler = CropSampler([9.0, 8.0, 7.0, 99.0], 20, 10.0, 5, num_batches)
    loader = TimedLoader(
        Whose(),
        waiting=Waiting(),
        batch_sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=list,
    )
    return loader, sampler


def epoch_of(loader, sampler, number, stop_after=None):
    """Crops of an epoch, by batch, and the workers that read them."""
    sampler.set_epoch(number)
    batches, workers = [], set()
    for batch in loader:
        batches.append([crop for crop, _ in batch])
        workers.update(seed for _, seed in batch)
        if len(batches) == stop_after:
            break
    return batches, workers


def test_workers_that_stay_get_the_crops_of_each_epoch():
    alone, here = loader_of(0), [1, 2, 3]
    expected = [epoch_of(*alone, number)[0] for number in here]
    assert expected[0] != expected[1]
    several = loader_of(2)
    found = [epoch_of(*several, number) for number in here]
    assert [batches for batches, _ in found] == expected
    workers = [seeds for _, seeds in found]
    assert len(workers[0]) == 2 and workers == workers[:1] * 3


def test_what_workers_read_ahead_of_a_break_does_not_come_later():
    alone, several = loader_of(0), loader_of(2)
    broken, _ = epoch_of(*several, 1, stop_after=1)
    assert broken == epoch_of(*alone, 1)[0][:1]
    assert epoch_of(*several, 2)[0] == epoch_of(*alone, 2)[0]


def test_a_place_within_an_epoch_is_kept_with_workers_that_read_ahead(tmp_path):
    def with_place(loader, sampler):
        return loader, sampler, Checkpointer(tmp_path, {"place": loader})

    loader, sampler, checkpointer = with_place(*loader_of(2))
    epoch_of(loader, sampler, 1)
    begun, _ = epoch_of(loader, sampler, 2, stop_after=2)
    checkpointer.save_checkpoint(end_of_epoch=False)

    loader, sampler, checkpointer = with_place(*loader_of(2))
    checkpointer.recover_if_possible()
    rest, _ = epoch_of(loader, sampler, 2)
    alone = loader_of(0)
    assert begun + rest == epoch_of(*alone, 2)[0]
    # Once only: the next epoch begins at its beginning.
    assert epoch_of(loader, sampler, 3)[0] == epoch_of(*alone, 3)[0]
