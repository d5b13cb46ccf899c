#!/usr/bin/env python3
"""One pretraining update of data2vec beside fairseq's.

> ENV/bin/python benchmarks/pretraining.py --fairseq FAIRSEQ --encoder base
Forward of student and teacher, backward, gradient norm and clipping, optimiser
step, moving average: ours by the Brain and the YAML of our recipe, fairseq's by
its Trainer and its YAML. The same weights, waveforms and masks, no LayerDrop,
in one process, in turn. Losses and gradient norms of two updates without
dropout (in bf16 of one) are compared before anything is timed: the second sees
what the optimiser did, but hardly the moving average, for which see
tests/parity/test_pretraining.py. The ratio is printed last.
With --memory it is that of the peaks of memory, ours / fairseq's, each
measured in a process of its own.

FAIRSEQ is a clone, of which nothing is compiled. The environment has this
project's own torch, and is one of its own because hydra 1.0 breaks pytest:

> git clone https://github.com/facebookresearch/fairseq FAIRSEQ
> python3 -m venv ENV
> ENV/bin/pip install "pip<24.1"
> ENV/bin/pip install -c constraints.txt -e . "omegaconf==2.0.6" \\
      "hydra-core==1.0.7" bitarray sacrebleu scikit-learn
> ENV/bin/python -m d2v_sb.cpu_torchaudio

A newer pip refuses omegaconf 2.0.6.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import gc
import logging
import multiprocessing
import resource
import sys

import torch
from fairseq_trainer import commit_of_clone, import_fairseq
from pretraining_updates import Ours, Theirs, make_both
from side_by_side import (
    COLUMNS,
    add_options,
    add_row,
    hardware,
    in_turn,
    keep_freed_memory,
    report,
    set_up,
)

from d2v_sb.errors import UserError

UPDATES = 2  # of which memory is the peak
# Of loss and gradient norm, relative. fairseq's bfloat16 model computes all in
# bfloat16, ours what autocast says.
DIFFERENCE = {"fp32": 1e-4, "bf16": 1e-2}
# Updates; a step of the warm-up's learning rate, some 1e-6, moves float32
# weights and hardly a bfloat16 one.
COMPARED = {"fp32": 2, "bf16": 1}


def main():
    """Compares, then times or measures memory."""
    arguments = parse()
    logging.disable(logging.INFO)
    set_up(arguments)
    try:
        arguments.peer_name = f"fairseq {commit_of_clone(arguments.fairseq)}"
    except UserError as error:
        sys.exit(str(error))
    if arguments.memory:
        report_memory(arguments)
        return
    keep_freed_memory()
    ours, theirs = make_both(arguments, dropout=0.0)
    difference = compare(ours, theirs, arguments.precision)
    del ours, theirs
    gc.collect()  # a Brain is in cycles, and Large is 5 GB a side
    ours, theirs = make_both(arguments, arguments.dropout)
    found = in_turn(
        ours.update, theirs.update, arguments.rounds, arguments.device
    )
    about = described(arguments, "pretraining update")
    report(found, arguments, **about, difference=difference)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--fairseq", required=True, help="folder of a clone")
    parser.add_argument(
        "--encoder", default="base", choices=("tiny", "base", "large")
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--precision", default="fp32", choices=DIFFERENCE)
    parser.add_argument(
        "--dropout", type=float, default=0.1, help="and of attention"
    )
    parser.add_argument("--memory", action="store_true")
    add_options(parser)
    return parser.parse_args()


def described(arguments, case):
    """Columns that say what was measured."""
    return {
        "case": case,
        "encoder": arguments.encoder,
        "audio": f"{arguments.seconds:g} s x {arguments.batch}",
        "precision": arguments.precision,
        "peer_name": arguments.peer_name,
        "options": f"dropout {arguments.dropout:g}, LayerDrop 0",
    }


def compare(ours, theirs, precision):
    """Losses and gradient norms of the first updates.

    Returns
    -------
    float
        Their largest difference, relative.
    """
    ours.take_fairseqs_epsilon()
    worst = 0.0
    for number in range(COMPARED[precision]):
        ours.update()
        theirs.update()
        for name, mine, peer in zip(
            ("loss", "gradient norm"), ours.seen(), theirs.seen(), strict=True
        ):
            apart = abs(mine - peer) / abs(peer)
            worst = max(worst, apart)
            print(
                f"update {number + 1}, {name}: {mine:.7g} and {peer:.7g}, "
                f"{apart:.1e} apart"
            )
    if not worst < DIFFERENCE[precision]:
        sys.exit(f"more than {DIFFERENCE[precision]}: they are not the same")
    return worst


# Memory


def report_memory(arguments):
    """Prints both peaks and, last, their ratio; adds a row where asked to."""
    # Processes of their own: what one has freed, the other would reuse.
    context = multiprocessing.get_context("spawn")
    found = {}
    for name, side in (("ours", Ours), ("peer", Theirs)):
        with context.Pool(1) as pool:
            found[name] = pool.apply(peak, (side, arguments))
    found["ratio"] = found["ours"] / found["peer"]
    print(f"d2v_sb: {found['ours']:.0f} MB")
    print(f"{arguments.peer_name}: {found['peer']:.0f} MB")
    if arguments.results:
        row = described(arguments, "pretraining update, peak memory")
        row |= {**found, "rounds": 1, "device": arguments.device}
        row["hardware"] = hardware(arguments)
        if arguments.note:
            row["hardware"] += f"; {arguments.note}"
        add_row(arguments.results, COLUMNS, row, arguments.peer_name)
    print(f"ratio, ours / theirs: {found['ratio']:.2f}")


def peak(side, arguments):
    """MB that one side's updates take at most, its model included."""
    logging.disable(logging.INFO)
    set_up(arguments)
    if arguments.device != "cpu":
        updates(side, arguments)
        return torch.cuda.max_memory_allocated() / 1e6
    if side is Theirs:
        import_fairseq(arguments.fairseq)
    before = resident()
    updates(side, arguments)
    return resident() - before


def updates(side, arguments):
    """So many that the optimiser's states exist."""
    one = side(arguments, arguments.dropout)
    for _ in range(UPDATES):
        one.update()


def resident():
    """The peak so far in MB; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
