"""SpeechBrain's Checkpointer, with checkpoints that are whole or not there.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import logging
import shutil
import time

from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpointer
from speechbrain.utils.distributed import (
    ddp_barrier,
    ddp_broadcast,
    if_main_process,
)

from d2v_sb.atomic import replacing

logger = logging.getLogger(__name__)


class AtomicCheckpointer(Checkpointer):
    """Writes each checkpoint beside the others and then gives it its name.

    SpeechBrain writes a checkpoint in its place, its description first: a run
    that is killed meanwhile, or whose disk is full, can not be resumed,
    because the damaged checkpoint is the newest. Arguments are those of
    ``speechbrain.utils.checkpoints.Checkpointer``.

    Example
    -------
    >>> import torch
    >>> model = torch.nn.Linear(1, 1)
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = AtomicCheckpointer(folder, {"model": model})
    >>> _ = checkpointer.save_checkpoint({"WER": 1.0})
    >>> checkpointer.find_checkpoint().meta["WER"]
    1.0
    """

    def save_checkpoint(
        self, meta={}, end_of_epoch=True, name=None, verbosity=logging.INFO
    ):
        """Saves a checkpoint.

        Arguments
        ---------
        meta : dict
            Kept with it, e.g. {"WER": 12.3}.
        end_of_epoch : bool
            Whether it is one of the end of an epoch.
        name : str, optional
            Its name; a time stamp if not given.
        verbosity : int
            Level of the log's line.

        Returns
        -------
        Checkpoint
            On the main process, else None.

        Raises
        ------
        DataError
            If the disk is full or can not be written; earlier checkpoints are
            as they were.
        """
        folder = self.checkpoints_dir
        name = ddp_broadcast(name or _new_name(folder), src=0)
        path = folder / f"{CKPT_PREFIX}+{name}"
        with contextlib.ExitStack() as stack:
            if if_main_process():
                for left_over in folder.glob(f".{CKPT_PREFIX}+*"):
                    shutil.rmtree(left_over)  # of a killed run
                beside = stack.enter_context(replacing(path))
                self.checkpoints_dir = beside.parent
            try:
                saved = super().save_checkpoint(
                    meta, end_of_epoch, name, logging.DEBUG
                )
                ddp_barrier()
            finally:
                self.checkpoints_dir = folder
        # The others must not look for checkpoints before it has its name:
        # SpeechBrain then deletes old ones on some processes only, and hangs.
        ddp_barrier()
        if saved is None:
            return None
        logger.log(verbosity, "saved %s", path)
        files = {k: path / p.name for k, p in saved.paramfiles.items()}
        return type(saved)(path, saved.meta, files)


def _new_name(folder):
    """A time stamp, and a number above those that the folder has of it.

    Their count would not do: after a deletion it is the number of one kept.
    """
    stamp = time.strftime("%Y-%m-%d+%H-%M-%S")
    taken = folder.glob(f"{CKPT_PREFIX}+{stamp}+[0-9]*")
    numbers = [int(path.name.rpartition("+")[2]) for path in taken]
    return f"{stamp}+{max(numbers, default=-1) + 1:02d}"
