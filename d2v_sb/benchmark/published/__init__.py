"""Figures that others published, each with its source.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.published.emotion import EMOTION
from d2v_sb.benchmark.published.librispeech import LIBRISPEECH
from d2v_sb.benchmark.published.look_up import published, references
from d2v_sb.benchmark.published.mp3s import MP3S
from d2v_sb.benchmark.published.reference import Reference
from d2v_sb.benchmark.published.superb import SUPERB
