"""The encoder computes what Transformers computes, and exchanges weights.

Weights are random, at the sizes of the published models, with norms and
biases perturbed: at their initial ones and zeros, exchanging two norms would
go unnoticed.

Authors
 * The d2v_sb developers 2026
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from d2v_sb.checkpoints import load_checkpoint, save_hf, save_native
from d2v_sb.checkpoints.keys import HF, OURS, rename
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.lobes.feature_extractor import normalise_waveform
from d2v_sb.presets import PRESETS, EncoderConfig

transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4
TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "|", "E", "T", "A", "'"]


@torch.no_grad()
def perturb(model, seed=0):
    """Moves norms and biases away from ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.05)
    return model.eval()


def hf_config(config, **more):
    """Transformers' configuration, in its names as written here."""
    channels, kernels, strides = zip(*config.conv_feature_layers, strict=True)
    return transformers.Data2VecAudioConfig(
        num_hidden_layers=config.encoder_layers,
        hidden_size=config.encoder_embed_dim,
        intermediate_size=config.encoder_ffn_embed_dim,
        num_attention_heads=config.encoder_attention_heads,
        conv_dim=list(channels),
        conv_kernel=list(kernels),
        conv_stride=list(strides),
        **more,
    )


def clip(seconds=0.5, batch=1):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, int(seconds * 16000), generator=generator)


@torch.no_grad()
def errors_of_states(encoder, theirs, wavs):
    """Largest difference of each of the L+1 states."""
    encoder.output_all_hiddens = True
    ours = encoder(wavs)
    expected = theirs(normalise_waveform(wavs), output_hidden_states=True)
    assert len(ours) == len(expected.hidden_states)
    pairs = zip(ours, expected.hidden_states, strict=True)
    return [(a - b).abs().max().item() for a, b in pairs]


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def random_checkpoint(config, seed=0, **more):
    """An encoder of ours with random weights, and its checkpoint."""
    encoder = perturb(Data2VecAudio(config), seed)
    weights = dict(encoder.state_dict())
    weights.pop("_extra_state")
    return encoder, Checkpoint("random", "test", config, weights, **more)


def load_strictly(folder, auto=transformers.AutoModel):
    """A Transformers model, if every weight found its place."""
    model, info = auto.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    return model.eval()


# Tiny: every way in and out


@pytest.fixture(scope="module")
def tiny_hf(tmp_path_factory):
    """A tiny model of Transformers, and the folder that it is saved in."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = hf_config(PRESETS["tiny"])
    model = perturb(transformers.Data2VecAudioModel(config))
    model.save_pretrained(folder)
    return model, folder


def copy_folder(folder, target):
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_transformers_folder_loads_and_agrees(tiny_hf):
    model, folder = tiny_hf
    encoder = Data2VecAudio(str(folder)).eval()
    errors = errors_of_states(encoder, model, clip(batch=2))
    assert max(errors) < TOLERANCE, errors


def test_architecture_is_read_from_the_folder(tiny_hf):
    _, folder = tiny_hf
    config = Data2VecAudio(str(folder)).config
    assert config.architecture() == PRESETS["tiny"].architecture()


def test_padding_fairseq_equals_transformers_padded_batch(tiny_hf):
    model, folder = tiny_hf
    encoder = Data2VecAudio(str(folder), padding="fairseq").eval()
    wavs, lens = clip(batch=2), torch.tensor([1.0, 0.5])
    num_samples = (lens * wavs.shape[1]).long()
    attend = torch.arange(wavs.shape[1]) < num_samples[:, None]
    with torch.no_grad():
        ours = encoder(wavs, lens)
        theirs = model(
            normalise_waveform(wavs, num_samples), attention_mask=attend.long()
        ).last_hidden_state
    valid = ~encoder.padding_mask(wavs, lens)
    assert (ours - theirs)[valid].abs().max() < TOLERANCE


def test_pytorch_model_bin_gives_the_same_weights(tiny_hf, tmp_path):
    _, folder = tiny_hf
    old = copy_folder(folder, tmp_path / "old")
    torch.save(load_file(old / "model.safetensors"), old / "pytorch_model.bin")
    (old / "model.safetensors").unlink()
    assert_same_weights(old, folder)


def test_sharded_safetensors_give_the_same_weights(tiny_hf, tmp_path):
    model, folder = tiny_hf
    model.save_pretrained(tmp_path / "shards", max_shard_size="500KB")
    assert (tmp_path / "shards" / "model.safetensors.index.json").is_file()
    assert_same_weights(tmp_path / "shards", folder)


def assert_same_weights(folder, expected):
    ours = load_checkpoint(folder).encoder
    theirs = load_checkpoint(expected).encoder
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_waveform_is_normalised_unless_the_folder_says_no(tiny_hf, tmp_path):
    _, folder = tiny_hf
    assert load_checkpoint(folder).config.normalize
    other = copy_folder(folder, tmp_path / "other")
    for answer in (True, False):
        text = json.dumps({"do_normalize": answer})
        (other / "preprocessor_config.json").write_text(text)
        assert load_checkpoint(other).config.normalize is answer


@pytest.mark.parametrize("normalize", (True, False))
def test_save_hf_passes_normalisation_on(tmp_path, normalize):
    config = EncoderConfig(**{**vars(PRESETS["tiny"]), "normalize": normalize})
    save_hf(random_checkpoint(config)[1], tmp_path / "hf")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(
        tmp_path / "hf"
    )
    assert extractor.do_normalize is normalize
    assert extractor.sampling_rate == 16000
    assert load_checkpoint(tmp_path / "hf").config == config


def test_transformers_loads_what_we_save(tmp_path):
    encoder, checkpoint = random_checkpoint(PRESETS["tiny"])
    save_hf(checkpoint, tmp_path / "hf")
    model = load_strictly(tmp_path / "hf")
    assert type(model) is transformers.Data2VecAudioModel
    assert max(errors_of_states(encoder, model, clip())) < TOLERANCE


def test_unusual_sizes_survive_both_directions(tmp_path):
    config = EncoderConfig(
        conv_feature_layers=((16, 10, 5), (24, 3, 2), (8, 2, 2)),
        conv_bias=True,
        encoder_layers=3,
        encoder_embed_dim=48,
        encoder_ffn_embed_dim=40,
        encoder_attention_heads=3,
        conv_pos=21,
        conv_pos_groups=4,
        pos_conv_depth=3,
    )
    encoder, checkpoint = random_checkpoint(config)
    save_hf(checkpoint, tmp_path / "hf")
    model = load_strictly(tmp_path / "hf")
    assert max(errors_of_states(encoder, model, clip(0.1))) < TOLERANCE
    model.save_pretrained(tmp_path / "back")
    assert_same_weights(tmp_path / "back", tmp_path / "hf")


# CTC


def test_ctc_folder_of_transformers_is_read_with_its_vocabulary(tmp_path):
    torch.manual_seed(0)
    config = hf_config(PRESETS["tiny"], vocab_size=len(TOKENS))
    model = perturb(transformers.Data2VecAudioForCTC(config))
    model.save_pretrained(tmp_path)
    # The blank is <pad>; the order in the file is not that of the numbers.
    names = ["<pad>", "<s>", *TOKENS[2:]]
    ids = {name: i for i, name in reversed(list(enumerate(names)))}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.vocabulary == names
    encoder, head = Data2VecAudio(str(tmp_path)).eval(), checkpoint.ctc_head
    with torch.no_grad():
        logits = encoder(clip()) @ head["weight"].T + head["bias"]
        expected = model(normalise_waveform(clip())).logits
    assert (logits - expected).abs().max() < TOLERANCE


@pytest.fixture
def ctc_folder(tmp_path):
    """A CTC model of ours written for Transformers; its parts."""
    width = PRESETS["tiny"].encoder_embed_dim
    generator = torch.Generator().manual_seed(0)
    head = {
        "weight": torch.randn(len(TOKENS), width, generator=generator),
        "bias": torch.randn(len(TOKENS), generator=generator),
    }
    encoder, checkpoint = random_checkpoint(
        PRESETS["tiny"], ctc_head=head, vocabulary=TOKENS
    )
    save_hf(checkpoint, tmp_path / "ctc")
    return encoder, head, tmp_path / "ctc"


def test_transformers_loads_the_ctc_model_that_we_save(ctc_folder):
    encoder, head, folder = ctc_folder
    model = load_strictly(folder, transformers.AutoModelForCTC)
    assert type(model) is transformers.Data2VecAudioForCTC
    with torch.no_grad():
        logits = encoder(clip()) @ head["weight"].T + head["bias"]
        expected = model(normalise_waveform(clip())).logits
    assert (logits - expected).abs().max() < TOLERANCE


def test_processor_decodes_with_the_blank_and_spaces(ctc_folder):
    _, _, folder = ctc_folder
    processor = transformers.Wav2Vec2Processor.from_pretrained(folder)
    space, E, T, A = (TOKENS.index(token) for token in "|ETA")
    blank = 0
    ids = [blank, T, T, blank, E, blank, E, space, space, A, A, T, blank]
    assert processor.decode(ids) == "TEE AT"
    assert processor.tokenizer.pad_token_id == blank
    assert len(processor.tokenizer) == len(TOKENS)


def test_processor_prepares_the_waveform_as_the_encoder_does(ctc_folder):
    encoder, _, folder = ctc_folder
    processor = transformers.Wav2Vec2Processor.from_pretrained(folder)
    wav = 0.1 * clip() + 0.02
    out = processor(wav[0].numpy(), sampling_rate=16000, return_tensors="pt")
    error = out.input_values - normalise_waveform(wav)
    # 1e-5 or 1e-7 beside the variance: not to be seen at speech's level.
    assert error.abs().max() < 5e-3


def test_ctc_head_without_vocabulary_is_not_written(tmp_path):
    config = PRESETS["tiny"]
    head = {
        "weight": torch.zeros(3, config.encoder_embed_dim),
        "bias": torch.zeros(3),
    }
    _, checkpoint = random_checkpoint(config, ctc_head=head)
    with pytest.raises(CheckpointError, match="no vocabulary"):
        save_hf(checkpoint, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


# What must be refused


def test_wav2vec2_folder_is_refused_by_its_type(tmp_path):
    config = transformers.Wav2Vec2Config(
        num_hidden_layers=1,
        hidden_size=32,
        intermediate_size=32,
        num_attention_heads=2,
        conv_dim=[8] * 7,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="'wav2vec2'"):
        Data2VecAudio(str(tmp_path))


@pytest.mark.parametrize("kept", (0, 100, 0.5, 0.999))
def test_truncated_weights_are_refused(tiny_hf, tmp_path, kept):
    folder = copy_folder(tiny_hf[1], tmp_path / "cut")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    size = int(kept * len(content)) if kept < 1 else kept
    weights.write_bytes(content[:size])
    with pytest.raises(CheckpointError, match="can not be read"):
        Data2VecAudio(str(folder))


@pytest.mark.parametrize("kept", (0, 100, 0.5, 0.999))
def test_truncated_pytorch_model_bin_is_refused(tiny_hf, tmp_path, kept):
    folder = copy_folder(tiny_hf[1], tmp_path / "cut")
    weights = folder / "pytorch_model.bin"
    torch.save(load_file(folder / "model.safetensors"), weights)
    (folder / "model.safetensors").unlink()
    content = weights.read_bytes()
    size = int(kept * len(content)) if kept < 1 else kept
    weights.write_bytes(content[:size])
    with pytest.raises(CheckpointError, match="can not be read"):
        Data2VecAudio(str(folder))


def test_folder_without_weights_is_refused(tiny_hf, tmp_path):
    folder = copy_folder(tiny_hf[1], tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="none of model.safetensors"):
        Data2VecAudio(str(folder))


def test_missing_unexpected_and_misshapen_weights_are_named(tiny_hf, tmp_path):
    folder = copy_folder(tiny_hf[1], tmp_path / "wrong")
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layers.1.final_layer_norm.bias")
    weights["encoder.layers.1.adapter.weight"] = torch.zeros(3)
    name = "feature_projection.projection.weight"
    weights[name] = weights[name][:, 1:].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        Data2VecAudio(str(folder))
    message = str(caught.value)
    assert "missing encoder.layers.1.final_layer_norm.bias" in message
    assert "unexpected encoder.layers.1.adapter.weight" in message
    assert "misshapen projection.linear.weight" in message


def test_model_safetensors_alone_asks_for_its_folder(tiny_hf):
    _, folder = tiny_hf
    with pytest.raises(CheckpointError, match="give the folder"):
        Data2VecAudio(str(folder / "model.safetensors"))


# The published sizes


@pytest.fixture
def roomy(tmp_path):
    """A folder that is emptied at once: these models are large."""
    yield tmp_path
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.unlink()


def test_base_agrees_in_both_directions(roomy):
    torch.manual_seed(0)
    # The configuration is Transformers' own default: data2vec Base.
    config = transformers.Data2VecAudioConfig()
    model = perturb(transformers.Data2VecAudioModel(config))
    model.save_pretrained(roomy / "theirs")
    encoder = Data2VecAudio(str(roomy / "theirs")).eval()
    assert encoder.config.architecture() == PRESETS["base"].architecture()
    assert num_parameters(encoder) == num_parameters(model)
    errors = errors_of_states(encoder, model, clip())
    assert len(errors) == 13
    assert max(errors) < TOLERANCE, errors

    save_hf(load_checkpoint(roomy / "theirs"), roomy / "ours")
    back = load_strictly(roomy / "ours").state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(back[name], value), name


def test_large_agrees_in_both_directions(roomy):
    torch.manual_seed(0)
    encoder, checkpoint = random_checkpoint(PRESETS["large"])
    save_hf(checkpoint, roomy / "ours")
    model = load_strictly(roomy / "ours")
    assert num_parameters(encoder) == num_parameters(model)
    errors = errors_of_states(encoder, model, clip())
    assert len(errors) == 25
    assert max(errors) < TOLERANCE, errors

    # Back in memory: the disk's part is the same as Base's.
    weights, unknown = rename(model.state_dict(), HF, OURS)
    assert not unknown
    for name, value in checkpoint.encoder.items():
        assert torch.equal(weights[name], value), name
    assert weights.keys() == checkpoint.encoder.keys()


def test_native_file_of_a_transformers_model_agrees(tiny_hf, tmp_path):
    model, folder = tiny_hf
    save_native(load_checkpoint(folder), tmp_path / "tiny.safetensors")
    encoder = Data2VecAudio(str(tmp_path / "tiny.safetensors")).eval()
    assert max(errors_of_states(encoder, model, clip())) < TOLERANCE
