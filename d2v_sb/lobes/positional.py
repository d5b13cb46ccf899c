"""Convolutional positions: five grouped convolutions over the frames.

Authors
 * The d2v_sb developers 2026
"""

import torch.nn.functional as F
from torch import nn

from d2v_sb.lobes.layers import Fp32LayerNorm, Freezable

PADDING_MODES = ("exact", "fairseq")


class PositionalConvLayer(nn.Module):
    """Conv1d of the same length, LayerNorm without affine, GELU.

    Arguments
    ---------
    width : int
        Channels in and out.
    kernel : int
        Kernel in frames.
    groups : int
        Groups of the convolution.

    Example
    -------
    >>> import torch
    >>> PositionalConvLayer(16, 19, 4)(torch.rand(2, 9, 16)).shape
    torch.Size([2, 9, 16])
    """

    def __init__(self, width, kernel, groups):
        super().__init__()
        self.conv = nn.Conv1d(
            width, width, kernel, padding=kernel // 2, groups=groups
        )
        self.norm = Fp32LayerNorm(width, elementwise_affine=False)

    def forward(self, x):
        """(B, T, D) -> (B, T, D)."""
        T = x.shape[1]
        # An even kernel makes one frame too many (fairseq: SamePad).
        x = self.conv(x.transpose(1, 2))[:, :, :T].transpose(1, 2)
        return F.gelu(self.norm(x))


class PositionalConv(Freezable):
    """The positional embedding that is added to the frames.

    Arguments
    ---------
    config : EncoderConfig
        Width, kernel, groups and depth.
    padding : str
        "exact": padding is zero before every layer, so it never reaches a
        valid frame. "fairseq": zero before the first layer only. Each layer's
        bias and norm fill padded frames again, and with five layers they
        reach 36 frames back into the utterance.

    Example
    -------
    >>> import torch
    >>> from d2v_sb.presets import PRESETS
    >>> PositionalConv(PRESETS["tiny"])(torch.rand(2, 9, 128)).shape
    torch.Size([2, 9, 128])
    """

    def __init__(self, config, padding="exact"):
        super().__init__()
        if padding not in PADDING_MODES:
            raise ValueError(
                f"padding is one of {', '.join(PADDING_MODES)}, got {padding!r}"
            )
        self.padding = padding
        self.layers = nn.ModuleList(
            PositionalConvLayer(
                config.encoder_embed_dim,
                config.pos_conv_kernel,
                config.conv_pos_groups,
            )
            for _ in range(config.pos_conv_depth)
        )

    def forward(self, x, padding_mask=None):
        """Embeds the frames' positions.

        Arguments
        ---------
        x : torch.Tensor
            Frames (B, T, D).
        padding_mask : torch.Tensor, optional
            (B, T), True = padding.

        Returns
        -------
        torch.Tensor
            (B, T, D), to be added to x.
        """
        for i, layer in enumerate(self.layers):
            if padding_mask is not None and (i == 0 or self.padding == "exact"):
                x = x.masked_fill(padding_mask[:, :, None], 0.0)
            x = layer(x)
        return x
