#!/usr/bin/env python3
"""Seconds of audio that a second of computing takes in, by length and batch.

> python benchmarks/throughput.py --encoder base --seconds 5 15 --batch 1 4
> python benchmarks/throughput.py --task pretraining --seconds 5 --batch 2
> python benchmarks/throughput.py --device cuda --encoder large --compile \\
      --precision bf16 --seconds 15 --batch 16 64 --task inference pretraining
> python benchmarks/throughput.py --device cuda --precision bf16 --profile
Clips of one length, random weights. Inference has weights of the precision;
fine-tuning is a forward and a backward pass, pretraining whole updates of our
Brain with the options of hparams/, both under autocast. On a CPU it is CPU
seconds, on one thread unless asked for more; on a GPU seconds on the clock,
with the device waited for. A loader is not in it.

TFLOP/s are of the products that the mathematics needs (flops.py), whatever is
computed twice. `share` is that of an H200's bound, on GPUs in bf16 alone.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import contextlib
import statistics
import tempfile
from pathlib import Path

import side_by_side
import torch
from flops import FROZEN, H200, TASKS, bound, of_task
from hyperpyyaml import load_hyperpyyaml
from memory import NOTHING, make

from d2v_sb.bulk.devices import compile_encoders
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.presets import PRESETS, SAMPLE_RATE
from d2v_sb.pretraining.audio import CropBatch

HPARAMS = Path(__file__).resolve().parents[1] / "hparams"
COLUMNS = (
    "date commit task encoder precision device seconds batch rate rate_low "
    "rate_high rounds tflops share peak_gb options hardware versions command"
).split()
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CTC = {"fine-tuning": "CTC", FROZEN: "CTC, conv stack frozen"}
GB = 1e9
KERNELS = 25


class Inference:
    """The encoder alone, its weights in the precision."""

    def __init__(self, precision, arguments):
        self.dtype = DTYPES[precision]
        self.module = Data2VecAudio(arguments.encoder).to(
            arguments.device, self.dtype
        )
        self.module.eval()

    @torch.inference_mode()
    def __call__(self, wavs):
        """Computes the last states."""
        return self.module(wavs)


class FineTuning:
    """A forward and a backward pass of an encoder with a head."""

    def __init__(self, task, precision, arguments):
        self.precision = precision
        self.module = make(CTC[task], arguments.encoder, NOTHING)
        self.module.to(arguments.device)

    def __call__(self, wavs):
        """Computes gradients."""
        self.module.zero_grad()
        with autocast(self.precision, wavs.device):
            loss = self.module(wavs)
        loss.backward()


class Pretraining:
    """Updates of a ``PretrainingBrain``, of some micro-batches each."""

    def __init__(self, precision, arguments, folder):
        self.micro_batches = arguments.micro_batches
        size = "large" if arguments.encoder == "large" else "base"
        options = {
            "encoder": arguments.encoder,
            "output_folder": folder,
            "precision": precision,
            # What counts is their ratio: batches are given, not loaded.
            "batch_seconds": self.micro_batches,
            "gpu_batch_seconds": 1,
            # Never within what is timed.
            "log_interval_updates": 10**9,
            # The FLOPs are of all blocks.
            "encoder_layerdrop": 0.0,
        }
        if PRESETS[arguments.encoder].encoder_layers < 8:
            options["average_top_k_layers"] = 2
        path = HPARAMS / f"d2v_pretrain_{size}.yaml"
        with open(path, encoding="utf-8") as stream:
            hparams = load_hyperpyyaml(stream, options)
        self.brain = hparams["brain_class"](
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts={
                "device": arguments.device,
                "precision": precision,
                "noprogressbar": True,
            },
        )
        self.brain.on_fit_start()
        self.module = self.brain.modules
        self.module.train()
        next(hparams["epoch_counter"])

    def __call__(self, wavs):
        """Makes an update."""
        names = ("noise",) * len(wavs)
        for _ in range(self.micro_batches):
            self.brain.step += 1
            self.brain.fit_batch(CropBatch(names, wavs))


def main():
    """Times all tasks, precisions, lengths and batches."""
    arguments = parse()
    side_by_side.set_up(arguments)
    for task in arguments.task:
        for precision in arguments.precision:
            with tempfile.TemporaryDirectory() as folder:
                step = prepare(task, precision, arguments, folder)
                for seconds in arguments.seconds:
                    for batch in arguments.batch:
                        about = task, precision, seconds, batch
                        examine(step, *about, arguments)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--task", nargs="+", default=TASKS[:1], choices=TASKS)
    parser.add_argument("--encoder", default="base", choices=PRESETS)
    parser.add_argument(
        "--precision", nargs="+", default=["fp32"], choices=DTYPES
    )
    parser.add_argument("--seconds", nargs="+", type=float, default=[5.0, 15.0])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 4])
    parser.add_argument(
        "--micro_batches", type=int, default=1, help="of a pretraining update"
    )
    parser.add_argument(
        "--compile", action="store_true", help="the student's transformer"
    )
    parser.add_argument(
        "--profile", action="store_true", help="list kernels, time nothing"
    )
    side_by_side.add_options(parser)
    parser.set_defaults(rounds=3)
    return parser.parse_args()


def prepare(task, precision, arguments, folder):
    """What computes a task, called with waveforms."""
    if task == "inference":
        step = Inference(precision, arguments)
    elif task == "pretraining":
        step = Pretraining(precision, arguments, folder)
    else:
        step = FineTuning(task, precision, arguments)
    if arguments.compile:
        compile_encoders(step.module)
    return step


def examine(step, task, precision, seconds, batch, arguments):
    """One length and batch: a line, and a row where asked to."""
    what = f"{task}, {arguments.encoder}, {precision}, {seconds:g} s x {batch}"
    samples = round(seconds * SAMPLE_RATE)
    wavs = torch.randn(batch, samples, device=arguments.device)
    if arguments.profile:
        print(f"{what}\n{kernels(step, wavs)}", flush=True)
        return
    try:
        row = measure(step, wavs, arguments)
    except torch.OutOfMemoryError:
        print(f"{what}: out of memory", flush=True)
        return
    config = PRESETS[arguments.encoder]
    flops = of_task(task, config, seconds) / seconds * row["rate"]
    row["tflops"] = flops / 1e12
    line = f"{what}: {row['rate']:.4g} s of audio a second"
    line += f" ({row['rate_low']:.4g} to {row['rate_high']:.4g})"
    line += f", {row['tflops']:.4g} TFLOP/s"
    if arguments.device != "cpu":
        line += f", peak {row['peak_gb']:.3g} GB"
        if precision == "bf16":
            row["share"] = row["rate"] / bound(task, config, seconds, H200)
            line += f", {row['share']:.1%} of an H200's bound"
    print(line, flush=True)
    if arguments.results:
        row.update(
            task=task,
            encoder=f"{arguments.encoder} (random weights)",
            precision=precision,
            device=arguments.device,
            seconds=seconds,
            batch=batch,
            options=options(task, arguments),
            hardware=side_by_side.hardware(arguments),
        )
        if arguments.note:
            row["hardware"] += f"; {arguments.note}"
        side_by_side.add_row(arguments.results, COLUMNS, row)


def measure(step, wavs, arguments):
    """Rates and, on a GPU, the peak of memory."""
    on_gpu = arguments.device != "cpu"
    # The first call compiles and chooses kernels, the second settles memory.
    for _ in range(2 if on_gpu else 1):
        step(wavs)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = [
        side_by_side.timed(lambda: step(wavs), arguments.device)
        for _ in range(arguments.rounds)
    ]
    heard = wavs.numel() / SAMPLE_RATE * getattr(step, "micro_batches", 1)
    found = {
        "rate": heard / statistics.median(times),
        "rate_low": heard / max(times),
        "rate_high": heard / min(times),
        "rounds": arguments.rounds,
    }
    if on_gpu:
        found["peak_gb"] = torch.cuda.max_memory_allocated() / GB
    return found


def kernels(step, wavs):
    """A table of what took most time: on a GPU its kernels, among which
    attention's are to be those of flash attention."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if wavs.is_cuda:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    step(wavs)
    with torch.profiler.profile(activities=activities) as profiler:
        step(wavs)
        if wavs.is_cuda:
            torch.cuda.synchronize()
    device = "cuda" if wavs.is_cuda else "cpu"
    table = profiler.key_averages().table(
        sort_by=f"self_{device}_time_total", row_limit=KERNELS
    )
    names = {event.key for event in profiler.key_averages()}
    flash = sorted(name for name in names if "flash" in name.lower())
    return f"{table}\nflash kernels: {', '.join(flash) or 'none'}"


def options(task, arguments):
    """What else a row is of."""
    found = ["compiled"] if arguments.compile else []
    if task == "pretraining":
        found.append(f"{arguments.micro_batches} micro-batch(es) an update")
    return ", ".join(found)


def autocast(precision, device):
    """As the recipes compute in a precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


if __name__ == "__main__":
    main()
