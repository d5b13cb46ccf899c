"""Pretraining with data2vec's objective.

Reference: https://arxiv.org/abs/2202.03555 (section 3)

Authors
 * The d2v_sb developers 2026
"""

import logging
import math

import speechbrain as sb
import torch

from d2v_sb.brain import UpdateBrain
from d2v_sb.masking import sample_span_mask, seeded_generator
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.audio import collate_crops
from d2v_sb.pretraining.crops import Crop, CropSampler
from d2v_sb.pretraining.curves import Meter
from d2v_sb.pretraining.objective import frame_cosine, mean_std, regression_loss
from d2v_sb.pretraining.rollback import roll_back

logger = logging.getLogger(__name__)


class PretrainingBrain(UpdateBrain):
    """Trains a ``Student`` to predict what its ``Teacher`` sees.

    Besides ``UpdateBrain``'s it takes from the hparams `student`, `teacher`,
    `collapse_guard`, `curves`, `train_logger`, `mask_prob`, `mask_length`,
    `require_same_masks`, `max_seconds`, `log_interval_updates`,
    `keep_checkpoints`, `published_batch_seconds`; it needs no `num_buckets`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.student = self.hparams.student  # not wrapped by DDP
        self.teacher = self.hparams.teacher.to(self.device)
        self.meter = Meter()
        self.last = {}  # means of the last interval
        self._begin_update()

    # The step

    def compute_forward(self, batch, stage):
        """Predictions and targets of the hidden frames, both (N, D)."""
        wavs = batch.wavs.to(self.device, non_blocking=True)
        hidden = self.draw_hidden(*wavs.shape, stage)
        student = self.modules.student(wavs, hidden)
        targets = self.teacher(student.projected).flatten(0, 1)
        return student, targets.index_select(0, hidden)

    def compute_objectives(self, outputs, batch, stage):
        """The loss, summed over hidden frames."""
        student, targets = outputs
        return regression_loss(student.prediction, targets)

    def fit_batch(self, batch):
        """One micro-batch; with the last of an update, the optimiser's step
        and then the teacher's. What waits for the device is the look at the
        gradient's norm, once an update."""
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            self.scaler.scale(loss).backward()
        self._measure(outputs, loss)
        self._micro_batches.append((batch.names, loss.detach()))
        self._num_hidden += len(outputs[1])
        if should_step:
            self.optimizers_step()
            self._end_update()
        return loss.detach()

    def before_clipping(self, parameters):
        """From the sum over hidden frames to their mean, over micro-batches
        and processes: each frame weighs the same wherever it was."""
        total = torch.full((), float(self._num_hidden), device=self.device)
        if self.distributed_launch:
            torch.distributed.all_reduce(total)
        # DDP has divided by the number of processes already.
        factor = self.num_processes / total
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_mul_(gradients, factor)

    def after_update(self):
        """The teacher follows, once a step that really happened."""
        self.teacher.update(self.student.encoder.encoder, self.optimizer_step)

    def draw_hidden(self, B, N, stage):
        """Positions of hidden frames, a function of (seed, batch) alone."""
        T = self.student.encoder.num_frames(N)
        train = stage == sb.Stage.TRAIN
        number = self.batch_number if train else self.step
        mask = sample_span_mask(
            [T] * B,
            self.hparams.mask_prob,
            self.hparams.mask_length,
            seeded_generator(self.hparams.seed, train, number),
            require_same_masks=self.hparams.require_same_masks,
        )
        hidden = mask.flatten().nonzero().squeeze(1)
        if self.device_type == "cuda":
            hidden = hidden.pin_memory()
        return hidden.to(self.device, non_blocking=True)

    # Data

    way_to_shorten = "shorten crops (--max_seconds)"

    def longest_seconds(self, dataset):
        """Of a crop."""
        return min(max(dataset.durations), self.hparams.max_seconds)

    def trial_batch(self, dataset, count):
        """A batch of so many times the longest crop."""
        durations = list(dataset.durations)
        row = durations.index(max(durations))
        samples = round(self.longest_seconds(dataset) * SAMPLE_RATE)
        return collate_crops([dataset[Crop(row, 0, samples)]] * count)

    def train_loader(self, dataset):
        """A loader of crops that knows its place when resumed.

        Arguments
        ---------
        dataset : CropDataset
            The audio.

        Returns
        -------
        SaveableDataLoader
            For ``fit``.
        """
        self.fit_memory(dataset)
        self.train_sampler = CropSampler(
            dataset.durations,
            self.micro_batch_seconds,
            self.hparams.max_seconds,
            self.hparams.seed,
            self.validate_interval * self.grad_accumulation_factor,
            self.rank if self.distributed_launch else 0,
            self.num_processes,
        )
        loader = self._loader(dataset, self.train_sampler, collate_crops)
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("dataloader-TRAIN", loader)
        longest = self.train_sampler.lengths.max() / SAMPLE_RATE
        if longest > self.micro_batch_seconds:
            logger.warning(
                "a crop of %.1f s is more than the %.1f s of a micro-batch and "
                "is trained alone in one; --max_seconds makes crops shorter",
                longest,
                self.micro_batch_seconds,
            )
        self._report_batch(self.train_sampler)
        return loader

    def eval_loader(self, dataset):
        """A loader of the same crops each time."""
        sampler = CropSampler(
            dataset.durations,
            self.hparams.gpu_batch_seconds,
            self.hparams.max_seconds,
            self.hparams.seed,
        )
        return self._loader(dataset, sampler, collate_crops)

    def seconds(self, batch):
        """Audio of a batch."""
        return batch.wavs.numel() / SAMPLE_RATE

    def _report_batch(self, sampler):
        published = self.hparams.published_batch_seconds
        effective = self.hparams.batch_seconds
        self.report_plan(len(sampler.counts), sampler.seconds)
        if not published / 2 <= effective <= published * 2:
            logger.warning(
                "an update sees %.1f minutes of audio, the published one %.1f: "
                "learning rate and decay were chosen for that size. More "
                "accumulation costs time, not memory: --batch_seconds %g",
                effective / 60,
                published / 60,
                published,
            )

    # Curves, checkpoints

    def on_stage_start(self, stage, epoch=None):
        """Starts the clock and the sums."""
        super().on_stage_start(stage, epoch)
        self._begin_update()
        if stage != sb.Stage.TRAIN:
            self.valid_meter = Meter()

    def on_fit_start(self):
        """After a stop, the curves go on from the checkpoint."""
        super().on_fit_start()
        if sb.utils.distributed.if_main_process():
            self.hparams.curves.resume_at(self.optimizer_step)

    def update_average(self, loss, avg_loss):
        """The progress bar shows the last interval: reading each loss would
        wait for the device."""
        return self.last.get("loss", 0.0)

    def evaluate_batch(self, batch, stage):
        """The mean loss of a batch of dev."""
        with torch.no_grad(), self.evaluation_ctx:
            outputs = self.compute_forward(batch, stage)
            loss = self.compute_objectives(outputs, batch, stage)
        student, targets = outputs
        mean = loss / len(targets)
        self.valid_meter.add(len(targets), loss=mean)
        self.valid_meter.add(
            target_std=mean_std(targets),
            prediction_std=mean_std(student.prediction),
        )
        return mean

    @torch.no_grad()
    def _measure(self, outputs, loss):
        student, targets = outputs
        B, T, _ = student.frames.shape
        stds = {
            "target_std": mean_std(targets),
            "prediction_std": mean_std(student.prediction),
        }
        # Each frame weighs the same in the curves too.
        self._measured += [
            (len(targets), {"loss": loss / len(targets)}),
            (B * T, {"masked_share": len(targets) / (B * T)}),
            (1, stds),
        ]
        if self._ends_interval(self.optimizer_step + 1):
            # Over all frames and conv channels: only now and then.
            features = {
                "feature_std": mean_std(student.frames),
                "frame_cosine": frame_cosine(student.frames),
            }
            self._measured.append((1, features))

    def _ends_interval(self, update):
        return update % self.hparams.log_interval_updates == 0

    def _begin_update(self):
        self._num_hidden = 0
        self._micro_batches = []  # (names, loss)
        self._measured = []  # (weight, values), for the meter

    def _end_update(self):
        if not self.skipped_steps:
            # Not before: one NaN would be the mean of the whole interval, and
            # to the guard a collapse.
            for weight, values in self._measured:
                self.meter.add(weight, **values)
            self.meter.add(grad_norm=self.grad_norm)
        self._begin_update()
        if not self.skipped_steps and self._ends_interval(self.optimizer_step):
            self._end_interval()

    def after_skip(self):
        """Says which audio made an update that is not finite."""
        bad = [n for n, x in self._micro_batches if not torch.isfinite(x)]
        num_bad = torch.tensor(float(len(bad)), device=self.device)
        if self.distributed_launch:
            torch.distributed.all_reduce(num_bad)
        if num_bad == 0:  # the forward pass was fine, in every process
            if self.scaler.is_enabled():
                return  # fp16 looks for its scale: not the audio's fault
            bad = [n for n, _ in self._micro_batches]
        reason = "loss" if num_bad else "gradient"
        for names in bad:
            logger.warning("%s not finite: %s", reason, ", ".join(names))

    def _end_interval(self):
        update = self.optimizer_step
        self.last = {
            "update": update,
            **self.meter.means(),
            "decay": self.teacher.decay(update),
            "lr": self.optimizer.param_groups[0]["lr"],
            "audio_s_per_s": self.audio_per_second(),
            "waiting": self.share_waiting(),
            "skipped": self.total_skipped,
        }
        self.restart_clock()
        if sb.utils.distributed.if_main_process():
            self.hparams.curves.append(self.last)
        logger.info(
            "update %d  loss %.3f  target_std %.3f  prediction_std %.3f  "
            "%.0f s/s  waiting %.1f %%",
            *(
                self.last[k]
                for k in (
                    "update",
                    "loss",
                    "target_std",
                    "prediction_std",
                    "audio_s_per_s",
                )
            ),
            100 * self.last["waiting"],
        )
        stds = self.last["target_std"], self.last["prediction_std"]
        if self.hparams.collapse_guard.act(update, *stds):
            roll_back(self)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs, and after validation saves."""
        if stage == sb.Stage.TRAIN:
            return
        valid = self.valid_meter.means()
        train = {k: v for k, v in self.last.items() if k != "update"}
        self.hparams.train_logger.log_stats(
            {"update": self.optimizer_step, "of": self.optimizer_step_limit},
            train_stats=train or None,
            valid_stats=valid,
        )
        self.save(end_of_epoch=True)

    def save(self, end_of_epoch):
        """A checkpoint; the last `keep_checkpoints` are kept, and as many of
        those too near to a collapse to go back to."""
        self.checkpointer.save_checkpoint(
            meta={
                "update": self.optimizer_step,
                "target_std": self.last.get("target_std", math.nan),
                "prediction_std": self.last.get("prediction_std", math.nan),
            },
            end_of_epoch=end_of_epoch,
        )
        # Else a slow collapse would push out the last good one.
        good = self.hparams.collapse_guard.good
        for kind in (good, lambda checkpoint: not good(checkpoint)):
            self.checkpointer.delete_checkpoints(
                num_to_keep=self.hparams.keep_checkpoints,
                ckpt_predicate=kind,
            )

    def _save_intra_epoch_ckpt(self):
        self.save(end_of_epoch=False)
