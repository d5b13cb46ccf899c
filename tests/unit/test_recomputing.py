"""Recomputing blocks and conv layers: the same gradients from less memory.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch
from torch.utils import checkpoint as torch_checkpoint

from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio, recomputing

POLICIES = {
    "the first block": {"checkpoint_activations": 1},
    "all blocks": {"checkpoint_activations": True},
    "conv stack": {"checkpoint_feature_extractor": True},
    "all": {
        "checkpoint_activations": True,
        "checkpoint_feature_extractor": True,
    },
}
DROPOUTS = ("dropout", "attention_dropout", "activation_dropout")


def encoder_of(**options):
    """A tiny encoder in train mode, the same each time."""
    torch.manual_seed(0)
    dropout = dict.fromkeys(DROPOUTS, 0.2)
    return Data2VecAudio("tiny", **dropout, encoder_layerdrop=0.3, **options)


def gradients(encoder):
    """Of a loss that all frames count in."""
    torch.manual_seed(1)
    out = encoder(torch.randn(2, 8000), torch.tensor([1.0, 0.7]))
    out.square().mean().backward()
    return {n: p.grad for n, p in encoder.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("options", POLICIES.values(), ids=POLICIES)
def test_each_policy_gives_the_gradients_of_none(options):
    expected = gradients(encoder_of())
    found = gradients(encoder_of(**options))
    assert found.keys() == expected.keys() and "mask_emb" not in found
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, msg=name)


def test_dropout_that_is_drawn_anew_gives_other_gradients(monkeypatch):
    """What the test above would find."""

    def careless(module, *inputs):
        return torch_checkpoint.checkpoint(
            module, *inputs, use_reentrant=False, preserve_rng_state=False
        )

    expected = gradients(encoder_of())
    monkeypatch.setattr("d2v_sb.lobes.transformer.recompute", careless)
    found = gradients(encoder_of(checkpoint_activations=True))
    assert any(
        not torch.allclose(found[name], grad) for name, grad in expected.items()
    )


@pytest.mark.parametrize("options", POLICIES.values(), ids=POLICIES)
def test_hooks_of_gradients_run_once_a_parameter(options):
    """DDP counts on it."""
    encoder, calls = encoder_of(**options), []
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(
                lambda _, name=name: calls.append(name)
            )
    found = gradients(encoder)
    assert sorted(calls) == sorted(found)


@pytest.mark.parametrize("options", POLICIES.values(), ids=POLICIES)
def test_each_policy_keeps_less(options):
    def kept(encoder):
        held = {}

        def note(x):
            held[x.untyped_storage().data_ptr()] = x.untyped_storage()
            return x

        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            out = encoder(torch.randn(2, 32000))
        del out
        return sum(storage.nbytes() for storage in held.values())

    def plain(**options):
        encoder = Data2VecAudio("tiny", encoder_layerdrop=0.0, **options)
        return kept(encoder)

    assert plain(**options) < 0.9 * plain()


def test_without_gradients_nothing_is_wrapped(monkeypatch):
    monkeypatch.setattr(recomputing, "checkpoint", None)
    with torch.no_grad():
        encoder_of(**POLICIES["all"])(torch.randn(1, 8000))


@pytest.mark.parametrize("value", [-1, 3, "all", 1.5])
def test_what_is_no_number_of_blocks_is_refused(value):
    with pytest.raises(UserError, match="up to 2"):
        Data2VecAudio("tiny", checkpoint_activations=value)
