"""Buckeye's ``.words`` files: the utterances that MP3S makes of them.

After a header that ends in ``#``, a line is a token: the time at which it ends
(s), a colour, and the word, with its pronunciations behind a semicolon::

    3.256014  122 yknow; y uw n ow; y ih n ow; PRP_VBP
    3.781442  122 <SIL>; S; S

MP3S (https://github.com/speechbrain/benchmarks) reads each recording to its
end and cuts it into utterances. Its rules make the test set, so they are kept
here with all that is odd about them.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass

MIN_SECONDS = 2.0  # more than that, with the token that ends the utterance
MIN_WORDS = 3
FILLER = "uh"  # ends an utterance, as what is in <> does


@dataclass(frozen=True)
class Utterance:
    """What is said, and from when to when."""

    begin: float  # s
    end: float  # s
    words: str  # in capitals


def read_tokens(text):
    """Lists the tokens of a ``.words`` file.

    Arguments
    ---------
    text : str
        Of the whole file.

    Returns
    -------
    list of (float, str)
        When it ends (s), and the word with the character behind it.

    Raises
    ------
    ValueError
        If it is no such file; it says in which line.

    Example
    -------
    >>> read_tokens(
    ...     "signal s0101a\\n#\\n 0.5 122 <SIL>; S\\n 0.9 122 so; s ow\\n"
    ... )
    [(0.5, '<SIL>;'), (0.9, 'so;')]
    """
    lines = text.splitlines()
    ends = [n for n, line in enumerate(lines) if line.strip() == "#"]
    if not ends:
        raise ValueError("no line '#', which ends the header")
    tokens = []
    # MP3S skips nine lines, which is what the header has.
    for number, line in enumerate(lines[ends[0] + 1 :], ends[0] + 2):
        fields = line.split()
        if len(fields) < 3:  # odd: a token without a word, or no token
            continue
        try:
            tokens.append((float(fields[0]), fields[2]))
        except ValueError:
            raise ValueError(
                f"line {number}: {fields[0]!r} is no time"
            ) from None
    return tokens


def segment(tokens):
    """Cuts a recording into utterances, as MP3S does.

    Arguments
    ---------
    tokens : list of (float, str)
        As of ``read_tokens``.

    Returns
    -------
    list of Utterance
        In order. MP3S names them ``<recording>_<place in this list>``.

    Example
    -------
    >>> text = (
    ...     "#\\n1 122 <SIL>;\\n2 122 oh;\\n3 122 i;\\n4 122 see;\\n5 122 uh;"
    ... )
    >>> segment(read_tokens(text))
    [Utterance(begin=1.0, end=4.0, words='OH I SEE')]
    """
    times = [time for time, _ in tokens]
    # Odd: the last character goes, whether it is the semicolon or not, and a
    # word with a space in it ends there.
    words = [word[:-1] for _, word in tokens]
    cuts = {word[:-1] for _, word in tokens if "<" in word} | {FILLER}
    found, said, seconds, begin = [], [], 0.0, 0.0
    for place, word in enumerate(words):
        # Odd: before the first token comes the last one (place -1), so that
        # the words up to the first cut count negative seconds and are lost.
        # (Where the first cut is at the very end, MP3S may make of them an
        # utterance without sound, which we do not.)
        previous = times[place - 1]
        step = times[place] - previous
        if word not in cuts:
            if begin == 0:  # odd: at second 0 the first word's sound is lost
                begin = previous
            # Odd: {B_TRANS} and the like are words.
            said.append(word)
            seconds += step
            continue
        # Odd: the pause that ends an utterance counts towards its length, so
        # that one of less than MIN_SECONDS may pass.
        if seconds:
            seconds += step
        if seconds > MIN_SECONDS and len(said) >= MIN_WORDS:
            found.append(Utterance(begin, previous, " ".join(said).upper()))
        said, seconds, begin = [], 0.0, 0.0
    # Odd: what is said after the last cut is lost.
    return found
