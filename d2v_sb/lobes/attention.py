"""Attention inside each of several utterances that lie end to end.

Authors
 * The d2v_sb developers 2026
"""

import functools
import logging

import torch
import torch.nn.functional as F

logger = logging.getLogger(__name__)

# Norm of the difference over the norm, of outputs and gradients: half precision
# rounds by 0.005, a mask that lets utterances see each other changes all.
TOLERANCE = 0.05
KERNELS = (torch.float16, torch.bfloat16, torch.float32)  # others have none
DROPOUT = 0.1


class Ends:
    """How long each utterance is, for the host and for a device.

    Arguments
    ---------
    lengths : list of int
        Frames of each utterance; those of 0 are left out.
    device : torch.device, optional
        Where the frames are.

    Example
    -------
    >>> Ends([3, 0, 2]).offsets.tolist()
    [0, 3, 5]
    """

    def __init__(self, lengths, device=None):
        self.lengths = [n for n in lengths if n > 0]
        ends = torch.tensor([0, *self.lengths]).cumsum(0)
        self.offsets = ends.to(device, non_blocking=True)


def attend_inside(q, k, v, ends, dropout=0.0):
    """Scaled dot product attention of each utterance to itself.

    On a GPU all in one call, through torch's nested tensors: its kernels for
    sequences of any lengths, flash attention in half precision. Where they do
    not work, and on a CPU, one call an utterance.

    Arguments
    ---------
    q, k, v : torch.Tensor
        Frames of all utterances end to end (N, H, d).
    ends : Ends
        Where each ends.
    dropout : float
        On attention weights.

    Returns
    -------
    torch.Tensor
        (N, H, d).

    Example
    -------
    >>> q = torch.rand(5, 2, 4)
    >>> y = attend_inside(q, q, q, Ends([3, 2]))
    >>> torch.allclose(y[3:], attend_inside(q[3:], q[3:], q[3:], Ends([2])))
    True
    """
    if (
        q.is_cuda
        and q.dtype in KERNELS
        and nested_works(q.device, q.dtype, *q.shape[1:])
    ):
        return attend_nested(q, k, v, ends, dropout)
    parts = [x.split(ends.lengths) for x in (q, k, v)]
    return torch.cat(
        [
            # (T, H, d) -> (1, H, T, d): without a batch the fused kernels of
            # some devices are not taken.
            F.scaled_dot_product_attention(
                *(x.transpose(0, 1)[None] for x in own), dropout_p=dropout
            )[0].transpose(0, 1)
            for own in zip(*parts, strict=True)
        ]
    )


def attend_nested(q, k, v, ends, dropout=0.0):
    """As ``attend_inside``, in one call through nested tensors.

    Arguments
    ---------
    q, k, v, ends, dropout
        As there.

    Returns
    -------
    torch.Tensor
        (N, H, d).
    """
    shortest, longest = min(ends.lengths), max(ends.lengths)
    # Offsets are one object for all: to torch, others are other shapes.
    q, k, v = (
        torch.nested.nested_tensor_from_jagged(
            x, ends.offsets, min_seqlen=shortest, max_seqlen=longest
        ).transpose(1, 2)
        for x in (q, k, v)
    )
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    return y.transpose(1, 2).values()


@functools.cache
def nested_works(device, dtype, num_heads, width):
    """Whether nested attention gives what single calls give, gradients too.

    Nested tensors are young in torch: tried once for each kind of input before
    they are trusted.

    Arguments
    ---------
    device : torch.device
        Where.
    dtype : torch.dtype
        Of the frames.
    num_heads, width : int
        Heads, and the width of one.

    Returns
    -------
    bool
    """
    try:
        found = _probe(attend_nested, device, dtype, num_heads, width)
        expected = _probe(_attend_plainly, device, dtype, num_heads, width)
        for name, ours, right in zip(
            ("outputs", "gradients"), found, expected, strict=True
        ):
            apart = ((ours - right).norm() / right.norm()).item()
            if not apart < TOLERANCE:
                raise ValueError(f"its {name} differ by {apart:.2g}")
    except torch.OutOfMemoryError:
        raise  # says nothing about it
    # Whatever a version of torch says that has it otherwise.
    except Exception as error:
        logger.warning(
            "nested attention does not work here (%s); attention takes one "
            "call an utterance",
            (str(error) or repr(error)).strip().splitlines()[0],
        )
        return False
    return True


def _probe(attend, device, dtype, num_heads, width):
    """Outputs and gradients of three utterances, in float32."""
    ends = Ends([70, 3, 40], device)
    generator = torch.Generator("cpu").manual_seed(0)
    frames = torch.randn(
        (3, 113, num_heads, width),
        generator=generator,
        device="cpu",
        dtype=torch.float32,
    )
    # Asked for within inference, autocast or a recomputed block, it is to hold
    # outside, and what it keeps is not theirs.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        torch.autograd.graph.saved_tensors_hooks(_same, _same),
    ):
        x = frames.clone().to(device, dtype).requires_grad_()
        attend(*x.unbind(0), ends, DROPOUT).sum().backward()
        x.grad = None
        y = attend(*x.unbind(0), ends)
        y.float().square().sum().backward()
    return y.detach().float(), x.grad.float()


def _same(x):
    return x


def _attend_plainly(q, k, v, ends, dropout=0.0):
    """The same by its definition, for the comparison."""
    parts = []
    for own in zip(*(x.split(ends.lengths) for x in (q, k, v)), strict=True):
        q1, k1, v1 = (x.transpose(0, 1).float() for x in own)
        scores = q1 @ k1.transpose(1, 2) / q1.shape[-1] ** 0.5
        weights = F.dropout(scores.softmax(-1), dropout)
        parts.append((weights @ v1).transpose(0, 1))
    return torch.cat(parts).to(q.dtype)
