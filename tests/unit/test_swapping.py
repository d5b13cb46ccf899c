"""The encoder in the place of SpeechBrain's lobe, by lines of YAML alone.

The YAML is LibriSpeech's ``train_hf_wav2vec.yaml``, cut down to what touches
the encoder; only its hub, class and width lines are other than SpeechBrain's.
What is done to the lobe is what the scripts of the recipes do: LibriSpeech
CTC, TIMIT seq2seq, IEMOCAP, SLURP, IWSLT22 and MP3S.

Authors
 * The d2v_sb developers 2026
"""

import copy
import pickle

import pytest
import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.parameter_transfer import Pretrainer

from d2v_sb.errors import CheckpointError
from d2v_sb.lobes import Data2VecAudio, WeightedData2Vec

RECIPE = """
seed: 1986
__set_seed: !apply:speechbrain.utils.seed_everything [!ref <seed>]
output_folder: !PLACEHOLDER
save_folder: !ref <output_folder>/save
wav2vec2_hub: tiny
wav2vec2_folder: !ref <save_folder>/wav2vec2_checkpoint
freeze_wav2vec: True
dnn_neurons: 16

enc: !new:speechbrain.lobes.models.VanillaNN.VanillaNN
   input_shape: [null, null, 128]
   activation: !name:torch.nn.LeakyReLU
   dnn_blocks: 1
   dnn_neurons: !ref <dnn_neurons>

wav2vec2: !new:d2v_sb.lobes.Data2VecAudio
   source: !ref <wav2vec2_hub>
   output_norm: True
   freeze: !ref <freeze_wav2vec>
   save_path: !ref <wav2vec2_folder>

modules:
   wav2vec2: !ref <wav2vec2>
   enc: !ref <enc>

model: !new:torch.nn.ModuleList
   - [!ref <enc>]

model_opt_class: !name:torch.optim.Adam
   lr: 0.01

wav2vec_opt_class: !name:torch.optim.Adam
   lr: 0.01

checkpointer: !new:speechbrain.utils.checkpoints.Checkpointer
   checkpoints_dir: !ref <save_folder>
   recoverables:
      wav2vec2: !ref <wav2vec2>
      model: !ref <model>
"""

# Of IEMOCAP's recipe, whose encoder block has one more line.
EMOTION = """
wav2vec2_hub: tiny
freeze_wav2vec2: False
freeze_wav2vec2_conv: True
wav2vec2_folder: unused

wav2vec2: !new:d2v_sb.lobes.Data2VecAudio
    source: !ref <wav2vec2_hub>
    output_norm: True
    freeze: !ref <freeze_wav2vec2>
    freeze_feature_extractor: !ref <freeze_wav2vec2_conv>
    save_path: !ref <wav2vec2_folder>
"""

# Of MP3S.
PROBE = """
ssl_hub: tiny
ssl_folder: unused

weighted_ssl_model: !new:d2v_sb.lobes.WeightedData2Vec
   hub: !ref <ssl_hub>
   save_path: !ref <ssl_folder>
"""


class RecipeBrain(sb.Brain):
    """What the recipes' Brains do with the encoder."""

    def compute_forward(self, batch, stage):
        self.training_seen = self.modules.wav2vec2.training
        return self.modules.enc(self.modules.wav2vec2(*batch))

    def compute_objectives(self, predictions, batch, stage):
        return predictions.square().mean()

    def init_optimizers(self):
        self.wav2vec_optimizer = self.hparams.wav2vec_opt_class(
            self.modules.wav2vec2.parameters()
        )
        self.model_optimizer = self.hparams.model_opt_class(
            self.hparams.model.parameters()
        )
        self.optimizers_dict = {"model_optimizer": self.model_optimizer}
        if not self.hparams.freeze_wav2vec:
            self.optimizers_dict["wav2vec_optimizer"] = self.wav2vec_optimizer
        self.checkpointer.add_recoverable("wav2vec_opt", self.wav2vec_optimizer)
        self.checkpointer.add_recoverable("modelopt", self.model_optimizer)


def a_batch():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 4000, generator=generator), torch.tensor([1.0, 0.6])


def loader():
    return torch.utils.data.DataLoader([a_batch()], batch_size=None)


def load_recipe(output_folder, **overrides):
    overrides["output_folder"] = str(output_folder)
    return load_hyperpyyaml(RECIPE, overrides)


def brain_of(hparams):
    return RecipeBrain(
        modules=hparams["modules"],
        hparams=hparams,
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=hparams["checkpointer"],
    )


def trained(output_folder, **overrides):
    """The recipe's encoder before and after training, and the Brain."""
    hparams = load_recipe(output_folder, **overrides)
    before = copy.deepcopy(hparams["wav2vec2"].state_dict())
    brain = brain_of(hparams)
    brain.fit(range(2), loader())
    return before, hparams["wav2vec2"].state_dict(), brain


def changed(before, after):
    assert before.keys() == after.keys()
    return {k for k in before if not torch.equal(before[k], after[k])}


# LibriSpeech, TIMIT


def test_swapped_yaml_gives_the_encoder_to_the_next_layer(tmp_path):
    modules = load_recipe(tmp_path)["modules"]
    out = modules["enc"](modules["wav2vec2"](*a_batch()))
    assert out.shape == (2, 12, 16)


def test_encoder_frozen_by_the_yaml_is_the_same_after_training(tmp_path):
    before, after, brain = trained(tmp_path)
    assert changed(before, after) == set()
    assert not brain.training_seen
    assert brain.modules.enc.training


def test_optimiser_over_a_frozen_encoder_has_parameters_and_no_state(tmp_path):
    _, _, brain = trained(tmp_path)
    optimiser = brain.wav2vec_optimizer
    assert optimiser.param_groups[0]["params"]
    assert not optimiser.state_dict()["state"]


def test_encoder_not_frozen_learns_all_but_its_mask_embedding(tmp_path):
    before, after, brain = trained(tmp_path, freeze_wav2vec=False)
    assert brain.training_seen
    same = before.keys() - changed(before, after)
    assert same == {"mask_emb", "_extra_state"}


@pytest.mark.parametrize("freeze", (True, False))
def test_second_run_goes_on_from_the_checkpoint_of_the_first(tmp_path, freeze):
    _, first, brain = trained(tmp_path, freeze_wav2vec=freeze)
    brain.checkpointer.save_checkpoint()

    hparams = load_recipe(tmp_path, freeze_wav2vec=freeze, seed=1)
    assert changed(hparams["wav2vec2"].state_dict(), first)
    second = brain_of(hparams)
    second.on_fit_start()
    assert changed(hparams["wav2vec2"].state_dict(), first) == set()
    steps = second.wav2vec_optimizer.state_dict()["state"]
    assert bool(steps) != freeze
    second.fit(range(1), loader())
    assert second.training_seen != freeze


def test_checkpoint_of_another_size_is_refused(tmp_path):
    """Not loaded in part: the message names the field."""
    encoder = Data2VecAudio("tiny")
    Checkpointer(tmp_path, {"wav2vec2": encoder}).save_checkpoint()
    smaller = Data2VecAudio("tiny", encoder_layers=1)
    checkpointer = Checkpointer(tmp_path, {"wav2vec2": smaller})
    with pytest.raises(CheckpointError, match="encoder_layers=2"):
        checkpointer.recover_if_possible()


# IEMOCAP, SLURP


@pytest.mark.parametrize("by_script", (False, True))
def test_conv_stack_frozen_by_yaml_or_script_stays_so_in_training(by_script):
    """Both recipes freeze it in the script, IEMOCAP's in the YAML as well."""
    hparams = load_hyperpyyaml(EMOTION, {"freeze_wav2vec2_conv": not by_script})
    encoder = hparams["wav2vec2"].to(device="cpu")
    if by_script:
        encoder.model.feature_extractor._freeze_parameters()
    torch.nn.ModuleDict({"wav2vec2": encoder}).train()
    assert encoder.training
    assert not encoder.model.feature_extractor.training
    encoder(*a_batch()).square().mean().backward()
    learning = {
        name.split(".")[0]
        for name, parameter in encoder.named_parameters()
        if parameter.grad is not None
    }
    assert learning == {"projection", "encoder"}


# IWSLT22


def test_upper_layers_can_be_cut_off_through_model_encoder_layers():
    encoder = Data2VecAudio("tiny", output_all_hiddens=True)
    encoder.model.encoder.layers = encoder.model.encoder.layers[:1]
    assert encoder(*a_batch()).shape == (2, 2, 12, 128)
    assert not [k for k in encoder.state_dict() if "encoder.layers.1." in k]


# MP3S


def test_probe_of_mp3s_learns_by_an_optimiser_over_its_weights():
    """MP3S calls it without lengths."""
    probe = load_hyperpyyaml(PROBE)["weighted_ssl_model"]
    optimiser = torch.optim.Adam([probe.weights], lr=0.1)
    before = copy.deepcopy(probe.state_dict())
    probe(a_batch()[0]).square().mean().backward()
    optimiser.step()
    assert changed(before, probe.state_dict()) == {"weights"}


@pytest.mark.parametrize("layernorm", (False, True))
def test_probe_takes_the_arguments_of_speechbrains_weighted_model(layernorm):
    probe = WeightedData2Vec(
        hub="tiny", save_path="unused", layernorm=layernorm, freeze=True
    )
    torch.nn.ModuleDict({"weighted_ssl_model": probe}).train()
    assert not probe.encoder.training
    learning = [n for n, p in probe.named_parameters() if p.requires_grad]
    assert learning == ["weights"]


# Pretrainer, copies


def transfer(encoder, path):
    pretrainer = Pretrainer(
        loadables={"wav2vec2": encoder}, paths={"wav2vec2": str(path)}
    )
    pretrainer.collect_files()
    pretrainer.load_collected()


def test_pretrainer_transfers_the_encoder_of_a_checkpoint(tmp_path):
    _, first, brain = trained(tmp_path)
    checkpoint = brain.checkpointer.save_checkpoint()
    encoder = Data2VecAudio("tiny")
    transfer(encoder, checkpoint.paramfiles["wav2vec2"])
    assert changed(encoder.state_dict(), first) == set()


@pytest.mark.parametrize("wrong", ("missing", "renamed"))
def test_pretrainer_raises_where_a_key_is_missing_or_unknown(tmp_path, wrong):
    """SpeechBrain's own transfer would log a warning and go on."""
    encoder = Data2VecAudio("tiny")
    state = encoder.state_dict()
    tensor = state.pop("projection.linear.weight")
    if wrong == "renamed":
        state["model.projection.linear.weight"] = tensor
    path = tmp_path / "wav2vec2.ckpt"
    torch.save(state, path)
    with pytest.raises(RuntimeError, match="projection.linear.weight"):
        transfer(encoder, path)


@pytest.mark.parametrize(
    "copied",
    (copy.deepcopy, lambda encoder: pickle.loads(pickle.dumps(encoder))),
    ids=("deepcopy", "pickle"),
)
def test_copy_of_the_encoder_is_frozen_alike_and_gives_the_same(copied):
    encoder = Data2VecAudio("tiny", freeze=True)
    twin = copied(encoder).train()
    assert not twin.training
    assert not any(p.requires_grad for p in twin.parameters())
    assert torch.equal(twin(*a_batch()), encoder(*a_batch()))
