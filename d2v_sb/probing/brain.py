"""A Brain that trains a head on the states of a frozen encoder.

Authors
 * The d2v_sb developers 2026
"""

import logging
import math

import speechbrain as sb
import torch
from speechbrain.utils.distributed import if_main_process

from d2v_sb.benchmark.result import is_error
from d2v_sb.brain import UpdateBrain
from d2v_sb.errors import UserError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.probing.batches import share_batch
from d2v_sb.probing.dataset import collate

logger = logging.getLogger(__name__)

DEV, LAST = "dev", "update"  # what `best_by` may be


class ProbingBrain(UpdateBrain):
    """Trains a ``FrameProbe`` or an ``UtteranceProbe``.

    The encoder is no part of its modules: it is neither trained nor saved.
    Besides ``UpdateBrain``'s it takes from the hparams `model`, `frozen` (a
    ``FrozenEncoder``), `task` (a ``CTCTask`` or ``ClassificationTask``),
    `head_rate`, `weights_rate` (see ``rates``), `anneal_by` ("loss" or
    "error", of a validation) and `best_by` ("dev", or "update" for the last
    checkpoint). An epoch is a validation interval.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for key, known in (
            ("best_by", (DEV, LAST)),
            ("anneal_by", ("loss", "error")),
        ):
            value = getattr(self.hparams, key)
            if value not in known:
                raise UserError(f"--{key} {value}: it is one of {known}")

    def init_optimizers(self):
        """Gives the layers' weights a group of their own, without decay."""
        super().init_optimizers()
        weights = self.hparams.model.layer_sum.weights
        (group,) = self.optimizer.param_groups
        rest = [p for p in group["params"] if p is not weights]
        self.optimizer.param_groups[:] = [
            {**group, "params": rest},
            {**group, "params": [weights], "weight_decay": 0.0},
        ]

    def set_learning_rates(self):
        """Those of the next update."""
        epoch = self.optimizer_step // self.validate_interval + 1
        rates = self.hparams.head_rate, self.hparams.weights_rate
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate.at(epoch)

    def plan_update(self):
        """Batches are counted in utterances."""
        _, accumulation = share_batch(
            self.hparams.batch_size,
            self.hparams.accumulate,
            self.num_processes,
        )
        return math.inf, accumulation

    def report_plan(self, num_batches, seconds):
        """Says what an update is made of."""
        logger.info(
            "an update sees %d utterances; %d updates are %.1f passes over "
            "%.2f h",
            self.hparams.batch_size * self.hparams.accumulate,
            self.optimizer_step_limit,
            self.optimizer_step_limit
            * self.grad_accumulation_factor
            / num_batches,
            seconds / 3600,
        )

    # Data

    def training_batches(self, dataset):
        """As the dataset has them."""
        return dataset.batches

    def training_seconds(self, dataset):
        """Of each utterance."""
        return [u.seconds for u in dataset.utterances]

    def eval_loader(self, dataset):
        """Batches that are always the same."""
        return self._loader(dataset, dataset.batches)

    def _loader(self, dataset, batch_sampler, collate_fn=collate):
        return super()._loader(dataset, batch_sampler, collate_fn)

    def seconds(self, batch):
        """Audio of a batch."""
        return sum(batch.num_samples) / SAMPLE_RATE

    # Steps

    def compute_forward(self, batch, stage):
        """States, or waveforms and then states, to outputs."""
        training = stage == sb.Stage.TRAIN
        frozen = self.hparams.frozen
        view = frozen.training_view if training else frozen.test_view
        kept = self._kept(batch, view)
        states, num_frames = view.complete(
            kept, batch.num_samples, (self.hparams.seed, self.batch_number)
        )
        # Outputs of the encoder may be of another precision than the head's.
        return self.modules.model(states, num_frames), num_frames

    def _kept(self, batch, view):
        """Of each utterance on the device, from the cache or made now."""
        kept = [
            own if own is None else own.to(self.device, non_blocking=True)
            for own in batch.kept
        ]
        absent = [i for i, own in enumerate(kept) if own is None]
        if absent:
            wavs = [batch.wavs[i] for i in absent]
            made = view.keep(wavs, max(batch.num_samples))
            for i, own in zip(absent, made, strict=True):
                kept[i] = own
        if len({own.dtype for own in kept}) > 1:
            kept = [own.float() for own in kept]
        return kept

    def compute_objectives(self, predictions, batch, stage):
        """The loss; outside training also the errors."""
        outputs, num_frames = predictions
        task = self.hparams.task
        with torch.autocast(self.device_type, enabled=False):
            loss = task.loss(outputs.float(), num_frames, batch)
        if stage != sb.Stage.TRAIN:
            task.observe(outputs.float(), num_frames, batch)
        return loss

    def on_stage_start(self, stage, epoch=None):
        """Counts anew."""
        super().on_stage_start(stage, epoch)
        if stage != sb.Stage.TRAIN:
            self.hparams.task.begin(testing=stage == sb.Stage.TEST)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs, and after validation anneals and saves."""
        if stage == sb.Stage.TRAIN:
            self.train_stats = {
                "loss": stage_loss,
                "audio_s_per_s": self.audio_per_second(),
                "waiting": self.share_waiting(),
            }
            return
        task = self.hparams.task
        self.stats = {"loss": stage_loss, **task.stats()}
        if stage != sb.Stage.VALID:
            return
        meta = {
            "update": self.optimizer_step,
            "of": self.optimizer_step_limit,
            "lr": self.optimizer.param_groups[0]["lr"],
            "lr_weights": self.optimizer.param_groups[1]["lr"],
        }
        self.hparams.train_logger.log_stats(
            meta, train_stats=self.train_stats, valid_stats=self.stats
        )
        by_loss = self.hparams.anneal_by == "loss"
        value = stage_loss if by_loss else task.error()
        self.hparams.head_rate.validated(value)
        self.hparams.weights_rate.validated(value)
        keys = {"min_keys" if is_error(task.name) else "max_keys": [task.name]}
        self.checkpointer.save_and_keep_only(
            meta={
                task.name: self.stats[task.name],
                "update": self.optimizer_step,
            },
            num_to_keep=1,
            **keys,
        )

    # After training

    def recover(self):
        """Loads the checkpoint that was best on dev, or the last one.

        Returns
        -------
        float
            What it had on dev.
        """
        name = self.hparams.task.name
        if self.hparams.best_by == LAST:
            key = {"max_key": LAST}
        else:
            key = {"min_key" if is_error(name) else "max_key": name}
        return self.checkpointer.recover_if_possible(**key).meta[name]

    def test(self, split, dataset):
        """Tests the weights that are loaded, and writes what came out.

        Arguments
        ---------
        split : str
            Name of the test set.
        dataset : ProbeDataset
            The test set.

        Returns
        -------
        list of Measure
        """
        self.evaluate(self.eval_loader(dataset))
        self.hparams.train_logger.log_stats(
            {"split": split}, test_stats=self.stats
        )
        if not if_main_process():
            return []
        return self.hparams.task.report(self.hparams.output_folder, split)

    def embeddings(self, dataset):
        """Embeddings of a dataset's utterances, by their names.

        Arguments
        ---------
        dataset : ProbeDataset
            Clips.

        Returns
        -------
        dict of str to torch.Tensor
            (C,) each, on the CPU.
        """
        self.modules.eval()
        frozen, found = self.hparams.frozen, {}
        for batch in self.eval_loader(dataset):
            kept = self._kept(batch, frozen.test_view)
            states, num_frames = frozen.test_view.complete(
                kept, batch.num_samples, ()
            )
            with torch.no_grad():
                rows = self.hparams.model.embed(states, num_frames)[:, 0]
            found.update(zip(batch.id, rows.float().cpu(), strict=True))
        return found
