"""Whether a language model speaks of the same words.

Authors
 * The d2v_sb developers 2026
"""

import logging

from d2v_sb.errors import DataError

logger = logging.getLogger(__name__)

LEAST_KNOWN = 0.05  # of the running words; less is another alphabet or case
DOUBTFUL = 0.7
SHOWN = 5


def check_words(path, transcripts):
    """Refuses a language model that knows next to none of the words.

    Beam search with a model in another case, or of letters, is silent and
    worse than without.

    Arguments
    ---------
    path : str
        An ARPA or KenLM binary file.
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
    import kenlm  # of the extra `lm`

    model = kenlm.Model(str(path))
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
            f"{path} knows {100 * known:.1f} % of the words of the transcripts; "
            f"it has not {examples}. {hint}"
        )
    if known < DOUBTFUL:
        logger.warning(
            "%s knows %.0f %% of the words of the transcripts; it has not %s",
            path,
            100 * known,
            examples,
        )
    return known
