"""Speech recognition with CTC.

Reference: https://arxiv.org/abs/2202.03555 (section 4.2),
https://arxiv.org/abs/2006.11477 (section 4.2)

Authors
 * The d2v_sb developers 2026
"""

import logging
from pathlib import Path

import jiwer
import speechbrain as sb
import torch
from speechbrain.decoders.ctc import CTCBeamSearcher
from speechbrain.nnet.losses import ctc_loss
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.metric_stats import ErrorRateStats

from d2v_sb.atomic import replacing
from d2v_sb.errors import UserError
from d2v_sb.finetuning.base import FineTuningBrain
from d2v_sb.inference import ctc_greedy_decode

logger = logging.getLogger(__name__)


class CTCBrain(FineTuningBrain):
    """Trains a ``CTCModel`` and measures its WER and CER.

    Besides ``FineTuningBrain``'s it takes from the hparams `tokenizer`,
    `blank_index` and `output_folder`. Validation decodes greedily, and so do
    tests, unless ``beam_search`` was given a language model.
    """

    searcher = None

    def compute_forward(self, batch, stage):
        """Waveforms to log-probabilities (B, T, V)."""
        wavs, wav_lens = batch.sig
        # Lengths stay on the host, where the encoder reads them.
        return self.modules.model(wavs.to(self.device), wav_lens)

    def compute_objectives(self, log_probs, batch, stage):
        """The CTC loss; outside training also the errors of the hypotheses."""
        wavs, wav_lens = batch.sig
        tokens, token_lens = batch.tokens
        # Frames by the conv stack's own formula: relative lengths times T
        # would be off by one.
        num_samples = (wav_lens * wavs.shape[1]).round().long()
        frames = self.hparams.data2vec.num_frames(num_samples)
        with torch.autocast(self.device_type, enabled=False):
            loss = ctc_loss(
                log_probs.float(),
                tokens.to(self.device),
                (frames / log_probs.shape[1]).to(self.device),
                token_lens.to(self.device),
                blank_index=self.hparams.blank_index,
            )
        if stage != sb.Stage.TRAIN:
            hypotheses = [text.split() for text in self.decode(log_probs)]
            references = [text.split() for text in batch.wrd]
            self.wer.append(batch.id, hypotheses, references)
            self.cer.append(batch.id, hypotheses, references)
        return loss

    def decode(self, log_probs):
        """Texts of a batch: by beam search where there is a language model,
        else greedily."""
        if self.searcher is not None:
            return [hyps[0].text for hyps in self.searcher(log_probs)]
        labels = ctc_greedy_decode(log_probs, None, self.hparams.blank_index)
        encoder = self.hparams.tokenizer
        return ["".join(encoder.decode_ndim(row)) for row in labels]

    def beam_search(self, **options):
        """Decodes with SpeechBrain's beam search from now on.

        Arguments
        ---------
        **options : dict
            Of ``CTCBeamSearcher``: kenlm_model_path, alpha, beta, beam_size, …

        Raises
        ------
        UserError
            If the language model is not there, or kenlm is not installed.
        """
        lm = options.get("kenlm_model_path")
        if lm and not Path(lm).is_file():
            raise UserError(f"no such language model: {lm}")
        labels = self.hparams.tokenizer.ind2lab
        try:
            self.searcher = CTCBeamSearcher(
                blank_index=self.hparams.blank_index,
                vocab_list=[labels[i] for i in range(len(labels))],
                **options,
            )
        except ImportError as error:
            raise UserError(
                "decoding with a language model needs kenlm and pygtrie: "
                'pip install "d2v_sb[lm]"'
            ) from error

    def on_stage_start(self, stage, epoch=None):
        """New error counts."""
        super().on_stage_start(stage, epoch)
        if stage != sb.Stage.TRAIN:
            self.wer = ErrorRateStats()
            self.cer = ErrorRateStats(split_tokens=True)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs, and after validation saves."""
        if stage == sb.Stage.TRAIN:
            self.train_stats = {
                "loss": stage_loss,
                "audio_s_per_s": self.audio_per_second(),
            }
            return
        stats = {
            "loss": stage_loss,
            "CER": self.cer.summarize("error_rate"),
            "WER": self.wer.summarize("error_rate"),
        }
        if stage == sb.Stage.VALID:
            meta = {
                "update": self.optimizer_step,
                "of": self.optimizer_step_limit,
                "lr": self.optimizer.param_groups[0]["lr"],
                "grad_norm": float(self.grad_norm),
            }
            self.hparams.train_logger.log_stats(
                meta, train_stats=self.train_stats, valid_stats=stats
            )
            self._show_one()
            self.checkpointer.save_and_keep_only(
                meta={"WER": stats["WER"], "update": self.optimizer_step},
                num_to_keep=1,
                min_keys=["WER"],
            )
        else:
            self.test_stats = stats

    def _show_one(self):
        """An utterance and how it was heard: more telling than a figure."""
        scores = self.wer.scores[len(self.wer.scores) // 2]
        logger.info(
            "%s\n  said   %s\n  heard  %s",
            scores["key"],
            " ".join(scores["ref_tokens"]),
            " ".join(scores["hyp_tokens"]),
        )

    def test(self, name, dataset, suffix=""):
        """Tests the best checkpoint and writes its errors.

        Arguments
        ---------
        name : str
            Of the split, for the files wer_NAME.txt and cer_NAME.txt.
        dataset : DynamicItemDataset
            The split.
        suffix : str
            Added to the files' names.

        Returns
        -------
        dict
            "WER" and "CER" in percent, "utterances".
        """
        self.evaluate(self.eval_loader(dataset), min_key="WER")
        update = self.optimizer_step
        self.hparams.train_logger.log_stats(
            {"split": name + suffix, "best_update": update},
            test_stats=self.test_stats,
        )
        if if_main_process():
            for kind, stats in (("wer", self.wer), ("cer", self.cer)):
                path = f"{self.hparams.output_folder}/{kind}_{name}{suffix}.txt"
                with (
                    replacing(path) as beside,
                    open(beside, "w", encoding="utf-8") as stream,
                ):
                    stats.write_stats(stream)
            self._check_against_jiwer(name)
        return {**self.test_stats, "utterances": len(self.wer.scores)}

    def _check_against_jiwer(self, name):
        """Two implementations must agree on the figure that is reported."""
        texts = [
            (" ".join(s["ref_tokens"]), " ".join(s["hyp_tokens"]))
            for s in self.wer.scores
        ]
        references, hypotheses = zip(*texts, strict=True)
        other = 100 * jiwer.wer(list(references), list(hypotheses))
        if abs(other - self.test_stats["WER"]) > 1e-6:
            raise AssertionError(
                f"{name}: SpeechBrain counts {self.test_stats['WER']} % WER, "
                f"jiwer {other} %"
            )
