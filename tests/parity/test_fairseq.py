"""The encoder computes what fairseq computed, to float rounding.

The recordings are of fairseq's own model, see their README. That the
tolerance means something is shown by plausible mistakes, each of which must
break the comparison by far.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from speechbrain.nnet.linear import Linear

from d2v_sb.checkpoints import (
    load_checkpoint,
    save_fairseq,
    save_hf,
    save_native,
)
from d2v_sb.errors import CheckpointError
from d2v_sb.lobes import CTCModel, Data2VecAudio, WeightedData2Vec
from d2v_sb.lobes.feature_extractor import normalise_waveform
from d2v_sb.lobes.packing import Packing

pytestmark = pytest.mark.parity

TOLERANCE = 2e-5
PRETRAINED = ("fairseq_v1_tiny.pt", "fairseq_v1_tiny_args.pt")


@pytest.fixture(scope="module")
def recorded(reference):
    return load_file(reference / "fairseq_v1_tiny.safetensors")


@pytest.fixture(scope="module")
def recorded_ctc(reference):
    return load_file(reference / "fairseq_v1_tiny_ctc.safetensors")


@pytest.fixture
def encoder(reference):
    return Data2VecAudio(str(reference / PRETRAINED[0])).eval()


def utterances(recorded):
    """Index and waveform (1, n) of each, padding left out."""
    lengths = recorded["num_samples"].tolist()
    return [
        (i, recorded["raw_wavs"][i : i + 1, :n]) for i, n in enumerate(lengths)
    ]


def padded_batch(recorded):
    wavs = recorded["raw_wavs"]
    return wavs, recorded["num_samples"] / wavs.shape[1]


@torch.no_grad()
def computed(encoder, wavs, wav_lens=None):
    """Everything of a batch, under the recording's names."""
    conv = encoder.extract(wavs, wav_lens)
    projected = encoder.project(conv)
    num_layers = encoder.config.encoder_layers
    context = encoder.contextualize(
        projected,
        encoder.padding_mask(wavs, wav_lens),
        output_all_hiddens=True,
        top_k_ffn=num_layers,
    )
    out = {"conv": conv, "projected": projected}
    out["features"] = context.last_hidden_state
    for i in range(num_layers):
        out[f"layer.{i}.output"] = context.hidden_states[i + 1]
        out[f"layer.{i}.ffn"] = context.ffn_outputs[i]
    return out


def errors_alone(encoder, recorded):
    """Largest error of each quantity over the utterances, each alone."""
    errors = {}
    for i, wav in utterances(recorded):
        for name, value in computed(encoder, wav).items():
            expected = recorded.get(f"alone.{i}.{name}")
            if expected is not None:
                assert value[0].shape == expected.shape
                error = (value[0] - expected).abs().max().item()
                errors[name] = max(error, errors.get(name, 0.0))
    return errors


def error_padded(encoder, recorded):
    """Largest error on the valid frames of the padded batch."""
    valid = ~recorded["padded.padding_mask"]
    features = computed(encoder, *padded_batch(recorded))["features"]
    return (features - recorded["padded.features"])[valid].abs().max().item()


def error_against_alone(encoder, recorded):
    """Largest error of the padded batch against the utterances alone."""
    batch = computed(encoder, *padded_batch(recorded))
    worst = 0.0
    for i, _ in utterances(recorded):
        for name, value in batch.items():
            expected = recorded.get(f"alone.{i}.{name}")
            if expected is not None:
                value = value[i, : len(expected)]
                worst = max(worst, (value - expected).abs().max().item())
    return worst


# Parity


@pytest.mark.parametrize("name", PRETRAINED)
def test_every_layer_and_ffn_output_equals_fairseqs(reference, recorded, name):
    encoder = Data2VecAudio(str(reference / name)).eval()
    errors = errors_alone(encoder, recorded)
    # Nothing recorded was left out.
    names = {k.split(".", 2)[2] for k in recorded if k.startswith("alone.")}
    assert set(errors) == names
    assert max(errors.values()) < TOLERANCE, errors


def test_waveform_is_normalised_as_fairseq_does(recorded):
    out = normalise_waveform(recorded["raw_wavs"], recorded["num_samples"])
    expected = recorded["normalised_wavs"]
    assert torch.allclose(out, expected, rtol=0, atol=TOLERANCE)


def test_padding_fairseq_equals_fairseqs_padded_batch(reference, recorded):
    source = str(reference / PRETRAINED[0])
    encoder = Data2VecAudio(source, padding="fairseq").eval()
    assert error_padded(encoder, recorded) < TOLERANCE


def test_padding_mask_equals_fairseqs(encoder, recorded):
    mask = encoder.padding_mask(*padded_batch(recorded))
    assert torch.equal(mask, recorded["padded.padding_mask"])


def test_by_default_each_padded_utterance_equals_fairseqs_alone(
    encoder, recorded
):
    assert error_against_alone(encoder, recorded) < TOLERANCE
    # fairseq's own padded batch does not: the difference is real.
    assert error_padded(encoder, recorded) > 100 * TOLERANCE


def test_forward_returns_the_recorded_states(reference, recorded):
    source = str(reference / PRETRAINED[0])
    encoder = Data2VecAudio(source, output_all_hiddens=True).eval()
    with torch.no_grad():
        states = encoder(*padded_batch(recorded))
    for i, _ in utterances(recorded):
        for layer in range(encoder.config.encoder_layers):
            expected = recorded[f"alone.{i}.layer.{layer}.output"]
            out = states[layer + 1, i, : len(expected)]
            assert torch.allclose(out, expected, rtol=0, atol=TOLERANCE)


# CTC


def dictionary_tokens(reference):
    """The tokens by fairseq's rule: four special ones, then the letters."""
    lines = (reference / "dict.ltr.txt").read_text(encoding="utf-8")
    letters = [line.split()[0] for line in lines.splitlines()]
    return ["<s>", "<pad>", "</s>", "<unk>"] + letters


def test_ctc_logits_equal_fairseqs(reference, recorded, recorded_ctc):
    path = reference / "fairseq_v1_tiny_ctc.pt"
    head = load_checkpoint(path).ctc_head
    encoder = Data2VecAudio(str(path)).eval()
    for i, wav in utterances(recorded):
        with torch.no_grad():
            logits = encoder(wav)[0] @ head["weight"].T + head["bias"]
        expected = recorded_ctc[f"alone.{i}.logits"]
        assert torch.allclose(logits, expected, rtol=0, atol=TOLERANCE)


def test_padded_ctc_log_probs_equal_fairseqs_alone(
    reference, recorded, recorded_ctc
):
    path = reference / "fairseq_v1_tiny_ctc.pt"
    weights = load_checkpoint(path).ctc_head
    head = Linear(
        input_size=weights["weight"].shape[1], n_neurons=len(weights["bias"])
    )
    head.w.load_state_dict(weights)
    model = CTCModel(Data2VecAudio(str(path)), head).eval()
    with torch.no_grad():
        log_probs = model(*padded_batch(recorded))
    for i, _ in utterances(recorded):
        expected = recorded_ctc[f"alone.{i}.logits"].log_softmax(-1)
        out = log_probs[i, : len(expected)]
        assert torch.allclose(out, expected, rtol=0, atol=TOLERANCE)


def test_vocabulary_is_read_from_beside_the_checkpoint(reference):
    checkpoint = load_checkpoint(reference / "fairseq_v1_tiny_ctc.pt")
    assert checkpoint.vocabulary == dictionary_tokens(reference)
    assert len(checkpoint.vocabulary) == len(checkpoint.ctc_head["bias"])


def test_vocabulary_is_read_from_a_named_dictionary(reference, tmp_path):
    path = tmp_path / "ctc.pt"
    path.write_bytes((reference / "fairseq_v1_tiny_ctc.pt").read_bytes())
    assert load_checkpoint(path).vocabulary is None
    named = load_checkpoint(path, dictionary=str(reference / "dict.ltr.txt"))
    assert named.vocabulary == dictionary_tokens(reference)


def test_dictionary_of_another_size_is_refused(reference, tmp_path):
    path = tmp_path / "dict.ltr.txt"
    path.write_text("A 3\nB 2\n")
    with pytest.raises(CheckpointError, match="6 tokens"):
        load_checkpoint(reference / "fairseq_v1_tiny_ctc.pt", dictionary=path)


# Formats

FORMATS = (
    "args",
    "final_proj.0",
    "fairseq",
    "native",
    "hf",
    "lobe.ckpt",
    "folder",
    "ctc.ckpt",
    "weighted.ckpt",
)


@pytest.fixture(scope="module")
def formats(reference, tmp_path_factory):
    """The same weights in every format that we read: path by name."""
    folder = tmp_path_factory.mktemp("formats")
    pretrained = reference / PRETRAINED[0]
    checkpoint = load_checkpoint(pretrained)
    paths = {"args": reference / PRETRAINED[1]}

    file = torch.load(pretrained, weights_only=False)
    for name in ("weight", "bias"):
        value = file["model"].pop(f"final_proj.{name}")
        file["model"][f"final_proj.0.{name}"] = value
    paths["final_proj.0"] = folder / "released.pt"
    torch.save(file, paths["final_proj.0"])

    paths["fairseq"] = folder / "written.pt"
    save_fairseq(checkpoint, paths["fairseq"])
    paths["native"] = folder / "encoder.safetensors"
    save_native(checkpoint, paths["native"])
    paths["hf"] = folder / "hf"
    save_hf(checkpoint, paths["hf"])

    lobe = Data2VecAudio(str(pretrained))
    width, vocabulary = lobe.output_size, 5
    modules = {
        "lobe.ckpt": lobe,
        "folder/model.ckpt": lobe,
        "ctc.ckpt": CTCModel(lobe, torch.nn.Linear(width, vocabulary)),
        "weighted.ckpt": WeightedData2Vec(str(pretrained)),
    }
    (folder / "folder").mkdir()
    for name, module in modules.items():
        torch.save(module.state_dict(), folder / name)
        paths[name] = folder / name
    paths["folder"] = folder / "folder"
    return paths


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_identical_weights(reference, formats, name):
    expected = Data2VecAudio(str(reference / PRETRAINED[0])).state_dict()
    encoder = Data2VecAudio(str(formats[name]))
    out = encoder.state_dict()
    assert list(out) == list(expected)
    for key in expected:
        if key != "_extra_state":
            assert torch.equal(out[key], expected[key]), key
    config = load_checkpoint(reference / PRETRAINED[0]).config
    assert encoder.config.architecture() == config.architecture()


def test_weights_are_those_of_the_file(reference, encoder):
    """Against names spelled out here, not taken from the table."""
    file = torch.load(reference / PRETRAINED[0], weights_only=False)["model"]
    ours = encoder.state_dict()
    last = f"encoder.layers.{encoder.config.encoder_layers - 1}"
    conv = "feature_extractor.conv_layers"
    pairs = (
        ("mask_emb", "mask_emb"),
        ("feature_extractor.layers.3.conv.weight", f"{conv}.3.0.weight"),
        ("feature_extractor.layers.2.norm.bias", f"{conv}.2.2.1.bias"),
        ("projection.norm.weight", "layer_norm.weight"),
        ("projection.linear.bias", "post_extract_proj.bias"),
        ("encoder.positions.layers.4.conv.bias", "encoder.pos_conv.4.0.bias"),
        ("encoder.layer_norm.weight", "encoder.layer_norm.weight"),
        (f"{last}.self_attn.out_proj.weight",) * 2,
        (f"{last}.final_layer_norm.bias",) * 2,
    )
    for name, theirs in pairs:
        assert torch.equal(ours[name], file[theirs]), name


@pytest.mark.parametrize("name", ("args", "final_proj.0", "fairseq", "native"))
def test_teacher_and_predictor_travel_along(reference, formats, name):
    expected = load_checkpoint(reference / PRETRAINED[0])
    out = load_checkpoint(formats[name])
    for part in ("teacher", "predictor"):
        ours, theirs = getattr(out, part), getattr(expected, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_teacher_is_not_the_student(reference):
    file = torch.load(reference / PRETRAINED[0], weights_only=False)["model"]
    checkpoint = load_checkpoint(reference / PRETRAINED[0])
    for name in ("layers.0.fc1.weight", "layer_norm.bias"):
        teacher = checkpoint.teacher[name]
        assert torch.equal(teacher, file["_ema"][name])
        assert not torch.equal(teacher, checkpoint.encoder[f"encoder.{name}"])
    assert len(checkpoint.teacher) == len(file["_ema"])
    predictor = checkpoint.predictor["weight"]
    assert torch.equal(predictor, file["final_proj.weight"])


def test_what_we_write_for_fairseq_is_what_fairseq_wrote(reference, formats):
    """Plain data, of the same names, options and weights."""
    written = torch.load(formats["fairseq"], weights_only=True)
    theirs = torch.load(reference / PRETRAINED[0], weights_only=False)
    assert written.keys() == theirs.keys()
    ours, model = written["model"], theirs["model"]
    ema, their_ema = ours.pop("_ema"), model.pop("_ema")
    for found, expected in ((ours, model), (ema, their_ema)):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].dtype == torch.float32
            assert torch.equal(found[name], value), name
    # Tuples have become lists.
    expected = {**theirs["cfg"], "model": dict(theirs["cfg"]["model"])}
    expected["model"]["latent_temp"] = [2, 0.5, 0.999995]
    assert written["cfg"] == expected
    history, their_history = (
        file["optimizer_history"][-1] for file in (written, theirs)
    )
    assert history.keys() == their_history.keys()


def test_options_that_were_args_become_cfg(reference, tmp_path):
    """fairseq wants more of cfg than of args: a task, and what is None."""
    checkpoint = load_checkpoint(reference / PRETRAINED[1])
    save_fairseq(checkpoint, tmp_path / "a.pt")
    file = torch.load(tmp_path / "a.pt", weights_only=True)
    args = checkpoint.training_config["args"]
    assert file["args"] is None
    assert {**args, **file["cfg"]["model"]} == file["cfg"]["model"]
    assert file["cfg"]["task"]["_name"] == "audio_pretraining"
    assert file["cfg"]["task"]["normalize"] is True
    assert {"criterion", "lr_scheduler"} <= set(file["cfg"])


def test_weights_of_the_teacher_compute_something_else(reference, recorded):
    """By far, and from the same frames: fairseq's load_ema."""
    source = str(reference / PRETRAINED[0])
    encoder = Data2VecAudio(source, weights="teacher").eval()
    ema = torch.load(source, weights_only=False)["model"]["_ema"]
    expected = ema["pos_conv.4.0.weight"]
    assert torch.equal(
        encoder.encoder.positions.layers[4].conv.weight, expected
    )
    errors = errors_alone(encoder, recorded)
    assert errors["projected"] < TOLERANCE
    assert errors["features"] > 100 * TOLERANCE


def test_ctc_head_and_vocabulary_survive_every_format(reference, tmp_path):
    checkpoint = load_checkpoint(reference / "fairseq_v1_tiny_ctc.pt")
    save_native(checkpoint, tmp_path / "ctc.safetensors")
    save_hf(checkpoint, tmp_path / "hf")
    native = load_checkpoint(tmp_path / "ctc.safetensors")
    assert native.vocabulary == checkpoint.vocabulary
    for out in (native, load_checkpoint(tmp_path / "hf")):
        for name in ("weight", "bias"):
            assert torch.equal(out.ctc_head[name], checkpoint.ctc_head[name])
        assert len(out.vocabulary) == len(checkpoint.vocabulary)
        for name, value in checkpoint.encoder.items():
            assert torch.equal(out.encoder[name], value)


# Plausible mistakes, each far outside the tolerance


def pre_norm(self, x, packing=None):
    x = x + self.self_attn(self.self_attn_layer_norm(x), packing)
    ffn = self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
    return x + ffn, ffn


def ffn_after_residual(self, x, packing=None):
    x = self.self_attn_layer_norm(x + self.self_attn(x, packing))
    ffn = self.fc2(F.gelu(self.fc1(x)))
    return self.final_layer_norm(x + ffn), x + ffn


def with_block(forward):
    def break_it(encoder, monkeypatch):
        for layer in encoder.encoder.layers:
            monkeypatch.setattr(layer, "forward", forward.__get__(layer))

    return break_it


def positional_kernel_shorter_by_two(encoder, monkeypatch):
    for layer in encoder.encoder.positions.layers:
        layer.conv.weight.data = layer.conv.weight.data[:, :, 1:-1].clone()
        layer.conv.padding = (layer.conv.padding[0] - 1,)


def positional_kernel_shifted(encoder, monkeypatch):
    for layer in encoder.encoder.positions.layers:
        layer.conv.weight.data = layer.conv.weight.data.roll(1, dims=2)


def positions_not_normalised(encoder, monkeypatch):
    for layer in encoder.encoder.positions.layers:
        layer.norm = torch.nn.Identity()


def waveform_not_normalised(encoder, monkeypatch):
    encoder.config = dataclasses.replace(encoder.config, normalize=False)


def projection_without_norm(encoder, monkeypatch):
    encoder.projection.norm = torch.nn.Identity()


def encoder_norm_missing(encoder, monkeypatch):
    encoder.encoder.layer_norm = torch.nn.Identity()


def gelu_by_tanh(encoder, monkeypatch):
    erf = F.gelu
    monkeypatch.setattr(F, "gelu", lambda x: erf(x, approximate="tanh"))


MISTAKES = {
    "pre-norm block": (with_block(pre_norm), 100),
    "FFN output after the residual": (with_block(ffn_after_residual), 100),
    "positional kernel 17": (positional_kernel_shorter_by_two, 100),
    "positional kernel shifted": (positional_kernel_shifted, 100),
    "positions without norm": (positions_not_normalised, 100),
    "waveform not normalised": (waveform_not_normalised, 100),
    "projection without norm": (projection_without_norm, 100),
    "no norm before the blocks": (encoder_norm_missing, 100),
    # The two curves differ by 5e-4 at most.
    "tanh instead of erf": (gelu_by_tanh, 10),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_plausible_mistake_breaks_parity(
    encoder, recorded, monkeypatch, mistake
):
    break_it, factor = MISTAKES[mistake]
    break_it(encoder, monkeypatch)
    errors = errors_alone(encoder, recorded)
    assert max(errors.values()) > factor * TOLERANCE, errors


def test_ffn_after_the_residual_shows_in_nothing_else(
    encoder, recorded, monkeypatch
):
    """So the FFN outputs have to be compared themselves."""
    with_block(ffn_after_residual)(encoder, monkeypatch)
    errors = errors_alone(encoder, recorded)
    for name, error in errors.items():
        assert (error < TOLERANCE) == (not name.endswith("ffn")), name


def positions_see_padding(encoder, monkeypatch):
    positions = encoder.encoder.positions
    forward = positions.forward
    monkeypatch.setattr(positions, "forward", lambda x, mask: forward(x))


def utterances_see_each_other(encoder, monkeypatch):
    blocks = encoder.encoder._blocks
    monkeypatch.setattr(
        encoder.encoder,
        "_blocks",
        lambda x, _, *rest: blocks(x, Packing([len(x)], len(x)), *rest),
    )


def statistics_include_padding(encoder, monkeypatch):
    name = "d2v_sb.lobes.encoder.normalise_waveform"
    monkeypatch.setattr(
        name, lambda wavs, num_samples: normalise_waveform(wavs)
    )


PADDING_MISTAKES = (
    positions_see_padding,
    utterances_see_each_other,
    statistics_include_padding,
)


@pytest.mark.parametrize("mistake", PADDING_MISTAKES)
def test_plausible_padding_mistake_breaks_the_batch(
    encoder, recorded, monkeypatch, mistake
):
    mistake(encoder, monkeypatch)
    assert error_against_alone(encoder, recorded) > 100 * TOLERANCE


def test_padding_fairseq_without_zeroing_is_not_fairseqs(
    reference, recorded, monkeypatch
):
    source = str(reference / PRETRAINED[0])
    encoder = Data2VecAudio(source, padding="fairseq").eval()

    whole = encoder.encoder.forward

    def forward(x, packing, *rest):
        packing.padding_mask = None
        return whole(x, packing, *rest)

    monkeypatch.setattr(encoder.encoder, "forward", forward)
    assert error_padded(encoder, recorded) > 100 * TOLERANCE
