"""Properties of the encoder and of what stands on it, at the tiny size.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import inspect

import pytest
import torch
import torch.nn.functional as F
from speechbrain.nnet.containers import LengthsCapableSequential
from speechbrain.nnet.linear import Linear
from torch import nn

from d2v_sb.checkpoints import ENCODER_CKPT
from d2v_sb.errors import CheckpointError
from d2v_sb.lobes import CTCModel, Data2VecAudio, WeightedData2Vec
from d2v_sb.lobes.feature_extractor import (
    ConvFeatureExtractor,
    num_frames,
    receptive_field,
    strided_conv,
)
from d2v_sb.lobes.layers import Fp32LayerNorm
from d2v_sb.masking import FeatureMasking
from d2v_sb.presets import HUB_NAMES, PRESETS, EncoderConfig, register_preset

TOLERANCE = 2e-5
TINY = PRESETS["tiny"]
LAYERS = TINY.conv_feature_layers
# Padding by a lot, by less than a frame, and not at all.
NUM_SAMPLES = (16000, 15900, 7001, 400)


def encoder_of(**options):
    torch.manual_seed(0)
    return Data2VecAudio("tiny", **options)


def padded_batch():
    """Waveforms with noise where padding is, and their relative lengths."""
    generator = torch.Generator().manual_seed(1)
    wavs = torch.randn(4, max(NUM_SAMPLES), generator=generator)
    return wavs, torch.tensor(NUM_SAMPLES) / wavs.shape[1]


def some_speech(batch=2, num_samples=8000):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(batch, num_samples, generator=generator)


# Padding


@pytest.mark.parametrize("output_norm", (False, True))
@pytest.mark.parametrize("output_all_hiddens", (False, True))
@torch.no_grad()
def test_padding_does_not_change_valid_frames(output_norm, output_all_hiddens):
    encoder = encoder_of(
        output_norm=output_norm, output_all_hiddens=output_all_hiddens
    ).eval()
    wavs, wav_lens = padded_batch()
    batch = encoder(wavs, wav_lens)
    for i, n in enumerate(NUM_SAMPLES):
        alone = encoder(wavs[i : i + 1, :n])
        out = batch[..., i : i + 1, : encoder.num_frames(n), :]
        assert out.shape == alone.shape
        assert torch.allclose(out, alone, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_what_is_in_the_padding_does_not_matter():
    encoder = encoder_of().eval()
    wavs, wav_lens = padded_batch()
    expected = encoder(wavs, wav_lens)
    for i, n in enumerate(NUM_SAMPLES):
        wavs[i, n:] = 100.0
    assert torch.equal(encoder(wavs, wav_lens), expected)


@torch.no_grad()
def test_batch_that_is_padded_beyond_its_longest_row_equals_alone():
    """A part of a larger batch: no relative length is 1."""
    encoder = encoder_of().eval()
    wavs = some_speech(3, 16000)
    for lens in ([0.5, 0.5, 0.5], [0.5, 0.8, 0.3]):
        batch = encoder(wavs, torch.tensor(lens))
        assert batch.shape[1] == encoder.num_frames(16000)
        for i, n in enumerate(int(r * 16000) for r in lens):
            alone = encoder(wavs[i : i + 1, :n])[0]
            out = batch[i, : len(alone)]
            assert torch.allclose(out, alone, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_no_lengths_mean_full_lengths():
    encoder = encoder_of().eval()
    wavs = some_speech()
    assert torch.equal(encoder(wavs), encoder(wavs, torch.ones(2)))
    assert encoder.padding_mask(wavs) is None
    assert encoder.padding_mask(wavs, torch.ones(2)) is None


@torch.no_grad()
def test_scale_and_offset_of_the_waveform_do_not_matter():
    encoder = encoder_of().eval()
    wavs = some_speech()
    out = encoder(3.0 * wavs + 0.5)
    assert torch.allclose(out, encoder(wavs), rtol=0, atol=1e-3)


def test_padding_mask_marks_all_but_the_frames_of_each_row():
    encoder = encoder_of()
    mask = encoder.padding_mask(*padded_batch())
    expected = [encoder.num_frames(n) for n in NUM_SAMPLES]
    assert (~mask).sum(dim=1).tolist() == expected
    assert (mask.int().diff(dim=1) >= 0).all()


def test_output_norm_is_speechbrains_over_time_and_channels():
    wavs = some_speech()
    plain = encoder_of().eval()(wavs)
    expected = F.layer_norm(plain, plain.shape[1:])
    out = encoder_of(output_norm=True).eval()(wavs)
    assert torch.allclose(out, expected, rtol=0, atol=TOLERANCE)


# What is refused


@pytest.mark.parametrize("wrong", (0.0, -0.5, 1.01, 8000.0, float("nan")))
def test_wav_lens_outside_0_to_1_are_refused(wrong):
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        encoder_of()(some_speech(), torch.tensor([1.0, wrong]))


def test_wav_lens_of_another_batch_are_refused():
    with pytest.raises(ValueError, match="3 wav_lens for a batch of 2"):
        encoder_of()(some_speech(), torch.ones(3))


@pytest.mark.parametrize("shape", ((1, 2, 8000), (8000,)))
def test_wavs_that_are_not_a_batch_of_rows_are_refused(shape):
    with pytest.raises(ValueError, match="must be .batch, samples."):
        encoder_of()(torch.zeros(shape))


def test_clip_too_short_for_a_frame_is_named():
    with pytest.raises(ValueError, match="waveform 1 .* has 399 samples"):
        encoder_of()(some_speech(2, 800), torch.tensor([1.0, 399 / 800]))


def test_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="exact, fairseq"):
        encoder_of(padding="same")


# Frames


def test_num_frames_is_what_the_conv_stack_makes():
    stack = [(2, kernel, stride) for _, kernel, stride in LAYERS]
    extractor = ConvFeatureExtractor(stack)
    lengths = [*range(400, 2400, 13), 719, 720, 721, 1039, 1040, 16000]
    for n in lengths:
        assert extractor(torch.zeros(1, n)).shape[1] == num_frames(n, stack)
    tensor = num_frames(torch.tensor(lengths), stack)
    assert tensor.tolist() == [num_frames(n, stack) for n in lengths]


def test_receptive_field_is_400_samples():
    encoder = encoder_of().eval()
    assert receptive_field(LAYERS) == 400
    with pytest.raises(ValueError, match="399 samples"):
        encoder(some_speech(1, 399))
    assert encoder(some_speech(1, 400)).shape == (1, 1, 128)


@pytest.mark.parametrize("t", (0, 1, 7, 19))
def test_frame_t_sees_400_samples_from_320_t_on(t):
    # Normalising would let every frame see the whole waveform.
    encoder = encoder_of(normalize=False).double()
    wavs = some_speech(1, 320 * 19 + 400).double().requires_grad_()
    frames = encoder.extract(wavs)
    assert frames.shape[1] == 20
    frames[0, t].square().sum().backward()
    seen = wavs.grad[0].nonzero()
    assert seen.min() == 320 * t
    assert seen.max() == 320 * t + 400 - 1
    assert len(seen) == 400


@pytest.mark.parametrize(
    "kernel, stride",
    ((10, 5), (3, 2), (2, 2), (5, 3), (4, 1), (1, 1), (7, 4), (2, 3), (9, 3)),
)
@pytest.mark.parametrize("channels", (1, 3))
def test_strided_conv_equals_conv1d(kernel, stride, channels):
    weight = torch.randn(4, channels, kernel, dtype=torch.double)
    weight.requires_grad_()
    for T in range(kernel, kernel + 3 * stride + 2):
        x = torch.randn(T, channels, dtype=torch.double).requires_grad_()
        out = strided_conv(x, weight, stride)
        expected = F.conv1d(x.t()[None], weight, stride=stride)[0].t()
        assert out.shape == expected.shape
        assert torch.allclose(out, expected)
        pairs = zip(
            torch.autograd.grad(out.square().sum(), (x, weight)),
            torch.autograd.grad(expected.square().sum(), (x, weight)),
        )
        assert all(torch.allclose(a, b) for a, b in pairs)


# LayerDrop, gradients, checkpointing


@pytest.mark.parametrize("layerdrop", (0.0, 0.5, 1.0))
def test_all_hiddens_are_one_more_than_layers_whatever_is_dropped(layerdrop):
    encoder = encoder_of(
        output_all_hiddens=True, encoder_layerdrop=layerdrop
    ).train()
    for _ in range(4):
        assert encoder(some_speech()).shape == (3, 2, 24, 128)


def test_dropped_layers_pass_their_input_on():
    encoder = encoder_of(output_all_hiddens=True, encoder_layerdrop=1.0).train()
    states = encoder(some_speech())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])
    states = encoder.eval()(some_speech())
    assert not torch.equal(states[0], states[1])


@pytest.mark.parametrize("layerdrop", (0.0, 1.0))
@pytest.mark.parametrize("masking", (None, FeatureMasking(mask_prob=0.0)))
@pytest.mark.parametrize("checkpointing", (False, True))
def test_every_trainable_parameter_has_a_gradient(
    layerdrop, masking, checkpointing
):
    encoder = encoder_of(
        encoder_layerdrop=layerdrop,
        masking=masking,
        checkpoint_activations=checkpointing,
    ).train()
    encoder(some_speech()).square().sum().backward()
    without = [
        name
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert without == []
    assert encoder.mask_emb.requires_grad == (masking is not None)
    layer = encoder.encoder.layers[0].fc1.weight.grad
    assert (layer == 0).all() == (layerdrop == 1.0)


def test_checkpointing_does_not_change_gradients():
    def gradients(**options):
        encoder = encoder_of(encoder_layerdrop=0.5, **options).train()
        torch.manual_seed(3)
        for _ in range(3):
            encoder(*padded_batch()).square().sum().backward()
        return [p.grad for p in encoder.parameters() if p.requires_grad]

    expected = gradients()
    recomputed = gradients(checkpoint_activations=True)
    assert len(expected) == len(recomputed)
    assert all(map(torch.equal, expected, recomputed))


def test_top_k_ffn_gives_the_last_blocks_outputs():
    encoder = encoder_of().eval()
    x = encoder.project(encoder.extract(some_speech()))
    both = encoder.contextualize(x, top_k_ffn=2).ffn_outputs
    (last,) = encoder.contextualize(x, top_k_ffn=1).ffn_outputs
    assert len(both) == 2 and torch.equal(both[1], last)
    context = encoder.contextualize(x)
    assert context.ffn_outputs == context.hidden_states == ()


def test_norms_compute_in_fp32_under_autocast():
    # A mean far above the deviation: lost in half precision's 8 bits.
    x = (100 + torch.randn(64, 128)).bfloat16()
    norm = Fp32LayerNorm(128)
    with torch.no_grad():
        norm.weight.add_(torch.randn(128), alpha=0.1)
        norm.bias.add_(torch.randn(128), alpha=0.1)
    expected = F.layer_norm(x.float(), (128,), norm.weight, norm.bias)
    with torch.autocast("cpu", torch.bfloat16):
        out = norm(x)
    assert out.dtype == torch.bfloat16
    rounding = (expected.bfloat16() - expected).abs().max()
    assert (out - expected).abs().max() <= 2 * rounding
    centred = x - x.mean(-1, keepdim=True)  # in half precision
    by_hand = centred / centred.square().mean(-1, keepdim=True).sqrt()
    by_hand = by_hand * norm.weight + norm.bias
    assert (by_hand - expected).abs().max() > 10 * rounding


@pytest.mark.parametrize("weights", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("x", (torch.float32, torch.bfloat16, torch.double))
def test_norms_take_any_types(weights, x):
    norm = Fp32LayerNorm(8).to(weights)
    assert norm(torch.randn(3, 8, dtype=x)).dtype == x


def test_shapes_alone_pass_through_the_encoder():
    encoder = encoder_of().to("meta").eval()
    assert encoder(torch.rand(2, 16000, device="meta")).shape == (2, 49, 128)


def test_autocast_changes_states_by_its_rounding_only():
    encoder = encoder_of().eval()
    expected = encoder(some_speech())
    with torch.autocast("cpu", torch.bfloat16):
        out = encoder(some_speech())
    # States have unit variance; bf16 has 8 bits.
    assert (out - expected).abs().mean() < 0.02
    assert (out - expected).abs().max() < 0.2


def test_encoder_in_bf16_takes_float_waveforms():
    encoder = encoder_of().eval()
    expected = encoder(some_speech())
    out = encoder.bfloat16()(some_speech())
    assert out.dtype == torch.bfloat16
    assert (out - expected).abs().mean() < 0.05


# Freezing

BELOW = ("feature_extractor.", "projection.", "encoder.positions.")


def frozen_names(encoder):
    return {
        name
        for name, parameter in encoder.named_parameters()
        if not parameter.requires_grad
    }


def names_under(encoder, *prefixes):
    names = dict(encoder.named_parameters())
    return {name for name in names if name.startswith(prefixes)}


def in_train_mode(encoder, head=None):
    """As ``Brain.fit`` puts it at every epoch."""
    modules = nn.ModuleDict({"encoder": encoder, "head": nn.Linear(2, 2)})
    modules.eval()
    modules.train()
    return encoder


# Everything that is random in training, so that nothing random goes unseen.
RANDOM = dict(
    dropout=0.3,
    attention_dropout=0.3,
    activation_dropout=0.3,
    dropout_input=0.3,
    encoder_layerdrop=0.5,
    apply_spec_augment=True,
)


def test_training_is_random_unless_frozen():
    encoder = in_train_mode(encoder_of(**RANDOM))
    assert not torch.equal(encoder(some_speech()), encoder(some_speech()))


@pytest.mark.parametrize(
    "options", ({"freeze": True}, {"freeze_finetune_updates": 5})
)
def test_frozen_encoder_is_deterministic_and_learns_nothing(options):
    encoder = in_train_mode(encoder_of(**options, **RANDOM))
    out = encoder(some_speech())
    assert torch.equal(out, encoder(some_speech()))
    assert not out.requires_grad
    assert not any(module.training for module in encoder.modules())
    assert frozen_names(encoder) == set(dict(encoder.named_parameters()))
    expected = encoder_of(**options).eval()
    assert torch.equal(out, expected(some_speech()))


def test_frozen_feature_extractor_is_all_that_is_frozen():
    encoder = in_train_mode(encoder_of(freeze_feature_extractor=True, **RANDOM))
    assert frozen_names(encoder) == names_under(encoder, "feature_extractor.")
    assert not encoder.feature_extractor.training
    assert encoder.encoder.layers[0].training
    encoder(some_speech()).sum().backward()
    assert all(p.grad is None for p in encoder.feature_extractor.parameters())
    assert encoder.projection.linear.weight.grad is not None


@pytest.mark.parametrize("n", (1, 2))
def test_frozen_layers_and_all_below_are_fixed(n):
    encoder = in_train_mode(
        encoder_of(freeze_layers=n, output_all_hiddens=True, **RANDOM)
    )
    frozen = [f"encoder.layers.{i}." for i in range(n)]
    assert frozen_names(encoder) == names_under(
        encoder, *BELOW, *frozen, "encoder.layer_norm.", "mask_emb"
    )
    one, two = encoder(some_speech()), encoder(some_speech())
    assert torch.equal(one[: n + 1], two[: n + 1])
    expected = encoder_of(output_all_hiddens=True).eval()(some_speech())
    assert torch.equal(one[: n + 1], expected[: n + 1])
    assert encoder.encoder.layers[n - 1].training is False
    assert all(layer.training for layer in encoder.encoder.layers[n:])


def test_frozen_layers_get_no_gradient_and_others_do():
    encoder = in_train_mode(encoder_of(freeze_layers=1, encoder_layerdrop=0))
    encoder(some_speech()).square().sum().backward()
    with_gradient = {
        name for name, p in encoder.named_parameters() if p.grad is not None
    }
    assert with_gradient == names_under(encoder, "encoder.layers.1.")


@pytest.mark.parametrize("n", (-1, 3))
def test_layers_that_there_are_not_can_not_be_frozen(n):
    with pytest.raises(ValueError, match="2 blocks"):
        encoder_of(freeze_layers=n)


def test_nothing_but_an_unused_mask_embedding_is_frozen_by_default():
    assert frozen_names(encoder_of()) == {"mask_emb"}
    assert frozen_names(encoder_of(apply_spec_augment=True)) == set()
    masking = FeatureMasking(mask_prob=0.0, mask_channel_prob=0.5)
    assert frozen_names(encoder_of(masking=masking)) == set()


def test_encoder_is_unfrozen_at_the_very_update_and_once():
    encoder = in_train_mode(encoder_of(freeze_finetune_updates=3, **RANDOM))
    assert [encoder.set_num_updates(n) for n in (0, 1, 2)] == [False] * 3
    assert not encoder(some_speech()).requires_grad
    assert encoder.set_num_updates(3)
    # In train mode at once: the epoch goes on.
    assert all(module.training for module in encoder.modules())
    assert frozen_names(encoder) == set()
    encoder(some_speech()).square().sum().backward()
    assert encoder.feature_extractor.layers[0].conv.weight.grad is not None
    assert [encoder.set_num_updates(n) for n in (3, 4, 100)] == [False] * 3


def test_resumed_run_is_unfrozen_by_a_later_update():
    encoder = in_train_mode(encoder_of(freeze_finetune_updates=3))
    assert encoder.set_num_updates(50)
    assert frozen_names(encoder) == {"mask_emb"}


def test_feature_extractor_stays_frozen_after_unfreezing():
    encoder = in_train_mode(
        encoder_of(freeze_finetune_updates=1, freeze_feature_extractor=True)
    )
    assert encoder.set_num_updates(1)
    expected = names_under(encoder, "feature_extractor.") | {"mask_emb"}
    assert frozen_names(in_train_mode(encoder)) == expected
    assert not encoder.feature_extractor.training


def test_layers_stay_frozen_after_unfreezing():
    encoder = in_train_mode(
        encoder_of(freeze_finetune_updates=1, freeze_layers=1)
    )
    assert encoder.set_num_updates(1)
    learning = names_under(encoder, "encoder.layers.1.")
    names = set(dict(encoder.named_parameters()))
    assert frozen_names(encoder) == names - learning


def test_encoder_frozen_for_good_is_never_unfrozen():
    encoder = encoder_of(freeze=True, freeze_finetune_updates=1)
    assert not encoder.set_num_updates(10)
    assert encoder.frozen


def test_recipes_freeze_through_the_names_of_transformers():
    encoder = encoder_of(apply_spec_augment=True)
    encoder.model.feature_extractor._freeze_parameters()
    for layer in encoder.model.encoder.layers[:1]:
        layer.eval()
        for parameter in layer.parameters():
            parameter.requires_grad = False
    in_train_mode(encoder)
    expected = names_under(encoder, "feature_extractor.", "encoder.layers.0.")
    assert frozen_names(encoder) == expected
    assert not encoder.model.feature_extractor.training
    assert len(list(encoder.model.encoder.layers)) == 2


# SpeechBrain's contract


def test_constructor_takes_the_arguments_of_speechbrains_lobe():
    module = pytest.importorskip(
        "speechbrain.integrations.huggingface.wav2vec2"
    )

    def arguments(lobe):
        parameters = inspect.signature(lobe.__init__).parameters.values()
        return [p for p in parameters if p.name != "self"][:7]

    pairs = zip(arguments(Data2VecAudio), arguments(module.Wav2Vec2))
    for ours, theirs in pairs:
        assert ours.name == theirs.name
        assert ours.kind == theirs.kind
        # save_path has no default there; ours may be left out.
        if theirs.default is not theirs.empty:
            assert ours.default == theirs.default, ours.name


@torch.no_grad()
def test_lengths_capable_sequential_passes_lengths_on():
    encoder = encoder_of().eval()
    chain = LengthsCapableSequential(encoder, nn.Identity())
    wavs, wav_lens = padded_batch()
    expected = encoder(wavs, wav_lens)
    assert torch.equal(chain(wavs, lengths=wav_lens), expected)
    assert not torch.equal(chain(wavs), expected)


def test_output_size_is_the_width():
    assert (
        encoder_of().output_size == 128 == encoder_of()(some_speech()).shape[2]
    )


# Weights and architectures


def test_state_dict_round_trip_is_strict_and_exact(tmp_path):
    one, two = Data2VecAudio("tiny"), Data2VecAudio("tiny")
    torch.save(one.state_dict(), tmp_path / "encoder.ckpt")
    state = torch.load(tmp_path / "encoder.ckpt", weights_only=True)
    result = two.load_state_dict(state, strict=True)
    assert not result.missing_keys and not result.unexpected_keys
    one.eval(), two.eval()
    assert torch.equal(one(some_speech()), two(some_speech()))


def test_another_architecture_is_refused_by_its_fields():
    state = Data2VecAudio("tiny", conv_pos=35, normalize=False).state_dict()
    with pytest.raises(CheckpointError) as caught:
        encoder_of().load_state_dict(state)
    message = str(caught.value)
    assert "conv_pos=35 (here 95)" in message
    assert "normalize=False (here True)" in message
    assert "encoder_layers" not in message


def test_other_regularisation_is_no_other_architecture():
    state = Data2VecAudio("tiny", encoder_layerdrop=0.5).state_dict()
    encoder_of(dropout=0.4).load_state_dict(state)


def test_pretrainer_raises_on_missing_weights(tmp_path):
    """SpeechBrain's own transfer would only warn."""
    state = encoder_of().state_dict()
    state.pop("encoder.layers.1.fc1.bias")
    torch.save(state, tmp_path / "encoder.ckpt")
    from speechbrain.utils.parameter_transfer import Pretrainer

    pretrainer = Pretrainer(
        collect_in=None,
        loadables={"encoder": encoder_of()},
        paths={"encoder": str(tmp_path / "encoder.ckpt")},
    )
    pretrainer.collect_files()
    with pytest.raises(RuntimeError, match="encoder.layers.1.fc1.bias"):
        pretrainer.load_collected()


@pytest.fixture
def trained(tmp_path):
    """A folder as SpeechBrain's checkpointer leaves it."""
    torch.save(encoder_of().state_dict(), tmp_path / ENCODER_CKPT)
    return str(tmp_path)


def test_regularisation_may_be_overridden_on_trained_weights(trained):
    encoder = Data2VecAudio(trained, encoder_layerdrop=0.3, dropout=0.0)
    assert encoder.encoder.layerdrop == 0.3
    assert encoder.encoder.layers[0].dropout == 0.0
    expected = encoder_of().eval()
    assert torch.equal(encoder.eval()(some_speech()), expected(some_speech()))


@pytest.mark.parametrize(
    "override", ({"encoder_layers": 1}, {"conv_pos": 35}, {"normalize": False})
)
def test_architecture_may_not_be_overridden_on_trained_weights(
    trained, override
):
    (name,) = override
    with pytest.raises(ValueError, match=f"{name}=.*encoder_layerdrop"):
        Data2VecAudio(trained, **override)


def test_architecture_may_be_overridden_on_random_weights():
    assert len(encoder_of(encoder_layers=5).encoder.layers) == 5


def test_unknown_override_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'layerdrop'.*encoder_layerdrop"):
        encoder_of(layerdrop=0.1)


def test_unknown_source_is_answered_with_the_known_names():
    with pytest.raises(CheckpointError) as caught:
        Data2VecAudio("huge")
    for name in (*PRESETS, *HUB_NAMES):
        assert name in str(caught.value)


def test_file_that_is_not_there_is_not_taken_for_a_hub_name():
    for source in ("./models/encoder", "models/encoder.pt", "/nowhere"):
        with pytest.raises(CheckpointError, match="no such file or folder"):
            Data2VecAudio(source)


def test_registered_preset_is_a_source():
    config = dataclasses.replace(TINY, encoder_layers=1)
    try:
        register_preset("single", config)
        register_preset("single", config)
        assert len(Data2VecAudio("single").encoder.layers) == 1
        with pytest.raises(ValueError, match="another architecture already"):
            register_preset("single", TINY)
    finally:
        PRESETS.pop("single", None)
    with pytest.raises(ValueError, match="no slash"):
        register_preset("our/own", config)


def test_config_survives_json_and_lists():
    config = EncoderConfig(conv_feature_layers=[[8, 10, 5], [8, 3, 2]])
    assert EncoderConfig.from_json(config.to_json()) == config
    hash(config)


# What stands on the encoder


def ctc_model(blank_index=0, **options):
    encoder = encoder_of(**options)
    head = Linear(input_size=128, n_neurons=12)
    return CTCModel(encoder, head, blank_index).eval()


def greedy(log_probs, blank_index):
    """Best labels, repetitions and blanks left out."""
    best = log_probs.argmax(dim=-1).unique_consecutive().tolist()
    return [label for label in best if label != blank_index]


@pytest.mark.parametrize("blank_index", (0, 5))
@torch.no_grad()
def test_padded_batch_decodes_as_each_utterance_alone(blank_index):
    model = ctc_model(blank_index)
    wavs, wav_lens = padded_batch()
    batch = model(wavs, wav_lens)
    texts = []
    for i, n in enumerate(NUM_SAMPLES):
        alone = model(wavs[i : i + 1, :n])[0]
        out = batch[i, : len(alone)]
        assert torch.allclose(out, alone, rtol=0, atol=TOLERANCE)
        # The whole row, as decoders that know no lengths read it.
        texts.append(greedy(batch[i], blank_index))
        assert texts[-1] == greedy(alone, blank_index)
    assert any(texts)


@torch.no_grad()
def test_padding_is_the_blank_for_certain():
    model = ctc_model(blank_index=5)
    wavs, wav_lens = padded_batch()
    out = model(wavs, wav_lens)
    padding = out[model.encoder.padding_mask(wavs, wav_lens)]
    assert len(padding) > 0
    assert (padding[:, 5] == 0).all()
    padding[:, 5] = -1e4
    assert (padding == -1e4).all()


def test_ctc_log_probs_are_fp32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        out = ctc_model()(*padded_batch())
    assert out.dtype == torch.float32
    assert torch.allclose(out.exp().sum(-1), torch.ones(1), atol=1e-5)


def test_ctc_model_learns_in_its_encoder_and_head():
    model = ctc_model().train()
    model(*padded_batch())[..., 1].sum().backward()
    learning = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in learning)


@torch.no_grad()
def test_weighted_sum_starts_as_the_mean_of_all_states():
    torch.manual_seed(0)
    probe = WeightedData2Vec("tiny").eval()
    states = probe.encoder(some_speech())
    assert states.shape[0] == 3 == len(probe.weights)
    out = probe(some_speech(), torch.ones(2))
    assert torch.allclose(out, states.mean(0), rtol=0, atol=1e-6)
    probe.weights.data = torch.tensor([0.0, 100.0, 0.0])
    assert torch.allclose(probe(some_speech()), states[1], rtol=0, atol=1e-6)


@torch.no_grad()
def test_weighted_sum_can_normalise_each_state():
    torch.manual_seed(0)
    probe = WeightedData2Vec("tiny", layernorm=True).eval()
    states = probe.encoder(some_speech())
    expected = F.layer_norm(states, (128,)).mean(0)
    assert torch.allclose(probe(some_speech()), expected, rtol=0, atol=1e-6)


def test_frozen_weighted_sum_learns_its_weights_alone():
    probe = WeightedData2Vec("tiny", freeze=True, encoder_layerdrop=0.5)
    nn.ModuleDict({"probe": probe}).train()
    learning = [n for n, p in probe.named_parameters() if p.requires_grad]
    assert learning == ["weights"]
    out = probe(some_speech())
    assert torch.equal(out, probe(some_speech()))
    out.square().sum().backward()
    assert probe.weights.grad.abs().sum() > 0
    names = [name for name, _ in probe.model.named_parameters()]
    assert names and probe.output_size == 128
