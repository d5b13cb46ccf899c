"""The store of states: what it gives back, refuses, and survives.

Authors
 * The d2v_sb developers 2026
"""

import errno
import json
import logging
import multiprocessing
import os
import shutil
import signal
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from d2v_sb.errors import DataError
from d2v_sb.probing import (
    state_store,
    state_writer as module,
)
from d2v_sb.probing.state_index import cached, describe
from d2v_sb.probing.state_store import KEEP_FREE, StateStore

SETTINGS = {"weights": "base", "mode": "clean"}
NBYTES = 5 * 3 * 4 * 2  # of what `states` gives, in float16
FORK = multiprocessing.get_context("fork")  # spawned, torch takes seconds


def states(seed, frames=5):
    """States of 3 layers, 4 wide."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, 3, 4, generator=generator)


def fill(folder, names, **kwargs):
    """Adds states of utterances named by letters."""
    store = StateStore(folder, SETTINGS, **kwargs)
    with store.writing() as writer:
        taken = "".join(x for x in names if writer.add(x, states(ord(x))))
    assert all(x in store for x in taken)
    return store


def sound(store):
    """The keys whose states are what was added, and that nothing else lies in
    the files than what the index tells of."""
    names = sorted(store.index)
    for name in names:
        assert torch.equal(store.get(name), states(ord(name)).half())
    lines = store.index.path.read_text().splitlines()
    ends = {}
    for _, shard, offset, t, k, d, _ in map(json.loads, lines):
        assert offset == ends.get(shard, 0)
        ends[shard] = offset + t * k * d * 2
    sizes = [p.stat().st_size for p in sorted(store.folder.glob("*.bin"))]
    assert sizes == list(ends.values())
    return "".join(names)


def failing_write(file_name, act):
    """What writes half of what goes to a file, and then acts."""
    write_all = module._write_all

    def write(file, data):
        if Path(file.name).match(file_name):
            write_all(file, memoryview(data)[: len(data) // 2])
            act()
        write_all(file, data)

    return write


def no_space(*_):
    """The disk is full."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("copy", [True, False])
def test_states_come_back_bit_for_bit(tmp_path, dtype, copy):
    """Of several lengths, odd keys, negative zeros, numpy and torch."""
    given = {f'é "{i}"\n\udcff': states(i, 1 + 7 * i) for i in range(4)}
    given["numpy"] = states(9, 2).numpy().astype("float16")
    given["strided"] = states(10, 6).transpose(0, 2)
    given["zero"] = torch.full((1, 3, 4), -0.0)
    store = StateStore(tmp_path, SETTINGS, dtype)
    with store.writing() as writer:
        assert all(writer.add(*item) for item in given.items())
    again = StateStore(tmp_path, SETTINGS, dtype)
    assert len(store) == len(again) == len(given)
    for key, array in given.items():
        expected = torch.as_tensor(array).to(getattr(torch, dtype))
        for reader in (store, again):
            got = reader.get(key, copy=copy)
            assert got.dtype == expected.dtype and got.shape == expected.shape
            assert got.numpy().tobytes() == expected.numpy().tobytes()
            assert reader.num_frames(key) == len(array)
    assert "absent" not in again
    with pytest.raises(KeyError):
        again.get("absent")


def test_writing_to_what_was_given_does_not_change_the_store(tmp_path):
    store = fill(tmp_path, "a")
    for copy in (True, False):
        store.get("a", copy=copy).zero_()
        assert sound(StateStore(tmp_path, SETTINGS)) == "a"


def test_asking_writes_nothing(tmp_path):
    store = StateStore(tmp_path / "cache", SETTINGS)
    assert "a" not in store and len(store) == store.nbytes == 0
    assert store.room_bytes() > 0
    assert not (tmp_path / "cache").exists()


def test_other_settings_are_another_store(tmp_path):
    """The order of settings is none of them, the dtype is."""
    store = fill(tmp_path, "ab")
    turned = dict(reversed(SETTINGS.items()))
    assert sound(StateStore(tmp_path, turned)) == "ab"
    assert len(StateStore(tmp_path, {**SETTINGS, "mode": "noisy"})) == 0
    assert len(StateStore(tmp_path, SETTINGS, "float32")) == 0
    text = (store.folder / "settings.json").read_text()
    assert json.loads(text) == {**SETTINGS, "stored_as": "float16"}
    with pytest.raises(DataError, match="--cache_dtype is 'int8'.*float32"):
        StateStore(tmp_path, SETTINGS, "int8")


def test_cache_says_what_lies_in_it(tmp_path):
    """So that a user knows what to remove."""
    fill(tmp_path, "abc")
    small = StateStore(tmp_path, {"weights": "large"}, "float32")
    with small.writing() as writer:
        writer.add("a", states(0, 1))
    (tmp_path / "other").mkdir()
    parts = cached(tmp_path)
    assert [p.num_utterances for p in parts] == [3, 1]
    assert [p.num_bytes for p in parts] == [3 * NBYTES, 48]
    found = cached(tmp_path)
    assert sum(part.num_bytes for part in found) == 3 * NBYTES + 48
    lines = describe(tmp_path).splitlines()
    assert lines[1].startswith(str(small.folder))
    assert "1 utterances: stored_as float32, weights large" in lines[1]


@pytest.mark.parametrize("value", [65505.0, -70000.0, float("nan"), np.inf])
def test_float16_refuses_what_it_can_not_hold(tmp_path, value):
    """And goes on with the next; float32 takes what is a number."""
    array = states(0)
    array[3, 1, 2] = value
    store = StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        assert writer.add("a", states(ord("a")))
        with pytest.raises(DataError, match="'loud'") as error:
            writer.add("loud", array)
        assert writer.add("b", states(ord("b")))
    assert sound(store) == "ab"
    is_number = np.isfinite(value)
    assert ("--cache_dtype float32" in str(error.value)) == is_number
    other = StateStore(tmp_path, SETTINGS, "float32")
    with other.writing() as writer:
        if is_number:
            assert writer.add("loud", array)
        else:
            with pytest.raises(DataError, match="NaN or infinite"):
                writer.add("loud", array)


def test_largest_float16_is_taken(tmp_path):
    store = StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        assert writer.add("a", torch.full((1, 1, 2), -65504.0))
    assert store.get("a").tolist() == [[[-65504.0] * 2]]


def test_limit_is_kept_and_what_came_before_it_stays(tmp_path):
    """An utterance that would still fit is not taken after one that did not;
    what there is already costs nothing."""
    store = fill(tmp_path, "abcde", limit_bytes=3 * NBYTES + 30)
    assert sound(store) == "abc" and store.is_full
    assert store.nbytes == 3 * NBYTES and store.room_bytes() == 30
    with store.writing() as writer:
        assert not store.is_full and writer.add("c", states(0))
        assert not writer.add("d", states(ord("d")))
        assert not writer.add("short", states(0, 1))


def test_full_store_tells_at_once_of_all_that_it_took(tmp_path):
    """While writing still goes on: what is left is then to be said."""
    store = StateStore(tmp_path, SETTINGS, limit_bytes=2 * NBYTES)
    with store.writing() as writer:
        taken = [writer.add(x, states(ord(x))) for x in "abcd"]
        assert taken == [True, True, False, False] and store.is_full
        assert sound(store) == "ab" and store.nbytes == 2 * NBYTES


def test_full_store_takes_more_under_a_higher_limit(tmp_path):
    fill(tmp_path, "abcd", limit_bytes=3 * NBYTES)
    assert sound(fill(tmp_path, "de", limit_bytes=4 * NBYTES)) == "abcd"


def test_limit_is_of_these_settings(tmp_path):
    fill(tmp_path, "abc")
    store = StateStore(tmp_path, {"weights": "x"}, limit_bytes=NBYTES)
    with store.writing() as writer:
        assert writer.add("a", states(0))


def test_some_of_the_disk_is_left_to_others(tmp_path, monkeypatch):
    """Asked again at each flush, since others write too."""
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(module, "FLUSH_BYTES", 2 * NBYTES)
    monkeypatch.setattr(
        state_store.shutil, "disk_usage", lambda _: usage(free + KEEP_FREE)
    )
    free, store = 9 * NBYTES, StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        assert writer.add("a", states(ord("a")))
        free = 0
        assert writer.add("b", states(ord("b")))
        assert not writer.add("c", states(ord("c")))
    assert sound(store) == "ab" and store.is_full


@pytest.mark.parametrize("flush", [1, 1 << 28], ids=["each", "at the end"])
def test_full_disk_while_writing_loses_only_that_utterance(
    tmp_path, monkeypatch, flush
):
    monkeypatch.setattr(module, "FLUSH_BYTES", flush)
    store = StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        assert writer.add("a", states(ord("a")))
        with monkeypatch.context() as patch:
            patch.setattr(
                module, "_write_all", failing_write("*.bin", no_space)
            )
            assert not writer.add("b", states(ord("b")))
        assert store.is_full and not writer.add("c", states(ord("c")))
    assert sound(store) == "a"
    assert sound(fill(tmp_path, "bc")) == "abc"


@pytest.mark.parametrize("where", ["fsync", "index"])
def test_full_disk_while_flushing_loses_what_was_not_flushed(
    tmp_path, monkeypatch, where
):
    """Network disks say so at fsync; and the index may be what finds no room.
    The store goes on."""
    store = fill(tmp_path, "a")
    with store.writing() as writer:
        assert writer.add("b", states(ord("b")))
        with monkeypatch.context() as patch:
            if where == "fsync":
                patch.setattr(module.os, "fsync", no_space)
            else:
                write = failing_write("*.jsonl", no_space)
                patch.setattr(module, "_write_all", write)
            writer.close()
        assert store.is_full and not writer.add("c", states(ord("c")))
    assert "b" not in store and sound(store) == "a"
    assert sound(fill(tmp_path, "bc")) == "abc"


def test_failing_disk_is_an_error_and_loses_nothing_else(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    store = fill(tmp_path, "a")
    with pytest.raises(DataError, match="the disk fails"):
        with store.writing() as writer:
            monkeypatch.setattr(
                module, "_write_all", failing_write("*.bin", fail)
            )
            writer.add("b", states(ord("b")))
    monkeypatch.undo()
    assert sound(StateStore(tmp_path, SETTINGS)) == "a"


def test_error_of_the_caller_keeps_what_was_added(tmp_path):
    """An interrupt above all."""
    store = StateStore(tmp_path, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        with store.writing() as writer:
            writer.add("a", states(ord("a")))
            raise KeyboardInterrupt
    assert sound(store) == "a"
    assert sound(fill(tmp_path, "b")) == "ab"


def die(*_):
    """As a kill does it."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("where", ["*.bin", "fsync", "*.jsonl"])
def test_kill_loses_only_what_was_not_flushed(tmp_path, where):
    """Two were flushed, the others wait or are being written: to the shard,
    or after that, or to the index, of which a whole line and a torn one are
    then there."""

    def killed():
        module.FLUSH_BYTES = 2 * NBYTES
        with StateStore(tmp_path, SETTINGS).writing() as writer:
            for name in "abc":
                writer.add(name, states(ord(name)))
            if where == "fsync":
                module.os.fsync = die
            else:
                module._write_all = failing_write(where, die)
            writer.add("long" * 30, states(0, 6))

    process = FORK.Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    store = StateStore(tmp_path, SETTINGS)
    is_torn = not store.index.path.read_bytes().endswith(b"\n")
    assert is_torn == (where == "*.jsonl")
    survivors = "abc" if where == "*.jsonl" else "ab"
    assert "".join(store.index) == survivors
    shard = store.folder / "states-00000.bin"
    assert shard.stat().st_size > len(survivors) * NBYTES
    with store.writing():
        pass
    assert sound(store) == survivors
    assert sound(fill(tmp_path, "abcde")) == "abcde"


def test_second_writer_waits_and_writes_nothing_twice(tmp_path):
    """It says that it waits, and then has what the first one wrote."""
    waits, done = FORK.Event(), FORK.Event()

    def second():
        state_store.logger.warning = lambda text: waits.set()
        with StateStore(tmp_path, SETTINGS).writing() as writer:
            for name in "ab":
                assert writer.add(name, states(0))
            writer.add("c", states(ord("c")))
        done.set()

    store = StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        process = FORK.Process(target=second, daemon=True)
        process.start()
        assert waits.wait(20)
        for name in "ab":
            writer.add(name, states(ord(name)))
        assert not done.wait(0.2) and len(store) == 0
    assert done.wait(20)
    process.join()
    store.refresh()
    assert sound(store) == "abc" and store.nbytes == 3 * NBYTES
    assert len(store.index.path.read_text().splitlines()) == 3


def test_lock_of_a_writer_ends_although_a_forked_worker_lives(
    tmp_path, monkeypatch
):
    """A forked process has the locked file as well."""
    waits = pytest.fail  # instead of waiting for ever
    monkeypatch.setattr(state_store.logger, "warning", waits)
    end = FORK.Event()
    with StateStore(tmp_path, SETTINGS).writing() as writer:
        process = FORK.Process(target=end.wait, daemon=True)
        process.start()
        writer.add("a", states(ord("a")))
    try:
        assert sound(fill(tmp_path, "b")) == "ab"
    finally:
        end.set()
        process.join()


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_of_a_loader_read(tmp_path, context):
    names = "abcdefgh"
    store = fill(tmp_path, names)
    loader = DataLoader(
        names,
        batch_size=None,
        collate_fn=store.get,
        num_workers=1,
        multiprocessing_context=context,
    )
    for name, got in zip(names, loader, strict=True):
        assert torch.equal(got, states(ord(name)).half())


def test_reader_sees_what_is_flushed_and_only_after_refresh(
    tmp_path, monkeypatch
):
    reader = StateStore(tmp_path, SETTINGS)
    monkeypatch.setattr(module, "FLUSH_BYTES", 2 * NBYTES)
    with StateStore(tmp_path, SETTINGS).writing() as writer:
        for name in "abc":
            writer.add(name, states(ord(name)))
        assert len(reader) == 0
        reader.refresh()
        assert list(reader.index) == ["a", "b"]
    reader.refresh()
    assert sound(reader) == "abc"


def test_work_is_flushed_in_time(tmp_path, monkeypatch):
    """However small it is."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0)
    store = StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        writer.add("a", states(ord("a")))
        assert sound(store) == "a"


def test_long_caches_are_cut_into_shards(tmp_path, monkeypatch):
    """And the last one is gone on with."""
    monkeypatch.setattr(module, "SHARD_BYTES", 2 * NBYTES)
    assert sound(fill(tmp_path, "abc")) == "abc"
    store = fill(tmp_path, "defg")
    assert sound(store) == "abcdefg" and len(store._sizes) == 4


@pytest.mark.parametrize("left", [0, NBYTES + 1, None], ids=str)
def test_what_was_cut_counts_as_absent_and_is_told_once(
    tmp_path, monkeypatch, caplog, left
):
    """A shard of none, one and a bit, or removed; the others stay, and what
    is added next is not taken for what was lost."""
    monkeypatch.setattr(module, "SHARD_BYTES", 4 * NBYTES)
    fill(tmp_path, "abcdefg")
    shard = StateStore(tmp_path, SETTINGS).folder / "states-00001.bin"
    if left is None:
        shard.unlink()
    else:
        os.truncate(shard, left)
    with caplog.at_level(logging.WARNING):
        store = StateStore(tmp_path, SETTINGS)
        store.refresh()
        with store.writing():
            pass
    kept = "abcde" if left else "abcd"
    assert "".join(store.index) == kept
    assert store.nbytes == 4 * NBYTES + (left or 0)
    lost = 7 - len(kept)
    assert len(caplog.messages) == 1
    assert f"states of {lost} utterances" in caplog.text
    fill(tmp_path, "hi")
    fill(tmp_path, "gfe")
    again = StateStore(tmp_path, SETTINGS)
    assert "".join(sorted(again.index)) == "abcdefghi"
    for name in again.index:
        assert torch.equal(again.get(name), states(ord(name)).half())


def test_damage_is_found_when_it_is_first_read(tmp_path):
    """Or by verifying, after which it can be added again."""
    fill(tmp_path, "abc")
    store, other = (StateStore(tmp_path, SETTINGS) for _ in range(2))
    shard = store.folder / "states-00000.bin"
    with open(shard, "r+b") as file:
        file.seek(NBYTES + 7)
        byte = file.read(1)
        file.seek(NBYTES + 7)
        file.write(bytes([byte[0] ^ 1]))
    for copy in (True, False):
        with pytest.raises(DataError, match=f"{shard}.*'b' are damaged.*remov"):
            store.get("b", copy=copy)
    store.get("a"), store.get("c")
    assert other.verify() == ["b"] and "b" not in other
    with other.writing() as writer:
        writer.add("b", states(ord("b")))
    assert other.verify() == []
    assert sound(StateStore(tmp_path, SETTINGS)) == "abc"


def test_shard_that_is_cut_meanwhile_is_an_error_of_its_own(tmp_path):
    store = fill(tmp_path, "ab")
    os.truncate(store.folder / "states-00000.bin", NBYTES + 1)
    for copy in (True, False):
        with pytest.raises(DataError, match="'b' are damaged"):
            store.get("b", copy=copy)
    assert store.get("a").shape == (5, 3, 4)


def test_lines_that_are_no_entries_are_ignored(tmp_path):
    store = fill(tmp_path, "a")
    with open(store.index.path, "ab") as file:
        file.write(b'\n{}\n["b", 0]\n["b", 0, -9, 1, 1, 1, 0]\n\0\0\xff\n[[\n')
    assert sound_keys(tmp_path) == "a"
    fill(tmp_path, "b")
    assert sound_keys(tmp_path) == "ab"


def sound_keys(folder):
    """Keys, each read."""
    store = StateStore(folder, SETTINGS)
    assert store.verify() == []
    return "".join(store.index)


def test_cache_that_was_removed_is_empty_after_a_refresh(tmp_path):
    store = fill(tmp_path, "ab")
    store.index.path.unlink()
    store.refresh()
    assert len(store) == store.nbytes == 0
    assert sound(fill(tmp_path, "cd")) == "cd"


def test_cache_that_was_begun_anew_is_read_anew(tmp_path):
    store = fill(tmp_path, "ab")
    shutil.rmtree(store.folder)
    fill(tmp_path, "c")
    store.refresh()
    assert sound(store) == "c"


def test_utterance_that_is_added_twice_is_written_once(tmp_path):
    """While the first waits to be flushed, too."""
    store = StateStore(tmp_path, SETTINGS)
    with store.writing() as writer:
        assert writer.add("a", states(ord("a")))
        assert writer.add("a", states(0))
    assert sound(store) == "a" and store.nbytes == NBYTES


def test_message_says_what_would_hold_all(tmp_path, monkeypatch):
    """Large at 50 frames a second: what is held counts, and is not missing."""
    store = StateStore(tmp_path, SETTINGS, limit_bytes=200_000_000_000)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(
        state_store.shutil,
        "disk_usage",
        lambda _: usage(free * 10**9 + KEEP_FREE),
    )
    free, hour = 1000, {f"{i}": 3600.0 for i in range(100)}
    fit = store.fit(hour, 50 * 25 * 1024 * 2)
    assert not fit.is_whole
    assert fit.message() == (
        "a cache of 200 GB holds some 21.7 of 100.0 hours (states take 2.6 MB "
        "for each second); the rest is encoded at every epoch: --cache_gb 922 "
        "would hold all"
    )
    free = 20
    message = store.fit(hour, 50 * 25 * 1024 * 2).message()
    assert message.startswith("the disk has room for a cache of 20 GB, which")
    assert message.endswith("a disk with room for 922 GB would hold all")
    with store.writing() as writer:
        for i in range(100):
            writer.add(f"{i}", states(i, 1))
    assert store.fit(hour, 50 * 25 * 1024 * 2).is_whole
