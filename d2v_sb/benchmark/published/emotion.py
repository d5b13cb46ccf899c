"""emotion2vec's comparison of encoders on IEMOCAP.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.published.reference import SOURCES, Reference

BENCHMARK = "emotion2vec"
SOURCE = "emotion2vec, table 2: weighted accuracy, leave one session out"
FIGURES = {
    "data2vec Base": 67.38,
    "data2vec 2.0 Base": 68.58,
    "wav2vec 2.0 Base": 63.43,
    "HuBERT Base": 64.92,
    "HuBERT Large": 67.62,
    "WavLM Large": 70.03,
}

EMOTION = tuple(
    Reference(
        BENCHMARK,
        "iemocap",
        SOURCES[name],
        value,
        "accuracy",
        SOURCE,
        head="linear",
    )
    for name, value in FIGURES.items()
)
