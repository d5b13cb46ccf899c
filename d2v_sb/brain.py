"""A Brain that counts in optimiser updates, the base of all of ours.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import logging
import math
import time

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.sampler import DynamicBatchSampler
from torch.nn.parallel import DistributedDataParallel

from d2v_sb.autobatch import find_batch
from d2v_sb.errors import UserError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.sampling import UpdateBatchSampler, plan_accumulation
from d2v_sb.waiting import TimedLoader, Waiting

logger = logging.getLogger(__name__)


class UpdateBrain(sb.Brain):
    """Trains for a number of updates of a stated amount of audio.

    It takes from the hparams `number_of_updates`, `batch_seconds` (of one
    update, over all processes), `gpu_batch_seconds` (what one process takes at
    a time), `validate_interval_updates`, `num_buckets`, `num_workers`, `seed`,
    and an `lr_schedule(optimizer, update)`. With a true `autobatch`,
    `gpu_batch_seconds` is searched for, see ``find_batch``.

    `max_grad_norm` covers all parameter groups, and 0 or less turns clipping
    off. A step whose gradient is not finite is skipped and counted. What is
    drawn at random in a batch is a function of (seed, `batch_number`), so a run
    that is resumed draws what it would have drawn.

    Arguments
    ---------
    modules, opt_class, hparams, run_opts, checkpointer
        As for ``speechbrain.Brain``.
    """

    def __init__(
        self,
        modules=None,
        opt_class=None,
        hparams=None,
        run_opts=None,
        checkpointer=None,
    ):
        super().__init__(modules, opt_class, hparams, run_opts, checkpointer)
        self.num_processes = (
            torch.distributed.get_world_size() if self.distributed_launch else 1
        )
        asked = self.grad_accumulation_factor
        plan = self.plan_update()
        self.micro_batch_seconds, self.grad_accumulation_factor = plan
        if asked not in (1, self.grad_accumulation_factor):
            logger.warning(
                "grad_accumulation_factor is %d, not %d: it follows from how "
                "large the hparams say that a batch is",
                self.grad_accumulation_factor,
                asked,
            )
        limit = int(self.hparams.number_of_updates)
        # From the command line SpeechBrain's own option comes as a string.
        limit = min(limit, int(self.optimizer_step_limit or limit))
        self.optimizer_step_limit = limit
        self.validate_interval = int(self.hparams.validate_interval_updates)
        self.skipped_steps = 0  # in a row
        self.total_skipped = 0  # since the start or a resumption
        self.grad_norm = torch.tensor(math.nan)  # until the first step
        self.waiting = Waiting()
        self.restart_clock()

    def plan_update(self):
        """Cuts an update into micro-batches.

        Returns
        -------
        float
            Most seconds of a micro-batch.
        int
            Micro-batches of an update in each process.
        """
        return plan_accumulation(
            self.hparams.batch_seconds,
            self.hparams.gpu_batch_seconds,
            self.num_processes,
        )

    def epochs(self):
        """Epochs, which end with a validation, until the updates are made.

        Asked for by ``fit`` after a checkpoint was loaded: a run may be
        longer than the one that it goes on from.

        Yields
        ------
        int
            The epoch's number.
        """
        if self.optimizer_step >= self.optimizer_step_limit:
            logger.info(
                "all %d updates were made already", self.optimizer_step_limit
            )
        # In the middle of an epoch, its validation is still to come.
        while self.optimizer_step < self.optimizer_step_limit or self.step:
            counter = self.hparams.epoch_counter
            # Updates end a run; skipped ones must not use up its epochs.
            counter.limit = max(counter.limit, counter.current + 1)
            yield next(counter)

    # The largest batch that fits

    least_together = 1  # utterances in a batch
    way_to_shorten = "leave out the longest utterances"

    def fit_memory(self, dataset):
        """Where the hparams say so, takes as much at a time as fits."""
        if not getattr(self.hparams, "autobatch", False):
            return
        self.hparams.gpu_batch_seconds = find_batch(self, dataset)
        plan = self.plan_update()
        self.micro_batch_seconds, self.grad_accumulation_factor = plan

    def longest_seconds(self, dataset):
        """Of what training hears at a time of one utterance."""
        return max(self.training_seconds(dataset))

    def trial_batch(self, dataset, count):
        """A batch of so many times the longest utterance."""
        durations = self.training_seconds(dataset)
        item = dataset[durations.index(max(durations))]
        return PaddedBatch([item] * count)

    @contextlib.contextmanager
    def all_learns(self):
        """Within it, all learns that will ever learn in this run."""
        yield

    # Data

    def train_loader(self, dataset):
        """A loader of micro-batches that knows its place when resumed.

        Arguments
        ---------
        dataset : DynamicItemDataset
            Items with a "duration" in seconds.

        Returns
        -------
        SaveableDataLoader
            For ``fit``.
        """
        self.fit_memory(dataset)
        durations = self.training_seconds(dataset)
        if max(durations) > self.micro_batch_seconds:
            logger.warning(
                "the longest utterance has %.1f s, more than the %.1f s of a "
                "micro-batch; it is trained alone in one",
                max(durations),
                self.micro_batch_seconds,
            )
        self.train_sampler = UpdateBatchSampler(
            self.training_batches(dataset),
            self.validate_interval * self.grad_accumulation_factor,
            self.rank if self.distributed_launch else 0,
            self.num_processes,
        )
        loader = self._loader(dataset, self.train_sampler)
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("dataloader-TRAIN", loader)
        num_batches = len(self.train_sampler.batches)
        self.report_plan(num_batches / self.num_processes, sum(durations))
        return loader

    def report_plan(self, num_batches, seconds):
        """Says what an update is made of.

        Arguments
        ---------
        num_batches : float
            Micro-batches of one process in a pass over the data.
        seconds : float
            Audio of a pass.
        """
        logger.info(
            "an update sees up to %.1f s of audio: %d process(es) x %d "
            "micro-batch(es) of up to %.1f s; %d updates are %.1f passes over "
            "%.2f h",
            self.hparams.batch_seconds,
            self.num_processes,
            self.grad_accumulation_factor,
            self.micro_batch_seconds,
            self.optimizer_step_limit,
            self.optimizer_step_limit
            * self.grad_accumulation_factor
            / num_batches,
            seconds / 3600,
        )

    def eval_loader(self, dataset):
        """A loader of each utterance once, longest first."""
        return self._loader(dataset, self._batches(dataset, shuffle=False))

    def training_seconds(self, dataset):
        """What a pass hears of each utterance, in seconds."""
        return [dataset.data[i]["duration"] for i in dataset.data_ids]

    def training_batches(self, dataset):
        """The batches of a pass over the training data."""
        return self._batches(dataset, shuffle=True)

    def _batches(self, dataset, shuffle):
        return DynamicBatchSampler(
            dataset,
            self.micro_batch_seconds
            if shuffle
            else self.hparams.gpu_batch_seconds,
            num_buckets=self.hparams.num_buckets,
            shuffle=shuffle,
            batch_ordering="random" if shuffle else "descending",
            seed=self.hparams.seed,
        )

    def _loader(self, dataset, batch_sampler, collate_fn=PaddedBatch):
        return TimedLoader(
            dataset,
            waiting=self.waiting,
            batch_sampler=batch_sampler,
            num_workers=self.hparams.num_workers,
            collate_fn=collate_fn,
            pin_memory=self.device_type == "cuda",
            # SpeechBrain iterates anew after each validation, and a worker
            # takes the longer to start the more memory this process has.
            persistent_workers=self.hparams.num_workers > 0,
        )

    def _wrap_distributed(self):
        """On a CPU without SpeechBrain's conversion of batch normalisation to
        that over all processes, which is for GPUs alone."""
        if not self.distributed_launch or self.device_type != "cpu":
            super()._wrap_distributed()
            return
        for name, module in self.modules.items():
            if any(p.requires_grad for p in module.parameters()):
                self.modules[name] = DistributedDataParallel(
                    module, find_unused_parameters=self.find_unused_parameters
                )

    # Steps

    @property
    def batch_number(self):
        """The number of this micro-batch among all of the run, in all
        processes: no two are alike."""
        done = (self.hparams.epoch_counter.current - 1) * self.validate_interval
        number = done * self.grad_accumulation_factor + self.step - 1
        rank = self.rank if self.distributed_launch else 0
        return number * self.num_processes + rank

    def seconds(self, batch):
        """Audio of a training batch, its padding left out."""
        wavs, wav_lens = batch.sig
        # wav_lens is still on the host: no wait for the device.
        return float(wav_lens.sum()) * wavs.shape[1] / SAMPLE_RATE

    def on_fit_batch_start(self, batch, should_step):
        """Seeds what the batch draws at random (dropout, LayerDrop), sets the
        learning rate of this update and counts its audio."""
        super().on_fit_batch_start(batch, should_step)
        torch.manual_seed(hash((self.hparams.seed, self.batch_number)))
        self.set_learning_rates()
        self._seconds += self.seconds(batch)

    def set_learning_rates(self):
        """Those of the next update."""
        self.hparams.lr_schedule(self.optimizer, self.optimizer_step)

    def before_clipping(self, parameters):
        """What is to be done with the gradients of a whole update."""

    def after_update(self):
        """What follows an optimiser step that really happened."""

    def after_skip(self):
        """What follows an update that was skipped."""

    def optimizers_step(self):
        """One optimiser step over all parameter groups, or none at all."""
        optimizer = self.optimizer
        self.scaler.unscale_(optimizer)
        parameters = [
            p for group in optimizer.param_groups for p in group["params"]
        ]
        self.before_clipping(parameters)
        limit = self.max_grad_norm if self.max_grad_norm > 0 else math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        finite = bool(torch.isfinite(norm))
        if finite:
            self.scaler.step(optimizer)
            self.skipped_steps = 0
        else:
            self.skipped_steps += 1
            self.total_skipped += 1
            logger.warning(
                "update %d skipped: its gradient is not finite (%d in a row)",
                self.optimizer_step,
                self.skipped_steps,
            )
            self.after_skip()
            if self.skipped_steps > self.nonfinite_patience and not (
                self.scaler.is_enabled()
            ):
                raise UserError(
                    f"{self.skipped_steps} updates in a row had gradients that "
                    "are not finite; lower the learning rate, or train in fp32 "
                    "(--precision fp32)"
                )
        self.scaler.update()
        optimizer.zero_grad(set_to_none=True)
        self.grad_norm = norm.detach()
        self.optimizer_step += finite
        if finite:
            self.after_update()

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        """Only between updates: half an update's gradients are not saved."""
        # Asked first: SpeechBrain's answer waits for all processes.
        if self.step % self.grad_accumulation_factor:
            return False
        return super()._should_save_intra_epoch_ckpt(
            last_ckpt_time, steps_since_ckpt
        )

    # Logging

    def on_stage_start(self, stage, epoch=None):
        """Starts the clock of the stage."""
        super().on_stage_start(stage, epoch)
        self.restart_clock()

    def restart_clock(self):
        """Throughput and waiting are measured from now on."""
        self._seconds = 0.0
        self._since = time.perf_counter()
        self.waiting.restart()

    def audio_per_second(self):
        """Seconds of audio trained on per second since the clock was started,
        over all processes."""
        elapsed = time.perf_counter() - self._since
        return self._seconds * self.num_processes / max(elapsed, 1e-9)

    def share_waiting(self):
        """Share of the time since the clock was started that the loader was
        waited for, by the process that waited longest; all must ask."""
        return self.waiting.share(self.device)
