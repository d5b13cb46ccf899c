"""From waveform to frames: normalisation, conv stack, projection to width.

    waveform (B, N) -> normalise -> 7 x [conv, norm, GELU] -> (B, T, C)
                                         projection        -> (B, T, D)

Authors
 * The d2v_sb developers 2026
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from d2v_sb.lobes.affine import Linear, add_product, affine
from d2v_sb.lobes.layers import Fp32LayerNorm, Freezable
from d2v_sb.lobes.packing import Packing
from d2v_sb.lobes.recomputing import recompute

NORMALISE_EPS = 1e-5  # fairseq's F.layer_norm on the waveform
# So many frames are computed at a time: on a CPU what the first layers make of
# them stays in its cache; on a GPU they fill it, and what is not kept for a
# backward pass takes about a gigabyte.
CPU_FRAMES = 100
GPU_FRAMES = 3000


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
        (T, C).
    weight : torch.Tensor
        As in Conv1d: (C', C, kernel).
    stride : int
        In frames.

    Returns
    -------
    torch.Tensor
        (T', C'), T' = (T - kernel) // stride + 1.

    Example
    -------
    >>> x, weight = torch.rand(20, 4), torch.rand(8, 4, 3)
    >>> y = F.conv1d(x.t()[None], weight, stride=2)[0].t()
    >>> torch.allclose(strided_conv(x, weight, 2), y, atol=1e-5)
    True
    """
    T, C = x.shape
    kernel = weight.shape[2]
    T_out = (T - kernel) // stride + 1
    if C == 1:
        # So narrow, a product is slow, and a copy of what it reads is cheap.
        return affine(x[:, 0].unfold(0, kernel, stride), weight[:, 0])
    taps = weight.permute(0, 2, 1)  # (C', kernel, C)
    y = None
    for first in range(0, kernel, stride):
        width = min(stride, kernel - first)
        if width == stride:
            stretch = x[first : first + T_out * stride].view(T_out, -1)
        else:
            own = [x[first + i :: stride][:T_out] for i in range(width)]
            stretch = torch.cat(own, dim=1) if width > 1 else own[0]
        matrix = taps[:, first : first + width].flatten(1)
        if y is None:
            y = affine(stretch, matrix)
        else:
            y = add_product(y, stretch, matrix)
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
    >>> ConvLayer(1, 8, 10, 5, bias=False)(torch.rand(100, 1)).shape
    torch.Size([19, 8])
    """

    def __init__(self, in_channels, out_channels, kernel, stride, bias):
        super().__init__()
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel, stride, bias=bias
        )
        nn.init.kaiming_normal_(self.conv.weight)
        self.norm = Fp32LayerNorm(out_channels)

    def forward(self, x):
        """(T, C) -> (T', C')."""
        x = strided_conv(x, self.conv.weight, self.conv.stride[0])
        if self.conv.bias is not None:
            x = x + self.conv.bias
        return F.gelu(self.norm(x))


class ConvFeatureExtractor(Freezable):
    """The conv stack: normalised waveform to frames, one every 20 ms.

    The waveforms of a batch lie end to end in one row, each from a whole
    number of strides on; so the frames of each are what they are alone, and
    padding makes no frames:

        samples  [aaaaaaaaaa][aaaaa.....][bbbbbbbbbb][bbbbbbb...]
        frames    a           (none)      b           (none)

    Arguments
    ---------
    conv_feature_layers : sequence of (channels, kernel, stride)
        The layers, first one first.
    conv_bias : bool
        Whether convolutions have a bias.
    checkpoint_activations : bool
        Recompute each layer in the backward pass; of each, only what goes
        into it is kept.

    Example
    -------
    >>> extractor = ConvFeatureExtractor([(8, 10, 5), (8, 3, 2)])
    >>> extractor(torch.rand(2, 100)).shape
    torch.Size([2, 9, 8])
    """

    def __init__(
        self,
        conv_feature_layers,
        conv_bias=False,
        checkpoint_activations=False,
    ):
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        self.layers = nn.ModuleList()
        in_channels = 1
        for channels, kernel, stride in conv_feature_layers:
            self.layers.append(
                ConvLayer(in_channels, channels, kernel, stride, conv_bias)
            )
            in_channels = channels
        self.conv_feature_layers = conv_feature_layers
        self.stride = math.prod(stride for _, _, stride in conv_feature_layers)
        self.field = receptive_field(conv_feature_layers)

    def forward(self, wavs, num_samples=None):
        """Makes frames.

        Arguments
        ---------
        wavs : torch.Tensor
            Normalised waveforms (B, N).
        num_samples : list of int, optional
            Their true lengths; all N if not given.

        Returns
        -------
        torch.Tensor
            (B, T, C); what is in the padding has no meaning.
        """
        B, N = wavs.shape
        T = num_frames(N, self.conv_feature_layers)
        S = self.stride
        x = F.pad(wavs, (0, -N % S)).unflatten(1, (-1, S))
        if num_samples is None or min(num_samples) == N:
            return self._frames(x.flatten(0, 1)).unflatten(0, (B, -1))[:, :T]
        strides = [-(-n // S) for n in num_samples]
        packing = Packing(strides, x.shape[1], wavs.device)
        return packing.unpack(self._frames(packing.pack(x)))[:, :T]

    # As many turns as there is audio: not to be compiled as one graph.
    @torch.compiler.disable(recursive=False)
    def _frames(self, strides):
        """A row of samples (L, S), strides S, to a frame for each (L, C)."""
        L, S = strides.shape
        row = F.pad(strides.flatten(), (0, self.field - S))
        step = CPU_FRAMES if row.is_cpu else GPU_FRAMES
        parts = []
        for begin in range(0, L, step):
            end = min(begin + step, L)
            x = row[begin * S : (end - 1) * S + self.field, None]
            # Layer by layer: all at once would bring back all at once, and so
            # the peak that it was to avoid.
            for layer in self.layers:
                again = self.checkpoint_activations
                x = recompute(layer, x) if again else layer(x)
            parts.append(x)
        return torch.cat(parts)


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
        self.linear = Linear(channels, width)
        self.dropout = dropout

    def forward(self, frames):
        """(B, T, C) -> (B, T, D), before dropout_input."""
        return self.linear(self.norm(frames))
