"""Losses of classifiers against their formulas.

Authors
 * The d2v_sb developers 2026
"""

import math

import pytest
import torch
import torch.nn.functional as F

from d2v_sb.finetuning import AngularMargin, CrossEntropy, LargeMargin


def margin_loss(cosines, targets, margin, scale):
    """ArcFace, angle by angle."""
    rows = []
    for row, target in zip(cosines, targets, strict=True):
        logits = row.clone()
        logits[target] = math.cos(math.acos(float(row[target])) + margin)
        rows.append(scale * logits)
    return F.cross_entropy(torch.stack(rows), targets)


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_the_margin_is_between_angles(margin):
    torch.manual_seed(0)
    cosines = torch.rand(5, 1, 7) * 1.6 - 0.8
    targets = torch.tensor([[0], [3], [6], [2], [2]])
    loss = AngularMargin(0.1, 30.0)
    loss.margin = margin
    expected = margin_loss(cosines[:, 0], targets[:, 0], margin, 30.0)
    assert float(loss(cosines, targets)) == pytest.approx(float(expected), 1e-4)
    if margin:  # the plausible mistake: between cosines
        other = 30.0 * (cosines[:, 0] - margin * F.one_hot(targets[:, 0], 7))
        wrong = F.cross_entropy(other, targets[:, 0])
        assert float(wrong) != pytest.approx(float(expected), 1e-3)


def test_class_weights_and_smoothing_are_pytorchs():
    outputs, targets = torch.randn(6, 1, 3), torch.tensor([[0], [1], [2]] * 2)
    weights = torch.tensor([1.0, 5.0, 0.2])
    loss = CrossEntropy(weights, label_smoothing=0.1)
    expected = torch.nn.CrossEntropyLoss(weights, label_smoothing=0.1)
    expected = expected(outputs[:, 0], targets[:, 0])
    assert torch.equal(loss(outputs, targets), expected)


@pytest.mark.parametrize(
    "updates, first",
    [(0, math.inf), (300, 4), (200, 5), (201, 4), (50, 5), (2000, 1)],
)
def test_the_large_margin_begins_with_an_epoch(updates, first):
    """1,000 updates in epochs of 200: never fewer updates than asked for."""
    epoch = LargeMargin(updates, 0.5, None).first_epoch(1000, 200)
    assert epoch == first
    assert updates == 0 or 1000 - 200 * (epoch - 1) >= min(updates, 1000)
