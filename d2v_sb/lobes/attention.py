"""Attention inside each of several utterances that lie end to end.

Authors
 * The d2v_sb developers 2026
"""

import functools
import logging

import torch
import torch.nn.functional as F

logger = logging.getLogger(__name__)

TOLERANCE = 0.02  # of outputs of about 1, in half precision


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
    if q.is_cuda and nested_works(q.device, q.dtype, *q.shape[1:]):
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
    ends = Ends([70, 3, 40], device)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(3, 113, num_heads, width, generator=generator)
    try:
        found = []
        for attend in (attend_nested, _attend_plainly):
            # Asked for within inference or autocast, it is to hold outside.
            with (
                torch.inference_mode(False),
                torch.enable_grad(),
                torch.autocast(device.type, enabled=False),
            ):
                x = frames.clone().to(device, dtype).requires_grad_()
                y = attend(*x.unbind(0), ends)
                y.float().square().sum().backward()
            found.append((y.detach().float(), x.grad.float()))
        for ours, expected in zip(*found, strict=True):
            torch.testing.assert_close(
                ours, expected, rtol=TOLERANCE, atol=TOLERANCE
            )
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        logger.warning(
            "nested attention does not work here (%s); attention takes one "
            "call an utterance",
            str(error).strip().splitlines()[0],
        )
        return False
    return True


def _attend_plainly(q, k, v, ends):
    """The same by its definition, for the comparison."""
    parts = []
    for own in zip(*(x.split(ends.lengths) for x in (q, k, v)), strict=True):
        q1, k1, v1 = (x.transpose(0, 1).float() for x in own)
        scores = q1 @ k1.transpose(1, 2) / q1.shape[-1] ** 0.5
        parts.append((scores.softmax(-1) @ v1).transpose(0, 1))
    return torch.cat(parts).to(q.dtype)
