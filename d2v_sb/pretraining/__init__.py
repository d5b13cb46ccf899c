"""Pretraining: data2vec's student, teacher, objective and Brain."""

from d2v_sb.pretraining.audio import CropDataset
from d2v_sb.pretraining.brain import PretrainingBrain
from d2v_sb.pretraining.collapse import CollapseGuard
from d2v_sb.pretraining.curves import Curves
from d2v_sb.pretraining.start import export_pretrained, start_from
from d2v_sb.pretraining.student import LinearPredictor, Student
from d2v_sb.pretraining.teacher import LinearDecay, Teacher

__all__ = [
    "CollapseGuard",
    "CropDataset",
    "Curves",
    "LinearDecay",
    "LinearPredictor",
    "PretrainingBrain",
    "Student",
    "Teacher",
    "export_pretrained",
    "start_from",
]
