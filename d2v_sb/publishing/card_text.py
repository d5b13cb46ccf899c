"""The text of a model card, section by section.

Authors
 * The d2v_sb developers 2026
"""

import re

from d2v_sb import __version__
from d2v_sb.checkpoints.report import describe
from d2v_sb.publishing.figures import METRICS
from d2v_sb.publishing.kinds import (
    ENCODER,
    TRANSFORMERS_CTC,
    TRANSFORMERS_ENCODER,
)
from d2v_sb.publishing.licences import OF_SHIPPED
from d2v_sb.publishing.markdown import code, row, table
from d2v_sb.publishing.training_text import UNKNOWN, training

MOST_LABELS = 60  # more are counted only
DATA2VEC = """\
@article{baevski2022data2vec,
  title = {data2vec: A General Framework for Self-supervised Learning in
           Speech, Vision and Language},
  author = {Baevski, Alexei and Hsu, Wei-Ning and Xu, Qiantong and Babu, Arun
            and Gu, Jiatao and Auli, Michael},
  journal = {arXiv preprint arXiv:2202.03555},
  year = {2022},
}
"""
SPEECHBRAIN = """\
@article{ravanelli2021speechbrain,
  title = {SpeechBrain: A General-Purpose Speech Toolkit},
  author = {Ravanelli, Mirco and Parcollet, Titouan and others},
  journal = {arXiv preprint arXiv:2106.04624},
  year = {2021},
}
"""


def sections(source, words, results, where):
    """All of the text below the front matter.

    Arguments
    ---------
    source : Source
        The model.
    words : Words
        What the user says of it.
    results : list of Result
        Its test figures.
    where : str
        The folder, or its name on the hub, in the examples.

    Returns
    -------
    str
    """
    parts = [
        f"# {words.title}",
        words.description or first_paragraph(source),
        f"## Use\n\n{usage(source, where)}",
        f"## Padding\n\n{padding(source)}",
        f"## What it is\n\n{table(model_rows(source, words))}",
        f"## How it was trained\n\n{training(source.run)}",
        f"## Results\n\n{results_text(results)}",
        f"## Limits\n\n{limits(source, words)}",
        f"## Licence\n\n{licence(source, words)}",
        f"## Citation\n\n{citation(source, words, where)}",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def first_paragraph(source):
    """What it is, in a sentence or two."""
    if source.checkpoint is None:
        front = "filter banks, without a pretrained encoder"
    else:
        front = "a Data2Vec-Audio encoder"
    text = f"{source.kind.name}: {front}, for speech of 16 kHz."
    if source.with_lm:
        text += " A language model is in the folder, and decoding uses it."
    return text


def usage(source, where):
    """Code that runs, in three lines or so."""
    needs = f"It needs d2v_sb ({__version__} or later) and SpeechBrain"
    extra = ", with d2v_sb's extra `lm` for the language model"
    text = f"{needs}{extra if source.with_lm else ''}.\n\n"
    text += code(source.kind.usage.format(source=where))
    if source.kind is ENCODER:
        text += (
            "\nThe same name is the `encoder` of any recipe. "
            "`pretrained.safetensors` has what pretraining can go on from; "
            'with a teacher inside, `weights="teacher"` takes it. In '
            "Transformers alone:\n\n"
        )
        return text + code(TRANSFORMERS_ENCODER.format(source=where))
    if source.transformers:
        bare = " or the language model" if source.with_lm else ""
        text += f"\nIn Transformers alone, without d2v_sb{bare}:\n\n"
        text += code(TRANSFORMERS_CTC.format(source=where))
    return text


def padding(source):
    """Whether a padded batch gives what single files give."""
    if source.exact:
        text = (
            "An utterance in a padded batch gives what it gives alone, to "
            "float rounding (2e-5), if `wav_lens` is passed."
        )
    else:
        text = (
            'It was trained with `padding="fairseq"`: what comes out of an '
            "utterance changes with the padding of its batch, as in fairseq."
        )
    if source.transformers:
        text += (
            " Transformers' model does not have this property: there, give "
            "files one by one where the figures should be those below."
        )
    return text


def model_rows(source, words):
    """Facts about the model, by name."""
    rows = {"kind": source.kind.name}
    if source.checkpoint is not None:
        config = source.checkpoint.config
        count = describe(source.checkpoint)["parameters"]
        rows["encoder"] = (
            f"{config.encoder_layers} blocks of width "
            f"{config.encoder_embed_dim}, {count / 1e6:.2f} M parameters"
        )
        normalised = "as it is, and normalised by the encoder itself"
        wav = normalised if config.normalize else "as it is, not normalised"
        rows["waveform"] = f"16 kHz mono, {wav}"
    if "num_labels" in source.yaml:
        rows["labels"] = str(source.yaml["num_labels"])
        names = source.labels
        if names and len(names) <= MOST_LABELS:
            rows["labels"] += ": " + " ".join(
                f"`{x}`" if x.strip() else "space" for x in names
            )
    rows["languages"] = ", ".join(words.languages) or UNKNOWN
    rows["data sets on the hub"] = ", ".join(words.datasets) or UNKNOWN
    return rows


def results_text(results):
    """The test figures as a table, or that there are none."""
    if not results:
        return f"Its test figures are {UNKNOWN}."
    names = [
        metric
        for metric in METRICS
        if any(metric in result.figures for result in results)
    ]
    head = ["tested on", "how", *(METRICS[n][0] for n in names), "over", "from"]
    lines = [row(head), "|---" * len(head) + "|"]
    for result in results:
        figures = [str(result.figures.get(name, "")) for name in names]
        cells = [result.test, result.how, *figures, result.size, result.origin]
        lines.append(row(cells))
    text = "\n".join(lines)
    if any(
        figure.low is not None for r in results for figure in r.figures.values()
    ):
        text += "\n\nIn brackets: 95 % intervals."
    return text


def limits(source, words):
    """What it can not be relied on for."""
    items = [
        *source.kind.limits,
        "Speech of 16 kHz; other rates are resampled by SpeechBrain's "
        "`*_file` functions only. Clips shorter than 25 ms are an error.",
        "It was tested on nothing but what the table above names. Noise, "
        "accents, other languages and other ways of speaking may be much "
        "harder for it.",
    ]
    if not words.languages:
        items.append("The language of its training data was not stated.")
    return "\n".join(f"- {item}" for item in items)


def licence(source, words):
    """What the weights are under, and whose work they go back to."""
    there = "its text is in [LICENSE](LICENSE)"
    text = there if words.text_at_hand else "its text is not in this folder"
    text = f"The weights are under `{words.licence}`; {text}."
    if source.origin in OF_SHIPPED:
        text += (
            f" They go back to `{source.origin}` of d2v_sb, which is under "
            f"`{OF_SHIPPED[source.origin]}`; its card, "
            "`d2v_sb/weights/README.md`, names the speech in it and whose it "
            "is."
        )
    return text


def citation(source, words, where):
    """data2vec, SpeechBrain, and this model."""
    year = (source.run.date or "")[:4]
    key = re.sub(r"\W+", "-", where.lower()).strip("-")
    lines = [f"@misc{{{key},", f"  title = {{{words.title}}},"]
    if year:
        lines.append(f"  year = {{{year}}},")
    lines.append(f"  note = {{{source.kind.name}; made with d2v_sb}},")
    own = "\n".join([*lines, "}", ""])
    return code(f"{own}\n{DATA2VEC}\n{SPEECHBRAIN}", "bibtex")
