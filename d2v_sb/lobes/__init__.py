"""Lobes: the Data2Vec-Audio encoder and what stands on it."""

from d2v_sb.lobes.data2vec import Data2VecAudio
from d2v_sb.lobes.filter_bank import FilterBank
from d2v_sb.lobes.heads import CTCModel, WeightedData2Vec, make_front_end
from d2v_sb.lobes.joint import AttentionDecoder, JointModel, SpeechEncoder
from d2v_sb.lobes.pooling import make_head
from d2v_sb.lobes.utterance import (
    Posteriors,
    UtteranceClassifier,
    UtteranceEncoder,
)

__all__ = [
    "AttentionDecoder",
    "CTCModel",
    "Data2VecAudio",
    "FilterBank",
    "JointModel",
    "Posteriors",
    "SpeechEncoder",
    "UtteranceClassifier",
    "UtteranceEncoder",
    "WeightedData2Vec",
    "make_front_end",
    "make_head",
]
