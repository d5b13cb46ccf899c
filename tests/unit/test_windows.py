"""Classes over the course of a recording.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.nnet.linear import Linear

from d2v_sb.classification_folder import export_classifier
from d2v_sb.errors import DataError, UserError
from d2v_sb.lobes import (
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.utterances import Labels
from d2v_sb.windows import classify_windows


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A loaded folder of two classes."""
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "train.csv").write_text("ID,label\na,calm\nb,loud\n")
    torch.manual_seed(0)
    encoder = UtteranceEncoder(
        WeightedData2Vec("tiny"), make_head("statistics", 128, 8)
    )
    output = Linear(input_size=8, n_neurons=2)
    model = UtteranceClassifier(encoder, output)
    labels = Labels(folder / "train.csv", "label")
    export_classifier(folder / "inference", model, labels, 1.0)
    return EncoderClassifier.from_hparams(source=str(folder / "inference"))


def write(path, seconds, rate=16000, channels=1):
    """Noise whose loudness changes."""
    generator = np.random.default_rng(0)
    samples = int(seconds * rate)
    noise = generator.normal(0, 0.1, (samples, channels))
    soundfile.write(path, noise * np.linspace(0.1, 1, samples)[:, None], rate)
    return path


def test_each_window_is_classified_as_a_clip_of_its_own(classifier, tmp_path):
    path = write(tmp_path / "a.wav", 9.5)
    windows = list(classify_windows(classifier, path, 3.0, 2.0, batch_size=2))
    spans = [(window.start, window.end) for window in windows]
    assert spans == [(0, 3), (2, 5), (4, 7), (6, 9), (6.5, 9.5)]
    wav = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    for window in windows:
        part = wav[int(window.start * 16000) : int(window.end * 16000)]
        log_probs, _, _, (label,) = classifier.classify_batch(part[None])
        expected = log_probs[0].exp().tolist()
        assert list(window.posteriors) == ["calm", "loud"]
        values = list(window.posteriors.values())
        assert values == pytest.approx(expected, abs=1e-5)
        assert window.label == label and sum(values) == pytest.approx(1)


def test_a_short_recording_is_one_window(classifier, tmp_path):
    path = write(tmp_path / "a.wav", 1.25)
    (window,) = classify_windows(classifier, path)
    assert (window.start, window.end) == (0, 1.25)


def test_other_rates_and_channels_are_converted(classifier, tmp_path):
    path = write(tmp_path / "a.flac", 5, rate=44100, channels=2)
    windows = list(classify_windows(classifier, path))
    assert [(w.start, w.end) for w in windows] == [(0, 4), (1, 5)]


def test_bad_files_and_lengths_are_said(classifier, tmp_path):
    with pytest.raises(DataError, match="too short"):
        list(classify_windows(classifier, write(tmp_path / "a.wav", 0.02)))
    for window_seconds in (0, 0.02):
        with pytest.raises(UserError, match="must be 0.025 or more"):
            path = tmp_path / "a.wav"
            list(classify_windows(classifier, path, window_seconds))
