"""What a published figure is.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass

# Encoders by their source, as tables name them. Of data2vec 2.0 there is no
# source that we can load, so it goes by its name.
NAMES = {
    "facebook/data2vec-audio-base": "data2vec Base",
    "facebook/data2vec-audio-large": "data2vec Large",
    "facebook/wav2vec2-base": "wav2vec 2.0 Base",
    "facebook/wav2vec2-large-lv60": "wav2vec 2.0 Large",
    "facebook/hubert-base-ls960": "HuBERT Base",
    "facebook/hubert-large-ll60k": "HuBERT Large",
    "microsoft/wavlm-base": "WavLM Base",
    "microsoft/wavlm-large": "WavLM Large",
    "data2vec 2.0 Base": "data2vec 2.0 Base",
}
SOURCES = {name: source for source, name in NAMES.items()}


@dataclass(frozen=True)
class Reference:
    """A published figure.

    Arguments
    ---------
    benchmark, task : str
        Of what: "MP3S", "SUPERB", "emotion2vec" or "data2vec", and the task
        by its name in our tables.
    encoder : str
        By its source.
    value : float, optional
        The figure, in percent where the measure is one. None where the source
        has no figure.
    measure : str
        Such as "WER".
    source : str
        Where it is written.
    split : str, optional
        What it was measured on, as a run's files name it: ``test-other_lm``
        is test-other with a language model. None where the source does not
        say, or has one test set only.
    head : str, optional
        What was trained on the encoder, where the benchmark has several.
    note : str
        What a reader must know.
    """

    benchmark: str
    task: str
    encoder: str
    value: float | None
    measure: str
    source: str
    split: str | None = None
    head: str | None = None
    note: str = ""

    @property
    def name(self):
        """The encoder's name in tables."""
        return NAMES[self.encoder]
