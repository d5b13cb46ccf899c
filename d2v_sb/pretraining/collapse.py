"""A guard against representations that collapse to a constant.

Authors
 * The d2v_sb developers 2026
"""

import logging

from d2v_sb.errors import UserError

logger = logging.getLogger(__name__)

# A checkpoint saved shortly before a collapse is half collapsed itself.
MARGIN = 2.0
POLICIES = ("stop", "warn", "rollback")
WAYS_OUT = (
    "lower lr, lengthen the warm-up, raise ema_decay, or hide less "
    "(mask_prob); docs/pretraining.md shows what healthy runs look like"
)


class CollapsedError(UserError):
    """The representations have collapsed, and training on would be vain."""


class CollapseGuard:
    """Watches the deviation of targets and predictions over frames.

    Arguments
    ---------
    policy : str
        "stop", "warn", or "rollback": go back to the last good checkpoint and
        on from there with other data.
    min_target_var, min_pred_var : float
        Least standard deviations (fairseq's names, and its values; they are
        deviations there too).
    start : int
        Updates before which nothing is checked: at first all predictions are
        nearly alike.
    max_rollbacks : int
        So many are tried before the run stops.

    Example
    -------
    >>> guard = CollapseGuard("stop", start=100)
    >>> guard.healthy(50, 0.0, 0.0), guard.healthy(101, 0.05, 0.3)
    (True, False)
    """

    def __init__(
        self,
        policy="stop",
        min_target_var=0.1,
        min_pred_var=0.01,
        start=5000,
        max_rollbacks=3,
    ):
        if policy not in POLICIES:
            raise UserError(
                f"the policy on_collapse is one of {', '.join(POLICIES)}, got "
                f"{policy!r}"
            )
        self.policy = policy
        self.min_target_var = min_target_var
        self.min_pred_var = min_pred_var
        self.start = start
        self.max_rollbacks = max_rollbacks
        self.rollbacks = 0

    def healthy(self, update, target_std, prediction_std):
        """Whether both deviations are what they should be at this update."""
        return update <= self.start or (
            target_std >= self.min_target_var
            and prediction_std >= self.min_pred_var
        )

    def good(self, checkpoint):
        """Whether a checkpoint of SpeechBrain's is worth going back to."""
        meta = checkpoint.meta
        return (
            meta["target_std"] >= MARGIN * self.min_target_var
            and meta["prediction_std"] >= MARGIN * self.min_pred_var
        )

    def act(self, update, target_std, prediction_std):
        """Says what is wrong, and whether to go back.

        Returns
        -------
        bool
            Whether to roll back.

        Raises
        ------
        CollapsedError
            If the policy is to stop, or rolling back did not help.
        """
        if self.healthy(update, target_std, prediction_std):
            return False
        message = (
            f"update {update}: representations collapse, target_std "
            f"{target_std:.4f} (least {self.min_target_var}), prediction_std "
            f"{prediction_std:.4f} (least {self.min_pred_var})"
        )
        if self.policy == "warn":
            logger.warning("%s; %s", message, WAYS_OUT)
            return False
        if self.policy == "rollback" and self.rollbacks < self.max_rollbacks:
            self.rollbacks += 1
            logger.warning("%s; rollback %d", message, self.rollbacks)
            return True
        raise CollapsedError(f"{message}. Stopped: {WAYS_OUT}")
