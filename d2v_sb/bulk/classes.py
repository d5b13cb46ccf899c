"""Classes of recordings for ``Engine``, as a whole or over time.

Authors
 * The d2v_sb developers 2026
"""

import torch

from d2v_sb.bulk.hearing import seconds_of
from d2v_sb.bulk.outputs import Formats
from d2v_sb.bulk.pieces import Windows
from d2v_sb.presets import SAMPLE_RATE

WHOLE_SECONDS = 60.0  # a longer recording is heard in windows of this


class ClassListener:
    """Posteriors of windows.

    Arguments
    ---------
    classifier : EncoderClassifier
        Of SpeechBrain.
    window_seconds, hop_seconds : float, optional
        Of windows; without them a recording is one, or, if it is longer than
        ``WHOLE_SECONDS``, windows of that side by side.
    top : int
        How many of the likeliest classes records have.
    """

    def __init__(
        self, classifier, window_seconds=None, hop_seconds=None, top=10
    ):
        self.classifier = classifier
        self.over_time = window_seconds is not None
        window = window_seconds or WHOLE_SECONDS
        self.cut = Windows(window, hop_seconds or window)
        self.device = torch.device(classifier.device)
        names = classifier.hparams.label_encoder.ind2lab
        self.names = [names[i] for i in range(len(names))]
        self.top = min(top, len(self.names))

    def forward(self, wavs, wav_lens):
        """A padded batch to posteriors (B, K)."""
        scores = self.classifier.classify_batch(wavs, wav_lens)[0]
        # Of log-probabilities that is the identity; other models give cosines.
        return (scores.flatten(1).float().softmax(dim=-1),)

    def rows(self, tensors, num_samples):
        """Posteriors of each row."""
        return list(tensors[0])

    def begin(self):
        """What collects a file's windows."""
        return Posteriors(self)

    def likeliest(self, posteriors):
        """Of posteriors (K,), the likeliest classes with theirs."""
        values, indices = posteriors.topk(self.top)
        pairs = zip(indices.tolist(), values.tolist(), strict=True)
        return {self.names[i]: round(value, 4) for i, value in pairs}


class Posteriors:
    """Collects the windows of a file; the whole is their mean, each counting
    by what it has that the one before had not.

    Arguments
    ---------
    listener : ClassListener
        Where they are from.
    """

    def __init__(self, listener):
        self.listener = listener
        self._sum, self._end, self._windows = 0.0, 0, []

    def add(self, piece, output):
        """Takes a window's posteriors; after the last, the file's record."""
        # The last window of a long file overlaps the one before.
        end = piece.start + piece.num_samples
        self._sum = self._sum + output * (end - self._end)
        self._end = end
        if self.listener.over_time:
            window = {
                "start": round(piece.start / SAMPLE_RATE, 3),
                "end": round(end / SAMPLE_RATE, 3),
                **described(self.listener.likeliest(output)),
            }
            self._windows.append(window)
        if not piece.last:
            return None
        whole = self.listener.likeliest(self._sum / self._end)
        record = {"seconds": seconds_of(piece), **described(whole)}
        return record | ({"windows": self._windows} if self._windows else {})


def described(posteriors):
    """The likeliest class, its posterior, and those of others.

    Example
    -------
    >>> described({"sad": 0.75, "hap": 0.25})
    {'label': 'sad', 'score': 0.75, 'posteriors': {'sad': 0.75, 'hap': 0.25}}
    """
    label = next(iter(posteriors))
    return {
        "label": label,
        "score": posteriors[label],
        "posteriors": posteriors,
    }


def to_text(record):
    """A line: name, label, posterior.

    Example
    -------
    >>> to_text({"name": "a.wav", "label": "sad", "score": 0.75})
    'a.wav\\tsad\\t0.750\\n'
    """
    return f"{record['name']}\t{record['label']}\t{record['score']:.3f}\n"


def to_tsv(record):
    """A line for each window, or for the recording.

    Example
    -------
    >>> to_tsv({"name": "a.wav", "seconds": 2, "label": "sad", "score": 0.75})
    'a.wav\\t0.000\\t2.000\\tsad\\t0.7500\\n'
    """
    whole = {**record, "start": 0.0, "end": record["seconds"]}
    return "".join(
        f"{record['name']}\t{row['start']:.3f}\t{row['end']:.3f}\t"
        f"{row['label']}\t{row['score']:.4f}\n"
        for row in record.get("windows", [whole])
    )


CLASSES = Formats(
    text=to_text,
    tsv=to_tsv,
    tsv_header="name\tstart\tend\tlabel\tscore\n",
    each={},
    alone=None,
)
