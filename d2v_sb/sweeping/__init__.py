"""Values for beam search, searched for on the dev split of a run."""

from d2v_sb.sweeping.log_probs import LogProbs, cached_log_probs
from d2v_sb.sweeping.plot import plot_surface
from d2v_sb.sweeping.points import Point, Points
from d2v_sb.sweeping.sweep import Sweep

__all__ = [
    "LogProbs",
    "Point",
    "Points",
    "Sweep",
    "cached_log_probs",
    "plot_surface",
]
