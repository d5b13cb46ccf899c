"""Probing of frozen encoders: states are made once, and heads learn on them.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.probing.classification_task import ClassificationTask
from d2v_sb.probing.criteria import speaker_criterion
from d2v_sb.probing.ctc_task import CTCTask
from d2v_sb.probing.duration import Epochs, Updates
from d2v_sb.probing.frame_heads import make_frame_head
from d2v_sb.probing.frozen import FrozenEncoder
from d2v_sb.probing.model import FrameProbe, LayerSum, UtteranceProbe
from d2v_sb.probing.rates import Constant, Linear, NewBob
from d2v_sb.probing.rows import Beginnings, Segments, Whole, beginnings
from d2v_sb.probing.run import ProbingRun
from d2v_sb.probing.utterance_heads import make_utterance_head

__all__ = [
    "Beginnings",
    "CTCTask",
    "ClassificationTask",
    "Constant",
    "Epochs",
    "FrameProbe",
    "FrozenEncoder",
    "LayerSum",
    "Linear",
    "NewBob",
    "ProbingRun",
    "Segments",
    "Updates",
    "UtteranceProbe",
    "Whole",
    "beginnings",
    "make_frame_head",
    "make_utterance_head",
    "speaker_criterion",
]
