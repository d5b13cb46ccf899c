"""Learning rates of the head and of the layers' weights.

SpeechBrain's schedulers, asked by epoch. An epoch is what lies between two
validations.

Authors
 * The d2v_sb developers 2026
"""

from speechbrain.nnet import schedulers
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)


class Constant:
    """One rate.

    Example
    -------
    >>> Constant(0.1).at(7)
    0.1
    """

    def __init__(self, lr):
        self.lr = lr

    def at(self, epoch):
        """The rate in an epoch, from 1."""
        return self.lr

    def validated(self, value):
        """A validation's loss, or error rate."""


class Linear(Constant):
    """From one rate to another, epoch by epoch.

    Example
    -------
    >>> Linear(1.0, 0.0, 3).at(2)
    0.5
    """

    def __init__(self, lr, final_lr, number_of_epochs):
        super().__init__(lr)
        self.scheduler = schedulers.LinearScheduler(
            lr, final_lr, int(number_of_epochs)
        )

    def at(self, epoch):
        """The rate in an epoch, from 1."""
        # SpeechBrain's first value is that of the epoch that is over.
        return self.scheduler(epoch)[0]


@register_checkpoint_hooks
class NewBob(Constant):
    """Annealed where a validation was hardly better than the one before.

    Example
    -------
    >>> rate = NewBob(1.0, 0.5)
    >>> rate.validated(9.0)
    >>> rate.validated(9.0)
    >>> rate.at(3)
    0.5
    """

    def __init__(self, lr, annealing_factor, improvement_threshold=0.0025):
        super().__init__(lr)
        self.scheduler = schedulers.NewBobScheduler(
            lr, annealing_factor, improvement_threshold, patient=0
        )

    def at(self, epoch):
        """The rate in an epoch, from 1."""
        return self.scheduler.hyperparam_value

    def validated(self, value):
        """A validation's loss, or error rate."""
        self.scheduler(value)

    @mark_as_saver
    def save(self, path):
        """For SpeechBrain's checkpointer."""
        self.scheduler.save(path)

    @mark_as_loader
    def load(self, path, end_of_epoch=False):
        """For SpeechBrain's checkpointer."""
        self.scheduler.load(path, end_of_epoch)
