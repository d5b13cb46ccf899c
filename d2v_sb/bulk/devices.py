"""Where and how exactly a model computes, as the command line says it.

Authors
 * The d2v_sb developers 2026
"""

import re

import torch

from d2v_sb.errors import UserError
from d2v_sb.lobes.encoder import Data2VecEncoder

BATCH_SECONDS = {"cuda": 640.0}
BATCH_SECONDS_CPU = 6.0


def find_device(name):
    """A device by its name; "auto" is a GPU where there is one.

    Arguments
    ---------
    name : str
        "auto", "cpu", "cuda", "cuda:1".

    Returns
    -------
    torch.device

    Raises
    ------
    UserError
        If there is no such device.

    Example
    -------
    >>> find_device("cpu")
    device(type='cpu')
    >>> find_device("cuda:99")
    Traceback (most recent call last):
    d2v_sb.errors.UserError: --device cuda:99: ...
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: it is cpu, cuda, cuda:1 or auto")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
        if device.type == "cuda":
            # Streams and events are those of the current one.
            torch.cuda.set_device(device)
    # AssertionError: a torch without CUDA
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--device {name}: it can not be used ({reason}). Choose cpu, or "
            "auto"
        ) from error
    return device


def default_batch_seconds(device):
    """Audio in a batch: a GPU wants much, a CPU's caches are small."""
    return BATCH_SECONDS.get(device.type, BATCH_SECONDS_CPU)


def compile_encoders(module):
    """Compiles the transformers of all encoders in a module, in place.

    Their lengths stay open, so that a batch of another length does not compile
    again.

    Arguments
    ---------
    module : torch.nn.Module
        What holds them.

    Raises
    ------
    UserError
        If it holds none.

    Example
    -------
    >>> compile_encoders(torch.nn.Linear(2, 2))
    Traceback (most recent call last):
    d2v_sb.errors.UserError: --compile: this model has no encoder of d2v_sb
    """
    found = [x for x in module.modules() if isinstance(x, Data2VecEncoder)]
    if not found:
        raise UserError("--compile: this model has no encoder of d2v_sb")
    for encoder in found:
        encoder.encoder.compile(dynamic=True)
