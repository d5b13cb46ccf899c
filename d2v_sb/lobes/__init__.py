"""Lobes: the Data2Vec-Audio encoder and what stands on it."""

from d2v_sb.lobes.data2vec import Data2VecAudio
from d2v_sb.lobes.heads import CTCModel, WeightedData2Vec
from d2v_sb.lobes.joint import AttentionDecoder, JointModel, SpeechEncoder

__all__ = [
    "AttentionDecoder",
    "CTCModel",
    "Data2VecAudio",
    "JointModel",
    "SpeechEncoder",
    "WeightedData2Vec",
]
