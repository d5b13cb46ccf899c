"""SUPERB: one fixed head for each task.

No row of data2vec was found in a primary source; what there is are single
figures, and they differ: at SUPERB the learning rate decides.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.published.reference import SOURCES, Reference

BENCHMARK = "SUPERB"
ROWS = "SUPERB, reference rows"
ISSUE = "s3prl/s3prl, issue 469"
MEASURES = {
    "pr": "PER",
    "ks": "accuracy",
    "ic": "accuracy",
    "sid": "accuracy",
    "er": "accuracy",
    "asr": "WER",
    "asr_lm": "WER",
    "qbe": "MTWV",
    "sf_f1": "F1",
    "sf_cer": "CER",
    "asv": "EER",
    "sd": "DER",
}
FIGURES = {
    "wav2vec 2.0 Base": (
        *(5.74, 96.23, 92.35, 75.18, 63.43, 6.43),
        *(4.79, 2.33, 88.30, 24.77, 6.02, 6.08),
    ),
    "wav2vec 2.0 Large": (
        *(4.75, 96.66, 95.28, 86.14, 65.64, 3.75),
        *(3.10, 4.89, 87.11, 27.31, 5.65, 5.62),
    ),
    "HuBERT Base": (
        *(5.41, 96.30, 98.34, 81.42, 64.92, 6.42),
        *(4.79, 7.36, 88.53, 25.20, 5.11, 5.88),
    ),
    "HuBERT Large": (
        *(3.53, 95.29, 98.76, 90.33, 67.62, 3.62),
        *(2.94, 3.53, 89.81, 21.76, 5.98, 5.75),
    ),
    "WavLM Large": (
        *(3.06, 97.86, 99.31, 95.49, 70.62, 3.44),
        *(2.95, 8.86, 92.21, 18.36, 3.77, 3.24),
    ),
}
# What was said of data2vec: encoder, figures, source. Of two figures of a cell
# the first is what a look-up gives.
FRAGMENTS = (
    ("data2vec Base", {"sid": 70.21, "asv": 5.77}, ISSUE),
    (
        "data2vec Base",
        {"sid": 54.85, "asv": 6.77},
        f"{ISSUE}, run again by another user at default settings",
    ),
    ("data2vec Large", {"er": 66.31}, "a secondary source"),
)

SUPERB = (
    *(
        Reference(BENCHMARK, task, SOURCES[name], value, measure, ROWS)
        for name, values in FIGURES.items()
        for (task, measure), value in zip(MEASURES.items(), values, strict=True)
    ),
    *(
        Reference(
            BENCHMARK,
            task,
            SOURCES[name],
            value,
            MEASURES[task],
            source,
        )
        for name, values, source in FRAGMENTS
        for task, value in values.items()
    ),
)
