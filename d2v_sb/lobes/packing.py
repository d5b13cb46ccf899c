"""A padded batch without its padding: valid frames one after the other.

    (B, T, D)   a a a a        pack      (N, D)   a a a a b b c c c
                b b . .       ------>
                c c c .       <------
                              unpack

What works on each frame alone (linear layers, norms) then computes nothing for
padding. Attention stays inside each utterance.

Authors
 * The d2v_sb developers 2026
"""

import torch

from d2v_sb.lobes.attention import Ends, attend_inside


class Packing:
    """Where the valid frames of a padded batch are.

    Arguments
    ---------
    num_frames : list of int
        Of each row, at least 1 in one of them.
    T : int
        Frames of the padded batch.
    device : torch.device, optional
        Where the batch is.

    Example
    -------
    >>> packing = Packing([2, 1], 3)
    >>> x = torch.arange(6.0).view(2, 3, 1)
    >>> packing.pack(x).flatten().tolist()
    [0.0, 1.0, 3.0]
    >>> packing.unpack(packing.pack(x)).flatten().tolist()
    [0.0, 1.0, 0.0, 3.0, 0.0, 0.0]
    """

    def __init__(self, num_frames, T, device=None):
        self.num_frames = num_frames
        self.T = T
        steps = torch.arange(T)
        padding = steps >= torch.tensor(num_frames)[:, None]
        index = (~padding).flatten().nonzero().squeeze(1)
        self.padding_mask = padding.to(device, non_blocking=True)
        self.index = index.to(device, non_blocking=True)
        self.ends = Ends(num_frames, device)

    @classmethod
    def of(cls, padding_mask):
        """From a mask (B, T), True = padding, which is at the end of rows; what
        is one already, or None for no padding, stays as it is. A mask on a GPU
        is waited for. ``ValueError`` if padding is elsewhere, or is all."""
        if padding_mask is None or isinstance(padding_mask, cls):
            return padding_mask
        mask = padding_mask.cpu()
        num_frames = (~mask).sum(dim=1).tolist()
        packing = cls(num_frames, mask.shape[1], padding_mask.device)
        if not torch.equal(packing.padding_mask.cpu(), mask) or mask.all():
            raise ValueError(
                "padding_mask must be True at the ends of rows alone, and not "
                "everywhere"
            )
        return packing

    # Lengths would be compiled into the code, anew for each batch.
    @torch.compiler.disable
    def pack(self, x):
        """(B, T, D) -> (N, D), N valid frames."""
        return x.flatten(0, 1).index_select(0, self.index)

    @torch.compiler.disable
    def unpack(self, x):
        """(N, D) -> (B, T, D), zeros in the padding."""
        B = len(self.num_frames)
        out = x.new_zeros(B * self.T, *x.shape[1:])
        return out.index_copy(0, self.index, x).unflatten(0, (B, self.T))

    @torch.compiler.disable
    def attend(self, q, k, v, dropout=0.0):
        """Attention of each utterance to itself, (N, H, D / H) each."""
        return attend_inside(q, k, v, self.ends, dropout)
