"""Whose work a model is: licence, attribution and citation.

Authors
 * The d2v_sb developers 2026
"""

import re
from pathlib import Path

from d2v_sb.errors import CheckpointError
from d2v_sb.publishing.kinds import ENCODER
from d2v_sb.publishing.licences import licence_link
from d2v_sb.publishing.markdown import code

ATTRIBUTION = "ATTRIBUTION.md"
SHIPPED_CARD = Path(__file__).parents[1] / "weights/README.md"
SPEECH = re.compile(r"^## Speech.*?(?=^## )", re.MULTILINE | re.DOTALL)
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


def licence(source, words):
    """What the weights are under, and what they go back to."""
    there = "its text is in [LICENSE](LICENSE)"
    text = there if words.text_at_hand else "its text is not in this folder"
    text = f"The weights are under {licence_link(words.licence)}; {text}."
    return f"{text} {_origin(source.origin)}"


def attribution(source):
    """The file that names whose work the weights go back to.

    Arguments
    ---------
    source : Source
        The model.

    Returns
    -------
    str or None
        None where nothing of it came with this package.

    Raises
    ------
    CheckpointError
        If this package's card of these weights is not as expected.
    """
    origin = source.origin
    if origin.licence is None:
        return None
    found = SHIPPED_CARD.is_file() and SPEECH.search(
        SHIPPED_CARD.read_text(encoding="utf-8")
    )
    if not found:
        raise CheckpointError(
            f"{SHIPPED_CARD} does not name the speech of {origin}: install "
            "d2v_sb again"
        )
    # Of Creative Commons' terms: whether and how the work was changed.
    changed = (
        "They are as they came, in other files."
        if source.shipped
        else "They were changed: trained further."
    )
    kind = "an encoder" if source.kind is ENCODER else "the encoder in it"
    return (
        "# Attribution\n\n"
        f"The weights of this model ({kind}) go back to `{origin}` of d2v_sb, "
        f"by the d2v_sb developers, under {licence_link(origin.licence)}. "
        f"{changed} What follows is from its card.\n\n{found[0].strip()}\n"
    )


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


def _origin(origin):
    if origin.licence is not None:
        return (
            f"They go back to `{origin}` of d2v_sb, which is under "
            f"{licence_link(origin.licence)}; [{ATTRIBUTION}]({ATTRIBUTION}) "
            "names the speech in it and whose it is."
        )
    if origin.random:
        return (
            "No other weights went into them: the first training began from "
            "random ones."
        )
    if origin.name is not None:
        return (
            f"They go back to `{origin}`, whose licence is not known here: "
            "look it up."
        )
    return (
        "Which weights training began from is not known, nor what their "
        "licence asks."
    )
