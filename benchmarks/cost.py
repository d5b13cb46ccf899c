#!/usr/bin/env python3
"""GPU hours of a whole pretraining, from what one GPU takes in.

> python benchmarks/cost.py
> python benchmarks/cost.py hparams/d2v_pretrain_large.yaml --gpus 8 16 \\
      --audio_per_second 2000
Updates and seconds of audio in an update are those of the YAML. What a GPU takes
in is what you measured (benchmarks/throughput.py, or `audio_s_per_s` of
curves.csv on one GPU), or else shares of the bound of its arithmetic: computed,
not measured. Nothing is assumed to overlap:

    update = audio / (GPUs x rate) + exchange of gradients + optimiser, teacher

Then the loader's workers, by what one was measured to deliver (loading.csv),
and what all GPUs read from the disk in a second, were it LibriSpeech's FLACs.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import csv
import math
from pathlib import Path
from typing import NamedTuple

import torch
from flops import H200, TASKS, bound, forward, of_task

from d2v_sb.hparams import read_plain
from d2v_sb.lobes.encoder import Data2VecEncoder
from d2v_sb.presets import PRESETS
from d2v_sb.pretraining import LinearPredictor
from d2v_sb.sampling import plan_accumulation

HPARAMS = Path(__file__).resolve().parents[1] / "hparams"
RUNS = [HPARAMS / f"d2v_pretrain_{size}.yaml" for size in ("base", "large")]
LOADING = Path(__file__).resolve().parents[1] / "results/loading.csv"
CASE = "pretraining, utterances"
FLAC = 17e3  # bytes for a second of LibriSpeech
GIGA = 1e9
FLOAT32 = 4  # bytes; gradients are float32 under autocast too
# Times that an update reads or writes a float32 number for each weight: scaling
# gradients 2, their norm 1, AdamW 7 (weight, gradient and two moments, of which
# all but the gradient are written), teacher 3.
PASSES = 13


class Machine(NamedTuple):
    """Bytes a second: a GPU's memory, its links inside the node each way, and
    the node's network each way, all adapters together."""

    memory: float = 4300 * GIGA
    nvlink: float = 450 * GIGA
    network: float = 50 * GIGA
    gpus_per_node: int = 8


class Run(NamedTuple):
    """What is to be paid for."""

    encoder: str
    updates: int
    batch_seconds: float
    gpu_batch_seconds: float
    crop_seconds: float

    @property
    def seconds(self):
        """Of audio, in all."""
        return self.updates * self.batch_seconds


class Update(NamedTuple):
    """Seconds that an update takes, and for what."""

    computing: float
    exchange: float
    optimiser: float


def read_run(path):
    """A run by its hparams.

    Arguments
    ---------
    path : str or pathlib.Path
        A YAML of pretraining.

    Returns
    -------
    Run

    Example
    -------
    >>> round(read_run(RUNS[0]).seconds / 3600 / 24 / 365, 1)
    48.2
    """
    plain = read_plain(path)
    return Run(
        plain["encoder"],
        int(plain["number_of_updates"]),
        float(plain["batch_seconds"]),
        float(plain["gpu_batch_seconds"]),
        float(plain["max_seconds"]),
    )


def num_learned(encoder):
    """Weights that learn, those of the predictor included.

    Example
    -------
    >>> round(num_learned("base") / 1e6, 1)
    93.8
    """
    with torch.device("meta"):
        student = Data2VecEncoder(PRESETS[encoder])
        predictor = LinearPredictor(student.output_size)
    modules = student, predictor
    return sum(p.numel() for module in modules for p in module.parameters())


def exchange(num_bytes, num_gpus, machine):
    """Seconds in which all GPUs have summed their gradients.

    Each of g GPUs of a node sends 2 (g - 1) / g of the bytes to its neighbours;
    each of m nodes then 2 (m - 1) / m of them through its network.

    Arguments
    ---------
    num_bytes : float
        Of all gradients.
    num_gpus : int
        Whole nodes, or part of one.
    machine : Machine
        How fast.

    Returns
    -------
    float

    Example
    -------
    >>> exchange(1e9, 1, Machine())
    0.0
    >>> exchange(1e9, 16, Machine(nvlink=1e9, network=1e9))
    2.75
    """
    inside = min(num_gpus, machine.gpus_per_node)
    nodes = math.ceil(num_gpus / machine.gpus_per_node)
    return num_bytes * (
        2 * (inside - 1) / inside / machine.nvlink
        + 2 * (nodes - 1) / nodes / machine.network
    )


def update_of(run, rate, num_gpus, machine, weights):
    """Seconds of an update.

    Arguments
    ---------
    run : Run
        Of how much audio it is.
    rate : float
        Seconds of audio that a GPU takes in a second.
    num_gpus : int
        How many.
    machine : Machine
        How fast.
    weights : int
        That learn.

    Returns
    -------
    Update

    Example
    -------
    >>> run = Run("base", 400000, 3800, 237.5, 20)
    >>> update_of(run, 1900, 2, Machine(), 93.8e6).computing
    1.0
    """
    gradients = FLOAT32 * weights
    return Update(
        run.batch_seconds / (num_gpus * rate),
        exchange(gradients, num_gpus, machine),
        PASSES * gradients / machine.memory,
    )


def cost_table(runs, rates, gpus, machine):
    """GPU hours as lines of Markdown.

    Arguments
    ---------
    runs : list of Run
        Of which.
    rates : callable
        From a run to pairs of what is said behind a rate, and the rate.
    gpus : list of int
        How many.
    machine : Machine
        How fast all else is.

    Returns
    -------
    list of str
    """
    lines = [
        "| encoder | a GPU takes, s/s | GPUs | at a time | computing, ms "
        "| exchange, ms | optimiser, ms | days | GPU hours | workers a GPU "
        "| disk, MB/s |",
        "|---" * 11 + "|",
    ]
    delivered = worker_rate()
    for run in runs:
        weights = num_learned(run.encoder)
        for source, rate in rates(run):
            for n in gpus:
                update = update_of(run, rate, n, machine, weights)
                at_once, times = plan_accumulation(
                    run.batch_seconds, run.gpu_batch_seconds, n
                )
                hours = run.updates * sum(update) / 3600
                taken = run.batch_seconds / sum(update)  # by all, in a second
                cells = [run.encoder, f"{rate:,.0f}{source}", str(n)]
                cells += [f"{at_once:.4g} s x {times}"]
                cells += [f"{1000 * part:,.1f}" for part in update]
                cells += [f"{hours / 24:.3g}", f"{n * hours:,.0f}"]
                cells += [str(math.ceil(taken / n / delivered))]
                cells += [f"{taken * FLAC / 1e6:,.0f}"]
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def worker_rate():
    """Seconds of audio that a loader's worker was measured to deliver."""
    with open(LOADING, newline="", encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if r["case"] == CASE]
    return float(rows[-1]["ours"])


def flops_table(lengths=(1, 5, 15, 20, 30, 60)):
    """Where the arithmetic of a clip is, as lines of Markdown."""
    lines = [
        "| encoder | clip, s | conv stack % | positions, projection % "
        "| linear % | attention % | inference | fine-tuning | conv stack frozen "
        "| pretraining |",
        "|---" * 10 + "|",
    ]
    for encoder in ("base", "large"):
        config = PRESETS[encoder]
        for seconds in lengths:
            found = forward(config, seconds)
            total = sum(found)
            parts = (
                found.conv,
                found.positions + found.projection,
                found.linear,
                found.attention,
            )
            cells = [encoder, str(seconds)]
            cells += [f"{100 * part / total:.1f}" for part in parts]
            cells += [
                f"{of_task(task, config, seconds) / seconds / GIGA:.1f}"
                for task in TASKS
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main():
    """Prints the table."""
    arguments = parse()

    def rates(run):
        if arguments.audio_per_second:
            return [("", x) for x in arguments.audio_per_second]
        most = bound(
            "pretraining",
            PRESETS[run.encoder],
            run.crop_seconds,
            arguments.tflops * 1e12,
        )
        return [(f" ({100 * x:.0f} %)", x * most) for x in arguments.share]

    if arguments.flops:
        print("\n".join(flops_table()))
        return
    runs = [read_run(path) for path in arguments.hparams or RUNS]
    machine = Machine(
        arguments.memory * GIGA,
        arguments.nvlink * GIGA,
        arguments.network * GIGA / 8,
        arguments.gpus_per_node,
    )
    for run in runs:
        print(
            f"{run.encoder}: {run.updates:,} updates x {run.batch_seconds:,.0f} "
            f"s = {run.seconds / GIGA:.2f}e9 s of audio"
        )
    print("\n".join(["", *cost_table(runs, rates, arguments.gpus, machine)]))


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("hparams", nargs="*", help="YAMLs; Base and Large")
    parser.add_argument(
        "--audio_per_second", type=float, nargs="+", help="one GPU's, measured"
    )
    parser.add_argument(
        "--share", type=float, nargs="+", default=[0.4, 0.6], help="of bound"
    )
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 16, 64])
    parser.add_argument(
        "--tflops", type=float, default=H200 / 1e12, help="of bf16 products"
    )
    parser.add_argument("--memory", type=float, default=4300, help="GB/s")
    parser.add_argument("--nvlink", type=float, default=450, help="GB/s")
    parser.add_argument(
        "--network", type=float, default=400, help="Gb/s of a node"
    )
    parser.add_argument("--gpus_per_node", type=int, default=8)
    parser.add_argument(
        "--flops", action="store_true", help="print the arithmetic by length"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
