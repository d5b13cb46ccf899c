"""Whether a language model speaks of the same words.

Authors
 * The d2v_sb developers 2026
"""

import logging
from pathlib import Path

from d2v_sb.errors import DataError, UserError

logger = logging.getLogger(__name__)

LEAST_KNOWN = 0.05  # of the running words; less is another alphabet or case
DOUBTFUL = 0.7
SHOWN = 5


def check_language_model(path):
    """Says what is missing for a language model, before it is needed.

    Arguments
    ---------
    path : str or None
        An ARPA or KenLM binary file; None is none.

    Raises
    ------
    UserError
        If it is not there, or KenLM is not installed.

    Example
    -------
    >>> check_language_model(None)
    >>> check_language_model("absent.arpa")
    Traceback (most recent call last):
    d2v_sb.errors.UserError: no such language model: absent.arpa
    """
    if not path:
        return
    if not Path(path).is_file():
        raise UserError(f"no such language model: {path}")
    try:
        import kenlm  # noqa: F401
        import pygtrie  # noqa: F401
    except ImportError as error:
        raise UserError(
            "decoding with a language model needs kenlm and pygtrie: "
            'pip install "d2v_sb[lm]"'
        ) from error


class Vocabulary:
    """The words of a language model.

    Arguments
    ---------
    path : str
        An ARPA or KenLM binary file.
    """

    def __init__(self, path):
        import kenlm  # of the extra `lm`

        self.path = path
        self._model = kenlm.Model(str(path))

    def __contains__(self, word):
        return word in self._model


def check_words(model, transcripts):
    """Refuses a language model that knows next to none of the words.

    Beam search with a model in another case, or of letters, is silent and
    worse than without.

    Arguments
    ---------
    model : Vocabulary
        Of the language model.
    transcripts : iterable of str
        Words to be expected, such as those of the test split.

    Returns
    -------
    float
        The share of the running words that it knows.

    Raises
    ------
    DataError
        If it knows fewer than ``LEAST_KNOWN`` of them.
    """
    words = [word for text in transcripts for word in text.split()]
    unknown = [word for word in words if word not in model]
    known = 1 - len(unknown) / max(1, len(words))
    examples = ", ".join(list(dict.fromkeys(unknown))[:SHOWN])
    if known < LEAST_KNOWN:
        for change in (str.lower, str.upper):
            if any(change(word) in model for word in unknown):
                hint = (
                    f"It has them in {change.__name__} case: write its text in "
                    "the case of the transcripts and build it again"
                )
                break
        else:
            hint = "It is of another language, or not of words"
        raise DataError(
            f"{model.path} knows {100 * known:.1f} % of the words of the transcripts; "
            f"it has not {examples}. {hint}"
        )
    if known < DOUBTFUL:
        logger.warning(
            "%s knows %.0f %% of the words of the transcripts; it has not %s",
            model.path,
            100 * known,
            examples,
        )
    return known
