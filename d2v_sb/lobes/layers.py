"""Two small layers that every part of the encoder is made of.

Authors
 * The d2v_sb developers 2026
"""

import contextlib

import torch
import torch.nn.functional as F
from torch import nn


class Freezable(nn.Module):
    """A module that stays in eval mode once frozen, whoever calls ``train()``.

    ``Brain.fit`` puts all modules into train mode at every epoch, which would
    bring dropout and LayerDrop back into a frozen encoder.

    Example
    -------
    >>> part = Freezable()
    >>> part.freeze_parameters()
    >>> part.train().training
    False
    """

    frozen = False

    def freeze_parameters(self, frozen=True):
        """Stops (or resumes) learning in this module and all below it.

        Arguments
        ---------
        frozen : bool
            Whether the parameters are frozen.
        """
        for module in self.modules():
            if isinstance(module, Freezable):
                module.frozen = frozen
        for parameter in self.parameters():
            parameter.requires_grad_(not frozen)
        if frozen:
            self.eval()

    # The name by which recipes for Transformers encoders call it.
    _freeze_parameters = freeze_parameters

    def train(self, mode=True):
        """As in torch, except that a frozen module stays in eval mode."""
        return super().train(mode and not self.frozen)


class Fp32LayerNorm(nn.LayerNorm):
    """LayerNorm over the last dimension, computed in float32 at least.

    The result has the input's type, so that half precision stays half
    precision between layers.

    Example
    -------
    >>> import torch
    >>> norm = Fp32LayerNorm(4)
    >>> norm(torch.rand(2, 4, dtype=torch.bfloat16)).dtype
    torch.bfloat16
    """

    def forward(self, x):
        """Normalises x (..., channels)."""
        weight, bias = self.weight, self.bias
        dtype = x.dtype
        # torch's kernels read and write half precision and compute in float32:
        # without copies, which take several times as long as the norm.
        mixed = weight is not None and weight.dtype != dtype
        if mixed and not takes_mixed(x, weight):
            x, weight, bias = x.float(), weight.float(), bias.float()
        with without_autocast(x.device.type):  # it would make float32 of it
            out = F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)
        return out.to(dtype)


def takes_mixed(x, weight):
    """Whether torch's norm takes weights of another type than x has: a CPU's
    does in float32, a GPU's does not."""
    half = x.dtype in (torch.bfloat16, torch.float16)
    return x.is_cpu and half and weight.dtype == torch.float32


def without_autocast(kind):
    """A context in which a kind of device computes in the types it is given."""
    if not torch.amp.is_autocast_available(kind):  # as that of shapes alone
        return contextlib.nullcontext()
    return torch.autocast(kind, enabled=False)
