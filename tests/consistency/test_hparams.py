"""Each hparams file against its script, and the names that YAML may hold.

Authors
 * The d2v_sb developers 2026
"""

import importlib
import re
from pathlib import Path

import pytest
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.hparams import read_plain

ROOT = Path(__file__).resolve().parents[2]
HPARAMS = sorted((ROOT / "hparams").glob("*.yaml"))
COMMON = {
    "data_folder",
    "output_folder",
    "encoder",
    "number_of_updates",
    "batch_seconds",
    "seed",
    "train_splits",
    "dev_splits",
    "test_splits",
}
# Saved models and users' files refer to these: renaming one breaks them.
PUBLIC = {
    "d2v_sb.checkpointer.AtomicCheckpointer",
    "d2v_sb.dataio.letter_encoder",
    "d2v_sb.finetuning.CTCBrain",
    "d2v_sb.inference.ctc_greedy_decode",
    "d2v_sb.inference.load_tokenizer",
    "d2v_sb.lobes.CTCModel",
    "d2v_sb.lobes.Data2VecAudio",
    "d2v_sb.lobes.WeightedData2Vec",
    "d2v_sb.masking.FeatureMasking",
    "d2v_sb.presets.EncoderConfig",
}
each_file = pytest.mark.parametrize("path", HPARAMS, ids=lambda p: p.stem)


def sources():
    """The code that reads hparams."""
    files = [*ROOT.glob("recipes/*/*.py"), *ROOT.glob("d2v_sb/**/*.py")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@each_file
def test_the_common_keys_are_there_with_real_defaults(path):
    plain = read_plain(path)
    assert set(plain) >= COMMON
    # Written for the real model; the literal command means something.
    assert plain["encoder"].startswith("facebook/data2vec-audio-")
    assert plain["data_folder"].startswith("data/")


@each_file
def test_every_key_is_used_by_the_file_or_the_code(path):
    text, code = path.read_text(encoding="utf-8"), sources()
    # SpeechBrain's Brain reads these from the hparams itself.
    by_brain = {
        "precision",
        "eval_precision",
        "max_grad_norm",
        "ckpt_interval_minutes",
    }
    for key in read_plain(path):
        if key.startswith("__") or key in by_brain:
            continue
        referred = f"<{key}>" in text
        read = re.search(rf'["\']{key}["\']\]?|hparams\.{key}\b', code)
        assert referred or read, f"{key} is used nowhere"


@each_file
def test_every_key_that_the_code_reads_is_there(path):
    keys = set(read_plain(path))
    wanted = set(re.findall(r'hparams\["(\w+)"\]', sources()))
    wanted |= set(re.findall(r"self\.hparams\.(\w+)", sources()))
    assert wanted <= keys


@each_file
def test_the_file_builds_what_it_describes(path, tmp_path):
    with open(path, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(
            stream, {"encoder": "base", "output_folder": str(tmp_path)}
        )
    encoder = hparams["data2vec"]
    assert encoder.output_size == 768
    assert hparams["model"].head.w.weight.shape[1] == 768
    # The frozen phase of the published regime: 10k of 80k updates.
    assert encoder.freeze_finetune_updates == 10000
    assert encoder.set_num_updates(9999) is False
    assert encoder.set_num_updates(10000) is True


def test_names_that_yaml_may_hold_are_pinned():
    files = [*HPARAMS, ROOT / "d2v_sb/inference.py"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    used = set(re.findall(r"!(?:new|name|apply):(d2v_sb\.[\w.]+)", text))
    assert used <= PUBLIC
    for name in PUBLIC:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)
