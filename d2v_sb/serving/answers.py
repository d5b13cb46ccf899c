"""From recordings to what a page shows: words, classes, scores.

Authors
 * The d2v_sb developers 2026
"""

from typing import NamedTuple

import torch

from d2v_sb.bulk.pieces import Span
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.serving.recordings import as_file
from d2v_sb.windows import classify_windows

HOP_SECONDS = 1.0  # between windows of classes
COMPARED_SECONDS = 30  # of a speaker
ONE = torch.ones(1)


class Course(NamedTuple):
    """Chances of classes over time, and their means.

    Windows are those of ``classify_windows``.
    """

    windows: list
    mean: dict

    @property
    def label(self):
        """The likeliest class of the whole."""
        return max(self.mean, key=self.mean.get)


@torch.no_grad()
def hear(listener, wav):
    """What is said in a waveform.

    Arguments
    ---------
    listener : object
        Of ``d2v_sb.bulk.hearing.make_listener``.
    wav : torch.Tensor
        Waveform (N,), 16 kHz.

    Returns
    -------
    dict
        A record of ``d2v_sb.bulk.hearing.transcript``.

    Example
    -------
    >>> from speechbrain.inference.ASR import EncoderASR
    >>> from speechbrain.nnet.linear import Linear
    >>> from d2v_sb.bulk.hearing import make_listener
    >>> from d2v_sb.inference import export_ctc
    >>> from d2v_sb.lobes import CTCModel, Data2VecAudio
    >>> from d2v_sb.tokens import Letters
    >>> folder = getfixture("tmp_path") / "inference"
    >>> head = Linear(input_size=128, n_neurons=3)
    >>> model = CTCModel(Data2VecAudio("tiny"), head)
    >>> export_ctc(folder, model, Letters(" A"))
    >>> asr = EncoderASR.from_hparams(source=str(folder))
    >>> list(hear(make_listener(asr), torch.rand(8000)))
    ['seconds', 'text', 'words']
    """
    collected, record = listener.begin(), None
    for piece in listener.cut([wav]):
        tensors = listener.forward(piece.wav[None].to(listener.device), ONE)
        # What a search found is a list, and on the CPU already.
        tensors = [x.cpu() if torch.is_tensor(x) else x for x in tensors]
        (output,) = listener.rows(tensors, [len(piece.wav)])
        record = collected.add(Span.of(piece), output)
    return record


def course(classifier, wav):
    """Chances of classes over the course of a waveform.

    Arguments
    ---------
    classifier : EncoderClassifier
        Of an inference folder.
    wav : torch.Tensor
        Waveform (N,), 16 kHz.

    Returns
    -------
    Course
    """
    with as_file(wav) as path:
        windows = list(
            classify_windows(classifier, path, hop_seconds=HOP_SECONDS)
        )
    total = {
        name: sum(window.posteriors[name] for window in windows)
        for name in windows[0].posteriors
    }
    mean = {name: value / len(windows) for name, value in total.items()}
    return Course(windows, mean)


def likeness(speakers, one, other):
    """The cosine of the embeddings of two recordings.

    Arguments
    ---------
    speakers : SpeakerRecognition
        Of an inference folder.
    one, other : torch.Tensor
        Waveforms (N,), 16 kHz. Their first ``COMPARED_SECONDS`` count.

    Returns
    -------
    float
        From -1 to 1.
    """
    end = COMPARED_SECONDS * SAMPLE_RATE
    score, _ = speakers.verify_batch(one[None, :end], other[None, :end])
    return score.item()
