"""The formulas behind the page on scaling.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from d2v_sb.lobes import Data2VecAudio
from d2v_sb.lobes.affine import SWITCH
from d2v_sb.presets import PRESETS
from d2v_sb.pretraining import LinearPredictor

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/scaling.md"
TINY = PRESETS["tiny"]


@pytest.fixture
def scripts(monkeypatch):
    """The benchmarks' folder, from which its scripts import each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def flops(scripts):
    """flops.py."""
    return scripts("flops")


@pytest.fixture
def cost(scripts):
    """cost.py."""
    return scripts("cost")


@pytest.fixture
def counted(scripts, monkeypatch):
    """What torch counts of a call.

    It knows products and convolutions, neither oneDNN's private operation nor
    a CPU's attention; so these are taken apart.
    """
    monkeypatch.setenv(SWITCH, "torch")

    def count(call):
        counter = FlopCounterMode(display=False)
        with sdpa_kernel(SDPBackend.MATH), counter:
            call()
        return counter.get_total_flops()

    return count


# The conv stack's pieces overlap by a few samples, which are counted twice.
CLOSE = 0.01


@pytest.mark.parametrize("seconds", [1, 10])
def test_a_forward_pass_has_the_operations_that_torch_counts(
    flops, counted, seconds
):
    encoder = Data2VecAudio("tiny").eval()
    wavs = torch.randn(2, 16000 * seconds)
    found = flops.forward(TINY, seconds)
    total = counted(lambda: encoder(wavs))
    assert total == pytest.approx(2 * sum(found), rel=CLOSE)
    if seconds == 10:  # one plausible mistake
        without = 2 * (sum(found) - found.attention / 2)
        assert total != pytest.approx(without, rel=CLOSE)


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("fine-tuning", "CTC"),
        ("fine-tuning, conv stack frozen", "CTC, conv stack frozen"),
        ("pretraining", "pretraining"),
    ],
)
def test_a_step_has_the_operations_that_torch_counts(
    flops, scripts, counted, monkeypatch, task, kind
):
    memory = scripts("memory")
    monkeypatch.setattr(memory, "TOP_K", 2)
    # Of the weight of a grouped convolution torch counts the gradient as often
    # as there are groups.
    config = dataclasses.replace(TINY, conv_pos_groups=1)
    monkeypatch.setitem(PRESETS, "ungrouped", config)
    module = memory.make(kind, "ungrouped", memory.NOTHING)
    total = counted(lambda: memory.step(module, 5, 2, "fp32", "cpu"))
    if task != "pretraining":  # the letters' layer, which is no encoder's
        head = 2 * config.encoder_embed_dim * memory.LETTERS
        total -= 2 * 3 * flops.frames(config, 5) * head
    expected = 2 * flops.of_task(task, config, 5)
    assert total == pytest.approx(expected, rel=CLOSE)
    others = [flops.of_task(other, config, 5) for other in flops.TASKS]
    near = [x for x in others if 2 * x == pytest.approx(total, rel=CLOSE)]
    assert len(near) == 1


def test_the_shares_of_a_bound_are_of_the_arithmetic(flops):
    large = PRESETS["large"]
    twice = flops.bound("inference", large, 15, 2 * flops.H200)
    assert twice == 2 * flops.bound("inference", large, 15)
    of_clip = flops.of_task("inference", large, 15)
    assert twice * of_clip / 15 == pytest.approx(2 * flops.H200)


def test_weights_that_learn_are_those_of_student_and_predictor(cost):
    encoder = Data2VecAudio("tiny")
    modules = encoder, LinearPredictor(encoder.output_size)
    expected = sum(p.numel() for m in modules for p in m.parameters())
    assert cost.num_learned("tiny") == expected


def test_gradients_pass_the_network_only_between_nodes(cost):
    machine = cost.Machine(nvlink=100.0, network=10.0, gpus_per_node=8)
    assert cost.exchange(100.0, 1, machine) == 0
    assert cost.exchange(100.0, 8, machine) == pytest.approx(1.75)
    assert cost.exchange(100.0, 64, machine) == pytest.approx(1.75 + 17.5)


def test_gpu_hours_are_those_of_the_audio_where_nothing_else_takes_time(cost):
    fast = cost.Machine(memory=1e30, nvlink=1e30, network=1e30)
    run = cost.read_run(cost.RUNS[0])
    rate = 1000.0
    lines = cost.cost_table([run], lambda _: [("", rate)], [1, 64], fast)
    hours = f"{run.updates * run.batch_seconds / rate / 3600:,.0f}"
    assert [line.split(" | ")[8] for line in lines[2:]] == [hours, hours]


@pytest.mark.parametrize(
    "options",
    ["", "--network 3200 --gpus 16 64", "--flops"],
    ids=["cost", "network", "flops"],
)
def test_the_page_has_what_the_script_prints(
    cost, options, monkeypatch, capsys
):
    monkeypatch.setattr("sys.argv", ["cost.py", *options.split()])
    cost.main()
    printed = capsys.readouterr().out
    page = PAGE.read_text(encoding="utf-8")
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert "\n".join(table) in page
    assert f"python benchmarks/cost.py {options}".strip() in page
