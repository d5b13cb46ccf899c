"""Matrix products in float32 through oneDNN, where MKL is slow.

torch multiplies float32 matrices with Intel's MKL on x86. On processors of
other makers MKL may take slow paths, down to 0.4 of what oneDNN reaches, which
torch carries too but uses for other types only.

Authors
 * The d2v_sb developers 2026
"""

import functools
import logging
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.errors import UserError

logger = logging.getLogger(__name__)

SWITCH = "D2V_SB_FP32_MATMUL"  # in the environment
CHOICES = ("auto", "torch", "onednn")
TOLERANCE = 1e-4
KIND = {"device": "cpu", "dtype": torch.float32}
PLAIN = (torch.Tensor, nn.Parameter)


def affine(x, weight, bias=None):
    """As ``torch.nn.functional.linear``, by the faster library.

    Arguments
    ---------
    x : torch.Tensor
        (..., D).
    weight : torch.Tensor
        (E, D).
    bias : torch.Tensor, optional
        (E,).

    Returns
    -------
    torch.Tensor
        (..., E).

    Example
    -------
    >>> x, weight = torch.rand(2, 5, 8), torch.rand(3, 8)
    >>> torch.allclose(affine(x, weight), x @ weight.t())
    True
    """
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    return _OneDNN.apply(flat, weight, bias).view(*x.shape[:-1], len(weight))


def add_product(y, x, weight):
    """y + x weightᵀ, in one pass where the library has it.

    Arguments
    ---------
    y : torch.Tensor
        (N, E).
    x : torch.Tensor
        (N, D).
    weight : torch.Tensor
        (E, D).

    Returns
    -------
    torch.Tensor
        (N, E).

    Example
    -------
    >>> y, x, weight = torch.rand(2, 3), torch.rand(2, 8), torch.rand(3, 8)
    >>> torch.allclose(add_product(y, x, weight), y + x @ weight.t())
    True
    """
    if _by_onednn(x, weight):
        return y + _OneDNN.apply(x, weight, None)
    return torch.addmm(y, x, weight.t())


class Linear(nn.Linear):
    """``torch.nn.Linear`` through ``affine``.

    Example
    -------
    >>> Linear(8, 3)(torch.rand(2, 5, 8)).shape
    torch.Size([2, 5, 3])
    """

    def forward(self, x):
        """(..., D) -> (..., E)."""
        return affine(x, self.weight, self.bias)


def use_onednn():
    """Whether products go through oneDNN.

    ``D2V_SB_FP32_MATMUL`` decides: "torch" for no, "onednn" for yes where it
    works, "auto" (the default) for yes on processors that are not Intel's in a
    torch with MKL. ``torch.backends.mkldnn.flags(enabled=False)`` turns it off
    too.

    Returns
    -------
    bool

    Raises
    ------
    UserError
        If it is none of these words.
    """
    wanted = os.environ.get(SWITCH, "auto")
    if wanted not in CHOICES:
        raise UserError(f"{SWITCH}={wanted}: it is one of {', '.join(CHOICES)}")
    if wanted == "torch" or not torch.backends.mkldnn.enabled:
        return False
    if wanted != "onednn" and not mkl_is_foreign():
        return False
    return onednn_works()


@functools.cache
def mkl_is_foreign():
    """Whether torch multiplies with MKL on a processor that is not Intel's.

    By its maker and not by a clock: a run that is resumed must round as before.

    Returns
    -------
    bool
    """
    info = Path("/proc/cpuinfo")
    if not torch.backends.mkl.is_available() or not info.is_file():
        return False
    return "GenuineIntel" not in info.read_text(encoding="utf-8")


@functools.cache
def onednn_works():
    """Whether torch's private operation is there and gives the same.

    Returns
    -------
    bool
    """
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator("cpu").manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, generator=generator, **KIND)
        for shape in ((66, 65), (47, 65), (47,))
    )
    grad = torch.randn(66, 47, generator=generator, **KIND)
    try:
        # As they come here: every other row, transposed, windows.
        for inputs in (
            (x, weight, bias),
            (x[::2], weight, None),
            (grad, weight.t(), None),
            (grad.t(), x.t(), None),
            (x.flatten().unfold(0, 65, 5), weight, bias),
        ):
            torch.testing.assert_close(
                _product(*inputs),
                F.linear(*inputs),
                rtol=TOLERANCE,
                atol=TOLERANCE,
            )
    except (AttributeError, RuntimeError, AssertionError, TypeError) as error:
        logger.warning(
            "oneDNN's products can not be used (%s); torch's own are taken",
            str(error).strip().splitlines()[0],
        )
        return False
    return True


def _by_onednn(x, weight):
    return (
        # Tensors without values, quantised ones and other subclasses are
        # torch's own.
        type(x) in PLAIN
        and type(weight) in PLAIN
        and x.is_cpu
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > 0
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and use_onednn()
    )


def _product(x, weight, bias=None):
    """x weightᵀ + bias."""
    # A transposed weight is read as it is; other layouts are taken too, but by
    # loops that are hundreds of times slower.
    if not weight.t().is_contiguous():
        weight = weight.contiguous()
    x = x.contiguous()
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _OneDNN(torch.autograd.Function):
    """The product, and its gradient, which the operation does not know."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad
        apply = _OneDNN.apply  # so that gradients of gradients exist too
        return (
            apply(grad, weight.t(), None) if needed[0] else None,
            apply(grad.t(), x.t(), None) if needed[1] else None,
            grad.sum(0) if ctx.has_bias and needed[2] else None,
        )
