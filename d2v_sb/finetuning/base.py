"""What all fine-tuning has in common: masking, freezing, one model.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import logging

from torch.nn.parallel import DistributedDataParallel

from d2v_sb.brain import UpdateBrain

logger = logging.getLogger(__name__)


class FineTuningBrain(UpdateBrain):
    """Trains a head together with an encoder that may start out frozen.

    Besides ``UpdateBrain``'s it takes from the hparams `data2vec`, the
    encoder, which is a part of one of the modules, and `head_lr_scale`: what
    is not the encoder learns with so many times its learning rate.
    """

    def init_optimizers(self):
        """Gives the encoder and what stands on it groups of their own."""
        super().init_optimizers()
        self._of_encoder = {id(p) for p in self.hparams.data2vec.parameters()}
        groups = []
        for group in self.optimizer.param_groups:
            for of_encoder in (True, False):
                parameters = [
                    p
                    for p in group["params"]
                    if (id(p) in self._of_encoder) == of_encoder
                ]
                if parameters:
                    groups.append({**group, "params": parameters})
        self.optimizer.param_groups[:] = groups

    @contextlib.contextmanager
    def all_learns(self):
        """Within it, an encoder that is frozen at first is not."""
        encoder = self.hparams.data2vec
        waits = encoder.frozen and not encoder.freeze
        if waits:
            encoder.set_num_updates(encoder.freeze_finetune_updates)
        try:
            yield
        finally:
            if waits:
                encoder.set_num_updates(0)
                encoder.freeze = False  # and so is frozen until its update

    def on_fit_start(self):
        """Says so where the encoder does not learn yet."""
        super().on_fit_start()
        encoder = self.hparams.data2vec
        if encoder.frozen and not encoder.freeze:
            logger.info(
                "the encoder is frozen until update %d",
                encoder.freeze_finetune_updates,
            )

    def on_fit_batch_start(self, batch, should_step):
        """Draws this batch's masks from (seed, its number); ends the frozen
        phase when it is time."""
        super().on_fit_batch_start(batch, should_step)
        # After the schedule has set them. The scale is not kept in the groups:
        # a checkpoint would bring back that of the run before.
        for group in self.optimizer.param_groups:
            if id(group["params"][0]) not in self._of_encoder:
                group["lr"] *= self.hparams.head_lr_scale
        encoder = self.hparams.data2vec
        if encoder.set_num_updates(self.optimizer_step):
            logger.info("update %d: the encoder learns", self.optimizer_step)
            self._wrap_again()
        if encoder.masking is not None:
            encoder.masking.reseed(self.hparams.seed, self.batch_number)

    def _wrap_again(self):
        """DDP never sees gradients of what was frozen when it was wrapped."""
        if not self.distributed_launch:
            return
        for name, module in self.modules.items():
            if isinstance(module, DistributedDataParallel):
                self.modules[name] = module.module
        self._wrap_distributed()
