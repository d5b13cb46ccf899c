"""Fine-tuning that hears nothing: noticed, with what usually helps.

Authors
 * The d2v_sb developers 2026
"""

import logging

logger = logging.getLogger(__name__)

ADVICE = """\
after %d updates nothing but blanks was heard in %d validations in a row. CTC
begins so, for some hundred updates of a minute of audio and more of seconds; if
it stays so, these are the usual causes, the commonest first:
  - the encoder moved before the output layer had learned: raise
    --freeze_finetune_updates or --head_lr_scale
  - the learning rate is too high, or an update is too small for it: lower --lr,
    raise --batch_seconds, clip with --max_grad_norm 1
  - it is too low for weights that are not pretrained: --encoder says which are
    loaded, `d2v-sb inspect` what they are
  - masks, LayerDrop or dropout are those of the full size: on an hour of speech
    and less, or a small encoder, lower --mask_prob and --mask_channel_prob
  (the first two take effect from the start: begin in another --output_folder)
  - the transcripts are not of this audio: look at `said` in the log"""


class AllBlankDetector:
    """Warns when validations in a row heard nothing.

    Arguments
    ---------
    patience : int
        After how many; 0 is never.

    Example
    -------
    >>> detector = AllBlankDetector(patience=2)
    >>> detector.observe(["", ""], 500), detector.observe(["", ""], 1000)
    (False, True)
    >>> detector.observe(["", "A"], 1500)
    False
    """

    def __init__(self, patience=3):
        self.patience = patience
        self.in_a_row = 0

    def observe(self, texts, num_updates):
        """Takes what a validation heard.

        Arguments
        ---------
        texts : iterable of str
            Of all utterances.
        num_updates : int
            Optimiser updates made.

        Returns
        -------
        bool
            Whether it warned.
        """
        self.in_a_row = 0 if any(texts) else self.in_a_row + 1
        if not self.patience or self.in_a_row != self.patience:
            return False
        logger.warning(ADVICE, num_updates, self.in_a_row)
        return True
