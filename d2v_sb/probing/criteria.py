"""The loss that a head for speakers can learn by.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.finetuning.criteria import AngularMargin, CrossEntropy


def speaker_criterion(head, margin=0.2, scale=30.0):
    """An angular margin where outputs are cosines, else cross-entropy.

    MP3S's files put the margin on the x-vector network too, whose outputs are
    log-probabilities: the margin takes them for cosines and clamps them to
    -1, their gradient is zero, and nothing is learned.

    Arguments
    ---------
    head : UtteranceHead
        As of ``make_utterance_head``.
    margin : float
        In radians.
    scale : float
        Of the cosines.

    Returns
    -------
    AngularMargin or CrossEntropy

    Example
    -------
    >>> from d2v_sb.probing import make_utterance_head
    >>> head = make_utterance_head("xvector", 8, 3, {"channels": 128})
    >>> type(speaker_criterion(head)).__name__
    'CrossEntropy'
    """
    if head.gives_cosines:
        return AngularMargin(margin, scale)
    return CrossEntropy()
