"""The count of bytes behind the table of memory.

Authors
 * The d2v_sb developers 2026
"""

import importlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from d2v_sb.lobes import Data2VecAudio

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def scripts(monkeypatch):
    """The benchmarks' folder, from which its scripts import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def live(scripts):
    """live_memory.py."""
    return scripts("live_memory")


@pytest.fixture
def memory(scripts, monkeypatch):
    """memory.py, for the tiny encoder's two blocks."""
    module = scripts("memory")
    monkeypatch.setattr(module, "TOP_K", 2)
    return module


def test_a_storage_counts_once_and_as_long_as_it_is_held(live):
    with live.LiveBytes() as count:
        a = torch.zeros(100)
        view = a[:50].view(5, 10)
        assert count.now == 400
        b = view + 1
        del a
        assert (count.now, count.peak) == (600, 600)
        del view
        assert (count.now, count.peak) == (200, 600)
        b += 1
        assert (count.now, count.peak) == (200, 600)


def test_what_is_there_after_a_forward_pass_is_what_autograd_saved(live):
    encoder = Data2VecAudio("tiny", encoder_layerdrop=0.0)
    own = {p.untyped_storage() for p in encoder.parameters()}
    saved = {}

    def note(x):
        if x.untyped_storage() not in own:
            saved[x.untyped_storage()] = x.untyped_storage().nbytes()
        return x

    wavs = torch.randn(2, 16000)
    with (
        live.LiveBytes() as count,
        torch.autograd.graph.saved_tensors_hooks(note, lambda x: x),
    ):
        out = encoder(wavs)
    expected = sum(saved.values())
    result = out.untyped_storage()
    alone = 0 if result in saved else result.nbytes()
    assert count.now == pytest.approx(expected + alone, rel=0.01)


@pytest.mark.parametrize(
    ("task", "precision"),
    [("CTC", "fp32"), ("CTC, conv stack frozen", "bf16")],
)
def test_tensors_without_values_give_the_bytes_of_those_with(
    memory, live, task, precision
):
    def cost():
        module = memory.make(task, "tiny", memory.NOTHING)
        memory.allocate_gradients(module)
        return memory.computed(module, 1, 2, precision)

    # A CPU's products through oneDNN copy, and need values.
    with live.as_on_gpu():
        with live.Shapes():
            fake = cost()
        real = cost()
    assert tuple(fake) == tuple(real)


def test_as_on_a_gpu_attention_keeps_no_weights(live):
    """On a CPU it keeps (T, T) where there is dropout."""

    def kept(T):
        x = torch.rand(1, 1, T, 8, requires_grad=True)
        with live.LiveBytes() as count:
            y = F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)
        del y
        return count.peak

    assert kept(400) > 3 * kept(200)
    with live.as_on_gpu():
        assert kept(400) == 2 * kept(200)


def test_as_on_a_gpu_dropout_keeps_bytes(live):
    x = torch.ones(1000, requires_grad=True)

    def kept():
        with live.LiveBytes() as count:
            y = F.dropout(x, 0.5)
        return count.now - y.nbytes

    assert kept() >= 4000
    with live.as_on_gpu():
        assert kept() == 1000
        assert F.dropout(x, 0.5, training=False) is x


@pytest.mark.parametrize("task", ["CTC", "pretraining"])
def test_a_row_says_what_fits_and_less_kept_lets_more_fit(memory, live, task):
    def row(policy):
        with live.Shapes(), live.as_on_gpu():
            about = task, "tiny", "fp32", policy
            return memory.examine(*about, memory.computed)

    nothing, blocks = row(memory.NOTHING), row(memory.BLOCKS[-1])
    assert set(nothing) <= set(memory.COLUMNS)
    assert blocks["kept_15"] < 0.9 * nothing["kept_15"]
    assert blocks["fits_24"] >= nothing["fits_24"]
    assert nothing["kept_5"] == pytest.approx(nothing["kept_30"], rel=0.05)
    held = nothing["fixed_gb"] + nothing["fits_24"] * nothing["peak"] / (
        memory.GIB / 1e6
    )
    assert held == pytest.approx(24 * (1 - memory.HEADROOM), rel=0.01)
