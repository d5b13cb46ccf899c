"""The folder that training leaves, in SpeechBrain's own interfaces.

Authors
 * The d2v_sb developers 2026
"""

import shutil
import socket

import pytest
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.inference.ASR import EncoderASR
from speechbrain.nnet.linear import Linear

from d2v_sb import inference
from d2v_sb.alignment import transcribe_words
from d2v_sb.checkpoints import load_checkpoint, save_hf
from d2v_sb.errors import CheckpointError
from d2v_sb.inference import ctc_greedy_decode, export_ctc
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.presets import PRESETS
from d2v_sb.tokens import Letters, Subwords

ENCODER = Letters(" 'ABCDEFGH")


def ctc_model(seed=0, **options):
    """A small random model whose texts are long and differ."""
    torch.manual_seed(seed)
    encoder = Data2VecAudio("tiny", encoder_layers=1, **options)
    with torch.no_grad():  # else normalising the output changes nothing
        encoder.encoder.layers[-1].final_layer_norm.weight.mul_(2)
    model = CTCModel(encoder, Linear(input_size=128, n_neurons=len(ENCODER)))
    return model.eval()


def texts(model, wavs, wav_lens):
    """What the model hears."""
    with torch.no_grad():
        rows = ctc_greedy_decode(model(wavs, wav_lens), wav_lens)
    return ["".join(ENCODER.decode_ndim(row)) for row in rows]


@pytest.fixture
def offline(monkeypatch):
    """Whatever opens a connection fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def folder(tmp_path):
    """An exported model."""
    export_ctc(tmp_path / "inference", ctc_model(), ENCODER)
    return tmp_path / "inference"


def noise(*lengths):
    """A padded batch and its relative lengths."""
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(n, generator=generator) for n in lengths]
    wavs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return wavs, torch.tensor(lengths) / max(lengths)


@pytest.mark.parametrize("options", [{}, {"padding": "fairseq"}], ids=str)
def test_speechbrain_loads_the_folder_alone_and_hears_the_same(
    tmp_path, offline, options
):
    for norm in (False, True):
        model = ctc_model(output_norm=norm, normalize=norm, **options)
        export_ctc(tmp_path / f"{norm}", model, ENCODER)
        moved = shutil.move(tmp_path / f"{norm}", tmp_path / f"moved{norm}")
        asr = EncoderASR.from_hparams(source=str(moved))
        wavs, wav_lens = noise(16000, 9000, 12345)
        with torch.no_grad():
            expected = model(wavs, wav_lens)
            torch.testing.assert_close(
                asr.encode_batch(wavs, wav_lens), expected
            )
        heard, _ = asr.transcribe_batch(wavs, wav_lens)
        assert heard == texts(model, wavs, wav_lens)
        assert all(len(text) > 2 for text in heard)
        assert not asr.mods.training


def test_the_yaml_holds_neither_a_path_nor_a_hub_name(folder, tmp_path):
    text = (folder / "hyperparams.yaml").read_text()
    assert str(tmp_path) not in text and "facebook" not in text
    values = [
        word
        for line in text.splitlines()
        if not line.startswith("#")
        for word in line.partition(":")[2].split()
    ]
    assert values and not [word for word in values if "/" in word]
    assert sorted(path.name for path in folder.iterdir()) == [
        "hyperparams.yaml",
        "model.ckpt",
        "tokenizer.ckpt",
    ]


def test_the_yaml_builds_the_exported_architecture(folder):
    hparams = load_hyperpyyaml((folder / "hyperparams.yaml").read_text())
    model = ctc_model()
    assert hparams["data2vec"].config == model.encoder.config
    found, expected = hparams["model"].state_dict(), model.state_dict()
    assert list(found) == list(expected)
    assert all(found[k].shape == expected[k].shape for k in expected)


def test_an_encoder_can_be_made_of_the_folder(folder):
    encoder = Data2VecAudio(str(folder))
    expected = ctc_model().encoder.state_dict()
    found = encoder.state_dict()
    assert all(torch.equal(found[k], expected[k]) for k in expected)


def change(path, edit):
    """Edits the weights in a file."""
    weights = torch.load(path, weights_only=True)
    edit(weights)
    torch.save(weights, path)


@pytest.mark.parametrize(
    "name", ["encoder.encoder.layers.0.fc1.weight", "head.w.bias"]
)
def test_a_missing_weight_is_an_error_that_names_it(folder, name):
    change(folder / "model.ckpt", lambda weights: weights.pop(name))
    with pytest.raises(RuntimeError, match=f"Missing key.*\n?.*{name}"):
        EncoderASR.from_hparams(source=str(folder))


def test_an_unexpected_weight_is_an_error_that_names_it(folder):
    change(folder / "model.ckpt", lambda w: w.update(other=torch.ones(1)))
    with pytest.raises(RuntimeError, match="Unexpected key.*other"):
        EncoderASR.from_hparams(source=str(folder))


def test_weights_of_another_architecture_are_refused(folder):
    base = PRESETS["tiny"]
    other = Data2VecAudio(base, encoder_layers=1, normalize=not base.normalize)

    def swap(weights):
        weights["encoder._extra_state"] = other.state_dict()["_extra_state"]

    change(folder / "model.ckpt", swap)
    with pytest.raises(CheckpointError, match="architecture: normalize=False"):
        EncoderASR.from_hparams(source=str(folder))


@pytest.mark.parametrize("letters", [" 'ABCDEFG", " 'ABCDEFGHI"])
def test_a_vocabulary_of_another_size_is_refused(folder, letters):
    (folder / "tokenizer.ckpt").unlink()
    Letters(letters).save(folder / "tokenizer.ckpt")
    expected = f"has {len(letters) + 1} labels, but the model has 11 outputs"
    with pytest.raises(CheckpointError, match=expected):
        EncoderASR.from_hparams(source=str(folder))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("part", ["weights", "tokenizer"])
def test_an_export_that_fails_leaves_the_old_folder_whole(
    folder, monkeypatch, error, part
):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_):
        raise error

    target = inference.torch if part == "weights" else type(ENCODER)
    monkeypatch.setattr(target, "save", fail)
    with pytest.raises(error):
        export_ctc(folder, ctc_model(seed=1), ENCODER)
    monkeypatch.undo()
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before and list(folder.parent.iterdir()) == [folder]
    export_ctc(folder, ctc_model(seed=1), ENCODER)
    weights = torch.load(folder / "model.ckpt", weights_only=True)
    expected = ctc_model(seed=1).state_dict()
    assert all(torch.equal(weights[k], expected[k]) for k in expected)


def test_greedy_decoding_joins_repeats_and_drops_blanks():
    path = torch.tensor([[0, 1, 1, 0, 1, 2, 2], [2, 2, 2, 0, 0, 0, 0]])
    log_probs = torch.nn.functional.one_hot(path, 3).float().log()
    assert ctc_greedy_decode(log_probs, None) == [[1, 1, 2], [2]]
    assert ctc_greedy_decode(log_probs, None, blank_id=2) == [
        [0, 1, 0, 1],
        [0],
    ]


def test_greedy_decoding_keeps_every_frame_whatever_the_lengths():
    """SpeechBrain would cut the last frame off at 2.4 frames of 3."""
    log_probs = torch.eye(3)[[0, 1, 2]].log()[None]
    assert ctc_greedy_decode(log_probs, torch.tensor([0.8])) == [[1, 2]]
    cut = inference.sb_greedy_decode(log_probs, torch.tensor([0.8]), 0)
    assert cut == [[1]]


def test_a_folder_of_subwords_is_read_and_is_none_of_transformers(tmp_path):
    rows = [f"{i},{text}" for i, text in enumerate(["BE A BED", "A HEAD"] * 9)]
    (tmp_path / "train.csv").write_text("\n".join(["ID,wrd", *rows, ""]))
    subwords = Subwords(tmp_path / "train.csv", tmp_path, 11, "bpe")
    export_ctc(tmp_path / "inference", ctc_model(), subwords)
    asr = EncoderASR.from_hparams(source=str(tmp_path / "inference"))
    wavs, wav_lens = noise(16000, 9000)
    heard, _ = asr.transcribe_batch(wavs, wav_lens)
    with torch.no_grad():
        rows = ctc_greedy_decode(ctc_model()(wavs, wav_lens), None)
    assert heard == [subwords.decode(row) for row in rows]
    soundfile.write(tmp_path / "a.wav", wavs[0], 16000, subtype="FLOAT")
    words = transcribe_words(asr, str(tmp_path / "a.wav"))
    assert " ".join(word.text for word in words) == " ".join(heard[0].split())
    checkpoint = load_checkpoint(tmp_path / "inference")
    assert checkpoint.vocabulary == subwords.labels
    with pytest.raises(CheckpointError, match="CTC head of subwords"):
        save_hf(checkpoint, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_words_have_times_and_are_those_of_the_transcription(folder, tmp_path):
    asr = EncoderASR.from_hparams(source=str(folder))
    wavs, _ = noise(24000)
    soundfile.write(tmp_path / "a.wav", wavs[0], 16000, subtype="FLOAT")
    words = transcribe_words(asr, str(tmp_path / "a.wav"))
    heard = asr.transcribe_file(str(tmp_path / "a.wav"))
    assert [word.text for word in words] == heard.split() and len(words) > 2
    times = [time for word in words for time in (word.start, word.end)]
    assert 0 <= min(times) and max(times) <= 1.5
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(
        word.end > word.start and 0 < word.confidence <= 1 for word in words
    )
