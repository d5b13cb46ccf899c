"""Speech recognition with CTC.

Reference: https://arxiv.org/abs/2202.03555 (section 4.2),
https://arxiv.org/abs/2006.11477 (section 4.2)

Authors
 * The d2v_sb developers 2026
"""

import logging
from functools import cached_property

import torch
from speechbrain.decoders.ctc import CTCBeamSearcher
from speechbrain.nnet.losses import ctc_loss

from d2v_sb.beam_search import (
    CHOSEN,
    LMBeamSearcher,
    chosen_options,
    export_with_lm,
)
from d2v_sb.finetuning.asr import ASRBrain
from d2v_sb.inference import ctc_greedy_decode, export_ctc
from d2v_sb.language_model import check_language_model, check_words
from d2v_sb.lm_folders import LanguageModelFile

logger = logging.getLogger(__name__)


class CTCBrain(ASRBrain):
    """Trains a ``CTCModel`` and measures its WER and CER.

    Besides ``ASRBrain``'s it takes from the hparams `model`, `blank_index`,
    `inference_folder`, `lm_path` and `beam_search`. Validation decodes
    greedily, and so do tests, unless ``beam_search`` was given a language
    model.
    """

    searcher = lm_path = None

    def compute_forward(self, batch, stage):
        """Waveforms to log-probabilities (B, T, V)."""
        wavs, wav_lens = batch.sig
        # Lengths stay on the host, where the encoder reads them.
        return self.modules.model(wavs.to(self.device), wav_lens)

    def compute_objectives(self, log_probs, batch, stage):
        """The CTC loss; outside training also the errors of the hypotheses."""
        tokens, token_lens = batch.tokens
        with torch.autocast(self.device_type, enabled=False):
            loss = ctc_loss(
                log_probs.float(),
                tokens.to(self.device),
                (self.frames(batch) / log_probs.shape[1]).to(self.device),
                token_lens.to(self.device),
                blank_index=self.hparams.blank_index,
            )
        self.measure(log_probs, batch, stage)
        return loss

    def decode(self, log_probs, batch=None, stage=None):
        """Texts of a batch: by beam search where there is a language model,
        else greedily."""
        if self.searcher is not None:
            return [hyps[0].text for hyps in self.searcher(log_probs)]
        labels = ctc_greedy_decode(log_probs, None, self.hparams.blank_index)
        return [self.hparams.tokenizer.decode(row) for row in labels]

    def on_fit_start(self):
        """Finds what is wrong with the language model before the training."""
        check_language_model(self.hparams.lm_path)
        super().on_fit_start()

    def decoders(self):
        """Greedy decoding, then beam search where there is a language model."""
        yield ""
        if self.hparams.lm_path:
            self.beam_search(self.hparams.lm_path, **self.beam_options)
            yield "_lm"

    def beam_search(self, lm_path=None, **options):
        """Decodes with SpeechBrain's beam search from now on.

        Arguments
        ---------
        lm_path : str, optional
            A language model, an ARPA or KenLM binary file.
        **options : dict
            Of ``CTCBeamSearcher``: alpha, beta, beam_size, …

        Raises
        ------
        UserError
            If the language model is not there, or kenlm is not installed.
        """
        labels = self.hparams.tokenizer.labels
        blank = self.hparams.blank_index
        self.lm_path = lm_path
        if not lm_path:
            self.searcher = CTCBeamSearcher(blank, labels, **options)
            return
        check_language_model(lm_path)
        language_model = LanguageModelFile(lm_path)
        self.searcher = LMBeamSearcher(labels, blank, language_model, **options)

    @cached_property
    def beam_options(self):
        """The hparams' values, or those that a sweep chose."""
        hparams = self.hparams
        options = chosen_options(
            hparams.output_folder, hparams.lm_path, hparams.beam_search
        )
        if options != hparams.beam_search:
            logger.warning(
                "beam search takes what a sweep chose, from %s in the output "
                "folder, and not the hparams': %s",
                CHOSEN,
                options,
            )
        return options

    def test(self, name, dataset, suffix=""):
        """As of ``ASRBrain``; a language model must know the words."""
        if self.lm_path:
            rows = dataset.data.values()
            check_words(self.lm_path, (row["wrd"] for row in rows))
        return super().test(name, dataset, suffix)

    def export_folder(self, folder):
        """Writes the folder that ``EncoderASR`` loads."""
        export_ctc(folder, self.hparams.model, self.hparams.tokenizer)

    def export_lm_folder(self, folder, target):
        """Writes one that searches with the language model."""
        lm_path = self.hparams.lm_path
        export_with_lm(folder, target, lm_path, self.beam_options)
