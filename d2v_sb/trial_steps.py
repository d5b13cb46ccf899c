"""Steps of a Brain that measure memory and leave nothing behind.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import random

import numpy as np
import speechbrain as sb
import torch

from d2v_sb.errors import UserError
from d2v_sb.lobes.transformer import TransformerEncoder

GB = 1e9


def memory_of(device):
    """The memory of a device that trains.

    Arguments
    ---------
    device : str or torch.device
        Of a Brain.

    Returns
    -------
    GPUMemory

    Raises
    ------
    UserError
        If it is no GPU of CUDA's. A CPU's memory does not run out with an
        error: the system ends the process.

    Example
    -------
    >>> memory_of("cpu")
    Traceback (most recent call last):
    d2v_sb.errors.UserError: --autobatch tries what fits into a GPU, ...
    """
    device = torch.device(device)
    if device.type != "cuda":
        raise UserError(
            f"--autobatch tries what fits into a GPU, and this run is on "
            f"{device.type}: leave it out and give --gpu_batch_seconds"
        )
    return GPUMemory(device)


class GPUMemory:
    """Bytes of a GPU, and the most that a call needs of them.

    Arguments
    ---------
    device : torch.device
        The GPU.
    """

    def __init__(self, device):
        self.device = device
        free, _ = torch.cuda.mem_get_info(device)
        # What other programs and CUDA itself hold is not ours.
        self.capacity = free + torch.cuda.memory_reserved(device)

    def peak_of(self, call):
        """The most bytes that were in use during a call, what there was
        before included; None where memory ran out."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        try:
            call()
        except torch.OutOfMemoryError:
            return None
        except RuntimeError as error:
            # So cuBLAS and cuDNN say that there is no memory for them.
            if "ALLOC_FAILED" not in str(error):
                raise
            return None
        return torch.cuda.max_memory_allocated(self.device)


class Trials:
    """Tries batches of a Brain's longest utterance; afterwards the Brain is
    as it was: weights, buffers, random states, what is frozen.

    Arguments
    ---------
    brain : UpdateBrain
        Before its modules are wrapped.
    dataset : torch.utils.data.Dataset
        What it trains on.
    memory : GPUMemory
        Where it trains.
    """

    def __init__(self, brain, dataset, memory):
        self.brain = brain
        self.dataset = dataset
        self.memory = memory
        self._seen = []

    def __enter__(self):
        brain = self.brain
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(_same_draws(brain.device))
        self._stack.enter_context(_same_modules(brain.modules))
        self._stack.enter_context(brain.all_learns())
        brain.modules.train()
        # Of an update's second micro-batch on, gradients are there already.
        learned = [p for p in brain.modules.parameters() if p.requires_grad]
        for parameter in learned:
            parameter.grad = torch.zeros_like(parameter)
        self._learned = learned
        self.num_learned = sum(p.numel() for p in learned)
        return self

    def __exit__(self, *error):
        for parameter in self._learned:
            parameter.grad = None
        return self._stack.__exit__(*error)

    def peak_of(self, count):
        """The most bytes of a step with so many of the longest utterance, or
        None."""
        peak = self.memory.peak_of(lambda: self._step(count))
        self._seen.append((count, peak))
        return peak

    def summary(self):
        """Each trial, for the log."""
        return ", ".join(
            f"{count} of the longest "
            + ("too much" if peak is None else f"{peak / GB:.1f}")
            for count, peak in self._seen
        )

    def _step(self, count):
        """What ``fit_batch`` does, without its counts and the optimiser."""
        brain = self.brain
        batch = brain.trial_batch(self.dataset, count)
        with brain.training_ctx:
            outputs = brain.compute_forward(batch, sb.Stage.TRAIN)
            loss = brain.compute_objectives(outputs, batch, sb.Stage.TRAIN)
        brain.scaler.scale(loss).backward()


@contextlib.contextmanager
def _same_draws(device):
    """Random states afterwards are those of before."""
    states = random.getstate(), np.random.get_state()
    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextlib.contextmanager
def _same_modules(modules):
    """Buffers and modes afterwards are those of before; meanwhile no block is
    dropped."""
    buffers = [(b, b.clone()) for b in modules.buffers()]
    modes = [(module, module.training) for module in modules.modules()]
    stacks = [
        (module, module.layerdrop)
        for module in modules.modules()
        if isinstance(module, TransformerEncoder)
    ]
    for stack, _ in stacks:
        stack.layerdrop = 0.0
    try:
        yield
    finally:
        for stack, layerdrop in stacks:
            stack.layerdrop = layerdrop
        for module, training in modes:
            module.training = training
        for buffer, before in buffers:
            buffer.copy_(before)
