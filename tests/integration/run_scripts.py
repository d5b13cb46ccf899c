"""Runs scripts one after the other in one process, some not to their end.

Importing torch takes longest of a small run. And a process that kills itself
dies at the same batch on every machine, where a signal from outside comes
sooner or later.

Authors
 * The d2v_sb developers 2026
"""

import itertools
import json
import os
import runpy
import signal
import sys

import torch
from speechbrain.utils import distributed

from d2v_sb.finetuning import ClassificationBrain
from d2v_sb.pretraining import PretrainingBrain
from d2v_sb.probing.brain import ProbingBrain

BRAINS = {
    b.__name__: b for b in (ClassificationBrain, PretrainingBrain, ProbingBrain)
}


def kill_before(method, number, brain="PretrainingBrain"):
    """SIGKILL in the place of the so manieth call of a Brain's method; of two
    processes the second one dies."""
    brain = BRAINS[brain]
    original, calls = getattr(brain, method), itertools.count(1)

    def killed(self, *args, **kwargs):
        if next(calls) == number and os.environ.get("RANK", "1") == "1":
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **kwargs)

    setattr(brain, method, killed)


def keep_weights(folder):
    """After training, each process writes the weights that it holds."""
    original = PretrainingBrain.fit

    def fit(self, *args, **kwargs):
        original(self, *args, **kwargs)
        held = {
            "student": self.student.state_dict(),
            "teacher": self.teacher.state_dict(),
        }
        torch.save(held, f"{folder}/rank{os.environ['RANK']}.pt")

    PretrainingBrain.fit = fit


def never_seed():
    """From now on random numbers follow from what was drawn before."""
    torch.manual_seed = lambda seed: torch.default_generator


CHANGES = {f.__name__: f for f in (kill_before, keep_weights, never_seed)}


def main(jobs):
    """Each job is a script's argv, and what is changed before it: the
    arguments of functions above by their names. Changes stay."""
    leave = torch.distributed.destroy_process_group
    # Processes are one group for all scripts: they join it once, and leave it
    # when the last one ends.
    torch.distributed.destroy_process_group = lambda: None
    for job in jobs:
        if job is jobs[-1]:
            torch.distributed.destroy_process_group = leave
        for name, arguments in job.get("changes", {}).items():
            CHANGES[name](*arguments)
        sys.argv = job["argv"]
        # As Python does for a script.
        sys.path.insert(0, os.path.dirname(sys.argv[0]))
        runpy.run_path(sys.argv[0], run_name="__main__")
        if torch.distributed.is_initialized():
            distributed.ddp_init_group = lambda run_opts: None


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
