"""Probing for words: CTC's loss, decoding, error rates.

Authors
 * The d2v_sb developers 2026
"""

import logging
from pathlib import Path

import torch
from speechbrain.decoders.ctc import CTCBeamSearcher, ctc_greedy_decode
from speechbrain.nnet.losses import ctc_loss
from speechbrain.utils.metric_stats import ErrorRateStats

from d2v_sb.atomic import replacing
from d2v_sb.beam_search import LMBeamSearcher
from d2v_sb.benchmark.result import Measure
from d2v_sb.errors import DataError
from d2v_sb.language_model import check_language_model
from d2v_sb.lm_folders import LanguageModelFile
from d2v_sb.scoring.bootstrap import error_rate_interval

logger = logging.getLogger(__name__)


class CTCTask:
    """What ``ProbingBrain`` asks of speech recognition.

    Arguments
    ---------
    tokenizer : Letters or Subwords
        The labels; the blank is label 0.
    beam_search : dict, optional
        Options of ``CTCBeamSearcher``, with which tests decode. Without them,
        and without a language model, they decode greedily.
    lm_path : str, optional
        A language model for it, an ARPA or KenLM binary file.

    Example
    -------
    >>> from d2v_sb.tokens import Letters
    >>> CTCTask(Letters(" AB")).encode("A B")
    [2, 1, 3]
    """

    column = "wrd"
    name = "WER"  # what the best checkpoint is chosen by

    def __init__(self, tokenizer, beam_search=None, lm_path=None):
        self.tokenizer = tokenizer
        self.beam_search = beam_search or {}
        self.lm_path = lm_path
        self.searcher = None

    def encode(self, words):
        """Words to labels; letters of test data that have none are left out,
        and count as errors in any case."""
        strange = self.tokenizer.unknown(words)
        if strange:
            words = "".join(c for c in words if c not in strange)
        return self.tokenizer.encode(words)

    def check(self, utterances, num_frames):
        """Finds what can not be trained on before the training.

        Arguments
        ---------
        utterances : list of Utterance
            Of the training data.
        num_frames : callable
            Samples to frames.

        Returns
        -------
        list of Utterance
            Less those with fewer frames than CTC needs for their labels.

        Raises
        ------
        DataError
            If transcripts have letters without a label, or nothing is left.
        """
        check_language_model(self.lm_path)
        strange = {}
        for u in utterances:
            for letter in self.tokenizer.unknown(u.target):
                strange.setdefault(letter, u.id)
        if strange:
            found = ", ".join(f"{c!r} ({i})" for c, i in strange.items())
            raise DataError(
                "transcripts have letters that no label has, each with the "
                f"first utterance that has it: {found}. Add them to the "
                "alphabet in the hparams, or take --token_type unigram"
            )
        fit = [u for u in utterances if self._fits(u, num_frames)]
        if not fit:
            raise DataError("every utterance is too short for its transcript")
        if len(fit) < len(utterances):
            logger.warning(
                "%d of %d utterances have fewer frames than CTC needs for "
                "their labels and are not trained on",
                len(utterances) - len(fit),
                len(utterances),
            )
        return fit

    def check_test(self, utterances):
        """Nothing that is wrong with test data is known before it is heard.

        Returns
        -------
        list of Utterance
            All.
        """
        return utterances

    def _fits(self, utterance, num_frames):
        labels = self.encode(utterance.target)
        twins = sum(a == b for a, b in zip(labels, labels[1:]))
        return num_frames(utterance.num_samples) >= len(labels) + twins

    def loss(self, log_probs, num_frames, batch):
        """Log-probabilities (B, T, V) to the mean loss."""
        device = log_probs.device
        lengths = torch.tensor([len(t) for t in batch.targets])
        targets = torch.nn.utils.rnn.pad_sequence(
            batch.targets, batch_first=True
        )
        frames = torch.tensor(num_frames) / log_probs.shape[1]
        return ctc_loss(
            log_probs.float(),
            targets.to(device),
            frames.to(device),
            (lengths / targets.shape[1]).to(device),
            blank_index=0,
        )

    def begin(self, testing):
        """Counts anew."""
        self.wer, self.cer = ErrorRateStats(), ErrorRateStats(split_tokens=True)
        self.speakers = []
        self.searcher = self._searcher() if testing else None

    def _searcher(self):
        if not (self.beam_search or self.lm_path):
            return None
        labels = self.tokenizer.labels
        if self.lm_path:
            model = LanguageModelFile(self.lm_path)
            return LMBeamSearcher(labels, 0, model, **self.beam_search)
        return CTCBeamSearcher(0, labels, **self.beam_search)

    def observe(self, log_probs, num_frames, batch):
        """Counts the errors of a batch."""
        heard = [text.split() for text in self._decode(log_probs, num_frames)]
        said = [u.target.split() for u in batch.utterances]
        self.wer.append(batch.id, heard, said)
        self.cer.append(batch.id, heard, said)
        self.speakers += [u.speaker for u in batch.utterances]

    def _decode(self, log_probs, num_frames):
        rows = [row[:t] for row, t in zip(log_probs, num_frames, strict=True)]
        if self.searcher is not None:
            # Each alone, so that padding is not searched.
            return [self.searcher(row[None])[0][0].text for row in rows]
        one = torch.ones(1)
        labels = [ctc_greedy_decode(r[None], one, blank_id=0)[0] for r in rows]
        return [self.tokenizer.decode(row) for row in labels]

    def stats(self):
        """Error rates in percent."""
        return {
            "WER": self.wer.summarize("error_rate"),
            "CER": self.cer.summarize("error_rate"),
        }

    def error(self):
        """What schedules may anneal by."""
        return self.stats()["WER"]

    def report(self, folder, split):
        """Writes ``wer_<split>.txt`` and ``cer_<split>.txt``.

        Arguments
        ---------
        folder : str or pathlib.Path
            Of the run.
        split : str
            What was tested.

        Returns
        -------
        list of Measure
            "WER" and "CER", with intervals where there are two speakers.
        """
        measures = []
        for name, stats in (("WER", self.wer), ("CER", self.cer)):
            path = Path(folder) / f"{name.lower()}_{split}.txt"
            with (
                replacing(path) as beside,
                open(beside, "w", encoding="utf-8") as stream,
            ):
                stats.write_stats(stream)
            value = stats.summarize("error_rate")
            bounds = self._interval(stats)
            counts = len(stats.scores), len(set(self.speakers))
            measures.append(Measure(split, name, value, *bounds, *counts))
        return measures

    def _interval(self, stats):
        if len(set(self.speakers)) < 2:
            return None, None
        errors = [s["num_edits"] for s in stats.scores]
        words = [s["num_ref_tokens"] for s in stats.scores]
        return error_rate_interval(errors, words, self.speakers)
