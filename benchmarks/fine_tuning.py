#!/usr/bin/env python3
"""Forward and backward of fine-tuning beside Transformers.

> python benchmarks/fine_tuning.py --encoder large --seconds 5
The same weights, the same padded batch, all parameters learning, no LayerDrop,
no masking. States, and the gradients of a sum of their squares, are compared in
float32 without dropout before anything is timed. The ratio of times is printed
last; with --memory that of peaks of memory, ours / theirs. Needs Transformers:
pip install -e ".[hf]".

Authors
 * The d2v_sb developers 2026
"""

import argparse
import sys
import tempfile

import torch
from inference import products
from peaks import report_peaks
from side_by_side import (
    add_options,
    in_turn,
    keep_freed_memory,
    profile,
    report,
    set_up,
)
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

from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.presets import PRESETS

DIFFERENCE = 1e-4  # of norms of gradients, relative


def main():
    """Compares, then times or measures memory."""
    arguments = parse()
    set_up(arguments)
    inputs = Inputs(arguments, arguments.lengths)
    about = {
        "encoder": f"{arguments.encoder} (random weights)",
        "audio": str(inputs),
        "precision": arguments.precision,
        "peer_name": PEER,
        "options": f"dropout {arguments.dropout:g}, LayerDrop 0",
    }
    if products(arguments):
        about["options"] += f", {products(arguments)}"
    with tempfile.TemporaryDirectory() as arguments.folder:
        write_weights(arguments.folder, arguments)
        if arguments.memory:
            about["case"] = "fine-tuning, peak memory"
            report_peaks(ours, theirs, arguments, **about)
            return
        keep_freed_memory()
        about["difference"] = check(arguments, inputs)
        sides = ours(arguments)(), theirs(arguments)()
    found = in_turn(*sides, arguments.rounds, arguments.device)
    profile(*sides, arguments)
    report(found, arguments, case="fine-tuning", **about)


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
        default=[1.0, 0.4],
        help="of the clips, over the longest",
    )
    parser.add_argument(
        "--dropout", type=float, default=0.1, help="and of attention"
    )
    add_options(parser)
    return parser.parse_args()


def ours(arguments):
    """Our step."""
    return lambda: stepping(read_ours, Inputs.ours, arguments)


def theirs(arguments):
    """Transformers' step."""
    return lambda: stepping(read_theirs, Inputs.theirs, arguments)


def stepping(read, hear, arguments):
    """A model, and a forward and backward pass of it as a callable."""
    model = read(arguments.folder, arguments, arguments.dropout)
    model = model.to(DTYPES[arguments.precision]).train()
    inputs = Inputs(arguments, arguments.lengths)
    return lambda: step(model, hear, inputs)


def step(model, hear, inputs):
    """Gradients of a sum over the states of valid frames."""
    model.zero_grad()
    states = hear(inputs, model)
    layers = PRESETS["base"].conv_feature_layers  # the same in all sizes
    frames = num_frames(inputs.num_samples, layers)
    valid = torch.arange(states.shape[1]) < frames[:, None]
    squares = states.float().square()
    loss = (squares * valid.to(states.device)[:, :, None]).sum()
    loss.backward()
    return loss


def check(arguments, inputs):
    """Ends the program where states or gradients differ.

    Returns
    -------
    float
        The largest difference of states.
    """
    encoder = read_ours(arguments.folder, arguments, 0.0)
    model = read_theirs(arguments.folder, arguments, 0.0)
    worst = compare(encoder, model, inputs)
    # Theirs of a padded batch are as with padding="fairseq".
    encoder.encoder.positions.padding = "fairseq"
    norms = []
    for one, hear in ((encoder, Inputs.ours), (model, Inputs.theirs)):
        step(one.train(), hear, inputs)
        grads = [p.grad for p in one.parameters() if p.grad is not None]
        norms.append(torch.nn.utils.get_total_norm(grads).item())
    apart = abs(norms[0] - norms[1]) / norms[1]
    print(f"norms of gradients: {norms[0]:.6g} and {norms[1]:.6g}")
    if not apart < DIFFERENCE:
        sys.exit(f"{apart:.1e} apart: they do not compute the same")
    return worst


if __name__ == "__main__":
    main()
