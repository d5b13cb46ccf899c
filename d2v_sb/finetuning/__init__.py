"""Fine-tuning Brains; a recipe's YAML names the one that it trains with."""

from d2v_sb.finetuning.all_blank import AllBlankDetector
from d2v_sb.finetuning.attention import AttentionBrain
from d2v_sb.finetuning.classification import ClassificationBrain
from d2v_sb.finetuning.criteria import AngularMargin, CrossEntropy, LargeMargin
from d2v_sb.finetuning.ctc import CTCBrain
from d2v_sb.finetuning.regimes import REGIMES, Regime, with_regime

__all__ = [
    "REGIMES",
    "AllBlankDetector",
    "AngularMargin",
    "AttentionBrain",
    "CTCBrain",
    "ClassificationBrain",
    "CrossEntropy",
    "LargeMargin",
    "Regime",
    "with_regime",
]
