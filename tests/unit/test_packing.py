"""Padding is left out, and nothing that is valid changes by it.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch
import torch.nn.functional as F

from d2v_sb.lobes import Data2VecAudio, attention, feature_extractor
from d2v_sb.lobes.attention import (
    Ends,
    attend_inside,
    attend_nested,
    nested_works,
)
from d2v_sb.lobes.feature_extractor import ConvFeatureExtractor
from d2v_sb.lobes.packing import Packing
from d2v_sb.presets import EncoderConfig

LENGTHS = [5, 1, 7, 3]
LAYERS = ((8, 10, 5),) + ((8, 3, 2),) * 4 + ((8, 2, 2),) * 2


def qkv(num_frames=sum(LENGTHS), **options):
    torch.manual_seed(0)
    return torch.randn(3, num_frames, 2, 4, **options).unbind()


def test_unpacked_is_what_was_packed_and_zero_in_the_padding():
    packing = Packing(LENGTHS, 7)
    x = torch.randn(4, 7, 3)
    packed = packing.pack(x)
    assert torch.equal(packed, torch.cat([r[:n] for r, n in zip(x, LENGTHS)]))
    expected = x.masked_fill(packing.padding_mask[:, :, None], 0.0)
    assert torch.equal(packing.unpack(packed), expected)


def test_gradients_pass_through_packing():
    packing = Packing(LENGTHS, 7)
    x = torch.randn(4, 7, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: packing.unpack(packing.pack(x)), x
    )


def test_a_packing_of_a_mask_is_that_of_its_lengths():
    packing = Packing(LENGTHS, 7)
    again = Packing.of(packing.padding_mask)
    assert again.num_frames == LENGTHS
    assert torch.equal(again.index, packing.index)
    assert Packing.of(packing) is packing
    assert Packing.of(None) is None


@pytest.mark.parametrize("attend", (attend_inside, attend_nested))
def test_each_attends_to_itself_alone(attend):
    q, k, v = (x.requires_grad_() for x in qkv(dtype=torch.double))
    found = attend(q, k, v, Ends(LENGTHS))
    gradients = torch.autograd.grad(found.square().sum(), (q, k, v))
    begin = 0
    for n in LENGTHS:
        own = [x[begin : begin + n].transpose(0, 1) for x in (q, k, v)]
        alone = F.scaled_dot_product_attention(*own).transpose(0, 1)
        assert torch.allclose(found[begin : begin + n], alone)
        expected = torch.autograd.grad(alone.square().sum(), (q, k, v))
        for ours, theirs in zip(gradients, expected):
            assert torch.allclose(
                ours[begin : begin + n], theirs[begin : begin + n]
            )
        begin += n
    assert not torch.allclose(found, attend(q, k, v, Ends([sum(LENGTHS)])))


def test_attention_drops_weights_when_told_to():
    q, k, v = qkv()
    dropped = attend_inside(q, k, v, Ends(LENGTHS), dropout=0.5)
    assert not torch.allclose(dropped, attend_inside(q, k, v, Ends(LENGTHS)))


def test_a_row_without_frames_is_left_out():
    q, k, v = qkv()
    found = attend_inside(q, k, v, Ends([5, 0, 1, 7, 3]))
    assert torch.equal(found, attend_inside(q, k, v, Ends(LENGTHS)))


@pytest.fixture
def asked_anew():
    """Answers about devices are not kept from one test for the next."""
    nested_works.cache_clear()
    yield
    nested_works.cache_clear()


def test_nested_attention_is_tried_before_it_is_trusted(
    asked_anew, monkeypatch, caplog
):
    kind = (torch.device("cpu"), torch.float32, 2, 4)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert nested_works(*kind)
    nested_works.cache_clear()
    own = attention.attend_nested
    monkeypatch.setattr(
        attention, "attend_nested", lambda *args: 1.1 * own(*args)
    )
    assert not nested_works(*kind)
    assert "nested attention does not work here" in caplog.text


def test_the_trial_leaves_a_recomputed_block_alone(asked_anew, monkeypatch):
    kind = (torch.device("cpu"), torch.float32, 4, 32)

    def asks(self, q, k, v, dropout=0.0):
        assert nested_works(*kind)
        return attend_inside(q, k, v, self.ends, dropout)

    monkeypatch.setattr(Packing, "attend", asks)
    encoder = Data2VecAudio("tiny", checkpoint_activations=True).train()
    wavs, lens = torch.randn(2, 8000), torch.tensor([1.0, 0.6])
    encoder(wavs, lens).square().sum().backward()


@pytest.mark.parametrize("mask", ([[1, 0, 0]], [[0, 1, 0]], [[1, 1, 1]]))
def test_padding_that_is_not_at_the_end_is_refused(mask):
    with pytest.raises(ValueError, match="ends of rows"):
        Packing.of(torch.tensor(mask, dtype=torch.bool))


@pytest.mark.parametrize("error", (RuntimeError, TypeError, AttributeError))
def test_what_nested_attention_raises_is_no_end(asked_anew, monkeypatch, error):
    def fail(*_):
        raise error("no kernel\nmore")

    monkeypatch.setattr(attention, "attend_nested", fail)
    assert not nested_works(torch.device("cpu"), torch.float32, 2, 4)


# Lengths around a multiple of the stride, and of the receptive field.
AWKWARD = (3200, 3199, 3201, 3279, 3280, 3281, 400, 401, 720, 719)


@pytest.mark.parametrize("step", (3, 100))
def test_conv_frames_in_a_batch_are_those_alone(step, monkeypatch):
    monkeypatch.setattr(feature_extractor, "CPU_FRAMES", step)
    torch.manual_seed(0)
    extractor = ConvFeatureExtractor(LAYERS).double()
    wavs = torch.randn(len(AWKWARD), 3281, dtype=torch.double)
    frames = extractor(wavs, list(AWKWARD))
    equal = extractor(wavs)
    for wav, n, row, full in zip(wavs, AWKWARD, frames, equal):
        x = wav[None, None, :n]
        for layer in extractor.layers:
            x = F.conv1d(x, layer.conv.weight, stride=layer.conv.stride)
            x = F.gelu(layer.norm(x.transpose(1, 2))).transpose(1, 2)
        alone = x[0].t()
        assert torch.allclose(row[: len(alone)], alone)
        assert torch.allclose(full[: len(alone)], alone)


def test_conv_frames_would_mix_if_waveforms_lay_closer(monkeypatch):
    torch.manual_seed(0)
    extractor = ConvFeatureExtractor(LAYERS)
    wavs = torch.randn(2, 3281)
    frames = extractor(wavs, [3200, 3281])
    field, layers = extractor.field, extractor.conv_feature_layers
    # As many strides as frames: the last frame's end is the next waveform's.
    monkeypatch.setattr(
        feature_extractor,
        "Packing",
        lambda strides, *rest: Packing(
            [feature_extractor.num_frames(n, layers) for n in (3200, 3281)],
            *rest,
        ),
    )
    mixed = extractor(wavs, [3200, 3281])
    last = (3200 - field) // 320
    assert torch.allclose(mixed[0, :last], frames[0, :last], atol=1e-5)
    assert not torch.allclose(mixed[0, last], frames[0, last], atol=1e-2)


def test_padding_costs_no_products(monkeypatch):
    seen = []
    encoder = Data2VecAudio("tiny").eval()
    encoder.encoder.layers[0].fc1.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape)
    )
    encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5]))
    assert seen == [(49 + 24, 128)]


def test_other_lengths_do_not_compile_again():
    graphs = []

    def backend(module, inputs):
        graphs.append(module)
        return module.forward

    torch.compiler.reset()
    config = EncoderConfig(
        conv_feature_layers=((8, 10, 5), (8, 8, 64)),
        encoder_layers=1,
        encoder_embed_dim=32,
        encoder_ffn_embed_dim=32,
        encoder_attention_heads=2,
        pos_conv_depth=1,
    )
    encoder = Data2VecAudio(config).eval()
    compiled = torch.compile(encoder, backend=backend)
    known = None
    for number, (samples, share) in enumerate(
        ((16000, 0.5), (14000, 0.7), (15000, 0.3), (13100, 0.9), (12100, 0.8))
    ):
        wavs, lens = torch.randn(2, samples), torch.tensor([1.0, share])
        found, expected = compiled(wavs, lens), encoder(wavs, lens)
        assert torch.allclose(found, expected, atol=1e-4)
        # After the third it knows that lengths differ.
        known = len(graphs) if number == 2 else known
    assert known == len(graphs) > 0
    torch.compiler.reset()
