"""``d2v-sb swap``: which lines change, and that no original does.

The pieces of YAML are of SpeechBrain's recipes, cut down to what is looked at.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch
from click.testing import CliRunner
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from d2v_sb.__main__ import main
from d2v_sb.errors import UserError
from d2v_sb.lobes import Data2VecAudio, WeightedData2Vec
from d2v_sb.swap import swap_encoder

LOBE = "speechbrain.integrations.huggingface.wav2vec2.Wav2Vec2"
SHAPE = f"""\
# URL for the biggest Fairseq english wav2vec2 model.
wav2vec2_hub: "facebook/wav2vec2-large-lv60" # a comment
save_folder: save
dnn_neurons: 1024

enc: !new:speechbrain.lobes.models.VanillaNN.VanillaNN
    input_shape: [null, null, 1024]
    dnn_neurons: !ref <dnn_neurons>

wav2vec2: !new:{LOBE}
    source: !ref <wav2vec2_hub>
    output_norm: True
    freeze: False
    save_path: !ref <save_folder>/wav2vec2_checkpoint

#wav2vec2: !new:speechbrain.lobes.models.fairseq_wav2vec.FairseqWav2Vec2
#    pretrained_path: !ref <wav2vec2_url>
"""
DIM = f"""\
hub: facebook/wav2vec2-base
wav2vec_output_dim: 768
enc: !new:speechbrain.nnet.linear.Linear
    input_size: !ref <wav2vec_output_dim>
    n_neurons: 1024
wav2vec2: !new:{LOBE}
    source: !ref <hub>
    save_path: x
"""
REFERRED = DIM.replace("dim: 768", "dim: !ref <dnn_neurons>") + (
    "dnn_neurons: 768\n"
)
SIZE = f"""\
wav2vec2: !new:{LOBE} # no key for the weights
    source: facebook/wav2vec2-base
    save_path: x

enc: !new:speechbrain.nnet.linear.Linear
    input_size: 768
    n_neurons: 5
"""
PROBE = """\
ssl_hub: facebook/hubert-base-ls960
encoder_dim: 768
enc: !new:speechbrain.nnet.linear.Linear
    input_size: !ref <encoder_dim>
    n_neurons: 5
wav2vec2: !new:speechbrain.integrations.huggingface.weighted_ssl.WeightedSSLModel
    hub: !ref <ssl_hub>
    layernorm: True
    save_path: x
"""
OLD = DIM.replace(
    LOBE, "speechbrain.lobes.models.huggingface_transformers.hubert.HuBERT"
)


def write(tmp_path, text):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text, changed",
    [
        (SHAPE, 3),
        (DIM, 3),
        (REFERRED, 3),
        (SIZE, 3),
        (PROBE, 3),
        (OLD, 3),
    ],
    ids=["shape", "dim", "referred", "size", "probe", "old"],
)
def test_what_is_written_runs_with_our_encoder(tmp_path, text, changed):
    path = write(tmp_path, text)
    result = CliRunner().invoke(main, ["swap", str(path), "--encoder", "tiny"])
    assert result.exit_code == 0
    assert path.read_text() == text
    after = (tmp_path / "train_d2v.yaml").read_text()
    pairs = list(zip(text.split("\n"), after.split("\n"), strict=True))
    different = [new for old, new in pairs if old != new]
    assert len(different) == changed
    assert all(f"+{line}" in result.output for line in different)
    # Comments are where they were.
    assert after.count("#") == text.count("#")
    hparams = load_hyperpyyaml(after)
    encoder = hparams["wav2vec2"]
    assert isinstance(encoder, (Data2VecAudio, WeightedData2Vec))
    states = encoder(torch.rand(1, 8000), torch.ones(1))
    assert states.shape[-1] == 128 and hparams["enc"](states).shape[0] == 1
    assert hparams.get("dnn_neurons") in (None, 1024, 768)


def test_widths_that_may_be_of_other_layers_are_left_to_the_user(tmp_path):
    top = "top: !new:speechbrain.nnet.linear.Linear\n    input_size: 1024\n"
    path = write(tmp_path, SIZE + top)
    result = CliRunner().invoke(main, ["swap", str(path), "--encoder", "tiny"])
    assert result.exit_code == 0
    assert "lines 6, 9 have widths" in result.output
    after = (tmp_path / "train_d2v.yaml").read_text()
    assert "input_size: 768" in after and "input_size: 1024" in after


@pytest.mark.parametrize(
    "name",
    (
        "encoder_dim",
        "feats_dim",
        "features_dim",
        "wav2vec_output_dim",
        "wav2vec2_output",
        "wav2vec2_encoder_dim",
    ),
)
def test_every_name_that_recipes_have_for_the_width_is_known(tmp_path, name):
    path = write(tmp_path, DIM.replace("wav2vec_output_dim", name))
    swapped = swap_encoder(path, "tiny", 128)
    assert f"{name}: 128\n" in swapped.after and not swapped.notes


@pytest.mark.parametrize("name", ("my enc #1", "a: b"))
def test_names_that_yaml_would_misread_are_quoted(tmp_path, name):
    path = write(tmp_path, DIM.replace("facebook/wav2vec2-base", "hub"))
    after = "".join(swap_encoder(path, name, 128).after)
    assert YAML(typ="safe").load(after.split("enc:")[0])["hub"] == name


def test_published_names_have_their_widths_without_being_fetched(tmp_path):
    path = write(tmp_path, DIM)
    result = CliRunner().invoke(main, ["swap", str(path)])
    assert result.exit_code == 0
    assert "+hub: facebook/data2vec-audio-large" in result.output
    assert "+wav2vec_output_dim: 1024" in result.output


def test_nothing_is_written_over(tmp_path):
    path = write(tmp_path, DIM)
    arguments = ["swap", str(path), "--encoder", "tiny"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    for output in ([], ["-o", str(path)]):
        result = CliRunner().invoke(main, [*arguments, *output])
        assert result.exit_code == 1 and "is there already" in result.output
    assert path.read_text() == DIM


def test_a_width_that_is_not_found_is_said(tmp_path):
    path = write(tmp_path, DIM.replace("768", "512"))
    result = CliRunner().invoke(main, ["swap", str(path), "--encoder", "tiny"])
    assert result.exit_code == 0
    assert "what reads the encoder must expect 128" in result.output


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a: 1\n", "none of SpeechBrain's lobes Wav2Vec2"),
        (
            DIM + "    device_map: cpu\n",
            "line 9: d2v_sb.lobes.Data2VecAudio has no argument 'device_map'",
        ),
        (DIM.replace("    source: !ref <hub>\n", ""), "no `source` or `hub`"),
        (DIM.replace("hub: f", "other: f"), "hub, the name of the weights"),
    ],
)
def test_what_can_not_be_swapped_is_explained(tmp_path, text, reason):
    with pytest.raises(UserError, match=f"train.yaml.*{reason}"):
        swap_encoder(write(tmp_path, text), "tiny", 128)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="gone.yaml can not be read"):
        swap_encoder(tmp_path / "gone.yaml", "tiny", 128)
