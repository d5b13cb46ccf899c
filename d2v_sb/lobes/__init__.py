"""Lobes: the Data2Vec-Audio encoder and what stands on it."""

from d2v_sb.lobes.data2vec import Data2VecAudio
from d2v_sb.lobes.heads import CTCModel, WeightedData2Vec

__all__ = ["CTCModel", "Data2VecAudio", "WeightedData2Vec"]
