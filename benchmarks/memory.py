#!/usr/bin/env python3
"""What a training step keeps in memory, and how much audio fits a GPU.

> python benchmarks/memory.py --encoder base --results results/memory_fit.csv
> python benchmarks/memory.py --encoder base --check
Each task, precision and policy of recomputing. With a GPU's PyTorch the peak
is measured there; without, it is computed: the bytes of all tensors that are
alive, counted while the step runs on tensors that have shapes and no values.
--check runs a real step on the CPU and says how far off the count is.

Not counted: CTC's lattice and the masking of features (below 1 %), and what
kernels take for themselves while they run.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import contextlib
import resource
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import side_by_side
import torch
from live_memory import LiveBytes, Shapes, as_on_gpu
from speechbrain.nnet.linear import Linear

from d2v_sb.autobatch import ADAM, BUCKET, HEADROOM
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.presets import PRESETS, SAMPLE_RATE
from d2v_sb.pretraining import LinearDecay, LinearPredictor, Student, Teacher
from d2v_sb.pretraining.objective import regression_loss

COLUMNS = (
    "date commit kind encoder task precision policy kept_5 kept_15 kept_30 peak "
    "fixed_gb fits_24 fits_40 fits_80 fits_141 hardware versions command"
).split()
GPUS = (24, 40, 80, 141)  # GB as sold, which are GiB
GIB = 1 << 30
MB = 1e6
WORKSPACE = GIB  # CUDA's context, cuBLAS, NCCL: 0.6 to 1 GiB
HIDDEN = 0.49  # of all frames: what spans of 10 at mask_prob 0.65 cover
TOP_K = 8
LETTERS = 29
# Utterances of 15 s in two batches, between which the peak is taken for a line.
# It is the largest of several: what is kept, what the conv stack needs for a
# moment, ... and of small batches copies of weights. So where nothing is
# computed, large ones.
BATCHES = {"computed": (32, 64), "measured": (4, 8)}


class Policy(NamedTuple):
    """What is recomputed: how much of the blocks, and the conv stack."""

    name: str
    share: float = 0.0
    conv: bool = False

    def options(self, encoder):
        """The encoder's."""
        blocks = round(self.share * PRESETS[encoder].encoder_layers)
        return {
            "checkpoint_activations": blocks,
            "checkpoint_feature_extractor": self.conv,
        }


NOTHING = Policy("nothing")
BLOCKS = (NOTHING, Policy("half of the blocks", 0.5), Policy("blocks", 1.0))
BOTH = (
    *BLOCKS,
    Policy("conv stack", 0.0, True),
    Policy("blocks, conv stack", 1.0, True),
)
# By task: a frozen conv stack keeps nothing.
POLICIES = {
    "CTC, conv stack frozen": BLOCKS,
    "CTC": BOTH,
    "pretraining": BOTH,
}


class CTCStep(torch.nn.Module):
    """Fine-tuning as hparams/d2v_ctc.yaml has it."""

    def __init__(self, encoder, **options):
        super().__init__()
        lobe = Data2VecAudio(
            encoder,
            **dict.fromkeys(("dropout", "attention_dropout"), 0.0),
            activation_dropout=0.1,
            encoder_layerdrop=0.0,
            **options,
        )
        head = Linear(input_size=lobe.output_size, n_neurons=LETTERS)
        self.model = CTCModel(lobe, head)

    def forward(self, wavs):
        """A loss in place of CTC's."""
        return self.model(wavs).float().sum()


class PretrainingStep(torch.nn.Module):
    """Pretraining as hparams/d2v_pretrain_*.yaml have it."""

    def __init__(self, encoder, **options):
        super().__init__()
        lobe = Data2VecAudio(encoder, encoder_layerdrop=0.0, **options)
        self.student = Student(lobe, LinearPredictor(lobe.output_size))
        decay = LinearDecay(0.999, 0.9999, 30000)
        # Weights are float32 already, and those without values can not be
        # converted.
        with mock.patch.object(torch.nn.Module, "float", lambda self: self):
            self.teacher = Teacher(lobe.encoder, decay, TOP_K)

    def forward(self, wavs):
        """The loss."""
        frames = self.student.encoder.num_frames(wavs.shape[1]) * len(wavs)
        hidden = torch.arange(int(HIDDEN * frames), device=wavs.device)
        out = self.student(wavs, hidden)
        targets = self.teacher(out.projected).flatten(0, 1)
        return regression_loss(out.prediction, targets.index_select(0, hidden))


class Cost(NamedTuple):
    """Bytes that a step holds after its forward pass, and at its peak, what
    does not depend on audio (weights, gradients) left out."""

    kept: int
    peak: int


def make(task, encoder, policy):
    """The module of a task, in train mode."""
    options = policy.options(encoder)
    if task == "pretraining":
        return PretrainingStep(encoder, **options).train()
    frozen = "frozen" in task
    return CTCStep(encoder, freeze_feature_extractor=frozen, **options).train()


def step(module, seconds, batch, precision, device, after_forward=None):
    """A forward and a backward pass; gradients are there already, as they
    are in all but the first micro-batch of an update."""
    wavs = torch.randn(batch, seconds * SAMPLE_RATE, device=device)
    mixed = contextlib.nullcontext()
    if precision == "bf16":
        mixed = torch.autocast(device, torch.bfloat16)
    with mixed:
        loss = module(wavs)
    if after_forward is not None:
        after_forward()
    loss.backward()


def allocate_gradients(module):
    """All that will be there."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)


def computed(module, seconds, batch, precision):
    """Cost by counting, inside ``Shapes`` or on real tensors."""
    held = []
    with LiveBytes() as live:
        step(
            *(module, seconds, batch, precision, "cpu"),
            lambda: held.append(live.now),
        )
    return Cost(held[0], live.peak)


def measured(module, seconds, batch, precision):
    """Cost on a GPU."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, held = torch.cuda.memory_allocated(), []
    step(
        *(module, seconds, batch, precision, "cuda"),
        lambda: held.append(torch.cuda.memory_allocated()),
    )
    peak = torch.cuda.max_memory_allocated()
    return Cost(held[0] - before, peak - before)


def fixed_bytes(module):
    """Weights, gradients, Adam's moments and DDP's buckets."""
    weights = sum(p.numel() for p in module.parameters())
    learned = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return 4 * weights + (4 + ADAM + BUCKET) * learned


def examine(task, encoder, precision, policy, cost):
    """A row: MB per second of audio, and seconds that fit.

    Arguments
    ---------
    task, encoder, precision : str
        See above.
    policy : Policy
        What is recomputed.
    cost : callable
        ``computed`` or ``measured``.

    Returns
    -------
    dict
    """
    module = make(task, encoder, policy)
    if cost is measured:
        module.cuda()
    allocate_gradients(module)

    def run(seconds, batch):
        return cost(module, seconds, batch, precision)

    few, many = BATCHES[cost.__name__]
    a, b = run(15, few), run(15, many)
    more = 15 * (many - few)
    kept, peak = (b.kept - a.kept) / more, (b.peak - a.peak) / more
    row = {"kept_15": kept / MB, "peak": peak / MB}
    if policy is NOTHING:
        # bf16 copies of the weights, of which there is one at any length.
        copies = a.kept - 15 * few * kept
        for length in (5, 30):
            alone = (run(length, 2).kept - copies) / (2 * length)
            row[f"kept_{length}"] = alone / MB
    rest = max(0, a.peak - 15 * few * peak)
    fixed = fixed_bytes(module) + WORKSPACE + rest
    row["fixed_gb"] = fixed / GIB
    for size in GPUS:
        room = (1 - HEADROOM) * size * GIB - fixed
        row[f"fits_{size}"] = max(0, int(room / peak))
    return row


def check(encoder, precision, seconds=10, batch=2):
    """Prints what the count says of a step on the CPU, and what it took."""
    task, policy = "CTC, conv stack frozen", NOTHING
    with Shapes():
        module = make(task, encoder, policy)
        allocate_gradients(module)
        fake = computed(module, seconds, batch, precision)
    before = resident()
    module = make(task, encoder, policy)
    allocate_gradients(module)
    real = computed(module, seconds, batch, precision)
    took = peak_resident() - before
    print(f"same bytes with values as without: {real == fake}")
    with_gradients = sum(
        p.nbytes * (2 if p.requires_grad else 1) for p in module.parameters()
    )
    foretold = with_gradients + fake.peak
    print(
        f"{encoder}, {precision}, {seconds} s x {batch}: foretold "
        f"{foretold / MB:.0f} MB, resident memory grew by {took / MB:.0f} MB"
    )
    print(f"ratio: {took / foretold:.3f}")


def resident():
    """Bytes that this process has in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * resource.getpagesize()


def peak_resident():
    """The most that it had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    """Examines all, or checks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", default="base")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--task", nargs="+", default=list(POLICIES))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", help="a CSV to which rows are added")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.check:
        check(arguments.encoder, arguments.precision[0])
        return
    on_gpu = torch.cuda.is_available()
    arguments.device, arguments.threads = "cuda" if on_gpu else "cpu", 1
    for task in arguments.task:
        for precision in arguments.precision:
            for policy in POLICIES[task]:
                about = task, arguments.encoder, precision, policy
                if on_gpu:
                    row = examine(*about, measured)
                else:
                    with Shapes(), as_on_gpu():
                        row = examine(*about, computed)
                row = {
                    "kind": "measured" if on_gpu else "computed",
                    **dict(zip(("task", "encoder", "precision"), about)),
                    "policy": policy.name,
                    "hardware": side_by_side.hardware(arguments)
                    if on_gpu
                    else "none: shapes alone",
                    **row,
                }
                print(
                    ", ".join(
                        f"{key} {side_by_side.rounded(value)}"
                        for key, value in row.items()
                    ),
                    flush=True,
                )
                if arguments.results:
                    side_by_side.add_row(arguments.results, COLUMNS, row)


if __name__ == "__main__":
    main()
