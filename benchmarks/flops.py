"""Arithmetic of a clip, by part of the network, in a closed formula.

Floating point operations, two a multiplication with its addition, of matrix
products alone: norms, activations and softmax are below 1 % of them, though on
a GPU not of the time. Twice as many go backward as forward where all learns.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.presets import SAMPLE_RATE

# Operations a second in bf16 that bounds are computed with: four fifths of the
# 989e12 of an H200's data sheet, without sparsity.
H200 = 790e12
HIDDEN = 0.49  # of all frames: what spans of 10 at mask_prob 0.65 cover
FROZEN = "fine-tuning, conv stack frozen"
TASKS = ("inference", "fine-tuning", FROZEN, "pretraining")


class Flops(NamedTuple):
    """Of one clip by part, forward: the conv stack, the projection to the
    transformer's width, its positional convolutions, the blocks' linear layers,
    and attention's products of frames with frames."""

    conv: float
    projection: float
    positions: float
    linear: float
    attention: float

    @property
    def transformer(self):
        """Of what the teacher has."""
        return self.positions + self.linear + self.attention


def forward(config, seconds):
    """Operations of a forward pass over a clip.

    Arguments
    ---------
    config : EncoderConfig
        The architecture.
    seconds : float
        Of the clip.

    Returns
    -------
    Flops

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> found = forward(PRESETS["base"], 15)
    >>> round(sum(found) / 15 / 1e9, 1)
    15.2
    """
    conv, channels = sum(conv_layers(config, seconds)), last_channels(config)
    T = frames(config, seconds)
    L, D = config.encoder_layers, config.encoder_embed_dim
    kernel, groups = config.pos_conv_kernel, config.conv_pos_groups
    return Flops(
        conv=conv,
        projection=2 * T * channels * D,
        positions=2 * T * config.pos_conv_depth * kernel * D * D / groups,
        linear=2 * T * L * (4 * D * D + 2 * D * config.encoder_ffn_embed_dim),
        attention=2 * T * L * 2 * T * D,
    )


def conv_layers(config, seconds):
    """Operations of each layer of the conv stack, forward."""
    found, length, width = [], round(seconds * SAMPLE_RATE), 1
    for channels, kernel, stride in config.conv_feature_layers:
        length = (length - kernel) // stride + 1
        found.append(2 * length * kernel * width * channels)
        width = channels
    return found


def of_task(task, config, seconds):
    """Operations that a clip costs in a task, recomputing left out.

    Arguments
    ---------
    task : str
        One of ``TASKS``.
    config : EncoderConfig
        The architecture.
    seconds : float
        Of the clip.

    Returns
    -------
    float

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> large = PRESETS["large"]
    >>> [round(of_task(task, large, 15) / 15 / 1e9) for task in TASKS]
    [39, 118, 108, 153]
    """
    found = forward(config, seconds)
    if task == "inference":
        return sum(found)
    if task == FROZEN:
        return found.conv + 3 * (sum(found) - found.conv)
    # The first layer has no gradient to hand down.
    learning = 3 * sum(found) - conv_layers(config, seconds)[0]
    if task == "fine-tuning":
        return learning
    D = config.encoder_embed_dim
    predictor = 2 * HIDDEN * frames(config, seconds) * D * D
    return learning + found.transformer + 3 * predictor


def bound(task, config, seconds, flops_per_second=H200):
    """Seconds of audio that arithmetic lets pass in a second.

    Arguments
    ---------
    task, config, seconds
        As of ``of_task``.
    flops_per_second : float
        Of the device.

    Returns
    -------
    float

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> round(bound("pretraining", PRESETS["large"], 15), -1)
    5170.0
    """
    return flops_per_second * seconds / of_task(task, config, seconds)


def frames(config, seconds):
    """Frames of a clip."""
    samples = round(seconds * SAMPLE_RATE)
    return num_frames(samples, config.conv_feature_layers)


def last_channels(config):
    """Width of what the conv stack makes."""
    return config.conv_feature_layers[-1][0]
