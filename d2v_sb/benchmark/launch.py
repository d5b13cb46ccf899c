"""Jobs as processes of this machine.

Authors
 * The d2v_sb developers 2026
"""

import signal
import time
from collections import Counter

from d2v_sb.benchmark.process import Running
from d2v_sb.errors import UserError

PATIENCE = 10.0  # seconds from asking a process to end to ending it
TORCHRUN = 30.0  # seconds that torchrun itself waits for its workers


class Local:
    """Starts jobs here, some at a time.

    Arguments
    ---------
    num_jobs : int, optional
        How many at a time; by default one, or one for each share of `gpus`.
    gpus : list of str
        Names of GPUs as CUDA_VISIBLE_DEVICES takes them, dealt out to jobs;
        empty for the environment's own.
    num_processes : int
        Of each job; more than one are started by torchrun, with a GPU each.

    Attributes
    ----------
    slots : int
        How many jobs may be at work.
    idle : list of str
        Of `gpus`, those that no job gets.

    Raises
    ------
    UserError
        If there are fewer GPUs than a job's processes.

    Example
    -------
    >>> Local(gpus=["0", "1", "2", "3"], num_processes=2).slots
    2
    """

    pause = 0.1  # seconds between looks at the processes

    def __init__(self, num_jobs=None, gpus=(), num_processes=1):
        if gpus and len(gpus) < num_processes:
            raise UserError(
                f"--nproc_per_node {num_processes} is more than the "
                f"{len(gpus)} of --gpus {','.join(gpus)}"
            )
        each = num_processes
        starts = range(0, len(gpus) - each + 1, each) if gpus else ()
        self._shares = [tuple(gpus[i : i + each]) for i in starts]
        self._taken = Counter(dict.fromkeys(self._shares, 0))
        self.slots = num_jobs or len(self._shares) or 1
        self.num_processes = num_processes
        dealt = [name for share in self._shares[: self.slots] for name in share]
        self.idle = [name for name in gpus if name not in dealt]

    def start(self, folder):
        """Starts a job.

        Arguments
        ---------
        folder : JobFolder
            Of the job.

        Returns
        -------
        Running
        """
        share = min(self._shares, key=self._taken.__getitem__, default=())
        self._taken[share] += 1
        command = folder.job.command(folder.path, self.num_processes)
        gpus = ",".join(share) or None
        try:
            return Running(folder, command, gpus, lambda: self._release(share))
        except BaseException:
            self._release(share)
            raise

    def stop(self, running):
        """Ends processes: asks them, and after ``PATIENCE`` does not. That of
        torchrun comes before.

        Arguments
        ---------
        running : list of Running
            Those at work.

        Returns
        -------
        str
            What is to be known of it: nothing.
        """
        try:
            for each in running:
                each.signal(signal.SIGTERM)
            more = TORCHRUN if self.num_processes > 1 else 0.0
            until = time.monotonic() + PATIENCE + more
            while time.monotonic() < until:
                if all(each.poll() is not None for each in running):
                    break
                time.sleep(self.pause)
        finally:  # at another Ctrl-C too
            for each in running:
                each.signal(signal.SIGKILL)
            for each in running:
                each.wait()
        return ""

    def look(self, running):
        """``Ended`` once a job is no more, None until then."""
        return running.poll()

    def said(self, running):
        """What is to be known of a job that was started."""
        return running.said()

    def _release(self, share):
        self._taken[share] -= 1
