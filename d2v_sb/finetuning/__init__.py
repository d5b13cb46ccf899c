"""Fine-tuning Brains; a recipe's YAML names the one that it trains with."""

from d2v_sb.finetuning.ctc import CTCBrain

__all__ = ["CTCBrain"]
