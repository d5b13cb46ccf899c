"""A conv stack that is fitted to log-mel spectra, and pretraining from it.

Authors
 * The d2v_sb developers 2026
"""

import re
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.integration.recipe_runs import ROOT, pretrain_argv, run, words

pytestmark = pytest.mark.integration
SCRIPT = str(ROOT / "recipes/LibriSpeech/filterbank_start.py")


def start(data, output, updates):
    """Runs the script with the tiny encoder; the share that is found."""
    options = {
        "data_folder": data,
        "output_folder": output,
        "encoder": "tiny",
        "number_of_updates": updates,
        "batch_seconds": 6,
        "max_seconds": 2,
    }
    result = run([sys.executable, SCRIPT, *words(options)])
    assert result.returncode == 0
    return float(re.search(r"finds (-?\d+) % of", result.stdout)[1])


def documented_options():
    """Of the command that docs/pretraining.md gives for a CPU."""
    text = (ROOT / "docs/pretraining.md").read_text(encoding="utf-8")
    block = text.partition("## Without a GPU")[2].split("```")[1]
    command = block.partition("pretrain.py")[2].replace("\\\n", " ")
    pairs = re.findall(r"--(\w+) (\S+)", command)
    assert len(pairs) > 15
    return {name: value.strip("'") for name, value in pairs}


def test_it_finds_log_mel_bands_of_speech_and_pretraining_keeps_the_conv_stack(
    corpora, tmp_path
):
    speech = corpora / "librispeech_mini/dev-clean"
    assert start(speech, tmp_path / "short", 1) < 10
    assert start(speech, tmp_path / "start", 80) > 30
    begin = tmp_path / "start/start.safetensors"
    options = documented_options()
    assert options["freeze_feature_extractor"] == "True"
    options.update(
        data_folder=speech,
        output_folder=tmp_path / "run",
        pretrain_from=begin,
        average_top_k_layers=2,  # the tiny encoder's; the document's has three
        number_of_updates=3,
        precision="fp32",
    )
    pretrain = str(ROOT / "recipes/LibriSpeech/pretrain.py")
    base = str(ROOT / "hparams/d2v_pretrain_base.yaml")
    command = [sys.executable, pretrain, base, *words(options)]
    assert run([*command, "--noprogressbar"]).returncode == 0
    before = load_file(begin)
    after = load_file(tmp_path / "run/pretrained.safetensors")
    for name, weight in before.items():
        same = torch.equal(weight, after[name])
        assert same == name.startswith("feature_extractor."), name


def test_a_random_conv_stack_is_not_frozen(noise_corpus, tmp_path):
    argv = pretrain_argv(noise_corpus, tmp_path, freeze_feature_extractor=True)
    result = run([sys.executable, *argv])
    assert result.returncode == 1 and "Traceback" not in result.stdout
    assert "give --pretrain_from" in result.stdout


def test_no_audio_is_an_error(tmp_path):
    options = {"data_folder": tmp_path, "output_folder": tmp_path / "out"}
    result = run([sys.executable, SCRIPT, *words(options)])
    assert result.returncode == 1 and "Traceback" not in result.stdout
    assert "no audio" in result.stdout.lower()
