"""Checkpoints of every format, read into one record and written from it."""

from d2v_sb.checkpoints.fairseq_writer import save_fairseq
from d2v_sb.checkpoints.hf import save_hf
from d2v_sb.checkpoints.native import STUDENT_CKPT, TEACHER_CKPT, save_native
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.checkpoints.source import (
    ENCODER_CKPT,
    PRETRAINED,
    check_source,
    load_checkpoint,
    shipped_weights,
)

__all__ = [
    "ENCODER_CKPT",
    "PRETRAINED",
    "STUDENT_CKPT",
    "TEACHER_CKPT",
    "Checkpoint",
    "check_source",
    "load_checkpoint",
    "save_fairseq",
    "save_hf",
    "save_native",
    "shipped_weights",
]
