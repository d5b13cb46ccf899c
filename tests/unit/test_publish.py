"""Published folders: what is in them, that they load, and their cards.

Authors
 * The d2v_sb developers 2026
"""

import json
import shutil
import socket

import pytest
import soundfile
import torch
from huggingface_hub import ModelCard
from speechbrain.inference.ASR import EncoderASR
from speechbrain.nnet.linear import Linear

from d2v_sb.checkpoints import load_checkpoint, save_native
from d2v_sb.classification_folder import export_classifier
from d2v_sb.errors import UserError
from d2v_sb.lobes import (
    Data2VecAudio,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.utterances import Labels
from tests.unit.publish_runs import (
    HPARAMS,
    TABLE,
    call,
    contents,
    ctc_model,
    make_run,
    python_blocks,
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whatever connects fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The output folder of a recognition run."""
    return make_run(tmp_path_factory.mktemp("results") / "run")


@pytest.fixture(scope="module")
def published(run):
    """That run, published; with rows of a table."""
    table = run.parent / "table.csv"
    table.write_text(TABLE)
    result = call(
        *(run, run.parent / "letters", "--language", "en"),
        *("--results", table, "--where", "model=sm*", "--where", "seed=7"),
    )
    assert result.exit_code == 0
    return run.parent / "letters"


def noise(*lengths):
    """A padded batch and its relative lengths."""
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(n, generator=generator) for n in lengths]
    wavs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return wavs, torch.tensor(lengths) / max(lengths)


def test_the_folder_holds_the_model_its_card_and_nothing_else(run, published):
    found, own = contents(published), contents(run / "inference")
    assert {name: found[name] for name in own} == own
    others = {name for name in set(found) - set(own)}
    assert {n for n in others if not n.startswith("transformers/")} == {
        "README.md",
        "ATTRIBUTION.md",
    }
    assert "transformers/model.safetensors" in others


def test_speechbrain_loads_it_alone_and_hears_the_same(run, published):
    wavs, wav_lens = noise(16000, 9000)
    asr, own = (
        EncoderASR.from_hparams(source=str(folder))
        for folder in (published, run / "inference")
    )
    heard, _ = asr.transcribe_batch(wavs, wav_lens)
    assert heard == own.transcribe_batch(wavs, wav_lens)[0]
    assert len(heard[0]) > 2
    assert torch.equal(
        asr.encode_batch(wavs, wav_lens), own.encode_batch(wavs, wav_lens)
    )


def test_transformers_loads_its_folder_with_equal_logits(published):
    transformers = pytest.importorskip("transformers")
    wavs, wav_lens = noise(16000)
    kinds = transformers.AutoModelForCTC, transformers.AutoProcessor
    model, processor = (
        kind.from_pretrained(str(published), subfolder="transformers")
        for kind in kinds
    )
    inputs = processor(
        wavs[0].numpy(), sampling_rate=16000, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model.eval()(inputs.input_values).logits
        expected = ctc_model()(wavs, wav_lens)
        other = ctc_model(seed=1)(wavs, wav_lens)
    found = logits.log_softmax(-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, other, atol=1e-1)


def test_the_cards_examples_run(published, tmp_path, monkeypatch, capsys):
    pytest.importorskip("transformers")
    blocks = python_blocks((published / "README.md").read_text())
    assert len(blocks) == 2
    wavs, _ = noise(16000)
    shutil.copytree(published, tmp_path / "letters")
    soundfile.write(tmp_path / "speech.wav", wavs[0].numpy(), 16000, "FLOAT")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "card", "exec"), {})
    asr = EncoderASR.from_hparams(source=str(published))
    heard = asr.transcribe_file(str(tmp_path / "speech.wav"))
    assert heard in capsys.readouterr().out and len(heard) > 2


def test_the_front_matter_is_the_hubs_and_has_the_figures(published):
    data = ModelCard.load(published / "README.md").data
    assert data.license == "cc-by-sa-3.0" and data.language == ["en"]
    assert data.library_name == "speechbrain"
    assert data.pipeline_tag == "automatic-speech-recognition"
    assert data.metrics == ["cer", "wer"] and data.datasets is None
    figures = [
        (r.dataset_name, r.metric_type, r.metric_value)
        for r in data.eval_results
    ]
    assert figures == [
        ("mini, test-clean", "wer", 27.04),
        ("mini, test-clean", "cer", 12.9),
    ]


def test_the_card_says_how_it_was_trained_without_places(published):
    text = (published / "README.md").read_text()
    for fact in (
        "| encoder it began from | d2v_sb/small |",
        "| trained on | train-clean-5 |",
        "| updates | 40 |",
        "| learning rate | 0.001 |",
        "| seed | 7 |",
        "| date | 2026-11-25 |",
        "| versions | Python 3.11.7, torch 2.13.0, speechbrain 1.1.2, d2v_sb",
        "| commit of d2v_sb | c259c3b |",
        "python3.11 recipes/LibriSpeech/train.py hparams/d2v_ctc.yaml \\\n",
        "--train_splits '[train-clean-5, x]' \\\n",
        "--device cpu",
        "| data sets on the hub | not known |",
        "--data_folder mini",
        "@article{baevski2022data2vec",
    ):
        assert fact in text, fact
    assert "/home/me" not in text and str(published.parent) not in text
    assert "output_folder" not in text
    assert "_lm.txt" not in text  # the folder has no language model


def test_a_folder_without_a_run_says_what_is_not_known(run, tmp_path):
    shutil.copytree(run / "inference", tmp_path / "model")
    with pytest.raises(UserError, match="licence.*can not be known.*--license"):
        call(tmp_path / "model", tmp_path / "a")
    call(tmp_path / "model", tmp_path / "a", "--license", "apache-2.0")
    text = (tmp_path / "a/README.md").read_text()
    assert "How it was trained is not known" in text
    assert "Its test figures are not known" in text
    assert "| languages | not known |" in text
    assert "Apache License" in (tmp_path / "a/LICENSE").read_text()
    assert "language:" not in text.split("---")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--license", "cc-by-sa-3"], "Did you mean cc-by-sa-3.0"),
        (["--license", "other"], "needs --license_file"),
        (["--language", "English"], "--language English: give an ISO 639"),
        (["--dataset", "a b"], "--dataset a b: give its name on the hub"),
        (["--inference", "inference_x"], "no folder inference_x; it has infe"),
        (["--private"], "--private is of --push"),
        (["--yes"], "--yes is of --push"),
        (["--push", "letters"], "name it as USER/NAME"),
        (["--where", "seed=7"], "--results and --where go together"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_can_be_mended_is_said(run, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        call(run, tmp_path / "a", *options)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("size=7", "no column 'size'; it has corpus, model"),
        ("model=base*", "model=base.*: small; tiny"),
        ("model", "give it as COLUMN=VALUE"),
    ],
)
def test_rows_that_are_not_there_are_said(run, tmp_path, where, message):
    (tmp_path / "t.csv").write_text(TABLE)
    options = ("--results", tmp_path / "t.csv", "--where", where)
    with pytest.raises(UserError, match=message):
        call(run, tmp_path / "a", *options)


def test_another_licence_than_a_share_alike_encoders_is_noted(run, tmp_path):
    result = call(run, tmp_path / "a", "--license", "mit")
    assert "d2v_sb/small, which is under cc-by-sa-3.0" in result.output
    text = (tmp_path / "a/README.md").read_text()
    assert "They go back to `d2v_sb/small`" in text


def test_a_folder_that_does_not_load_is_not_published(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    yaml = tmp_path / "run/inference/hyperparams.yaml"
    yaml.write_text(yaml.read_text().replace("load_tokenizer", "gone"))
    with pytest.raises(UserError, match="EncoderASR.*gone.*anew"):
        call(tmp_path / "run", tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(run, tmp_path):
    result = call(run, tmp_path / "a", "--push", "me/letters")
    assert result.exit_code == 0 and "Nothing was sent" in result.output
    for name in contents(tmp_path / "a"):
        assert f"MB  {name}\n" in result.output
    assert 'source="me/letters"' in (tmp_path / "a/README.md").read_text()


def test_a_folder_is_not_written_over(run, published):
    before = contents(published)
    with pytest.raises(UserError, match="is there already: remove it"):
        call(run, published)
    assert contents(published) == before


def test_a_push_takes_the_folder_that_is_there_with_an_edited_card(
    run, tmp_path
):
    folder = tmp_path / "a"
    call(run, folder)
    push = (run, folder, "--push", "me/letters")
    call(*push)  # not edited: it gets the name on the hub
    card = (folder / "README.md").read_text()
    assert 'source="me/letters"' in card
    (folder / "README.md").write_text(card + "\nMore.\n")
    assert "README.md was edited, and is kept" in call(*push).output
    assert (folder / "README.md").read_text() == card + "\nMore.\n"
    with pytest.raises(UserError, match="does not name you/x"):
        call(run, folder, "--push", "you/x")
    (folder / "tokenizer.ckpt").write_text("other")
    with pytest.raises(UserError, match="its tokenizer.ckpt is not that of"):
        call(*push)


def test_a_classifier_is_published_with_its_classes(tmp_path):
    (tmp_path / "train.csv").write_text("ID,label\na,ang\nb,sad\n")
    torch.manual_seed(0)
    front_end = WeightedData2Vec("tiny")
    head = make_head("mean", front_end.output_size, 12, 16, 8)
    model = UtteranceClassifier(
        UtteranceEncoder(front_end, head), Linear(input_size=12, n_neurons=2)
    )
    run = tmp_path / "all/fold1"
    labels = Labels(tmp_path / "train.csv", "label")
    export_classifier(run / "inference", model.eval(), labels, 1.0)
    text = HPARAMS.format(encoder="tiny").replace(
        "protocol:", "protocol: session"
    )
    (run / "hyperparams.yaml").write_text(text)
    (tmp_path / "all/summary.json").write_text("{}")
    values = {"utterances": 56, "speakers": 2, "WA": 46.4, "UA": 46.9}
    values.update({"F1": 42.1, "UA_interval": [34.4, 59.4]})
    (run / "predictions_test.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="a model for each fold: .*fold1"):
        call(tmp_path / "all", tmp_path / "a", "--license", "mit")
    call(run, tmp_path / "a", "--license", "mit")
    text = (tmp_path / "a/README.md").read_text()
    assert "| labels | 2: `ang` `sad` |" in text
    assert "46.90 (34.40 to 59.40)" in text
    assert "protocol session, fold fold1" in text
    data = ModelCard.load(tmp_path / "a/README.md").data
    assert data.pipeline_tag == "audio-classification"


def test_an_encoder_is_published_for_d2v_sb_and_transformers(
    tmp_path, monkeypatch
):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    encoder = Data2VecAudio("tiny", encoder_layers=1).eval()
    torch.save(encoder.state_dict(), tmp_path / "model.ckpt")
    checkpoint = load_checkpoint(tmp_path / "model.ckpt")
    checkpoint.training_config = {"data_folder": "/home/me/audio", "seed": 3}
    save_native(checkpoint, tmp_path / "run/pretrained.safetensors")
    call(tmp_path / "run", tmp_path / "enc", "--license", "mit")
    text = (tmp_path / "enc/README.md").read_text()
    assert "| corpus (name of its folder) | audio |" in text
    assert (
        b"/home/me"
        not in (tmp_path / "enc/pretrained.safetensors").read_bytes()
    )
    monkeypatch.chdir(tmp_path)
    for block in python_blocks(text):
        exec(compile(block, "card", "exec"), {})
    wavs, _ = noise(16000)
    theirs = transformers.AutoModel.from_pretrained("enc").eval()
    with torch.no_grad():
        expected = encoder(wavs)
        assert torch.equal(Data2VecAudio("enc").eval()(wavs), expected)
        normed = torch.nn.functional.layer_norm(wavs, wavs.shape[1:])
        torch.testing.assert_close(
            theirs(normed).last_hidden_state, expected, atol=1e-4, rtol=1e-4
        )
    again = load_checkpoint(tmp_path / "enc/pretrained.safetensors")
    assert torch.equal(
        again.encoder["mask_emb"], checkpoint.encoder["mask_emb"]
    )
