"""Peaks of memory of two ways to compute the same, each in its own process.

Authors
 * The d2v_sb developers 2026
"""

import ctypes
import gc
import multiprocessing
import re
from pathlib import Path

import torch
from side_by_side import COLUMNS, add_row, hardware, set_up


def report_peaks(ours, theirs, arguments, **about):
    """Prints both peaks and, last, their ratio; adds a row where asked to.

    Arguments
    ---------
    ours, theirs : callable
        Called with `arguments`, imports what it needs and returns a callable
        that makes the model and returns another, which computes. Functions of
        a module, for they run in other processes: what one has freed, the
        other would reuse.
    arguments : argparse.Namespace
        With what ``side_by_side.add_options`` added.
    **about
        Columns, as of ``side_by_side.report``.
    """
    context = multiprocessing.get_context("spawn")
    found = {"rounds": 1, "device": arguments.device}
    for name, side in (("ours", ours), ("peer", theirs)):
        with context.Pool(1) as pool:
            found[name] = pool.apply(_peak, (side, arguments))
    found["ratio"] = found["ours"] / found["peer"]
    print(f"d2v_sb: {found['ours']:.0f} MB")
    print(f"{about['peer_name']}: {found['peer']:.0f} MB")
    if arguments.results:
        row = {**about, **found, "hardware": hardware(arguments)}
        if arguments.note:
            row["hardware"] += f"; {arguments.note}"
        add_row(arguments.results, COLUMNS, row, about["peer_name"])
    print(f"ratio, ours / theirs: {found['ratio']:.2f}")


def _peak(side, arguments):
    """MB that a side takes at most while it computes: its model included, its
    imports not, nor what loading takes for a moment."""
    set_up(arguments)
    make = side(arguments)
    if arguments.device != "cpu":
        compute = make()
        compute()
        torch.cuda.reset_peak_memory_stats()
        compute()
        return torch.cuda.max_memory_allocated() / 1e6
    before = _status("VmRSS")
    compute = make()
    compute()  # weights may be read from their file when they are first used
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes to the system
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    compute()
    return _status("VmHWM") - before


def _status(name):
    """MB, as Linux says of this process."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) * 1024 / 1e6
