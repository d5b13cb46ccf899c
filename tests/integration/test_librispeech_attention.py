"""The attention recipe as users run it, from its command line.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch

from tests.integration.recipe_runs import (
    TORCHRUN,
    final_weights,
    recipe_command,
    run,
    wer_of_the_folder,
    wer_of_the_test,
)

pytestmark = pytest.mark.integration

SMALL = {
    "hparams": "d2v_attention.yaml",
    "vocab_size": 22,
    "token_type": "bpe",
    "width": 32,
    "num_layers": 1,
    "num_heads": 2,
    "ffn_width": 64,
    "lr": 1e-3,
    "head_lr_scale": 2.0,
    "validate_interval_updates": 3,
    "gpu_batch_seconds": 3,
    "freeze_finetune_updates": 2,
}


@pytest.fixture(scope="module")
def trained(noise_corpus, tmp_path_factory):
    """A finished run: frozen at first, masks, accumulation."""
    output = tmp_path_factory.mktemp("run")
    command = recipe_command(noise_corpus, output, number_of_updates=6, **SMALL)
    result = run(command)
    assert result.returncode == 0
    return output, result.stdout


def test_a_run_logs_and_measures(trained):
    output, log = trained
    assert "update 2: the encoder learns" in log
    lines = (output / "train_log.txt").read_text().splitlines()
    names = [line.split(",")[0] for line in lines]
    assert names == ["update: 3", "update: 6", "split: test-clean"]


def test_the_inference_folder_alone_gives_the_tests_wer(trained, tmp_path):
    output, _ = trained
    wer = wer_of_the_folder(output, "EncoderDecoderASR", tmp_path)
    assert f"{wer:.2f}" == f"{wer_of_the_test(output):.2f}"


def test_the_encoder_of_a_run_is_a_source(trained):
    from d2v_sb.lobes import Data2VecAudio

    found = Data2VecAudio(str(trained[0] / "inference")).state_dict()
    expected = final_weights(trained[0])
    prefix = "encoder.encoder."
    weights = {k: v for k, v in found.items() if not k.endswith("extra_state")}
    assert len(weights) > 20
    for name, weight in weights.items():
        assert torch.equal(weight, expected[prefix + name])


def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    trained, noise_corpus, tmp_path
):
    for limit in (3, None):  # SpeechBrain's option to stop early
        command = recipe_command(
            noise_corpus,
            tmp_path,
            number_of_updates=6,
            optimizer_step_limit=limit,
            **SMALL,
        )
        assert run(command).returncode == 0
    expected, resumed = final_weights(trained[0]), final_weights(tmp_path)
    assert all(torch.equal(resumed[k], expected[k]) for k in expected)


def test_two_processes_train(noise_corpus, tmp_path):
    command = recipe_command(
        noise_corpus,
        tmp_path,
        TORCHRUN,
        number_of_updates=4,
        distributed_backend="gloo",
        encoder_layerdrop=0.5,
        **SMALL,
    )
    assert run(command).returncode == 0
    assert (tmp_path / "inference/model.ckpt").is_file()
