"""Learning rates are those of SpeechBrain's schedulers as MP3S asks them.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch
from speechbrain.nnet.schedulers import (
    LinearScheduler,
    NewBobScheduler,
    update_learning_rate,
)
from speechbrain.utils.checkpoints import Checkpointer

from d2v_sb.probing import Constant, Linear, NewBob

# Better, hardly better, worse, a jump, as good, and perfect twice.
LOSSES = [9.0, 5.0, 4.99, 5.5, 2.0, 2.0, 0.0, 0.0]


def mp3s_rates(lr, anneal, epochs):
    """What its optimiser has in each epoch; `anneal` gives old and new."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    rates = []
    for epoch in range(1, epochs + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        old, new = anneal(epoch)
        assert old == pytest.approx(rates[-1])
        update_learning_rate(optimizer, new)
    return rates


def test_new_bob_is_speechbrains_epoch_by_epoch():
    """A head and layers' weights with other factors; a validation counts from
    the next epoch on."""
    for lr, factor in ((2e-4, 0.8), (1e-2, 0.9)):
        scheduler = NewBobScheduler(
            initial_value=lr,
            improvement_threshold=0.0025,
            annealing_factor=factor,
            patient=0,
        )
        expected = mp3s_rates(lr, lambda e: scheduler(LOSSES[e - 1]), 8)
        ours, found = NewBob(lr, factor), []
        for epoch, loss in enumerate(LOSSES, start=1):
            found.append(ours.at(epoch))
            ours.validated(loss)
        assert found == expected
        powers = [0, 0, 0, 1, 2, 2, 3, 3]
        assert found == pytest.approx([lr * factor**p for p in powers])


def test_linear_is_speechbrains_epoch_by_epoch():
    """As for VoxCeleb1: the first epoch has the first value, the last one the
    last."""
    scheduler = LinearScheduler(
        initial_value=1e-3, final_value=1e-4, epoch_count=15
    )
    expected = mp3s_rates(1e-3, scheduler, 15)
    ours = Linear(1e-3, 1e-4, "15")
    found = [ours.at(epoch) for epoch in range(1, 16)]
    assert found == pytest.approx(expected, rel=1e-6)
    assert found[0] == pytest.approx(1e-3) and found[-1] == pytest.approx(1e-4)
    ours.validated(3.0)
    assert ours.at(7) == found[6]


def test_constant_does_not_heed_validations():
    rate = Constant(0.1)
    for loss in LOSSES:
        rate.validated(loss)
        assert rate.at(1) == rate.at(9) == 0.1


def test_new_bob_goes_on_from_a_checkpoint(tmp_path):
    """With its rate, and the loss to compare with."""
    rate, other = NewBob(1.0, 0.5), NewBob(1.0, 0.5)
    for loss in LOSSES[:4]:
        rate.validated(loss)
    Checkpointer(tmp_path, {"rate": rate}).save_checkpoint()
    Checkpointer(tmp_path, {"rate": other}).recover_if_possible()
    assert other.at(5) == rate.at(5) == 0.25
    for each in (rate, other):
        each.validated(5.499)
    assert other.at(6) == rate.at(6) == 0.125
