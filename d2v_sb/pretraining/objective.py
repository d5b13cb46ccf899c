"""What the student must predict, and how far off it is: pure functions.

Reference: https://arxiv.org/abs/2202.03555 (sections 3.3 and 3.4)

Authors
 * The d2v_sb developers 2026
"""

import math

import torch.nn.functional as F

EPS_STD = 1e-6  # fairseq: compute_var


def make_targets(ffn_outputs):
    """Averages the teacher's last blocks, each normalised over time.

    Parameterless instance normalisation: each channel of each utterance gets
    zero mean and unit variance over its frames, so that no block and no loud
    channel dominates the average.

    Arguments
    ---------
    ffn_outputs : sequence of torch.Tensor
        FFN outputs of the K last blocks, each (B, T, D).

    Returns
    -------
    torch.Tensor
        Targets (B, T, D), float32.

    Example
    -------
    >>> import torch
    >>> targets = make_targets([torch.rand(2, 50, 8) for _ in range(3)])
    >>> targets.shape, targets.mean(1).abs().max().item() < 1e-5
    (torch.Size([2, 50, 8]), True)
    """
    # float32: a variance over some hundred frames is lost in half precision.
    normalised = (
        F.instance_norm(x.float().transpose(1, 2)) for x in ffn_outputs
    )
    return (sum(normalised) / len(ffn_outputs)).transpose(1, 2)


def regression_loss(prediction, targets):
    """Squared error summed over width and frames, divided by sqrt(width).

    A sum over frames: who divides it by their number must know all of them,
    over micro-batches and processes (fairseq's sample_size).

    Arguments
    ---------
    prediction, targets : torch.Tensor
        Of the hidden frames, (N, D).

    Returns
    -------
    torch.Tensor
        A scalar, float32.

    Example
    -------
    >>> import torch
    >>> regression_loss(torch.ones(3, 4), torch.zeros(3, 4)).item()
    6.0
    """
    D = prediction.shape[-1]
    error = F.mse_loss(prediction.float(), targets.float(), reduction="sum")
    return error / math.sqrt(D)


def mean_std(x):
    """Standard deviation over frames, averaged over channels.

    It falls towards 0 when a representation collapses to one vector. fairseq
    logs it as target_var and pred_var (``compute_var``).

    Arguments
    ---------
    x : torch.Tensor
        (..., D); all but the last dimension are frames.

    Returns
    -------
    torch.Tensor
        A scalar, float32.

    Example
    -------
    >>> import torch
    >>> mean_std(torch.ones(5, 3)).item() < 0.002
    True
    """
    x = x.flatten(0, -2).float()
    # One frame has no deviation; 0 / 0 would look like a collapse.
    return (x.var(dim=0, correction=min(1, len(x) - 1)) + EPS_STD).sqrt().mean()


def frame_cosine(x):
    """Cosine of neighbouring frames, averaged.

    Near 1 the features hardly move in time, which is how the conv stack
    collapses while the targets' deviation still looks healthy.

    Arguments
    ---------
    x : torch.Tensor
        (B, T, D).

    Returns
    -------
    torch.Tensor
        A scalar in [-1, 1], float32.

    Example
    -------
    >>> import torch
    >>> round(frame_cosine(torch.ones(2, 5, 3)).item(), 4)
    1.0
    """
    x = x.float()
    return F.cosine_similarity(x[:, 1:], x[:, :-1], dim=-1).mean()
