"""Which frames and channels are hidden from the encoder while it learns.

Pure functions of lengths and a random generator. ``True`` means hidden. The
distribution is that of fairseq's ``compute_mask_indices``, without a Python
loop over rows.

Reference: https://arxiv.org/abs/2006.11477 (section 3.1),
https://arxiv.org/abs/2202.03555 (section 3.2)

Authors
 * The d2v_sb developers 2026
"""

import torch
from speechbrain.utils.distributed import get_rank


def seeded_generator(*numbers):
    """A generator on the CPU whose draws are a function of numbers alone.

    Arguments
    ---------
    *numbers : int
        Such as the seed of a run and the number of a batch.

    Returns
    -------
    torch.Generator
        Seeded by a hash of them, the same in every process and every run.

    Example
    -------
    >>> a, b = (torch.rand(1, generator=seeded_generator(1, 2)) for _ in "ab")
    >>> (a == b).item()
    True
    """
    # Of integers: Python's own hash is randomised for text only.
    mixed = hash(tuple(map(int, numbers))) & 0x7FFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(mixed)


def sample_span_mask(
    num_steps,
    mask_prob,
    mask_length,
    generator=None,
    min_masks=1,
    require_same_masks=False,
):
    """Draws overlapping spans of hidden steps for each row.

    A row of n steps gets int(mask_prob * n / mask_length + U(0, 1)) spans, at
    least `min_masks`, that start at distinct steps in [0, n - mask_length).

    Arguments
    ---------
    num_steps : torch.Tensor or list of int
        Valid steps of each row, (B,), on the CPU.
    mask_prob : float
        Share of steps that would be hidden if spans never overlapped.
    mask_length : int
        Length of a span in steps.
    generator : torch.Generator, optional
        Source of randomness (CPU); torch's default one if not given.
    min_masks : int
        Fewest spans in a row.
    require_same_masks : bool
        Un-hide single steps at random until each row hides as many steps as
        the row that hides fewest, as fairseq does.

    Returns
    -------
    torch.Tensor
        Boolean (B, max(num_steps)), True = hidden. Padding is never hidden,
        and no row is hidden whole.

    Example
    -------
    >>> g = torch.Generator().manual_seed(0)
    >>> mask = sample_span_mask([100, 60], 0.65, 10, g)
    >>> mask.shape, mask[1, 60:].any().item()
    (torch.Size([2, 100]), False)
    """
    n = torch.as_tensor(num_steps, dtype=torch.long)
    B, T = len(n), int(n.max())
    rounding = torch.rand(B, generator=generator)
    num_spans = (mask_prob * n / mask_length + rounding).long()
    num_spans = num_spans.clamp(min=min_masks).clamp(max=n - 1)

    # Rows shorter than their spans start anywhere but at the last step.
    num_starts = n - mask_length
    num_starts = torch.where(num_starts <= num_spans, num_spans + 1, num_starts)
    num_starts = torch.minimum(num_starts, n)

    steps = torch.arange(T)
    keys = torch.rand(B, T, generator=generator)
    keys = keys.masked_fill(steps >= num_starts[:, None], 2.0)
    rank = keys.argsort(dim=1).argsort(dim=1)
    starts = rank < num_spans[:, None]

    # A step is hidden if one of the last mask_length steps starts a span.
    begun = starts.long().cumsum(dim=1)
    before = torch.nn.functional.pad(begun, (mask_length, 0))[:, :T]
    mask = (begun > before) & (steps < n[:, None])
    # A short row may now be hidden whole; fairseq stops there, we show a step.
    whole = mask.sum(dim=1) == n
    mask[whole, 0] = False

    if require_same_masks:
        count = mask.sum(dim=1).min()
        keys = torch.rand(B, T, generator=generator).masked_fill(~mask, 2.0)
        mask = keys.argsort(dim=1).argsort(dim=1) < count
    return mask


class FeatureMasking:
    """Time and channel masking of projected frames, as in fine-tuning.

    Hidden frames become the mask embedding, hidden channels become zero, in
    this order (fairseq: ``apply_mask``).

    Arguments
    ---------
    mask_prob : float
        Share of frames hidden, overlaps not counted. 0 is off.
    mask_length : int
        Span in frames (20 ms each).
    mask_channel_prob : float
        Share of channels hidden, overlaps not counted. 0 is off.
    mask_channel_length : int
        Span in channels.
    require_same_masks : bool
        Whether each row of a batch hides the same number of frames.

    Example
    -------
    >>> masking = FeatureMasking(mask_prob=0.5, mask_channel_prob=0.5)
    >>> masking.reseed(1234, 0)
    >>> x = torch.ones(2, 50, 128)
    >>> masking(x, [50, 30], torch.zeros(128)).shape
    torch.Size([2, 50, 128])
    """

    def __init__(
        self,
        mask_prob=0.65,
        mask_length=10,
        mask_channel_prob=0.0,
        mask_channel_length=64,
        require_same_masks=True,
    ):
        self.mask_prob = mask_prob
        self.mask_length = mask_length
        self.mask_channel_prob = mask_channel_prob
        self.mask_channel_length = mask_channel_length
        self.require_same_masks = require_same_masks
        self._generator = None

    def reseed(self, seed, number):
        """Makes the next masks a function of (seed, number) alone.

        Arguments
        ---------
        seed : int
            The experiment's seed.
        number : int
            A number that no other batch of this run has, in any process:
            with the same one in all of them, all would hide the same frames.
        """
        self._generator = seeded_generator(seed, number)

    # Random numbers from a generator on the CPU can not be compiled.
    @torch.compiler.disable
    def __call__(self, x, num_frames, mask_emb):
        """Hides frames and channels of a batch.

        Arguments
        ---------
        x : torch.Tensor
            Projected frames (B, T, D).
        num_frames : list of int
            Valid frames of each row.
        mask_emb : torch.Tensor
            What hidden frames become, (D,).

        Returns
        -------
        torch.Tensor
            (B, T, D); x itself is not changed.
        """
        B, T, D = x.shape
        if self._generator is None:
            # All processes of a run have the same initial seed.
            self.reseed(torch.initial_seed(), get_rank() or 0)
        hidden = torch.zeros(B, T, dtype=torch.bool)
        if self.mask_prob > 0:
            drawn = sample_span_mask(
                num_frames,
                self.mask_prob,
                self.mask_length,
                self._generator,
                require_same_masks=self.require_same_masks,
            )
            hidden[:, : drawn.shape[1]] = drawn
        # Applied even when nothing is hidden: mask_emb must be part of the
        # graph on every rank, or DDP waits for its gradient.
        hidden = hidden.to(x.device, non_blocking=True)
        x = torch.where(hidden[:, :, None], mask_emb.to(x.dtype), x)
        if self.mask_channel_prob > 0:
            channels = sample_span_mask(
                [D] * B,
                self.mask_channel_prob,
                self.mask_channel_length,
                self._generator,
                min_masks=0,
                require_same_masks=True,
            )
            channels = channels.to(x.device, non_blocking=True)
            x = x.masked_fill(channels[:, None, :], 0.0)
        return x
