"""data2vec's own figures: LibriSpeech after fine-tuning, by regime.

Tasks are the names of ``d2v_sb.finetuning.regimes``; a model of another family
stands beside data2vec of its size. Which of fairseq's configs made a figure,
and with which weights of the language model, is not published.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.published.reference import SOURCES, Reference

BENCHMARK = "data2vec"
PAPER = "data2vec (arXiv 2202.03555v3)"
LABELS = ("10min", "1h", "10h", "100h", "960h")
# WER % on test-other with the 4-gram language model.
TABLE_2 = {
    "wav2vec 2.0 Base": (15.6, 11.3, 9.5, 8.0, 6.1),
    "HuBERT Base": (15.3, 11.3, 9.4, 8.1, None),
    "WavLM Base": (None, 10.8, 9.2, 7.7, None),
    "data2vec Base": (12.3, 9.1, 8.1, 6.8, 5.5),
    "wav2vec 2.0 Large": (10.3, 7.1, 5.8, 4.6, 3.6),
    "HuBERT Large": (10.1, 6.8, 5.5, 4.5, 3.7),
    "WavLM Large": (None, 6.6, 5.5, 4.6, None),
    "data2vec Large": (8.4, 6.3, 5.3, 4.6, 3.7),
}
# WER % of data2vec Base with the 4-gram language model, by labels; test-other
# is in table 2.
TABLE_6_SPLITS = ("dev-clean", "dev-other", "test-clean")
TABLE_6 = {
    "10min": (7.3, 11.6, 7.9),
    "1h": (4.0, 8.5, 4.6),
    "10h": (3.3, 7.5, 3.9),
    "100h": (2.2, 6.4, 2.8),
}
# WER % on test-clean and test-other without a language model, by model card.
TESTS = ("test-clean", "test-other")
CARDS = {
    "facebook/data2vec-audio-base-960h": ("data2vec Base", 2.77, 7.08),
    "facebook/data2vec-audio-large-960h": ("data2vec Large", 1.89, 4.07),
    # "self": with self-training.
    "facebook/wav2vec2-large-960h-lv60-self": ("wav2vec 2.0 Large", 1.86, 3.88),
}


def _regime(name, labels):
    return f"{name.split()[-1].lower()}_{labels}"


def _wer(name, labels, value, split, source):
    return Reference(
        BENCHMARK,
        _regime(name, labels),
        SOURCES[name],
        value,
        "WER",
        source,
        split,
    )


LIBRISPEECH = (
    *(
        _wer(name, labels, value, "test-other_lm", f"{PAPER}, table 2")
        for name, values in TABLE_2.items()
        for labels, value in zip(LABELS, values, strict=True)
    ),
    *(
        _wer("data2vec Base", labels, value, f"{split}_lm", f"{PAPER}, table 6")
        for labels, values in TABLE_6.items()
        for split, value in zip(TABLE_6_SPLITS, values, strict=True)
    ),
    *(
        _wer(name, "960h", value, split, f"model card of {card}")
        for card, (name, *values) in CARDS.items()
        for split, value in zip(TESTS, values, strict=True)
    ),
)
