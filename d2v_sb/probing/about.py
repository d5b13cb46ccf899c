"""What a result should say of how it came about.

Authors
 * The d2v_sb developers 2026
"""

import os
import platform
from pathlib import Path

import torch

from d2v_sb.versions import read_versions


def about_run(hparams, frozen, stores):
    """Texts for ``Result.about``.

    Arguments
    ---------
    hparams : dict
        Of the run, whose output folder has its versions.
    frozen : FrozenEncoder
        What was probed.
    stores : dict of StateStore
        Where its states were kept, by view.

    Returns
    -------
    dict of str to str
    """
    versions = read_versions(hparams["output_folder"]) or {}
    names = ("python", "torch", "speechbrain", "d2v_sb")
    found = {
        "date": str(versions.get("begun", ""))[:10],
        "commit": str(versions.get("commit") or "unknown"),
        "command": str(versions.get("command", "")),
        "versions": "; ".join(f"{n} {versions.get(n)}" for n in names),
        "hardware": hardware(frozen.device),
        # A stand-in in a corpus's layout is told by its folder.
        "corpus": Path(hparams[_source(hparams)]).name,
        "encoder weights": frozen.identity(),
        "cache": f"{hparams['cache_dtype']}" if stores else "none",
    }
    return found


def _source(hparams):
    return "prepared_folder" if hparams["corpus"] == "csv" else "data_folder"


def hardware(device):
    """A machine in words.

    Example
    -------
    >>> "thread" in hardware("cpu")
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return (
        f"{platform.machine()} CPU, {os.cpu_count()} cores, {threads} thread(s)"
    )
