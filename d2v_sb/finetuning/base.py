"""What all fine-tuning has in common: masking, freezing, one model.

Authors
 * The d2v_sb developers 2026
"""

import logging

from torch.nn.parallel import DistributedDataParallel

from d2v_sb.brain import UpdateBrain

logger = logging.getLogger(__name__)


class FineTuningBrain(UpdateBrain):
    """Trains a head together with an encoder that may start out frozen.

    Besides ``UpdateBrain``'s it takes from the hparams `data2vec`, the
    encoder, which is a part of one of the modules.
    """

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
