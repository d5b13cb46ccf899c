"""The text of a model card, section by section.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb import __version__
from d2v_sb.checkpoints.report import describe
from d2v_sb.publishing.figures import METRICS
from d2v_sb.publishing.kinds import (
    ENCODER,
    TRANSFORMERS_CTC,
    TRANSFORMERS_ENCODER,
)
from d2v_sb.publishing.markdown import code, inline, plain, row, table
from d2v_sb.publishing.rights_text import citation, licence
from d2v_sb.publishing.training_text import UNKNOWN, training

MOST_LABELS = 60  # more are counted only


def sections(source, words, results, where):
    """All of the text below the front matter.

    Arguments
    ---------
    source : Source
        The model.
    words : Words
        What the user says of it.
    results : Results
        Its test figures, and those of other runs.
    where : str
        The folder, or its name on the hub, in the examples.

    Returns
    -------
    str
    """
    parts = [
        f"# {' '.join(words.title.split())}",
        words.description or first_paragraph(source),
        f"## Use\n\n{usage(source, where)}",
        f"## Padding\n\n{padding(source)}",
        f"## What it is\n\n{table(model_rows(source, words))}",
        f"## How it was trained\n\n{training(source.run, source.swept)}",
        f"## Results\n\n{results_text(results)}",
        f"## Limits\n\n{limits(source, words, results)}",
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
            "files one by one."
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
                inline(x) if x.strip() else "space" for x in names
            )
    rows["languages"] = ", ".join(words.languages) or UNKNOWN
    rows["data sets on the hub"] = ", ".join(words.datasets) or UNKNOWN
    return rows


def results_text(results):
    """The test figures as a table, or that there are none."""
    own = f"Its test figures are {UNKNOWN}."
    parts = [results_table(results.own) if results.own else own]
    if results.others:
        parts += [
            "For comparison, other runs, or this one with other decoding:",
            results_table(results.others),
        ]
    if any(
        figure.low is not None
        for result in (*results.own, *results.others)
        for figure in result.figures.values()
    ):
        parts.append("In brackets: 95 % intervals.")
    return "\n\n".join(parts)


def results_table(results):
    """A line for each."""
    names = [
        metric
        for metric in METRICS
        if any(metric in result.figures for result in results)
    ]
    head = ["tested on", "how", *(METRICS[n][0] for n in names), "over", "from"]
    lines = [row(head), "|---" * len(head) + "|"]
    for result in results:
        figures = [str(result.figures.get(name, "")) for name in names]
        test, how = plain(result.test), plain(result.how)
        lines.append(row([test, how, *figures, result.size, result.origin]))
    return "\n".join(lines)


def limits(source, words, results):
    """What it can not be relied on for."""
    rate = (
        "Speech of 16 kHz: SpeechBrain's `*_file` functions and the commands "
        "of d2v_sb resample other rates, what takes a tensor does not."
    )
    if source.checkpoint is not None:
        rate += " Clips shorter than 25 ms are an error."
    tested = "It is not known what it was tested on."
    if results.own:
        tested = (
            "It was tested on nothing but what the first table of results "
            "names."
        )
    items = [
        *source.kind.limits,
        rate,
        f"{tested} Noise, accents, other languages and other ways of speaking "
        "may be much harder for it.",
    ]
    if not words.languages:
        items.append("The language of its training data was not stated.")
    return "\n".join(f"- {item}" for item in items)
