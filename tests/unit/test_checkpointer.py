"""A checkpoint is whole or not there, however the saving ended.

Authors
 * The d2v_sb developers 2026
"""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from d2v_sb import checkpointer as checkpointer_module
from d2v_sb.checkpointer import AtomicCheckpointer
from d2v_sb.errors import DataError

ROOT = Path(__file__).parents[2]


def model(value):
    """A model that is known by its one weight."""
    linear = torch.nn.Linear(1, 1, bias=False)
    linear.weight.data.fill_(value)
    return linear


def recovered(folder, kind=AtomicCheckpointer, **keys):
    """The weight that a new process would start from."""
    fresh = model(0.0)
    kind(folder, {"model": fresh}).recover_if_possible(**keys)
    return fresh.weight.item()


def save(folder, value, **options):
    """Saves a checkpoint of a model; returns what the checkpointer does."""
    checkpointer = AtomicCheckpointer(folder, {"model": model(value)})
    return checkpointer.save_checkpoint(**options)


def content(folder):
    """Names in a folder, hidden ones too."""
    return sorted(os.listdir(folder))


def test_what_is_returned_is_where_it_says(tmp_path):
    saved = save(tmp_path, 1.0, meta={"WER": 2.0}, name="best")
    assert content(tmp_path) == ["CKPT+best"]
    assert saved.path == tmp_path / "CKPT+best"
    assert saved.paramfiles == {"model": saved.path / "model.ckpt"}
    assert torch.load(saved.paramfiles["model"])["weight"].item() == 1
    assert saved.meta["WER"] == 2.0 and recovered(tmp_path) == 1


@pytest.mark.parametrize(
    "error, seen",
    [
        (RuntimeError("broken"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), DataError),
    ],
    ids=["error", "interrupt", "full disk"],
)
def test_a_failure_while_saving_leaves_the_earlier_one_alone(
    tmp_path, error, seen
):
    save(tmp_path, 1.0)
    before = content(tmp_path)

    def fail(_, path):
        path.write_bytes(b"half")
        raise error

    checkpointer = AtomicCheckpointer(
        tmp_path,
        {"model": model(2.0), "other": object()},
        custom_save_hooks={"other": fail},
    )
    with pytest.raises(seen) as caught:
        checkpointer.save_checkpoint()
    if seen is DataError:
        assert "the disk is full: " in str(caught.value)
        assert str(tmp_path) in str(caught.value)
    assert content(tmp_path) == before and recovered(tmp_path) == 1
    # The same checkpointer goes on where it should.
    checkpointer.custom_save_hooks["other"] = lambda _, path: path.touch()
    checkpointer.save_checkpoint()
    assert recovered(tmp_path) == 2 and len(content(tmp_path)) == 2


KILLED = """
import sys, time
import torch
from d2v_sb.checkpointer import AtomicCheckpointer
from speechbrain.utils.checkpoints import Checkpointer

def half(model, path):
    torch.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:500])
    print("STOPPED", flush=True)
    time.sleep(60)

model = torch.nn.Linear(1, 1, bias=False)
model.weight.data.fill_(1.0)
{kind}(sys.argv[1], {{"model": model}}).save_checkpoint(name="first")
model.weight.data.fill_(2.0)
{kind}(
    sys.argv[1], {{"model": model}}, custom_save_hooks={{"model": half}}
).save_checkpoint(name="second")
"""


def kill_while_saving(folder, kind):
    """A process saves one checkpoint and is killed in the midst of the next."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.format(kind=kind), str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"STOPPED\n"
        process.send_signal(signal.SIGKILL)


def test_after_a_kill_the_earlier_checkpoint_is_found(tmp_path):
    kill_while_saving(tmp_path, "AtomicCheckpointer")
    left_over, first = content(tmp_path)
    assert left_over.startswith(".CKPT+second.") and first == "CKPT+first"
    assert recovered(tmp_path) == 1
    save(tmp_path, 3.0, name="third")
    assert content(tmp_path) == ["CKPT+first", "CKPT+third"]
    assert recovered(tmp_path) == 3


def test_speechbrains_own_does_not_survive_that_kill(tmp_path):
    kill_while_saving(tmp_path, "Checkpointer")
    assert content(tmp_path) == ["CKPT+first", "CKPT+second"]
    with pytest.raises(RuntimeError, match="failed finding central"):
        recovered(tmp_path, Checkpointer)


@pytest.fixture
def stopped_clock(monkeypatch):
    """All that is saved is saved within one second."""
    monkeypatch.setattr(
        checkpointer_module.time, "strftime", lambda _: "2026-01-01+00-00-00"
    )


def test_names_within_one_second_are_distinct(tmp_path, stopped_clock):
    names = [save(tmp_path, float(i)).path.name for i in range(12)]
    assert content(tmp_path) == names
    assert names[0] == "CKPT+2026-01-01+00-00-00+00"


def test_a_new_name_is_none_of_those_left_after_a_deletion(
    tmp_path, stopped_clock
):
    """Counting what is left would give the kept one's name anew."""
    checkpointer = AtomicCheckpointer(tmp_path, {"model": model(0.0)})
    for wer in (3.0, 1.0, 2.0):
        checkpointer.save_and_keep_only(
            meta={"WER": wer}, num_to_keep=1, min_keys=["WER"]
        )
    kept = sorted(c.meta["WER"] for c in checkpointer.list_checkpoints())
    assert kept == [1.0, 2.0]


def test_the_best_and_the_newest_are_kept(tmp_path):
    linear = model(0.0)
    checkpointer = AtomicCheckpointer(tmp_path, {"model": linear})
    for wer in (5.0, 2.0, 4.0, 3.0):
        linear.weight.data.fill_(wer)
        checkpointer.save_and_keep_only(
            meta={"WER": wer}, num_to_keep=1, min_keys=["WER"]
        )
        time.sleep(0.002)  # of two as old, either may be the newest
    assert len(content(tmp_path)) == 2
    assert recovered(tmp_path) == 3
    assert recovered(tmp_path, min_key="WER") == 2
