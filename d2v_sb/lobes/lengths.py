"""From SpeechBrain's relative lengths to samples, frames and padding masks.

Authors
 * The d2v_sb developers 2026
"""

import torch

from d2v_sb.lobes.feature_extractor import num_frames, receptive_field


# Lengths are read on the host: it must know whether there is padding at all.
@torch.compiler.disable
def to_num_samples(wavs, wav_lens, conv_feature_layers):
    """True lengths of a padded batch, checked.

    Arguments
    ---------
    wavs : torch.Tensor
        Waveforms (B, N).
    wav_lens : torch.Tensor or None
        Relative lengths (B,) in (0, 1]; None means that there is no padding.
    conv_feature_layers : sequence of (channels, kernel, stride)
        The conv stack, for the shortest length that makes a frame.

    Returns
    -------
    list of int
        Samples of each waveform.

    Raises
    ------
    ValueError
        If shapes do not fit, a length is outside (0, 1], or a waveform is
        shorter than the receptive field.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> layers = PRESETS["base"].conv_feature_layers
    >>> to_num_samples(torch.rand(2, 800), torch.tensor([1.0, 0.75]), layers)
    [800, 600]
    """
    if wavs.dim() != 2:
        raise ValueError(
            f"wavs must be (batch, samples), got shape {tuple(wavs.shape)}; "
            "mix channels to mono, and add a batch dimension to a single file"
        )
    B, N = wavs.shape
    if wav_lens is None:
        lengths = [N] * B
    else:
        relative = wav_lens.detach().reshape(-1).double().tolist()
        if len(relative) != B:
            raise ValueError(
                f"{len(relative)} wav_lens for a batch of {B} waveforms"
            )
        wrong = [r for r in relative if not 0.0 < r <= 1.0 + 1e-6]
        if wrong:
            raise ValueError(
                "wav_lens are lengths relative to the longest waveform, in "
                f"(0, 1]; got {wrong[0]}. For lengths in samples divide by "
                "wavs.shape[1]"
            )
        lengths = [min(N, round(r * N)) for r in relative]
    shortest = receptive_field(conv_feature_layers)
    for i, length in enumerate(lengths):
        if length < shortest:
            raise ValueError(
                f"waveform {i} of the batch has {length} samples; the encoder "
                f"needs at least {shortest} to make one frame: leave such "
                "clips out or pad them with silence"
            )
    return lengths


def frame_padding_mask(
    num_samples, conv_feature_layers, device=None, longest=None
):
    """Where a batch of frames is padding.

    Arguments
    ---------
    num_samples : list of int
        True lengths in samples.
    conv_feature_layers : sequence of (channels, kernel, stride)
        The conv stack.
    device : torch.device, optional
        Where to put the mask.
    longest : int, optional
        Samples of the padded batch; the largest length if not given.

    Returns
    -------
    torch.Tensor or None
        Boolean (B, T), True = padding; None where nothing is padding.

    Example
    -------
    >>> frame_padding_mask([30, 20], [(8, 10, 5)]).int().tolist()
    [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]]
    """
    frames = [num_frames(n, conv_feature_layers) for n in num_samples]
    # A batch may be padded beyond its longest row, as a part of another is.
    T = num_frames(longest or max(num_samples), conv_feature_layers)
    if min(frames) == T:
        return None
    steps = torch.arange(T)
    mask = steps >= torch.tensor(frames)[:, None]
    return mask.to(device, non_blocking=True)
