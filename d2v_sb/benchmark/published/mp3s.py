"""MP3S, SpeechBrain's benchmark: two heads for each of seven tasks.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.published.reference import SOURCES, Reference

BENCHMARK = "MP3S"
SOURCE = "speechbrain/benchmarks, benchmarks/MP3S/README.md"
# By task: the measure, the first and the second head.
TASKS = {
    "librispeech100": ("WER", "BiLSTM", "ContextNet"),
    "buckeye": ("WER", "BiLSTM", "ContextNet"),
    "welsh": ("WER", "BiLSTM", "linear"),
    "basque": ("WER", "BiLSTM", "linear"),
    "voxceleb1": ("EER", "x-vector", "ECAPA-TDNN"),
    "iemocap": ("accuracy", "time pooling + linear", "ECAPA-TDNN"),
    "slurp": ("accuracy", "time pooling + linear", "BiLSTM + linear"),
}
# By encoder and head.
FIGURES = {
    ("data2vec Base", 1): (5.30, 37.26, 54.00, 46.37, 5.43, 63.0, 56.9),
    ("data2vec Large", 1): (3.10, 22.63, 44.32, 38.23, 4.89, 64.1, 69.8),
    ("data2vec Base", 2): (5.85, 40.53, 77.49, 75.26, 3.75, 72.0, 73.4),
    ("data2vec Large", 2): (3.43, 25.26, 69.09, 63.31, 2.67, 71.3, 79.9),
}
NOTES = {
    "librispeech100": "the source does not say whether test-clean or "
    "test-other, nor with or without a language model",
    "iemocap": "one test speaker",
}
CONFORMER = (
    "; the source's table calls the second head Conformer, its folder "
    "holds ContextNet"
)


def _note(task, place):
    note = NOTES.get(task, "")
    return note + CONFORMER * (task == "librispeech100" and place == 2)


MP3S = tuple(
    Reference(
        BENCHMARK,
        task,
        SOURCES[name],
        value,
        measure_and_heads[0],
        SOURCE,
        head=measure_and_heads[place],
        note=_note(task, place),
    )
    for (name, place), values in FIGURES.items()
    for (task, measure_and_heads), value in zip(
        TASKS.items(), values, strict=True
    )
)
