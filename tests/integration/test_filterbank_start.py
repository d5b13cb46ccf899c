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


def test_it_finds_log_mel_bands_of_speech_and_pretraining_keeps_the_conv_stack(
    corpora, tmp_path
):
    speech = corpora / "librispeech_mini/dev-clean"
    assert start(speech, tmp_path / "short", 1) < 10
    assert start(speech, tmp_path / "start", 80) > 30
    begin = tmp_path / "start/start.safetensors"
    argv = pretrain_argv(
        speech.parent,
        tmp_path / "run",
        train_splits="[dev-clean]",
        dev_splits="[]",
        encoder=None,
        pretrain_from=begin,
        freeze_feature_extractor=True,
        number_of_updates=3,
        validate_interval_updates=3,
    )
    assert run([sys.executable, *argv]).returncode == 0
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
