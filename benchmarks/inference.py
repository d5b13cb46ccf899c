#!/usr/bin/env python3
"""Inference beside Transformers: the same weights, the same padded batch.

> python benchmarks/inference.py --encoder large --seconds 5
> python benchmarks/inference.py --encoder large --seconds 30 --lengths 1
> python benchmarks/inference.py --encoder base --seconds 15 --precision bf16
> D2V_SB_FP32_MATMUL=torch python benchmarks/inference.py
Outputs are compared in float32 before anything is timed. The ratio of times is
printed last; with --memory that of peaks of memory, ours / theirs. Needs
Transformers: pip install -e ".[hf]".

Authors
 * The d2v_sb developers 2026
"""

import argparse
import tempfile

import torch
from peaks import report_peaks
from side_by_side import add_options, in_turn, profile, report, set_up
from transformers_peer import (
    DTYPES,
    PEER,
    Inputs,
    add_model_options,
    compare,
    read_ours,
    read_theirs,
    write_weights,
)

from d2v_sb.lobes.affine import use_onednn


def main():
    """Compares, then times or measures memory."""
    arguments = parse()
    set_up(arguments)
    about = {
        "encoder": f"{arguments.encoder} (random weights)",
        "audio": str(Inputs(arguments, arguments.lengths)),
        "precision": arguments.precision,
        "peer_name": PEER,
        "options": products(arguments),
    }
    with tempfile.TemporaryDirectory() as arguments.folder:
        write_weights(arguments.folder, arguments)
        if arguments.memory:
            about["case"] = "inference, peak memory"
            report_peaks(ours, theirs, arguments, **about)
            return
        encoder = read_ours(arguments.folder, arguments)
        model = read_theirs(arguments.folder, arguments)
    inputs = Inputs(arguments, arguments.lengths)
    about["difference"] = compare(encoder, model, inputs)
    dtype = DTYPES[arguments.precision]
    encoder, model = encoder.to(dtype), model.to(dtype)
    sides = lambda: inputs.ours(encoder), lambda: inputs.theirs(model)
    with torch.inference_mode():
        found = in_turn(*sides, arguments.rounds, arguments.device)
        profile(*sides, arguments)
    report(found, arguments, case="inference", **about)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument(
        "--lengths",
        type=float,
        nargs="+",
        default=[1.0, 0.8, 0.6, 0.4],
        help="of the clips, over the longest",
    )
    add_options(parser)
    return parser.parse_args()


def products(arguments):
    """Which library multiplies our float32 matrices on a CPU."""
    if arguments.device != "cpu" or arguments.precision != "fp32":
        return ""
    return "oneDNN products" if use_onednn() else "torch's own products"


# Memory, each in a process of its own


def ours(arguments):
    """Our encoder's."""
    return lambda: computing(read_ours, Inputs.ours, arguments)


def theirs(arguments):
    """Transformers'."""
    return lambda: computing(read_theirs, Inputs.theirs, arguments)


def computing(read, hear, arguments):
    """What is measured: one batch."""
    model = read(arguments.folder, arguments)
    model = model.to(DTYPES[arguments.precision]).eval()
    inputs = Inputs(arguments, arguments.lengths)
    return torch.inference_mode()(lambda: hear(inputs, model))


if __name__ == "__main__":
    main()
