"""Classes of utterances: speakers, emotions.

Authors
 * The d2v_sb developers 2026
"""

import logging
import math
import random
from pathlib import Path

import numpy as np
import speechbrain as sb
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.distributed import if_main_process, run_on_main

from d2v_sb.classification_folder import export_classifier, folder_text
from d2v_sb.crop_batches import CropBatches
from d2v_sb.errors import UserError
from d2v_sb.finetuning.base import FineTuningBrain
from d2v_sb.finetuning.run_options import check_run_options
from d2v_sb.manifest import write_rows
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.crops import Crop
from d2v_sb.scoring.accuracy import confusion
from d2v_sb.scoring.predictions import (
    COLUMNS,
    MEASURES,
    MOST_CLASSES,
    measures,
    report,
)
from d2v_sb.utterances import check_balance, utterance_dataset

logger = logging.getLogger(__name__)

LAST = "update"  # the checkpoint with the most of them
# PyTorch's message where a batch is one utterance.
OF_BATCH_NORM = "more than 1 value per channel"


class ClassificationBrain(FineTuningBrain):
    """Trains an ``UtteranceClassifier`` and measures its accuracies.

    Besides ``FineTuningBrain``'s it takes from the hparams `model`, `labels`,
    `label_column`, `criterion`, `crops`, `class_balance`, `large_margin_stage`,
    `augment`, `best_by`, `output_folder` and `inference_folder`. The best
    checkpoint is the one with the highest `best_by`: one of ``MEASURES`` on
    dev, or ``LAST``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        known = [*MEASURES, LAST]
        if self.hparams.best_by not in known:
            raise UserError(
                f"--best_by {self.hparams.best_by}: it is one of "
                f"{', '.join(known)}"
            )
        check_balance(self.hparams.class_balance)
        self.margin_is_large = False

    # Data

    def training_seconds(self, dataset):
        """The longest that a crop of each utterance can be."""
        durations = super().training_seconds(dataset)
        return [float(self.hparams.crops.longest(d)) for d in durations]

    least_together = 2  # heads may normalise over a batch
    way_to_shorten = "shorten crops (--crop_seconds)"

    def longest_seconds(self, dataset):
        """Of a crop, those of the large margin included."""
        stage, crops = self.hparams.large_margin_stage, [self.hparams.crops]
        if stage is not None:
            crops.append(stage.crops)
        durations = np.array(super().training_seconds(dataset))
        return max(float(c.longest(durations).max()) for c in crops)

    def trial_batch(self, dataset, count):
        """A batch of so many of the longest crop of the longest utterance."""
        durations = super().training_seconds(dataset)
        row = durations.index(max(durations))
        samples = round(self.longest_seconds(dataset) * SAMPLE_RATE)
        return PaddedBatch([dataset[Crop(row, 0, samples)]] * count)

    def training_batches(self, dataset):
        """Batches of crops."""
        rows = [dataset.data[name] for name in dataset.data_ids]
        classes = None
        if self.hparams.class_balance == "sampling":
            classes = [row[self.hparams.label_column] for row in rows]
        return CropBatches(
            [row["duration"] for row in rows],
            self.micro_batch_seconds,
            self.hparams.crops,
            self.hparams.seed,
            classes,
        )

    # Steps

    def on_fit_batch_start(self, batch, should_step):
        """Seeds SpeechBrain's Augmenter too, which draws with Python's."""
        super().on_fit_batch_start(batch, should_step)
        random.seed(hash((self.hparams.seed, self.batch_number)))

    def compute_forward(self, batch, stage):
        """Waveforms to outputs (B, 1, K)."""
        wavs, wav_lens = batch.sig
        wavs = wavs.to(self.device)
        augment = self.hparams.augment
        if stage == sb.Stage.TRAIN and augment is not None:
            wavs, wav_lens = augment(wavs, wav_lens.to(self.device))
            wav_lens = wav_lens.cpu()
        # Lengths stay on the host, where the encoder reads them.
        try:
            return self.modules.model(wavs, wav_lens)
        except ValueError as error:
            if OF_BATCH_NORM not in str(error):
                raise
            raise UserError(
                f"a head that normalises over a batch can not learn from one "
                f"crop, of {wavs.shape[1] / SAMPLE_RATE:.1f} s: lower "
                "--crop_seconds or raise --gpu_batch_seconds and "
                "--batch_seconds, so that two fit"
            ) from error

    def compute_objectives(self, outputs, batch, stage):
        """The loss; outside training also what was predicted."""
        targets = batch.encoded.data.to(self.device)
        if stage != sb.Stage.TRAIN:
            logits = self.hparams.criterion.scale * outputs[:, 0]
            self.ids += batch.id
            self.speakers += batch.spk_id
            self.targets += targets.flatten().tolist()
            self.predictions += logits.argmax(dim=-1).tolist()
            posteriors = logits.softmax(dim=-1)
            if len(self.hparams.labels) > MOST_CLASSES:  # the best one's alone
                posteriors = posteriors.amax(dim=-1, keepdim=True)
            self.posteriors += [
                [round(value, 6) for value in row]
                for row in posteriors.tolist()
            ]
        elif self.hparams.augment is not None:
            targets = self.hparams.augment.replicate_labels(targets)
        return self.hparams.criterion(outputs, targets)

    def on_stage_start(self, stage, epoch=None):
        """New counts; the larger margin when it is time."""
        super().on_stage_start(stage, epoch)
        if stage != sb.Stage.TRAIN:
            self.ids, self.speakers, self.targets = [], [], []
            self.predictions, self.posteriors = [], []
        elif epoch >= self.large_margin_epoch and not self.margin_is_large:
            self._widen_margin(self.hparams.large_margin_stage)

    @property
    def large_margin_epoch(self):
        """The epoch from which on the margin is large."""
        stage = self.hparams.large_margin_stage
        if stage is None:
            return math.inf
        return stage.first_epoch(
            int(self.hparams.number_of_updates), self.validate_interval
        )

    def _widen_margin(self, stage):
        logger.info(
            "a margin of %g from now on, crops of up to %g s",
            stage.margin,
            stage.crops.high,
        )
        self.hparams.criterion.margin = stage.margin
        self.train_sampler.batches.crops = stage.crops
        self.train_sampler.begin_anew(self.large_margin_epoch)
        self.margin_is_large = True

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs, and after validation saves."""
        if stage == sb.Stage.TRAIN:
            self.train_stats = {
                "loss": stage_loss,
                "audio_s_per_s": self.audio_per_second(),
                "waiting": self.share_waiting(),
            }
            return
        matrix = confusion(
            self.targets, self.predictions, len(self.hparams.labels)
        )
        values = measures(matrix)
        self.stats = {"loss": stage_loss, **values}
        if stage == sb.Stage.VALID:
            meta = {
                "update": self.optimizer_step,
                "of": self.optimizer_step_limit,
                "lr": self.optimizer.param_groups[0]["lr"],
                "grad_norm": float(self.grad_norm),
            }
            self.hparams.train_logger.log_stats(
                meta, train_stats=self.train_stats, valid_stats=self.stats
            )
            self.checkpointer.save_and_keep_only(
                meta={**values, LAST: self.optimizer_step},
                num_to_keep=1,
                max_keys=[self.hparams.best_by],
            )

    def on_fit_start(self):
        """Finds what could not be exported before the training."""
        hparams = self.hparams
        folder_text(hparams.model, len(hparams.labels), hparams.criterion.scale)
        super().on_fit_start()
        if self.large_margin_epoch < math.inf:
            logger.info(
                "the margin is large from update %d on",
                (self.large_margin_epoch - 1) * self.validate_interval,
            )

    # After training

    def test(self, name, dataset):
        """Tests the best checkpoint and writes ``predictions_<name>.csv``,
        its measures as ``.json`` and, of few classes, the confusion matrix as
        ``.confusion.png`` and ``posteriors_<name>.csv``.

        Arguments
        ---------
        name : str
            Of the split.
        dataset : UtteranceDataset
            The split.

        Returns
        -------
        dict
            "WA", "UA" and "F1" in percent, "loss".
        """
        self.evaluate(self.eval_loader(dataset), max_key=self.hparams.best_by)
        self.hparams.train_logger.log_stats(
            {"split": name, "best_update": self.optimizer_step},
            test_stats=self.stats,
        )
        if if_main_process():
            stem = Path(self.hparams.output_folder) / f"predictions_{name}"
            rows = sorted(self._predictions(), key=lambda row: row["ID"])
            write_rows(f"{stem}.csv", rows, COLUMNS)
            report(rows, stem)
            self._write_posteriors(stem.with_name(f"posteriors_{name}.csv"))
        return self.stats

    def _write_posteriors(self, path):
        names = self.hparams.labels.names
        if len(names) > MOST_CLASSES:
            return
        rows = [
            {"ID": id_, **dict(zip(names, row, strict=True))}
            for id_, row in zip(self.ids, self.posteriors, strict=True)
        ]
        rows.sort(key=lambda row: row["ID"])
        write_rows(path, rows, ["ID", *names])

    def _predictions(self):
        names = self.hparams.labels.names
        for id_, speaker, target, predicted, posteriors in zip(
            self.ids,
            self.speakers,
            self.targets,
            self.predictions,
            self.posteriors,
            strict=True,
        ):
            yield {
                "ID": id_,
                "spk_id": speaker,
                "label": names[target],
                "predicted": names[predicted],
                "posterior": max(posteriors),
            }

    def export(self):
        """Writes the folder that ``EncoderClassifier`` and
        ``SpeakerRecognition`` load."""
        hparams = self.hparams
        export_classifier(
            hparams.inference_folder,
            hparams.model,
            hparams.labels,
            hparams.criterion.scale,
        )


def train_classifier(hparams, run_opts, folder):
    """Trains as an hparams file says, on the CSV files of a folder, and
    exports the best.

    Arguments
    ---------
    hparams : dict
        As ``load_hyperpyyaml`` gives it.
    run_opts : dict
        As ``speechbrain.parse_arguments`` gives it.
    folder : str or pathlib.Path
        Holds ``train.csv`` and ``dev.csv``.

    Returns
    -------
    ClassificationBrain
        With the weights of the best checkpoint.

    Raises
    ------
    UserError
        If the folder has a run with other options.
    """
    folder = Path(folder)
    checkpointer = hparams["checkpointer"]
    record = Path(hparams["save_folder"]) / "options.json"
    begun = checkpointer.find_checkpoint() is not None
    run_on_main(check_run_options, args=[record, hparams, begun])
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=checkpointer,
    )
    train = split_dataset(hparams, folder / "train.csv")
    dev = split_dataset(hparams, folder / "dev.csv")
    brain.fit(brain.epochs(), brain.train_loader(train), brain.eval_loader(dev))
    checkpointer.recover_if_possible(max_key=hparams["best_by"])
    run_on_main(brain.export)
    return brain


def split_dataset(hparams, csv):
    """The dataset of a CSV, as an hparams file says.

    Arguments
    ---------
    hparams : dict
        As ``load_hyperpyyaml`` gives it.
    csv : str or pathlib.Path
        The CSV.

    Returns
    -------
    UtteranceDataset
    """
    return utterance_dataset(
        csv,
        hparams["labels"],
        hparams["label_column"],
        convert=hparams["on_bad_audio"] == "convert",
    )
