"""What the backward pass computes again instead of keeping it.

Authors
 * The d2v_sb developers 2026
"""

import torch
from torch.utils.checkpoint import checkpoint

from d2v_sb.errors import UserError


def num_recomputed(checkpoint_activations, num_blocks):
    """How many blocks, from the first on, are recomputed.

    Not the last ones: they are recomputed first, while all that the others
    keep is still there.

    Arguments
    ---------
    checkpoint_activations : bool or int
        All blocks, none, or so many.
    num_blocks : int
        That there are.

    Returns
    -------
    int

    Raises
    ------
    UserError
        If it is neither, or more than there are.

    Example
    -------
    >>> [num_recomputed(value, 12) for value in (False, True, 1)]
    [0, 12, 1]
    """
    if isinstance(checkpoint_activations, bool):
        return num_blocks if checkpoint_activations else 0
    whole = isinstance(checkpoint_activations, int)
    if not whole or not 0 <= checkpoint_activations <= num_blocks:
        raise UserError(
            f"checkpoint_activations is {checkpoint_activations!r}, but must "
            f"be True, False or a number of blocks up to {num_blocks}"
        )
    return checkpoint_activations


def recompute(module, *inputs):
    """Calls a module whose inner states are not kept for the backward pass.

    Arguments
    ---------
    module : torch.nn.Module
        Drawn numbers (dropout) are drawn again as they were.
    *inputs
        Of the module.

    Returns
    -------
    What the module returns.

    Example
    -------
    >>> x = torch.ones(2, requires_grad=True)
    >>> recompute(torch.nn.GELU(), x).sum().backward()
    >>> x.grad is not None
    True
    """
    if not torch.is_grad_enabled():
        return module(*inputs)
    # The reentrant kind would run DDP's hooks twice, and gives no gradient
    # where no input asks for one, as the waveform does not.
    return checkpoint(module, *inputs, use_reentrant=False)
