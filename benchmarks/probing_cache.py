#!/usr/bin/env python3
"""What a probing run costs with and without kept states.

> python benchmarks/probing_cache.py hparams/probe_mp3s_class.yaml \\
      --data_folder data/IEMOCAP --encoder base --number_of_epochs 30
Whole runs of recipes/Probing/train.py, one after the other: without the cache,
with an empty one, with the one that is there then (as further heads, seeds and
learning rates find it). Losses are compared before anything is reported. Times
are CPU seconds of the process on a CPU, and seconds on a GPU, start-up
included. The ratios are printed last. Other options go to the recipe.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "recipes/Probing/train.py"
DIFFERENCE = 0.01  # of losses, relative; three digits are logged


def main():
    """Runs, compares, reports."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hparams")
    parser.add_argument("--device", default="cpu")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        states = str(folder / "states")
        runs = {"no cache": "null", "empty cache": states, "kept": states}
        seconds, losses = {}, {}
        for number, (name, cache) in enumerate(runs.items()):
            output = folder / str(number)
            command = [sys.executable, str(SCRIPT), arguments.hparams]
            command += ["--device", arguments.device, *options]
            if "--prepared_folder" not in options:
                command += ["--prepared_folder", str(folder / "prepared")]
            command += ["--cache_folder", cache]
            command += ["--output_folder", str(output)]
            seconds[name] = timed(command, arguments.device == "cpu")
            losses[name] = losses_in(output / "train_log.txt")
            print(f"{name}: {seconds[name]:.1f} s", flush=True)
        kept = folder / "states"
        size = sum(p.stat().st_size for p in kept.rglob("*") if p.is_file())
    worst = max(
        abs(a - b) / max(abs(a), 1e-9)
        for name in ("empty cache", "kept")
        for a, b in zip(losses["no cache"], losses[name], strict=True)
    )
    print(f"losses differ by {100 * worst:.2f} % at most")
    assert worst < DIFFERENCE
    print(f"states: {size / 1e6:.0f} MB")
    for name in ("empty cache", "kept"):
        print(f"ratio, {name}: {seconds['no cache'] / seconds[name]:.2f}")


def timed(command, of_cpu):
    """CPU seconds, or seconds, of a command."""
    begin, before = time.perf_counter(), cpu_seconds()
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment
    )
    if result.returncode:
        sys.exit(result.stdout[-3000:] + result.stderr[-3000:])
    return cpu_seconds() - before if of_cpu else time.perf_counter() - begin


def cpu_seconds():
    """Of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def losses_in(path):
    """All losses of a train log."""
    text = path.read_text(encoding="utf-8")
    return [float(value) for value in re.findall(r"loss: ([\d.e+-]+)", text)]


if __name__ == "__main__":
    main()
