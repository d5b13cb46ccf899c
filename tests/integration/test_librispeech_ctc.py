"""The LibriSpeech CTC recipe as users run it, from its command line.

Authors
 * The d2v_sb developers 2026
"""

import re
import shutil
import sys

import pytest
import torch

from tests.arpa import write_arpa
from tests.integration.conftest import WORDS, write_split
from tests.integration.recipe_runs import (
    ROOT,
    final_weights,
    recipe_command,
    run,
    run_killed,
    wer_of_the_folder,
    wer_of_the_test,
    words,
)

pytestmark = pytest.mark.integration


def test_the_literal_command_without_the_corpus_says_what_to_do(tmp_path):
    literal = [
        sys.executable,
        str(ROOT / "recipes/LibriSpeech/train.py"),
        str(ROOT / "hparams/d2v_ctc.yaml"),
    ]
    result = run(literal, cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    for hint in ("data/LibriSpeech", "--download true", "make demo"):
        assert hint in result.stdout


def test_missing_weights_are_said_after_the_corpus_was_found(
    noise_corpus, tmp_path
):
    command = recipe_command(
        noise_corpus, tmp_path, encoder="facebook/data2vec-audio-large"
    )
    result = run(command)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    assert "facebook/data2vec-audio-large is not on this mach" in result.stdout


@pytest.mark.parametrize(
    "option, hint",
    [
        ({"batch_secs": 4}, "did you mean batch_seconds"),
        ({"dev_splits": "[]"}, "dev_splits is empty"),
        ({"gpu_batch_seconds": 0}, "gpu_batch_seconds must be positive"),
        ({"encoder": "bse"}, "Known names: tiny, "),
    ],
)
def test_a_wrong_option_is_one_message(noise_corpus, tmp_path, option, hint):
    result = run(recipe_command(noise_corpus, tmp_path, **option))
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    assert hint in result.stdout


def test_letters_outside_the_alphabet_are_named(noise_corpus, tmp_path):
    command = recipe_command(
        noise_corpus, tmp_path, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    )
    result = run(command)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout
    assert "' '" in result.stdout and '"\'" (11-1-' in result.stdout


@pytest.fixture(scope="module")
def trained(noise_corpus, tmp_path_factory):
    """A finished run: frozen at first, masks, accumulation."""
    output = tmp_path_factory.mktemp("run")
    command = recipe_command(
        noise_corpus,
        output,
        number_of_updates=6,
        validate_interval_updates=3,
        gpu_batch_seconds=3,
        freeze_finetune_updates=2,
    )
    result = run(command)
    assert result.returncode == 0
    return output, result.stdout


def test_a_run_logs_measures_and_unfreezes(trained):
    output, log = trained
    assert "1 process(es) x 2 micro-batch(es) of up to 3.0 s" in log
    assert "update 2: the encoder learns" in log
    lines = (output / "train_log.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "update: 3",
        "update: 6",
        "split: test-clean",
    ]
    assert "audio_s_per_s" in lines[0] and "train waiting: " in lines[0]
    assert (output / "wer_test-clean.txt").is_file()
    assert (output / "cer_test-clean.txt").is_file()
    assert "WER on test-clean" in (output / "report.html").read_text()


def test_the_inference_folder_alone_gives_the_tests_wer(trained, tmp_path):
    output, _ = trained
    wer = wer_of_the_folder(output, "EncoderASR", tmp_path)
    assert f"{wer:.2f}" == f"{wer_of_the_test(output):.2f}"


def test_a_checkpoint_folder_is_a_source_of_an_encoder(trained):
    from d2v_sb.lobes import Data2VecAudio

    output, _ = trained
    folder = max((output / "save").glob("CKPT*"))
    encoder = Data2VecAudio(str(folder))
    weights = final_weights(output)
    name = "encoder.layers.0.fc1.weight"
    assert torch.equal(encoder.state_dict()[name], weights[f"encoder.{name}"])


def test_a_trained_model_is_the_same_in_transformers(trained, tmp_path):
    transformers = pytest.importorskip("transformers")
    from speechbrain.inference.ASR import EncoderASR

    from d2v_sb.checkpoints import load_checkpoint, save_hf

    inference = trained[0] / "inference"
    save_hf(load_checkpoint(inference), tmp_path / "hf")
    model = transformers.AutoModelForCTC.from_pretrained(tmp_path / "hf")
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "hf")
    asr = EncoderASR.from_hparams(source=str(inference))
    wav = torch.randn(24000)
    inputs = processor(wav, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        theirs = model.eval()(**inputs).logits.log_softmax(-1)
        ours = asr.encode_batch(wav[None], torch.ones(1))
    assert torch.allclose(theirs, ours, atol=1e-4)
    (text,) = processor.batch_decode(theirs.argmax(-1))
    (words,), _ = asr.transcribe_batch(wav[None], torch.ones(1))
    assert text == words.strip()


def test_a_killed_run_goes_on_to_what_it_would_have_become(
    noise_corpus, tmp_path
):
    options = {
        "number_of_updates": 40,
        "validate_interval_updates": 4,
        # Checkpoints within an epoch too, between its updates.
        "ckpt_interval_minutes": 0,
        "ckpt_interval_steps": 3,
        "gpu_batch_seconds": 3,
        "freeze_finetune_updates": 0,
        # All randomness comes from (seed, batch) alone.
        "mask_prob": 0.5,
        "dropout": 0.1,
        "activation_dropout": 0.1,
        "encoder_layerdrop": 0.3,
    }
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(recipe_command(noise_corpus, whole, **options)).returncode == 0
    command = recipe_command(noise_corpus, killed, **options)
    run_killed(command, killed)
    log = killed / "train_log.txt"
    validations = log.read_text().splitlines() if log.exists() else []
    assert len(validations) < 10, "it was finished before it was killed"
    assert not (killed / "inference").exists()
    result = run(command)
    assert result.returncode == 0
    assert "Loading a checkpoint" in result.stdout
    expected, resumed = final_weights(whole), final_weights(killed)
    assert all(torch.equal(resumed[k], expected[k]) for k in expected)


def test_a_finished_run_can_be_made_longer(noise_corpus, tmp_path):
    for updates in (4, 4, 9):
        command = recipe_command(
            noise_corpus,
            tmp_path,
            number_of_updates=updates,
            validate_interval_updates=3,
        )
        assert run(command).returncode == 0
    lines = (tmp_path / "train_log.txt").read_text().splitlines()
    updates = [line.split(",")[0] for line in lines]
    tests = ["split: test-clean"]
    assert updates == [
        *["update: 3", "update: 4"],
        *tests,
        *tests,  # the same command again makes no update
        *["update: 7", "update: 9"],
        *tests,
    ]


def test_two_processes_train_with_layerdrop_and_a_frozen_phase(
    noise_corpus, tmp_path
):
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--master_port=29613",
    ]
    command = recipe_command(
        noise_corpus,
        tmp_path,
        launcher,
        number_of_updates=6,
        validate_interval_updates=3,
        freeze_finetune_updates=2,
        encoder_layerdrop=0.5,
        distributed_backend="gloo",
    )
    result = run(command)
    assert result.returncode == 0
    assert "2 process(es) x 1 micro-batch(es) of up to 3.0 s" in result.stdout
    assert (tmp_path / "inference" / "model.ckpt").is_file()


def test_subwords_and_a_regime_are_one_option_each(noise_corpus, tmp_path):
    """A regime's values that are given count for more; the rest is its own."""
    command = recipe_command(
        noise_corpus,
        tmp_path / "run",
        regime="base_10h",
        token_type="bpe",
        vocab_size=22,
        number_of_updates=4,
        validate_interval_updates=2,
    )
    result = run(command)
    assert result.returncode == 0
    assert "the encoder is frozen until update 2" in result.stdout
    wer = wer_of_the_folder(tmp_path / "run", "EncoderASR", tmp_path)
    assert f"{wer:.2f}" == f"{wer_of_the_test(tmp_path / 'run'):.2f}"
    saved = (tmp_path / "run/hyperparams.yaml").read_text()
    assert "mask_channel_prob: 0.5" in saved and "mask_prob: 0.65" in saved


def test_a_sweeps_choice_is_what_tests_and_the_folder_search_with(
    noise_corpus, tmp_path
):
    pytest.importorskip("kenlm", reason="no extra `lm`: no compiler")
    lm = write_arpa(tmp_path / "lm.arpa", WORDS)
    command = recipe_command(
        noise_corpus,
        tmp_path / "run",
        number_of_updates=3,
        validate_interval_updates=3,
        freeze_finetune_updates=0,
        join_seconds=4,
    )
    assert run(command).returncode == 0
    assert "+1," in (tmp_path / "run/train.csv").read_text()
    values = words({"alpha": "0.5", "beta": "1,6", "beam_size": 3})
    sweep = ["sweep", str(tmp_path / "run"), *words({"lm_path": lm}), *values]
    assert run([sys.executable, "-m", "d2v_sb", *sweep]).returncode == 0
    result = run([*command, *words({"lm_path": lm})])
    assert result.returncode == 0
    assert "takes what a sweep chose, from beam_search.yaml" in result.stdout
    for suffix in ("", "_lm"):
        (tmp_path / f"at{suffix}").mkdir()
        wer = wer_of_the_folder(
            tmp_path / "run", "EncoderASR", tmp_path / f"at{suffix}", suffix
        )
        expected = wer_of_the_test(tmp_path / "run", suffix)
        assert f"{wer:.2f}" == f"{expected:.2f}"


def test_libri_lights_folders_are_splits(noise_corpus, tmp_path):
    corpus = tmp_path / "corpus"
    for split in ("dev-clean", "test-clean"):
        shutil.copytree(noise_corpus / split, corpus / split)
    limited = corpus / "librispeech_finetuning/1h/0"
    shutil.copytree(noise_corpus / "train-clean-5", limited / "clean")
    write_split(limited / "other", 14, 4, 3)
    ids = ["11-1-0003", "14-1-0001", "11-1-0020", "14-1-0002"]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    command = recipe_command(
        corpus,
        tmp_path / "run",
        regime="base_10min",
        train_splits=None,  # the regime's
        train_ids=tmp_path / "ids.txt",
        number_of_updates=1,
        validate_interval_updates=1,
    )
    assert run(command).returncode == 0
    rows = (tmp_path / "run/train.csv").read_text().splitlines()
    assert sorted(row.split(",")[0] for row in rows[1:]) == sorted(ids)
    name = "librispeech_finetuning-1h-0-other.csv"
    assert (tmp_path / "run" / name).is_file()


def test_it_learns_real_speech_by_heart(corpora, tmp_path):
    """Six clips, seen often, are transcribed without many errors."""
    source = corpora / "librispeech_mini" / "dev-clean"
    speaker = sorted(source.iterdir())[0]
    chapter = sorted(speaker.iterdir())[0]
    for split in ("train-clean-5", "dev-clean", "test-clean"):
        folder = tmp_path / "corpus" / split / speaker.name
        shutil.copytree(chapter, folder / chapter.name)
    command = recipe_command(
        tmp_path / "corpus",
        tmp_path / "run",
        number_of_updates=200,
        validate_interval_updates=100,
        batch_seconds=20,
        lr=2e-3,
        max_grad_norm=1.0,
        freeze_feature_extractor=False,
        freeze_finetune_updates=0,
        mask_prob=0.0,
        mask_channel_prob=0.0,
        activation_dropout=0.0,
        encoder_layerdrop=0.0,
    )
    assert run(command).returncode == 0
    first = (tmp_path / "run/cer_test-clean.txt").read_text().splitlines()[0]
    assert float(re.match(r"%WER (\S+)", first)[1]) < 40
