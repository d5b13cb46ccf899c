"""When words were said, from the frames of a CTC model.

Reference: https://arxiv.org/abs/2007.09127 (alignment by CTC)

Authors
 * The d2v_sb developers 2026
"""

import math
from typing import NamedTuple

import torch
from speechbrain.dataio.encoder import CTCTextEncoder

from d2v_sb.errors import DataError
from d2v_sb.inference import ctc_greedy_decode
from d2v_sb.lobes.feature_extractor import receptive_field
from d2v_sb.presets import SAMPLE_RATE


class Word(NamedTuple):
    """A word, its begin and end in seconds, and how sure the model is.

    The confidence, from 0 to 1, is the geometric mean over the word's labels
    of the highest probability that each has in its frames. It orders words; it
    is no probability of being right.
    """

    text: str
    start: float
    end: float
    confidence: float


def transcribe_words(asr, path):
    """Words of a file with their times.

    Arguments
    ---------
    asr : EncoderASR
        Of an inference folder of ours.
    path : str
        An audio file.

    Returns
    -------
    list of Word
        Decoded greedily, whatever the folder searches with.

    Example
    -------
    >>> import soundfile
    >>> from speechbrain.inference.ASR import EncoderASR
    >>> from speechbrain.nnet.linear import Linear
    >>> from d2v_sb.inference import export_ctc
    >>> from d2v_sb.lobes import CTCModel, Data2VecAudio
    >>> from d2v_sb.tokens import Letters
    >>> folder = getfixture("tmp_path")
    >>> head = Linear(input_size=128, n_neurons=3)
    >>> model = CTCModel(Data2VecAudio("tiny"), head)
    >>> export_ctc(folder / "inference", model, Letters(" A"))
    >>> asr = EncoderASR.from_hparams(source=str(folder / "inference"))
    >>> soundfile.write(folder / "a.wav", torch.rand(8000), 16000)
    >>> words = transcribe_words(asr, str(folder / "a.wav"))
    >>> all(0 <= word.start < word.end <= 0.5 for word in words)
    True
    """
    model = asr.mods.encoder
    wav = asr.load_audio(path)
    with torch.no_grad():
        log_probs = asr.encode_batch(wav[None], torch.ones(1))
    (labels,) = ctc_greedy_decode(log_probs, None, model.blank_index)
    return word_times(
        log_probs[0],
        labels,
        label_texts(asr.tokenizer),
        model.encoder.config.conv_feature_layers,
        model.blank_index,
    )


def label_texts(tokenizer):
    """Texts of all labels, in their order.

    Arguments
    ---------
    tokenizer : CTCTextEncoder or SentencePieceProcessor
        As SpeechBrain's interfaces hold it.

    Returns
    -------
    list of str
    """
    if isinstance(tokenizer, CTCTextEncoder):
        return [tokenizer.ind2lab[i] for i in range(len(tokenizer))]
    return [tokenizer.id_to_piece(i) for i in range(len(tokenizer))]


def align(log_probs, labels, blank_index=0):
    """The most probable path of frames through labels, by Viterbi.

    Arguments
    ---------
    log_probs : torch.Tensor
        Of one utterance (T, V).
    labels : list of int
        Without blanks, L of them.
    blank_index : int
        The blank's label.

    Returns
    -------
    list of (int, int)
        First and last frame of each label.

    Raises
    ------
    DataError
        If there are fewer frames than the labels take.

    Example
    -------
    >>> log_probs = torch.eye(3)[[0, 1, 1, 0, 2]].mul(9).log_softmax(-1)
    >>> align(log_probs, [1, 2])
    [(1, 2), (4, 4)]
    """
    if not labels:
        return []
    T = len(log_probs)
    # blank, label, blank, label, …, blank
    states = torch.full((2 * len(labels) + 1,), blank_index)
    states[1::2] = torch.tensor(labels)
    emitted = log_probs.detach().double().cpu()[:, states]
    # From two states before: over a blank between labels that differ.
    may_skip = torch.zeros(len(states), dtype=torch.bool)
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    score = torch.full((len(states),), -math.inf, dtype=torch.double)
    score[:2] = emitted[0, :2]
    steps = torch.zeros(T, len(states), dtype=torch.long)
    for t in range(1, T):
        candidates = torch.full((3, len(states)), -math.inf).double()
        candidates[0] = score
        candidates[1, 1:] = score[:-1]
        candidates[2, 2:] = score[:-2]
        candidates[2, ~may_skip] = -math.inf
        best, steps[t] = candidates.max(dim=0)
        score = best + emitted[t]
    state = len(states) - 1 - int(score[-2] > score[-1])
    if not torch.isfinite(score[state]):
        raise DataError(
            f"{T} frames can not be aligned with {len(labels)} labels: they "
            "are too few"
        )
    spans = [(T, -1)] * len(labels)
    for t in range(T - 1, -1, -1):
        if state % 2:
            first, last = spans[state // 2]
            spans[state // 2] = min(first, t), max(last, t)
        state -= int(steps[t, state])
    return spans


def word_times(log_probs, labels, texts, conv_feature_layers, blank_index=0):
    """Words with their times, where all frames are at hand.

    Arguments
    ---------
    log_probs : torch.Tensor
        Of one utterance (T, V).
    labels : list of int
        What was heard, or is to be found.
    texts : list of str
        Of all labels in their order, as ``Letters.labels``: words are
        separated by a space, or, of subwords, begin with "▁".
    conv_feature_layers : sequence of (channels, kernel, stride)
        The encoder's conv stack, which makes frames of samples.
    blank_index : int
        The blank's label.

    Returns
    -------
    list of Word
        The begin is that of a word's first frame's window, the end that of its
        last frame's.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> log_probs = torch.eye(4)[[2, 0, 1, 3]].mul(99).log_softmax(-1)
    >>> texts, layers = ["<blank>", " ", "A", "B"], PRESETS["base"]
    >>> word_times(log_probs, [2, 1, 3], texts, layers.conv_feature_layers)
    [Word(text='A', start=0.0, end=0.025, confidence=1.0), \
Word(text='B', start=0.06, end=0.085, confidence=1.0)]
    """
    builder = WordBuilder(texts, conv_feature_layers)
    words = []
    for label, (first, last) in zip(
        labels, align(log_probs, labels, blank_index), strict=True
    ):
        best = log_probs[first : last + 1, label].max().item()
        words += builder.add(label, first, last, best)
    return words + builder.finish()


class WordBuilder:
    """Makes words of labels as they come.

    Arguments
    ---------
    texts, conv_feature_layers
        As of ``word_times``.

    Example
    -------
    >>> from d2v_sb.presets import PRESETS
    >>> layers = PRESETS["base"].conv_feature_layers
    >>> builder = WordBuilder(["<blank>", " ", "A", "B"], layers)
    >>> builder.add(2, 0, 1, 0.0), builder.add(1, 3, 3, 0.0)
    ([], [Word(text='A', start=0.0, end=0.045, confidence=1.0)])
    >>> builder.add(3, 4, 4, 0.0), builder.finish()
    ([], [Word(text='B', start=0.08, end=0.105, confidence=1.0)])
    """

    def __init__(self, texts, conv_feature_layers):
        self.texts = texts
        self.hop = math.prod(stride for _, _, stride in conv_feature_layers)
        self.window = receptive_field(conv_feature_layers)
        self._parts = []

    def add(self, label, first, last, best):
        """Takes a label.

        Arguments
        ---------
        label : int
            No blank.
        first, last : int
            Its frames.
        best : float
            Its highest log-probability in them.

        Returns
        -------
        list of Word
            The word that it ended, if it did.
        """
        text, done = self.texts[label], []
        if text[0] in " \u2581":
            done = self.finish()
            text = text[1:]
        if text:
            self._parts.append((text, first, last, best))
        return done

    def finish(self):
        """The word that is not ended yet, if there is one: list of Word."""
        if not self._parts:
            return []
        parts, self._parts = self._parts, []
        start = parts[0][1] * self.hop / SAMPLE_RATE
        end = (parts[-1][2] * self.hop + self.window) / SAMPLE_RATE
        mean = sum(best for *_, best in parts) / len(parts)
        text = "".join(part[0] for part in parts)
        return [Word(text, round(start, 3), round(end, 3), math.exp(mean))]
