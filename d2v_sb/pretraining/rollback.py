"""Back to the last good checkpoint, in the middle of a run.

Authors
 * The d2v_sb developers 2026
"""

import logging

from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.distributed import if_main_process

from d2v_sb.pretraining.collapse import CollapsedError

logger = logging.getLogger(__name__)


def roll_back(brain):
    """Gives a Brain the weights of its last good checkpoint.

    Its place in the data stays where it is: the same audio again would lead to
    the same end. Checkpoints made since are deleted.

    Arguments
    ---------
    brain : PretrainingBrain
        Its student, teacher, optimiser and count of updates are set back.

    Raises
    ------
    CollapsedError
        If no checkpoint is good.
    """
    weights = ("student", "teacher", "optimizer", "scaler")
    parts = brain.checkpointer.recoverables
    checkpointer = Checkpointer(
        brain.checkpointer.checkpoints_dir,
        {name: parts[name] for name in weights if name in parts},
        allow_partial_load=True,
    )
    found = checkpointer.recover_if_possible(
        ckpt_predicate=brain.hparams.collapse_guard.good
    )
    if found is None:
        raise CollapsedError(
            "no checkpoint is good enough to go back to; give another lr, a "
            "longer warm-up or more audio an update, and begin anew"
        )
    brain.optimizer_step = found.meta["update"]
    # A checkpoint made before the next interval ends is as good as this one.
    for name in ("target_std", "prediction_std"):
        brain.last[name] = found.meta[name]
    if if_main_process():
        brain.hparams.curves.resume_at(brain.optimizer_step)
    brain.checkpointer.delete_checkpoints(
        num_to_keep=0,
        ckpt_predicate=lambda c: c.meta["unixtime"] > found.meta["unixtime"],
    )
    logger.warning(
        "went back to update %d, %s", brain.optimizer_step, found.path
    )
