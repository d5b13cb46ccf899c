"""Speech recognition for ``Engine``: one class for each kind of model.

Each says how its files are cut (`cut`), what a batch gives (`forward`,
`rows`), and what becomes of a file's pieces (`begin`).

Authors
 * The d2v_sb developers 2026
"""

import functools

import torch

from d2v_sb.alignment import Word, WordBuilder, label_texts, word_times
from d2v_sb.bulk.pieces import AtPauses, Overlapping
from d2v_sb.errors import DataError
from d2v_sb.greedy_path import GreedyPath
from d2v_sb.lobes import CTCModel, JointModel
from d2v_sb.presets import SAMPLE_RATE


def make_listener(asr, chunk_seconds=40.0, context_seconds=4.0):
    """What hears files with a model that an interface has loaded.

    Arguments
    ---------
    asr : EncoderASR or EncoderDecoderASR
        Of a folder of ours, or any other.
    chunk_seconds : float
        What is heard at a time of a file that is longer.
    context_seconds : float
        What is heard besides on either side, by CTC models.

    Returns
    -------
    GreedyListener, SearchListener, JointListener or Listener
    """
    modules = asr.mods
    ours = isinstance(modules.encoder, CTCModel)
    if ours and isinstance(asr.hparams.decoding_function, functools.partial):
        # Its output over the whole file can not be normalised in chunks.
        if not modules.encoder.encoder.output_norm:
            return GreedyListener(asr, chunk_seconds, context_seconds)
    elif ours:
        return SearchListener(asr, chunk_seconds)
    if isinstance(getattr(modules, "model", None), JointModel):
        return JointListener(asr, chunk_seconds)
    return Listener(asr, chunk_seconds)


class Listener:
    """Any model of SpeechBrain: texts of pieces that are cut at pauses.

    Arguments
    ---------
    asr : EncoderASR or EncoderDecoderASR
        The interface.
    chunk_seconds : float
        The longest piece.
    """

    has_times = False  # of words

    def __init__(self, asr, chunk_seconds=40.0):
        self.asr = asr
        self.cut = AtPauses(chunk_seconds)
        self.device = torch.device(asr.device)

    def forward(self, wavs, wav_lens):
        """A padded batch to texts."""
        return (self.asr.transcribe_batch(wavs, wav_lens)[0],)

    def rows(self, tensors, num_samples):
        """Texts, without times of words."""
        return [(str(text), None) for text in tensors[0]]

    def begin(self):
        """What collects a file's pieces."""
        return PieceTexts()


class SearchListener(Listener):
    """CTC with beam search: texts of pieces, whose words are aligned."""

    has_times = True

    @property
    def blank_index(self):
        """CTC's blank."""
        return self.asr.mods.encoder.blank_index

    def forward(self, wavs, wav_lens):
        """A padded batch to log-probabilities (B, T, V)."""
        return (self.asr.mods.encoder(wavs, wav_lens),)

    def rows(self, tensors, num_samples):
        """Texts and words."""
        model = self.asr.mods.encoder
        found = self.asr.decoding_function(tensors[0], None)
        texts = [hypotheses[0].text.strip() for hypotheses in found]
        frames = [model.encoder.num_frames(n) for n in num_samples]
        return [
            (text, self._words(row[:T], self._labels(text), model))
            for text, row, T in zip(texts, tensors[0], frames, strict=True)
        ]

    def _labels(self, text):
        tokenizer = self.asr.tokenizer
        if hasattr(tokenizer, "encode_sequence"):
            return tokenizer.encode_sequence(list(text))
        return tokenizer.encode(text)

    def _words(self, log_probs, labels, model):
        layers = model.encoder.config.conv_feature_layers
        texts = label_texts(self.asr.tokenizer)
        try:
            return word_times(
                log_probs, labels, texts, layers, self.blank_index
            )
        except DataError:  # more labels than frames: no CTC path has them
            return None


class JointListener(SearchListener):
    """CTC and attention: texts by joint search, words aligned by CTC."""

    blank_index = 0  # of the recipe; the searcher alone keeps it

    def forward(self, wavs, wav_lens):
        """A padded batch to CTC's log-probabilities (B, T, V) and labels."""
        model = self.asr.mods.model
        states = model.encoder(wavs, wav_lens)
        labels = self.asr.mods.decoder(states, wav_lens.to(wavs.device))[0]
        log_probs = model.ctc_head(states).log_softmax(-1, torch.float32)
        return log_probs, labels

    def rows(self, tensors, num_samples):
        """Texts and words."""
        encoder = self.asr.mods.model.encoder
        frames = [encoder.encoder.num_frames(n) for n in num_samples]
        return [
            (
                self.asr.tokenizer.decode_ids(labels),
                self._words(row[:T], labels, encoder),
            )
            for row, labels, T in zip(*tensors, frames, strict=True)
        ]


class GreedyListener:
    """CTC, greedily: frames of overlapping pieces are one path.

    Arguments
    ---------
    asr : EncoderASR
        Of a folder of ours.
    chunk_seconds, context_seconds : float
        See ``Overlapping``.

    Example
    -------
    >>> from speechbrain.inference.ASR import EncoderASR
    >>> from speechbrain.nnet.linear import Linear
    >>> from d2v_sb.inference import export_ctc
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> from d2v_sb.tokens import Letters
    >>> folder = getfixture("tmp_path") / "inference"
    >>> head = Linear(input_size=128, n_neurons=3)
    >>> model = CTCModel(Data2VecAudio("tiny"), head)
    >>> export_ctc(folder, model, Letters(" A"))
    >>> asr = EncoderASR.from_hparams(source=str(folder))
    >>> listener = make_listener(asr)
    >>> tensors = listener.forward(torch.rand(1, 8000), torch.ones(1))
    >>> values, indices = listener.rows(tensors, [8000])[0]
    >>> indices.shape
    torch.Size([24])
    """

    has_times = True

    def __init__(self, asr, chunk_seconds=40.0, context_seconds=4.0):
        self.model = asr.mods.encoder
        self.texts = label_texts(asr.tokenizer)
        self.layers = self.model.encoder.config.conv_feature_layers
        self.cut = Overlapping(self.layers, chunk_seconds, context_seconds)
        self.device = torch.device(asr.device)

    def forward(self, wavs, wav_lens):
        """A padded batch to each frame's best log-probability and label."""
        return tuple(self.model(wavs, wav_lens).max(dim=-1))

    def rows(self, tensors, num_samples):
        """Those of each row, padding left out."""
        frames = [self.model.encoder.num_frames(n) for n in num_samples]
        return [
            (values[:T], indices[:T])
            for values, indices, T in zip(*tensors, frames, strict=True)
        ]

    def begin(self):
        """What collects a file's pieces."""
        builder = WordBuilder(self.texts, self.layers)
        return PathWords(GreedyPath(builder, self.model.blank_index))


class PathWords:
    """Words of a file whose pieces are one path."""

    def __init__(self, path):
        self.path, self.words = path, []

    def add(self, piece, output):
        """Takes what a piece gave; after the last, the file's record."""
        end = piece.first + piece.num_frames
        values, indices = (x[piece.first : end] for x in output)
        if not values.isfinite().all():
            raise DataError(
                "the model's output is not finite: if other files are fine, "
                "try --precision fp32"
            )
        self.words += self.path.add(values, indices)
        if not piece.last:
            return None
        self.words += self.path.finish()
        text = " ".join(word.text for word in self.words)
        return transcript(piece, text, self.words)


class PieceTexts:
    """Texts of a file whose pieces are heard each for itself."""

    def __init__(self):
        self.texts, self.words, self.segments = [], [], []

    def add(self, piece, output):
        """As that of ``PathWords``."""
        text, words = output
        start = piece.start / SAMPLE_RATE
        if text:
            end = start + piece.num_samples / SAMPLE_RATE
            segment = round(start, 3), round(end, 3), text
            self.segments.append(segment)
            self.texts.append(text)
        if words is None:
            self.words = None
        elif self.words is not None:
            self.words += [_later(word, start) for word in words]
        if not piece.last:
            return None
        return transcript(
            piece, " ".join(self.texts), self.words, self.segments
        )


def seconds_of(last_piece):
    """Duration of a file, by its last piece."""
    end = last_piece.start + last_piece.num_samples
    return round(end / SAMPLE_RATE, 3)


def transcript(last_piece, text, words, segments=()):
    """A file's record, as JSON has it.

    Where words have no times, segments have: the pieces that were heard.
    """
    record = {"seconds": seconds_of(last_piece), "text": text}
    if words is not None:
        record["words"] = [
            {**word._asdict(), "confidence": round(word.confidence, 4)}
            for word in words
        ]
    else:
        keys = ("start", "end", "text")
        record["segments"] = [dict(zip(keys, x)) for x in segments]
    return record


def _later(word, seconds):
    return Word(
        word.text,
        round(word.start + seconds, 3),
        round(word.end + seconds, 3),
        word.confidence,
    )
