"""N-gram language models: what their files are, and whether they fit.

Authors
 * The d2v_sb developers 2026
"""

import hashlib
import logging
import mmap
from pathlib import Path

from d2v_sb.errors import DataError, UserError

logger = logging.getLogger(__name__)

LEAST_KNOWN = 0.05  # of the running words; less is another alphabet or case
DOUBTFUL = 0.7
SHOWN = 5
GZIP = b"\x1f\x8b"
BINARY = b"mmap lm http://kheafield.com/code"  # KenLM's
# The words of a binary file follow each other at its end, this one first.
FIRST_WORD = b"<unk>\0"
HEAD = 1 << 20  # bytes; an ARPA file may begin with remarks


def check_language_model(path):
    """Says what is missing for a language model, before it is needed.

    Arguments
    ---------
    path : str or None
        An ARPA or KenLM binary file; None is none.

    Raises
    ------
    UserError
        If it is not there or something else, or KenLM is not installed.

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
    with open(path, "rb") as stream:
        head = stream.read(HEAD)
    if head.startswith(GZIP):
        raise UserError(f"{path} is compressed: gunzip it first")
    if not head.startswith(BINARY) and b"\\data\\" not in head:
        raise UserError(
            f"{path} is neither an ARPA nor a KenLM binary file: make one with "
            "KenLM's lmplz"
        )
    try:
        import kenlm  # noqa: F401
        import pygtrie  # noqa: F401
    except ImportError as error:
        raise UserError(
            "decoding with a language model needs kenlm and pygtrie: "
            'pip install "d2v_sb[lm]"'
        ) from error


def read_words(path):
    """The words of a language model, without loading all of it.

    Arguments
    ---------
    path : str
        An ARPA or KenLM binary file.

    Returns
    -------
    set of str or None
        None of a binary file that was built without its words.

    Raises
    ------
    UserError
        If the file has no words where they should be.

    Example
    -------
    >>> path = getfixture("tmp_path") / "lm.arpa"
    >>> lines = ["\\\\data\\\\", "ngram 1=1", "", "\\\\1-grams:", "-1.0\\tONE"]
    >>> _ = path.write_text("\\n".join([*lines, "", "\\\\end\\\\"]))
    >>> read_words(path)
    {'ONE'}
    """
    with open(path, "rb") as stream:
        if stream.read(len(BINARY)) == BINARY:
            return _words_of_binary(stream)
    try:
        words = _words_of_arpa(path)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} can not be read as a language model: {error}"
        ) from error
    if not words:
        raise UserError(
            f"{path} can not be read as a language model: it has no 1-grams"
        )
    return words


def _words_of_arpa(path):
    """SpeechBrain's reader leaves out words without a back-off weight, which
    some tools do not write where it is 0."""
    words, among_words = set(), False
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("\\"):
                if among_words:
                    break
                among_words = line.strip() == "\\1-grams:"
            elif among_words and len(parts := line.split()) >= 2:
                words.add(parts[1])
    return words


def _words_of_binary(stream):
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begin = data.rfind(FIRST_WORD)
        if begin < 0:
            return None
        return set(data[begin:].decode("utf-8", "replace").split("\0")) - {""}


def identity(path):
    """Tells one language model from another without reading gigabytes.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    dict
        Its name, its size, and a hash of its two ends.

    Example
    -------
    >>> path = getfixture("tmp_path") / "lm.arpa"
    >>> _ = path.write_text("a")
    >>> identity(path)["bytes"], len(identity(path)["sha256_of_ends"])
    (1, 64)
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as stream:
        digest = hashlib.sha256(stream.read(HEAD))
        stream.seek(max(0, size - HEAD))
        digest.update(stream.read(HEAD))
    return {
        "language_model": path.name,
        "bytes": size,
        "sha256_of_ends": digest.hexdigest(),
    }


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
    float or None
        The share of the running words that it knows; None where it does not
        tell its words.

    Raises
    ------
    DataError
        If it knows fewer than ``LEAST_KNOWN`` of them.
    """
    known_words = read_words(path)
    if known_words is None:
        return None
    words = [word for text in transcripts for word in text.split()]
    unknown = [word for word in words if word not in known_words]
    known = 1 - len(unknown) / max(1, len(words))
    examples = ", ".join(list(dict.fromkeys(unknown))[:SHOWN])
    if known < LEAST_KNOWN:
        for change in (str.lower, str.upper):
            if any(change(word) in known_words for word in unknown):
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
