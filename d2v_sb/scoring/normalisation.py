"""Scores of trials from embeddings, and their normalisation by a cohort.

Authors
 * The d2v_sb developers 2026
"""

import torch
import torch.nn.functional as F
from speechbrain.utils.logger import get_logger

from d2v_sb.errors import DataError

logger = get_logger(__name__)

TOP = 300
BLOCK = 1 << 24  # float64 scores held at a time


def cosine_scores(embeddings_a, embeddings_b):
    """Cosine of embeddings, row by row.

    Arguments
    ---------
    embeddings_a, embeddings_b : torch.Tensor
        Both sides of each trial (N, C).

    Returns
    -------
    torch.Tensor
        Scores (N,), float64, from -1 to 1.

    Example
    -------
    >>> cosine_scores(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([0.6000], dtype=torch.float64)
    """
    rows_a, rows_b = embeddings_a.double(), embeddings_b.double()
    return F.cosine_similarity(rows_a, rows_b, dim=-1)


def adaptive_s_norm(raw, enrol, test, embeddings, cohort, top=TOP):
    """Adaptive symmetric normalisation of cosine scores (AS-Norm1).

    Each side of a trial is compared to a cohort of other speakers; the trial's
    score is measured in standard deviations from the mean of the side's
    highest cohort scores, and both sides are averaged. (Matejka et al. 2017,
    "Analysis of Score Normalization in Multilingual Speaker Recognition",
    Interspeech, eq. 4.) The standard deviation is that of a sample, with N-1,
    as in SpeechBrain's VoxCeleb recipe.

    Arguments
    ---------
    raw : torch.Tensor
        Cosine scores (N,).
    enrol, test : torch.Tensor
        Which embedding each side of a trial is (N,), long: each clip is
        compared to the cohort once, however many trials it is in.
    embeddings : torch.Tensor
        Of the clips (M, C).
    cohort : torch.Tensor
        Embeddings of speakers who are in no trial (K, C).
    top : int
        How many of the cohort scores are taken, the highest.

    Returns
    -------
    torch.Tensor
        Scores (N,), float64.

    Raises
    ------
    DataError
        If the cohort or ``top`` is less than 2, or if a clip has the same
        score with all of its cohort.

    Example
    -------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    >>> cohort = torch.tensor([[0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
    >>> enrol, test = torch.tensor([0]), torch.tensor([1])
    >>> raw = cosine_scores(embeddings[enrol], embeddings[test])
    >>> adaptive_s_norm(raw, enrol, test, embeddings, cohort, top=2)
    tensor([0.6285], dtype=torch.float64)
    """
    means, stds = cohort_statistics(embeddings, cohort, top)
    raw = raw.double()
    by_enrol = (raw - means[enrol]) / stds[enrol]
    by_test = (raw - means[test]) / stds[test]
    return (by_enrol + by_test) / 2


def cohort_statistics(embeddings, cohort, top=TOP):
    """Mean and standard deviation of embeddings' highest cohort scores.

    Arguments
    ---------
    embeddings, cohort, top
        As of ``adaptive_s_norm``.

    Returns
    -------
    means, stds : torch.Tensor
        Of each embedding (M,), float64.

    Raises
    ------
    DataError
        As of ``adaptive_s_norm``.

    Example
    -------
    >>> cohort = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> cohort_statistics(torch.tensor([[1.0, 0.0]]), cohort, top=2)[0]
    tensor([0.5000], dtype=torch.float64)
    """
    if len(cohort) < 2 or top < 2:
        raise DataError(
            f"normalisation needs 2 cohort scores or more, but the cohort has "
            f"{len(cohort)} and top is {top}: name a larger cohort with "
            "--cohort, or raise --top"
        )
    if top > len(cohort):
        logger.warning(
            f"the cohort has {len(cohort)} speakers, fewer than the {top} "
            "highest scores wanted: all of them are taken"
        )
        top = len(cohort)
    cohort = F.normalize(cohort.double(), dim=-1)
    means, stds = [], []
    for block in embeddings.split(max(1, BLOCK // len(cohort))):
        scores = F.normalize(block.double(), dim=-1) @ cohort.T
        highest = scores.topk(top, dim=1).values
        means.append(highest.mean(dim=1))
        stds.append(highest.std(dim=1))
    means, stds = torch.cat(means), torch.cat(stds)
    # Equal but for rounding: dividing by it would blow noise up to scores.
    num_flat = int((stds < 1e-9).sum())
    if num_flat:
        raise DataError(
            f"{num_flat} of {len(stds)} clips have the same score with all of "
            "their cohort: are its embeddings copies of each other, or zero?"
        )
    return means, stds


def speaker_means(embeddings, speakers):
    """Mean embedding of each speaker, the usual cohort.

    Embeddings are brought to length 1 before they are averaged, and so are the
    means.

    Arguments
    ---------
    embeddings : torch.Tensor
        Of clips (M, C).
    speakers : sequence of str
        Who speaks in each (M,).

    Returns
    -------
    torch.Tensor
        A row for each speaker, sorted by name (S, C), float32.

    Example
    -------
    >>> speaker_means(torch.tensor([[2.0, 0], [5, 0], [0, 3]]), ["b", "b", "a"])
    tensor([[0., 1.],
            [1., 0.]])
    """
    names = {name: i for i, name in enumerate(sorted(set(speakers)))}
    rows = torch.tensor([names[name] for name in speakers])
    # Of equal direction, sum and mean are the same once of length 1.
    sums = torch.zeros(len(names), embeddings.shape[1], dtype=torch.float64)
    sums.index_add_(0, rows, F.normalize(embeddings.double(), dim=-1))
    return F.normalize(sums, dim=-1).float()
