"""What all speech recognition has in common: error rates, tests, export.

Authors
 * The d2v_sb developers 2026
"""

import logging
from pathlib import Path

import jiwer
import speechbrain as sb
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.metric_stats import ErrorRateStats

from d2v_sb.atomic import replacing
from d2v_sb.finetuning.base import FineTuningBrain

logger = logging.getLogger(__name__)


class ASRBrain(FineTuningBrain):
    """Measures WER and CER; its subclasses model, decode and export.

    Besides ``FineTuningBrain``'s it takes from the hparams `tokenizer`,
    `output_folder`, `inference_folder`, `lm_path` and `all_blank`. The
    checkpoint with the lowest WER on dev is the best.
    """

    def decode(self, outputs, batch, stage):
        """Texts of a batch."""
        raise NotImplementedError

    def export_folder(self, folder):
        """Writes the inference folder."""
        raise NotImplementedError

    def export_lm_folder(self, folder, target):
        """Writes it again as another, with the language model."""
        raise NotImplementedError

    def export(self):
        """Writes the inference folder, and beside it one with the language
        model where there is one."""
        folder = self.hparams.inference_folder
        with_lm = f"{folder}_lm"
        self.export_folder(folder)
        if self.hparams.lm_path:
            self.export_lm_folder(folder, with_lm)
        elif Path(with_lm).exists():
            logger.warning(
                "%s was written before, and is not of this model: remove it, "
                "or give --lm_path again",
                with_lm,
            )

    def decoders(self):
        """Sets one decoder after the other for tests.

        Yields
        ------
        str
            What the names of its results end with.
        """
        yield ""

    def frames(self, batch):
        """Frames of each utterance by the conv stack's own formula: relative
        lengths times T would be off by one."""
        wavs, wav_lens = batch.sig
        num_samples = (wav_lens * wavs.shape[1]).round().long()
        return self.hparams.data2vec.num_frames(num_samples)

    def measure(self, outputs, batch, stage):
        """Counts errors outside training."""
        if stage == sb.Stage.TRAIN:
            return
        texts = self.decode(outputs, batch, stage)
        hypotheses = [text.split() for text in texts]
        references = [text.split() for text in batch.wrd]
        self.wer.append(batch.id, hypotheses, references)
        self.cer.append(batch.id, hypotheses, references)

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
                "waiting": self.share_waiting(),
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
            encoder = self.hparams.data2vec
            # A frozen phase may take long; the rest of the advice is for it.
            if if_main_process() and (encoder.freeze or not encoder.frozen):
                heard = (" ".join(s["hyp_tokens"]) for s in self.wer.scores)
                self.hparams.all_blank.observe(heard, self.optimizer_step)
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
            # A split may be named by its path in the corpus.
            ending = f"{name.replace('/', '-')}{suffix}.txt"
            for kind, stats in (("wer", self.wer), ("cer", self.cer)):
                path = f"{self.hparams.output_folder}/{kind}_{ending}"
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
