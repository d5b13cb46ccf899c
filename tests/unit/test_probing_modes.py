"""How the frozen encoder is run: as it should be, and as it was published.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.lobes import WeightedData2Vec
from d2v_sb.lobes.feature_extractor import normalise_waveform
from d2v_sb.presets import PRESETS
from d2v_sb.probing import FrozenEncoder, LayerSum

SILENT = {
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "dropout_input": 0.0,
    "encoder_layerdrop": 0.0,
}
# Of the longest waveform, of one that is as long, of one that is shorter by a
# sample, by half a hop and by a hop (320), and of the shortest ones that make
# one frame (400) and two (720).
LENGTHS = (16000, 16000, 15999, 15840, 15680, 9001, 720, 719, 401, 400)


@pytest.fixture(autouse=True)
def seeded():
    """Weights and dropout of a test are always the same."""
    torch.manual_seed(0)


def waves(*lengths):
    """Noise with an offset, which normalisation would take away."""
    generator = torch.Generator().manual_seed(1)
    return [0.3 * torch.randn(n, generator=generator) + 0.1 for n in lengths]


def encoder(mode, **changes):
    """A tiny one that draws nothing at random unless it is told to."""
    config = dataclasses.replace(PRESETS["tiny"], **{**SILENT, **changes})
    return FrozenEncoder(config, mode)


def furthest(ours, theirs):
    """Largest difference."""
    return (ours.float() - theirs.float()).abs().max().item()


def complete(frozen, wavs, seed=(1, 0)):
    """States that training sees."""
    kept = frozen.training_view.keep(wavs, max(map(len, wavs)))
    return frozen.training_view.complete(kept, [len(w) for w in wavs], seed)[0]


# clean


def test_clean_utterances_get_in_any_batch_what_they_get_alone():
    """The other mode, in which padding is heard, does not do that."""
    wavs = waves(*LENGTHS)
    for mode in ("clean", "published"):
        view = encoder(mode).test_view
        together = view.keep(wavs, 17777)
        errors = []
        for wav, own in zip(wavs, together, strict=True):
            (alone,) = view.keep([wav], len(wav))
            errors.append(furthest(own[: len(alone)], alone))
        if mode == "clean":
            assert max(errors) < 1e-5
            assert [len(own) for own in together] == [
                view.frozen.num_frames(len(wav)) for wav in wavs
            ]
        else:
            assert min(errors) > 1e-3


def test_clean_states_are_those_of_the_weighted_lobe():
    """Whatever they are summed with; train mode of a lobe with dropout is
    another thing."""
    config = PRESETS["tiny"]
    frozen = FrozenEncoder(config, "clean")
    lobe = WeightedData2Vec(config, layernorm=True, freeze=True)
    lobe.encoder.load_state_dict(frozen.lobe.state_dict())
    mine = LayerSum(frozen.num_layers, layernorm=True)
    with torch.no_grad():
        mine.weights.copy_(torch.tensor([0.1, -1.0, 2.0]))
        lobe.weights.copy_(mine.weights)
    wavs = waves(16000, 9001)
    batch = pad_sequence(wavs, batch_first=True)
    expected = lobe(batch, torch.tensor([1.0, 9001 / 16000]))
    for view in (frozen.training_view, frozen.test_view):
        kept = view.keep(wavs, 16000)
        states, num_frames = view.complete(kept, [16000, 9001], (1, 0))
        assert num_frames == [49, 27] and states.shape == (2, 49, 3, 128)
        for row, own, t in zip(mine(states), expected, num_frames, strict=True):
            assert furthest(row[:t], own[:t]) < 1e-5
    lobe.encoder.freeze = False
    lobe.train()
    noisy = lobe(batch, torch.tensor([1.0, 9001 / 16000]))
    assert furthest(noisy[0], expected[0]) > 1e-2


def test_clean_draws_nothing_whatever_the_seed():
    frozen = FrozenEncoder("tiny", "clean")
    wavs = waves(9000, 8000)
    first = complete(frozen, wavs, (1, 0))
    assert torch.equal(first, complete(frozen, wavs, (2, 7)))


def test_long_clean_utterances_are_heard_to_their_last_sample():
    """Relative lengths in single precision are one off after 17 minutes."""
    frozen, longest = encoder("clean"), 20 * 60 * 16000 + 77
    wavs = [torch.zeros(1).expand(longest - 320 * i - 1) for i in range(9)]
    num_samples = torch.tensor([len(wav) for wav in wavs])
    single = (num_samples / longest).double() * longest
    assert not torch.equal(single.round().long(), num_samples)
    heard = []

    def lobe(batch, relative):
        heard.append((relative.double() * batch.shape[1]).round().long())
        return torch.zeros(3, 9, 1, 128)

    frozen.lobe.forward = lobe
    frozen.padded = lambda wavs, longest: torch.zeros(1, 1).expand(9, longest)
    frozen.test_view.keep(wavs, longest)
    assert torch.equal(heard[0], num_samples)


# published, to test


@pytest.fixture(scope="module")
def transformers_model(tmp_path_factory):
    """A tiny model of Transformers with norms and biases moved away from ones
    and zeros, and its folder."""
    transformers = pytest.importorskip("transformers")
    config = PRESETS["tiny"]
    channels, kernels, strides = zip(*config.conv_feature_layers, strict=True)
    torch.manual_seed(0)
    model = transformers.Data2VecAudioModel(
        transformers.Data2VecAudioConfig(
            num_hidden_layers=config.encoder_layers,
            hidden_size=config.encoder_embed_dim,
            intermediate_size=config.encoder_ffn_embed_dim,
            num_attention_heads=config.encoder_attention_heads,
            conv_dim=list(channels),
            conv_kernel=list(kernels),
            conv_stride=list(strides),
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.05 * torch.randn(parameter.shape))
    folder = tmp_path_factory.mktemp("hf")
    model.save_pretrained(folder)
    return model, str(folder)


@torch.no_grad()
def test_published_states_are_transformers_without_mask_or_normalisation(
    transformers_model,
):
    """As SpeechBrain's ``WeightedSSLModel`` calls it; either would show."""
    model, folder = transformers_model
    wavs = waves(16000, 12345, 5000)
    batch = pad_sequence(wavs, batch_first=True)
    num_samples = torch.tensor([len(w) for w in wavs])
    mask = (torch.arange(16000) < num_samples[:, None]).long()

    def theirs(wavs, **options):
        found = model(wavs, output_hidden_states=True, **options)
        return torch.stack(found.hidden_states, dim=2)

    view = FrozenEncoder(folder, "published").test_view
    kept = view.keep(wavs, 16000)
    states, num_frames = view.complete(kept, num_samples.tolist(), ())
    assert furthest(states, theirs(batch)) < 1e-4
    assert furthest(states, theirs(normalise_waveform(batch))) > 1e-2
    masked = theirs(batch, attention_mask=mask)
    assert furthest(states[2, :15], masked[2, :15]) > 1e-2
    # 15 are whole; SpeechBrain rounds relative lengths.
    assert num_frames == [49, 38, 15]


@torch.no_grad()
def test_published_training_is_transformers_but_for_what_is_drawn(
    transformers_model, monkeypatch
):
    """Everything off that is drawn, which the model's configuration had on."""
    model, folder = transformers_model
    wavs = waves(16000, 12345, 5000)
    frozen = FrozenEncoder(folder, "published")
    config = frozen.lobe.config
    assert (config.dropout, config.encoder_layerdrop) == (0.1, 0.1)
    for module in frozen.lobe.modules():
        for name in ("dropout", "activation_dropout", "layerdrop"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    monkeypatch.setattr(
        frozen.training_view,
        "_hidden",
        lambda B, T, seed: torch.zeros(B, T).bool(),
    )
    batch = pad_sequence(wavs, batch_first=True)
    theirs = model(batch, output_hidden_states=True)
    expected = torch.stack(theirs.hidden_states, dim=2)
    assert furthest(complete(frozen, wavs), expected) < 1e-4


def test_published_lengths_are_rounded_as_speechbrain_does():
    view = encoder("published").test_view
    kept = [torch.zeros(100, 1, 1)] * 4
    lengths = [32000, 8003, 16160, 100]
    _, num_frames = view.complete(kept, lengths, ())
    relative = torch.tensor(lengths) / 32000
    expected = torch.round(relative * 100).int().tolist()
    assert num_frames == [*expected[:3], 1] and expected[3] == 0


# published, to train


def frames_seen(frozen, wavs, kept, monkeypatch):
    """Conv frames that ``complete`` makes of what was kept."""
    seen, own = [], frozen.lobe.project
    with monkeypatch.context() as patch:
        patch.setattr(
            frozen.lobe, "project", lambda x: seen.append(x) or own(x)
        )
        frozen.training_view.complete(kept, [len(w) for w in wavs], (1, 0))
    return seen[0]


@pytest.mark.parametrize("longest", LENGTHS[:5])
def test_kept_frames_are_those_of_the_padded_batch(longest, monkeypatch):
    """Also those that see an utterance's end and padding, also where each
    was kept alone; frames of padding that are zero, as one might think that
    they are, would be others."""
    wavs = waves(longest, *LENGTHS[5:])
    frozen = encoder("published", conv_bias=True)
    for parameter in frozen.lobe.feature_extractor.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        expected = frozen.lobe.extract(pad_sequence(wavs, batch_first=True))
    together = frozen.training_view.keep(wavs, longest)
    alone = [frozen.training_view.keep([wav], len(wav))[0] for wav in wavs]
    for kept in (together, alone):
        found = frames_seen(frozen, wavs, kept, monkeypatch)
        assert found.shape == expected.shape
        assert furthest(found, expected) < 1e-5
    assert expected[-1, -1].abs().max() > 0.1


def test_kept_frames_of_one_batch_are_the_same_bit_for_bit(monkeypatch):
    """Of the batch as training pads it, and what the cache made of it."""
    wavs = waves(16000, 15000, 9001)
    frozen = encoder("published")
    longest = 16000 + 2 * 400
    batch = torch.zeros(3, longest)
    for row, wav in zip(batch, wavs, strict=True):
        row[: len(wav)] = wav
    with torch.no_grad():
        expected = frozen.lobe.extract(batch)[:, :49]
    kept = frozen.training_view.keep(wavs, 16000)
    assert torch.equal(frames_seen(frozen, wavs, kept, monkeypatch), expected)


def test_little_is_kept_to_train():
    """As much as an utterance has, and not as its batch is padded to."""
    frozen = encoder("published")
    kept = frozen.training_view.keep(waves(16000, 5000), 16000)
    assert [tuple(own.shape) for own in kept] == [(52, 1, 32), (17, 1, 32)]
    seconds = frozen.training_view.values_per_second
    assert seconds == 50 * 32
    assert frozen.test_view.values_per_second == 50 * 3 * 128


@pytest.mark.parametrize(
    "part",
    ["dropout", "attention_dropout", "activation_dropout", "dropout_input"],
)
def test_dropout_happens_in_training_and_not_in_testing(part):
    frozen, wavs = encoder("published", **{part: 0.2}), waves(9000, 7000)
    torch.manual_seed(1)
    first, again = complete(frozen, wavs), complete(frozen, wavs)
    assert furthest(first, again) > 1e-3
    torch.manual_seed(1)
    assert torch.equal(complete(frozen, wavs), first)
    kept = (frozen.test_view.keep(wavs, 9000) for _ in range(2))
    assert all(map(torch.equal, *kept))


def test_layers_are_dropped_in_training_and_not_in_testing():
    """A dropped layer gives what it was given."""
    frozen = encoder("published", encoder_layerdrop=0.5)
    wavs = waves(9000, 7000)

    def dropped(states):
        return [
            torch.equal(states[:, :, k], states[:, :, k + 1]) for k in (0, 1)
        ]

    seen = [dropped(complete(frozen, wavs)) for _ in range(20)]
    assert {tuple(s) for s in seen} >= {(True, False), (False, True)}
    for _ in range(5):
        states = torch.stack(frozen.test_view.keep(wavs, 9000))
        assert dropped(states) == [False, False]


def test_frames_are_hidden_in_training_by_seed_and_not_in_testing(monkeypatch):
    """SpecAugment, of this batch and seed alone."""
    frozen, wavs = encoder("published"), waves(9000, 7000)
    first = complete(frozen, wavs, (1, 5))
    torch.manual_seed(77)
    assert torch.equal(complete(frozen, wavs, (1, 5)), first)
    others = (complete(frozen, wavs, seed) for seed in ((1, 6), (2, 5)))
    assert all(furthest(other, first) > 1e-2 for other in others)
    plain = torch.stack(frozen.test_view.keep(wavs, 9000))
    assert furthest(first, plain) > 1e-2
    monkeypatch.setattr(
        frozen.training_view,
        "_hidden",
        lambda B, T, seed: torch.zeros(B, T).bool(),
    )
    assert furthest(complete(frozen, wavs), plain) < 1e-5


def test_two_spans_of_ten_frames_or_more_are_hidden():
    """Of each utterance, however short; hidden frames are the learned
    embedding, padding may be hidden too."""
    frozen, seen = encoder("published"), []
    wavs, own = waves(16000, 9000), frozen.lobe.contextualize
    frozen.lobe.contextualize = lambda x, *rest: seen.append(x) or own(x, *rest)
    for number in range(40):
        complete(frozen, wavs, (1, number))
    hidden = (torch.stack(seen) == frozen.lobe.mask_emb).all(dim=-1)
    counts = hidden.sum(dim=-1)
    assert 11 <= counts.min() and 20 == counts.median()
    assert hidden[:, 1, 28:].any() and len(counts.unique()) > 3
    assert hidden.float().mean() < 0.5


def test_encoder_is_in_eval_mode_afterwards_and_unchanged(monkeypatch):
    """Also where training was interrupted in it."""
    frozen, wavs = FrozenEncoder("tiny", "published"), waves(9000, 7000)
    before = {k: v.clone() for k, v in frozen.lobe.state_dict().items()}
    states = complete(frozen, wavs)
    assert not states.requires_grad
    assert not any(p.requires_grad for p in frozen.lobe.parameters())

    def interrupt(*_):
        assert all(m.training for m in frozen.lobe.modules())
        raise KeyboardInterrupt

    monkeypatch.setattr(frozen.lobe, "contextualize", interrupt)
    with pytest.raises(KeyboardInterrupt):
        complete(frozen, wavs)
    assert not any(m.training for m in frozen.lobe.modules())
    for name, value in frozen.lobe.state_dict().items():
        assert torch.equal(value, before[name])


# both


@pytest.mark.parametrize("mode", ["clean", "published"])
def test_half_precision_is_near_single(mode):
    """And what is kept can be completed."""
    single, wavs = encoder(mode), waves(9000, 7000)
    half = FrozenEncoder(single.lobe.config, mode, precision="bf16")
    half.lobe.load_state_dict(single.lobe.state_dict())
    error = furthest(complete(half, wavs), complete(single, wavs))
    assert 1e-4 < error < 0.2
    assert half.training_view.settings() != single.training_view.settings()


def test_settings_tell_apart_what_is_not_the_same():
    """Views, weights and precision; two of one kind are the same."""
    encoders = []
    for mode, precision in (
        ("clean", "fp32"),
        ("published", "fp32"),
        ("clean", "fp16"),
    ):
        torch.manual_seed(3)
        encoders.append(FrozenEncoder("tiny", mode, precision=precision))
    views = [
        encoders[0].test_view,
        encoders[1].training_view,
        encoders[1].test_view,
    ]
    found = [view.settings() for view in [*views, encoders[2].test_view]]
    assert all(a != b for i, a in enumerate(found) for b in found[:i])
    assert encoders[0].training_view.settings() == found[0]
    torch.manual_seed(3)
    other = FrozenEncoder("tiny", "clean")
    with torch.no_grad():
        other.lobe.encoder.layers[1].fc1.bias[7] += 1e-3
    assert other.test_view.settings() != found[0]


def test_teacher_is_probed_if_asked_for():
    """Random weights have none."""
    with pytest.raises(CheckpointError, match="teacher"):
        FrozenEncoder("tiny", "clean", weights="teacher")


def test_unknown_mode_is_refused():
    with pytest.raises(UserError, match="--mode old: .*clean, published"):
        FrozenEncoder("tiny", "old")
