"""Products through oneDNN are torch's own, and are left where they are not.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch
import torch.nn.functional as F

from d2v_sb.errors import UserError
from d2v_sb.lobes import (
    Data2VecAudio,
    affine as module,
)
from d2v_sb.lobes.affine import (
    SWITCH,
    Linear,
    add_product,
    affine,
    onednn_works,
    use_onednn,
)


@pytest.fixture
def onednn(monkeypatch):
    """Products go through oneDNN, whatever the processor."""
    monkeypatch.setenv(SWITCH, "onednn")
    if not use_onednn():
        pytest.skip("this torch has no oneDNN that works")


@pytest.fixture
def asked_anew():
    """What was found out is not kept from one test for the next."""
    onednn_works.cache_clear()
    yield
    onednn_works.cache_clear()


def gradients(call, *inputs):
    inputs = [x.detach().requires_grad_() for x in inputs]
    out = call(*inputs)
    return [out, *torch.autograd.grad(out.square().sum(), inputs)]


def close(ours, expected):
    return all(
        torch.allclose(a, b, rtol=1e-5, atol=1e-4)
        for a, b in zip(ours, expected)
    )


@pytest.mark.parametrize(
    "shape", ((30, 40), (3, 10, 40), (1, 40), (2, 1, 40)), ids=str
)
def test_product_and_gradients_are_torchs(onednn, shape):
    x, weight, bias = torch.randn(shape), torch.randn(50, 40), torch.randn(50)
    expected = gradients(F.linear, x, weight, bias)
    assert close(gradients(affine, x, weight, bias), expected)
    # A plausible mistake: the weight's gradient of another layout.
    assert not close(gradients(affine, x, weight, -bias), expected)


def test_any_layout_in_memory_is_read_right(onednn):
    weight = torch.randn(50, 40)
    for x in (
        torch.randn(60, 40)[::2],
        torch.randn(40, 30).t(),
        torch.randn(1000).unfold(0, 40, 5),
        torch.randn(1, 40).expand(30, 40),
        torch.randn(30, 90)[:, 20:60],
    ):
        assert close(
            gradients(affine, x, weight), gradients(F.linear, x, weight)
        )
        ours = affine(x, weight[:, :].t().contiguous().t())
        assert torch.allclose(ours, F.linear(x, weight), atol=1e-4)


def test_sum_of_products_is_torchs(onednn):
    y, x, w = torch.randn(30, 50), torch.randn(60, 40)[::2], torch.randn(50, 40)
    expected = gradients(lambda y, x, w: y + x @ w.t(), y, x, w)
    assert close(gradients(add_product, y, x, w), expected)


def test_gradients_of_gradients_are_torchs(onednn):
    def penalty(call):
        x = torch.linspace(-1, 1, 80).view(2, 40).requires_grad_()
        weight = torch.linspace(-1, 1, 120).view(3, 40).requires_grad_()
        out = call(x, weight).pow(3).sum()
        (grad,) = torch.autograd.grad(out, x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), (x, weight))

    for ours, expected in zip(penalty(affine), penalty(F.linear)):
        assert torch.allclose(ours, expected, rtol=1e-4)


def test_an_encoder_learns_the_same_by_both(onednn, monkeypatch):
    torch.manual_seed(0)
    encoder = Data2VecAudio("tiny").eval()
    wavs, lens = torch.randn(2, 16000), torch.tensor([1.0, 0.6])

    def step():
        encoder.zero_grad()
        out = encoder(wavs, lens)
        out.square().mean().backward()
        used = [p for p in encoder.parameters() if p.grad is not None]
        return [out.detach(), *(p.grad.clone() for p in used)]

    ours = step()
    monkeypatch.setenv(SWITCH, "torch")
    for a, b in zip(ours, step()):
        assert (a - b).abs().max() < 1e-4 * max(1, b.abs().max())


def test_switches_turn_it_off(onednn, monkeypatch):
    assert use_onednn()
    with torch.backends.mkldnn.flags(enabled=False):
        assert not use_onednn()
    monkeypatch.setenv(SWITCH, "torch")
    assert not use_onednn()


def test_intels_processors_keep_mkl(monkeypatch):
    monkeypatch.setenv(SWITCH, "auto")
    monkeypatch.setattr(module, "mkl_is_foreign", lambda: False)
    assert not use_onednn()


@pytest.mark.parametrize("error", (AttributeError, RuntimeError, TypeError))
def test_an_operation_that_went_or_changed_is_left(
    asked_anew, monkeypatch, caplog, error
):
    def fail(*_):
        raise error("no such operation")

    monkeypatch.setenv(SWITCH, "onednn")
    monkeypatch.setattr(module, "_product", fail)
    assert not use_onednn()
    assert "torch's own are taken" in caplog.text
    x, linear = torch.randn(3, 4), Linear(4, 2)
    assert torch.equal(linear(x), F.linear(x, linear.weight, linear.bias))


def test_an_operation_that_gives_something_else_is_left(
    asked_anew, monkeypatch
):
    monkeypatch.setenv(SWITCH, "onednn")
    monkeypatch.setattr(
        module, "_product", lambda x, w, b=None: 1.01 * F.linear(x, w, b)
    )
    assert not use_onednn()


def test_other_types_are_torchs(onednn, monkeypatch):
    def fail(*_):
        raise AssertionError("taken")

    monkeypatch.setattr(module, "_product", fail)
    for dtype in (torch.double, torch.bfloat16):
        affine(torch.randn(3, 4).to(dtype), torch.randn(5, 4).to(dtype))
    with torch.autocast("cpu", torch.bfloat16):
        out = affine(torch.randn(3, 4), torch.randn(5, 4))
    assert out.dtype == torch.bfloat16


def test_no_rows_are_no_error(onednn):
    assert affine(torch.randn(0, 4), torch.randn(5, 4)).shape == (0, 5)


def test_another_word_is_refused(monkeypatch):
    monkeypatch.setenv(SWITCH, "mkl")
    with pytest.raises(UserError, match="auto, torch, onednn"):
        use_onednn()
