"""The model card: the hub's front matter, and text.

What is not known is said to be so.

Authors
 * The d2v_sb developers 2026
"""

import re
from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from d2v_sb.errors import UserError
from d2v_sb.publishing.card_text import sections
from d2v_sb.publishing.figures import METRICS
from d2v_sb.publishing.markdown import open_fence

LIBRARY = "speechbrain"
TAGS = ("speechbrain", "data2vec", "speech")
LANGUAGE = re.compile(r"[a-z]{2,3}|multilingual")
DATASET = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")


@dataclass(frozen=True)
class Words:
    """What a person says of a model, because no file does.

    Arguments
    ---------
    title : str
        The card's heading.
    licence : str
        The hub's identifier.
    languages : tuple of str
        ISO 639 codes.
    datasets : tuple of str
        The hub's identifiers of what it was trained on.
    description : str or None
        Markdown in place of the usual first paragraph.
    text_at_hand : bool
        Whether the folder has a LICENSE.

    Raises
    ------
    UserError
        If a code or an identifier is not of the hub's form.

    Example
    -------
    >>> Words("a", "mit", languages=("english",))
    Traceback (most recent call last):
    d2v_sb.errors.UserError: --language english: give an ISO 639 code ...
    """

    title: str
    licence: str
    languages: tuple = ()
    datasets: tuple = ()
    description: str | None = None
    text_at_hand: bool = False

    def __post_init__(self):
        for language in self.languages:
            if not LANGUAGE.fullmatch(language):
                raise UserError(
                    f"--language {language}: give an ISO 639 code of two or "
                    "three letters, such as en, or multilingual"
                )
        for dataset in self.datasets:
            if not DATASET.fullmatch(dataset):
                raise UserError(
                    f"--dataset {dataset}: give its name on the hub, such as "
                    "openslr/librispeech_asr"
                )
        if self.description and open_fence(self.description):
            raise UserError(
                "--description: a block of code in it is begun and not ended, "
                "so that all of the card would be in it"
            )


def make_card(source, words, results, name, where):
    """The text of a card.

    Arguments
    ---------
    source : Source
        The model.
    words : Words
        What the user says of it.
    results : Results
        Its test figures, and those of other runs.
    name : str
        The model's name in the table of results of the hub.
    where : str
        The folder, or its name on the hub, in the examples.

    Returns
    -------
    str
    """
    front = front_matter(source, words, results, name)
    body = sections(source, words, results, where)
    card = ModelCard(f"---\n{front.to_yaml()}\n---\n\n{body}")
    return str(card)


def front_matter(source, words, results, name):
    """What the hub reads.

    Arguments
    ---------
    source, words, results, name
        As of ``make_card``.

    Returns
    -------
    ModelCardData
    """
    evaluated = [
        EvalResult(
            task_type=source.kind.task,
            task_name=source.kind.name,
            dataset_type=_dataset(result.test),
            dataset_name=result.test,
            metric_type=METRICS[metric][1],
            metric_value=round(figure.value, 4),
            metric_name=f"{METRICS[metric][0]}"
            + (f" ({result.how})" if result.how else ""),
        )
        for result in results.own
        for metric, figure in result.figures.items()
    ]
    metrics = {result.metric_type for result in evaluated}
    tags = [*TAGS, *source.kind.tags]
    if source.transformers:
        tags.append("transformers")
    return ModelCardData(
        language=list(words.languages) or None,
        license=words.licence,
        license_name="custom" if words.licence == "other" else None,
        license_link="LICENSE" if words.licence == "other" else None,
        library_name=LIBRARY,
        pipeline_tag=source.kind.pipeline,
        tags=tags,
        datasets=list(words.datasets) or None,
        metrics=sorted(metrics) or None,
        model_name=name,
        eval_results=evaluated or None,
    )


def _dataset(test):
    """The hub wants an identifier: a short form of what it was tested on,
    which need not be what it was trained on."""
    short = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")
    return short or "unknown"
