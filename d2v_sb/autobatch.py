"""Finds the largest `gpu_batch_seconds` that fits a GPU, before training.

    peak |                     . x       what the line foretells, tried once
         |             x .
         |       x              x        trials: 1, 2, 4 ... of the longest
         |   x                           utterance, until memory is out
         +-----------------------------> seconds of audio at a time

Authors
 * The d2v_sb developers 2026
"""

import json
import logging

import torch
from speechbrain.utils.distributed import ddp_broadcast, if_main_process

from d2v_sb.atomic import replacing
from d2v_sb.errors import UserError
from d2v_sb.trial_steps import Trials, memory_of

logger = logging.getLogger(__name__)

KEPT = "autobatch.json"  # beside the checkpoints
# Of the memory, for what trials do not show: fragments, the optimiser's
# temporaries, NCCL's buffers, libraries' workspaces for other shapes.
HEADROOM = 0.08
ADAM = 2 * 4  # bytes a learned parameter: two moments
BUCKET = 4  # bytes a learned parameter: DDP's copy of the gradient
GB = 1e9


def find_batch(brain, dataset):
    """Seconds of audio that each process can take at a time.

    A run that goes on takes what it was begun with, which is kept beside its
    checkpoints: the order of its batches depends on it.

    Arguments
    ---------
    brain : UpdateBrain
        Before its modules are wrapped; it is left as it was.
    dataset : torch.utils.data.Dataset
        What it trains on.

    Returns
    -------
    float
        The smallest of what the processes found; no more than an update's
        share of one process.

    Raises
    ------
    UserError
        If there is no GPU, or the longest utterance does not fit.
    """
    memory = memory_of(brain.device)
    path = _place(brain.checkpointer)
    kept = ddp_broadcast(_read(path, brain.checkpointer), src=0)
    if kept is not None:
        logger.info(
            "autobatch: %.1f s at a time, as this run was begun; delete %s to "
            "search again, after which its batches are others",
            kept,
            path,
        )
        return kept
    longest = brain.longest_seconds(dataset)
    limit = brain.hparams.batch_seconds / brain.num_processes
    with Trials(brain, dataset, memory) as trials:
        learned = trials.num_learned
        later = ADAM + (BUCKET if brain.num_processes > 1 else 0)
        budget = (1 - HEADROOM) * memory.capacity - later * learned
        found = largest_batch(
            trials.peak_of, longest, limit, budget, brain.least_together
        )
    # Nobody may stop before all know: the others would wait for it.
    found = _smallest(found or 0.0, brain)
    if not found:
        raise UserError(
            f"a batch of {brain.least_together} with the longest audio, "
            f"{longest:.1f} s, does not fit into the "
            f"{memory.capacity / GB:.1f} GB that are free, "
            f"{100 * HEADROOM:.0f} % of it and {later * learned / GB:.1f} GB "
            "for the optimiser set aside. Recompute activations "
            "(--checkpoint_activations True, --checkpoint_feature_extractor "
            f"True), {brain.way_to_shorten}, or take a smaller encoder"
        )
    logger.info(
        "autobatch: %.1f s at a time fit into the %.1f GB that are free; "
        "tried (GB): %s",
        found,
        memory.capacity / GB,
        trials.summary(),
    )
    if path is not None and if_main_process():
        with replacing(path) as beside:
            beside.write_text(json.dumps({"gpu_batch_seconds": found}) + "\n")
    return found


def largest_batch(peak_of, longest, limit, budget, least=1):
    """How many seconds of audio fit, by trials of the longest utterance.

    Arguments
    ---------
    peak_of : callable
        From a number of utterances to the most bytes that a step with them
        needs; None where memory is out.
    longest : float
        Seconds of the longest utterance.
    limit : float
        Seconds beyond which more is of no use.
    budget : float
        Bytes that a step may need.
    least : int
        Utterances that a step must have.

    Returns
    -------
    float, or None
        Seconds; None where not even `least` utterances fit.

    Example
    -------
    >>> largest_batch(lambda n: 100 + 20 * n, 10.0, 1000.0, 250)
    75.0
    """
    peaks = {}  # by seconds

    def fits(count):
        peak = peak_of(count)
        if peak is not None:
            peaks[count * longest] = peak
        return peak is not None and peak <= budget

    count, most = least, max(least, int(limit / longest + 1e-9))
    if not fits(count):
        return None
    too_many = most + 1
    while count < most and too_many > most:
        following = min(2 * count, most)
        if fits(following):
            count = following
        else:
            too_many = following
    foretold = min(int(_reach(peaks, budget) / longest), too_many - 1)
    line_holds = True
    while foretold > count:
        if fits(foretold):
            count = foretold
        else:
            too_many, line_holds = foretold, False
        foretold = count if line_holds else (count + too_many) // 2
    if not line_holds:
        return min(limit, count * longest)
    # Part of an utterance may be left over, for batches of shorter ones.
    reach = min(_reach(peaks, budget), too_many * longest)
    return min(limit, max(reach, count * longest))


def _reach(peaks, budget):
    """Where the line through the last two points reaches the budget."""
    *_, last = sorted(peaks)
    if len(peaks) == 1:
        return last
    before = sorted(peaks)[-2]
    slope = (peaks[last] - peaks[before]) / (last - before)
    return last + (budget - peaks[last]) / slope if slope > 0 else last


def _place(checkpointer):
    return None if checkpointer is None else checkpointer.checkpoints_dir / KEPT


def _read(path, checkpointer):
    """Of a run that has begun; without a checkpoint all may be other."""
    if path is None or not path.is_file():
        return None
    if checkpointer.find_checkpoint() is None:
        return None
    return json.loads(path.read_text(encoding="utf-8"))["gpu_batch_seconds"]


def _smallest(seconds, brain):
    if not brain.distributed_launch:
        return seconds
    # In double: rounded, it could pass the share of an update.
    all_of_them = torch.tensor(
        seconds, device=brain.device, dtype=torch.float64
    )
    torch.distributed.all_reduce(all_of_them, torch.distributed.ReduceOp.MIN)
    return float(all_of_them)
