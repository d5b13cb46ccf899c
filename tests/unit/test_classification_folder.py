"""Inference folders of classifiers, in SpeechBrain's interfaces.

Authors
 * The d2v_sb developers 2026
"""

import shutil
import socket

import pytest
import soundfile
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.linear import Linear

from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.classification_folder import export_classifier, folder_text
from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.lobes import (
    FilterBank,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.utterances import Labels


@pytest.fixture
def no_network(monkeypatch):
    """Whatever connects fails."""

    def refuse(*args, **kwargs):
        raise OSError("the network is cut off")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.fixture
def labels(tmp_path):
    """Three classes."""
    path = tmp_path / "train.csv"
    path.write_text("ID,label\na,ang\nb,sad\nc,hap\n")
    return Labels(path, "label")


def classifier(front_end, head, output):
    """A small model."""
    torch.manual_seed(0)
    head = make_head(head, front_end.output_size, 12, 16, 8)
    return UtteranceClassifier(UtteranceEncoder(front_end, head), output).eval()


MODELS = {
    "speaker": lambda: classifier(
        WeightedData2Vec("tiny", layernorm=True),
        "ecapa",
        Classifier(12, out_neurons=3),
    ),
    "emotion": lambda: classifier(
        WeightedData2Vec("tiny"), "mean", Linear(input_size=12, n_neurons=3)
    ),
    "filter banks": lambda: classifier(
        FilterBank(40), "xvector", Classifier(12, out_neurons=3)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_folder_alone_gives_the_models_outputs(
    name, labels, tmp_path, no_network
):
    model = MODELS[name]()
    export_classifier(tmp_path / "made", model, labels, scale=30.0)
    shutil.move(tmp_path / "made", tmp_path / "moved")
    wavs, lens = torch.randn(2, 16000), torch.tensor([1.0, 0.6])
    with torch.no_grad():
        embeddings = model.embedding_model(wavs, lens)
        log_probs = (30 * model(wavs, lens)).log_softmax(-1)[:, 0]
    source = str(tmp_path / "moved")
    loaded = EncoderClassifier.from_hparams(source=source)
    assert torch.equal(loaded.encode_batch(wavs, lens), embeddings)
    out, score, index, text = loaded.classify_batch(wavs, lens)
    assert torch.allclose(out, log_probs, atol=1e-6)
    assert text == [labels.ind2lab[i] for i in log_probs.argmax(-1).tolist()]
    assert torch.equal(index, log_probs.argmax(-1))

    speakers = SpeakerRecognition.from_hparams(source=source)
    for i, wav in enumerate(wavs):
        soundfile.write(tmp_path / f"{i}.wav", wav.numpy(), 16000, "FLOAT")
    paths = [str(tmp_path / f"{i}.wav") for i in range(2)]
    score, same = speakers.verify_files(*paths)
    with torch.no_grad():
        both = [model.embedding_model(wav[None])[0, 0] for wav in wavs]
    expected = torch.cosine_similarity(*both, dim=0)
    assert float(score) == pytest.approx(float(expected), abs=1e-5)
    assert speakers.verify_files(paths[0], paths[0])[1]


def test_a_folder_is_a_source_of_an_encoder(labels, tmp_path):
    model = MODELS["speaker"]()
    export_classifier(tmp_path / "made", model, labels, scale=30.0)
    loaded = load_checkpoint(tmp_path / "made")
    own = model.embedding_model.front_end.encoder.state_dict()
    for name, tensor in loaded.encoder.items():
        assert torch.equal(tensor, own[name])


def test_classes_of_another_training_are_refused(labels, tmp_path):
    export_classifier(tmp_path / "a", MODELS["emotion"](), labels, 1.0)
    lines = (tmp_path / "a/label_encoder.ckpt").read_text().splitlines()
    lines = [line for line in lines if "sad" not in line]
    (tmp_path / "a/label_encoder.ckpt").write_text("\n".join(lines))
    with pytest.raises(CheckpointError, match="2 labels, but the model has 3"):
        EncoderClassifier.from_hparams(source=str(tmp_path / "a"))


def test_what_can_not_be_exported_is_said():
    model = MODELS["emotion"]()
    model.embedding_model.head = torch.nn.Identity()
    with pytest.raises(UserError, match="a Identity as head can not"):
        folder_text(model, 3, 1.0)
    model = MODELS["speaker"]()
    model.classifier = torch.nn.Linear(12, 3)
    with pytest.raises(UserError, match="a Linear as classifier can not"):
        folder_text(model, 3, 1.0)
