"""Checkpoints of every format, read into one record and written from it."""

from d2v_sb.checkpoints.hf import save_hf
from d2v_sb.checkpoints.native import save_native
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.checkpoints.source import (
    ENCODER_CKPT,
    check_source,
    load_checkpoint,
)

__all__ = [
    "ENCODER_CKPT",
    "Checkpoint",
    "check_source",
    "load_checkpoint",
    "save_hf",
    "save_native",
]
