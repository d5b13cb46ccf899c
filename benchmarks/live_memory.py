"""Counts the bytes of the tensors that are alive, on any machine.

Under ``Shapes`` nothing is computed, and Large's step on a batch that
no CPU could hold is counted in seconds. What kernels take for themselves while
they run is not seen.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import weakref
from unittest import mock

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from d2v_sb.lobes import affine, feature_extractor, layers
from d2v_sb.lobes.feature_extractor import GPU_FRAMES

# torch.distributed._tools.MemTracker counts alike, but wants modules and their
# hooks, and runs the code of checkpointed blocks outside of its count.


class Shapes(FakeTensorMode):
    """Within it, tensors have shapes and no values."""

    def __deepcopy__(self, memo):
        # Each tensor holds its mode, and a teacher is a deep copy.
        return self


class LiveBytes(TorchDispatchMode):
    """Bytes of the storages that were made inside it and are still held.

    Example
    -------
    >>> with LiveBytes() as live:
    ...     a = torch.zeros(100)
    ...     b = a[:50] + 1
    ...     del b
    >>> live.now, live.peak
    (400, 600)
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = tree_leaves((args, kwargs or {}))
        before = {x.untyped_storage() for x in given if torch.is_tensor(x)}
        out = func(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if torch.is_tensor(x) and x.untyped_storage() not in before:
                self._add(x.untyped_storage())
        return out

    def _add(self, storage):
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        weakref.finalize(storage, self._remove, size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _remove(self, size):
        self.now -= size


@contextlib.contextmanager
def as_on_gpu():
    """Lets a CPU keep for the backward pass what a GPU's kernels keep.

    On a CPU dropout keeps a mask of numbers, a GPU's one of bytes; attention
    with dropout keeps its weights (T, T), a GPU's never does. The conv stack is
    cut to other pieces, and norms of half precision copy to float32.
    """
    attend = F.scaled_dot_product_attention

    def without_dropout(*args, dropout_p=0.0, **kwargs):
        return attend(*args, **kwargs)

    # A TorchFunctionMode is off in the backward pass, where checkpointed
    # blocks run again.
    with (
        mock.patch.object(affine, "use_onednn", lambda: False),
        mock.patch.object(feature_extractor, "CPU_FRAMES", GPU_FRAMES),
        mock.patch.object(layers, "takes_mixed", lambda *_: False),
        mock.patch.object(F, "dropout", _dropout),
        mock.patch.object(F, "scaled_dot_product_attention", without_dropout),
    ):
        yield


def _dropout(x, p=0.5, training=True, inplace=False):
    return _ByteDropout.apply(x) if training and p > 0 else x


class _ByteDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        mask = torch.empty_like(x, dtype=torch.bool)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, grad):
        (mask,) = ctx.saved_tensors
        return grad * mask
