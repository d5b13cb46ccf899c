"""From waveform to frames: normalisation, conv stack, projection to width.

    waveform (B, N) -> normalise -> 7 x [conv, norm, GELU] -> (B, T, C)
                                         projection        -> (B, T, D)

Authors
 * The d2v_sb developers 2026
"""

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.lobes.layers import Fp32LayerNorm, Freezable

NORMALISE_EPS = 1e-5  # fairseq's F.layer_norm on the waveform


def num_frames(num_samples, conv_feature_layers):
    """How many frames the conv stack makes of a waveform.

    Arguments
    ---------
    num_samples : int or torch.Tensor
        Length of the waveform in samples.
    conv_feature_layers : sequence of (channels, kernel, stride)
        The conv stack.

    Returns
    -------
    int or torch.Tensor
        Number of frames; 0 or less where the waveform is too short.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> num_frames(5 * 16000, PRESETS["base"].conv_feature_layers)
    249
    """
    for _, kernel, stride in conv_feature_layers:
        num_samples = (num_samples - kernel) // stride + 1
    return num_samples


def receptive_field(conv_feature_layers):
    """Samples that one frame sees: the shortest waveform that makes a frame.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> receptive_field(PRESETS["base"].conv_feature_layers)
    400
    """
    field = 1
    for _, kernel, stride in reversed(conv_feature_layers):
        field = (field - 1) * stride + kernel
    return field


def normalise_waveform(wavs, num_samples=None):
    """Zero mean, unit variance over each waveform's own samples; padding 0.

    Arguments
    ---------
    wavs : torch.Tensor
        Waveforms (B, N).
    num_samples : torch.Tensor, optional
        Their true lengths in samples (B,); all N if not given.

    Returns
    -------
    torch.Tensor
        (B, N), float32.

    Example
    -------
    >>> out = normalise_waveform(torch.rand(2, 800), torch.tensor([800, 500]))
    >>> out[1, :500].mean().abs().item() < 1e-6, out[1, 500:].any().item()
    (True, False)
    """
    wavs = wavs.float()
    if num_samples is None:
        return F.layer_norm(wavs, wavs.shape[-1:], eps=NORMALISE_EPS)
    # Over the true length: statistics that include padding make an utterance
    # depend on its batch.
    n = num_samples.to(wavs.device)[:, None]
    valid = torch.arange(wavs.shape[1], device=wavs.device) < n
    mean = wavs.masked_fill(~valid, 0.0).sum(1, keepdim=True) / n
    centred = (wavs - mean).masked_fill(~valid, 0.0)
    variance = centred.square().sum(1, keepdim=True) / n
    return centred * (variance + NORMALISE_EPS).rsqrt()


def strided_conv(x, weight, stride):
    """Conv1d without padding as products of matrices, channels last.

    The frames of one stride lie side by side in memory, so a stretch of them
    times the kernel's taps is a plain product without a copy. For kernel 3
    and stride 2:

        x        a b | c d | e f | g
        output 0 [a b] W01 + [c] W2
        output 1       [c d] W01 + [e] W2

    No transposition between convolution and norm, which cost more than the
    convolution itself on a CPU.

    Arguments
    ---------
    x : torch.Tensor
        (B, T, C).
    weight : torch.Tensor
        As in Conv1d: (C', C, kernel).
    stride : int
        In frames.

    Returns
    -------
    torch.Tensor
        (B, T', C'), T' = (T - kernel) // stride + 1.

    Example
    -------
    >>> x, weight = torch.rand(2, 20, 4), torch.rand(8, 4, 3)
    >>> y = F.conv1d(x.transpose(1, 2), weight, stride=2).transpose(1, 2)
    >>> torch.allclose(strided_conv(x, weight, 2), y, atol=1e-5)
    True
    """
    B, T, _ = x.shape
    kernel = weight.shape[2]
    T_out = (T - kernel) // stride + 1
    taps = weight.permute(2, 1, 0)  # (kernel, C, C')
    y = None
    for first in range(0, kernel, stride):
        width = min(stride, kernel - first)
        if width == stride:
            stretch = x[:, first : first + T_out * stride]
            stretch = stretch.unflatten(1, (T_out, stride)).flatten(2)
        else:
            stretch = torch.cat(
                [x[:, first + i :: stride][:, :T_out] for i in range(width)],
                dim=2,
            )
        matrix = taps[first : first + width].flatten(0, 1).expand(B, -1, -1)
        if y is None:
            y = torch.bmm(stretch, matrix)
        else:
            y = torch.baddbmm(y, stretch, matrix)
    return y


class ConvLayer(nn.Module):
    """Convolution, LayerNorm over channels, GELU; channels last.

    Arguments
    ---------
    in_channels, out_channels, kernel, stride : int
        Of the convolution, which has no padding.
    bias : bool
        Whether it has a bias.

    Example
    -------
    >>> ConvLayer(1, 8, 10, 5, bias=False)(torch.rand(2, 100, 1)).shape
    torch.Size([2, 19, 8])
    """

    def __init__(self, in_channels, out_channels, kernel, stride, bias):
        super().__init__()
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel, stride, bias=bias
        )
        nn.init.kaiming_normal_(self.conv.weight)
        self.norm = Fp32LayerNorm(out_channels)

    def forward(self, x):
        """(B, T, C) -> (B, T', C')."""
        x = strided_conv(x, self.conv.weight, self.conv.stride[0])
        if self.conv.bias is not None:
            x = x + self.conv.bias
        return F.gelu(self.norm(x))


class ConvFeatureExtractor(Freezable):
    """The conv stack: normalised waveform to frames, one every 20 ms.

    Arguments
    ---------
    conv_feature_layers : sequence of (channels, kernel, stride)
        The layers, first one first.
    conv_bias : bool
        Whether convolutions have a bias.

    Example
    -------
    >>> extractor = ConvFeatureExtractor([(8, 10, 5), (8, 3, 2)])
    >>> extractor(torch.rand(2, 100)).shape
    torch.Size([2, 9, 8])
    """

    def __init__(self, conv_feature_layers, conv_bias=False):
        super().__init__()
        self.layers = nn.ModuleList()
        in_channels = 1
        for channels, kernel, stride in conv_feature_layers:
            self.layers.append(
                ConvLayer(in_channels, channels, kernel, stride, conv_bias)
            )
            in_channels = channels

    def forward(self, wavs):
        """(B, N) -> (B, T, C)."""
        x = wavs[:, :, None]
        for layer in self.layers:
            x = layer(x)
        return x


class Projection(Freezable):
    """LayerNorm, then a linear layer to the transformer's width.

    Arguments
    ---------
    channels : int
        Of the conv stack's frames.
    width : int
        Of the transformer.
    dropout : float
        On the result (fairseq's dropout_input).

    Example
    -------
    >>> Projection(8, 16)(torch.rand(2, 9, 8)).shape
    torch.Size([2, 9, 16])
    """

    def __init__(self, channels, width, dropout=0.0):
        super().__init__()
        self.norm = Fp32LayerNorm(channels)
        self.linear = nn.Linear(channels, width)
        self.dropout = dropout

    def forward(self, frames):
        """(B, T, C) -> (B, T, D), before dropout_input."""
        return self.linear(self.norm(frames))
