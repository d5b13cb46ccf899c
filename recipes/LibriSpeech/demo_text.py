"""The demo's prompts, spelled as LibriSpeech would spell them.

Authors
 * The d2v_sb developers 2026
"""

import re

SIGNS = {
    "0": "ZERO",
    "1": "ONE",
    "2": "TWO",
    "3": "THREE",
    "4": "FOUR",
    "5": "FIVE",
    "6": "SIX",
    "7": "SEVEN",
    "8": "EIGHT",
    "9": "NINE",
    "*": "STAR",
}
SPELLED_OUT = {"IP", "IVR", "MGCP", "PBX", "USB"}
MISSPELLED = {
    "EXCLAIMATION": "EXCLAMATION",
    "INDENTIFIED": "IDENTIFIED",
    "REPRESENATIVES": "REPRESENTATIVES",
    "WITHELD": "WITHHELD",
}


class Unusable(Exception):
    """This clip can not be used; the message is the reason, to be counted."""


def normalise(text):
    """Spells a prompt as LibriSpeech would: A to Z, apostrophe and space.

    Arguments
    ---------
    text : str
        The prompt as its author wrote it.

    Returns
    -------
    str

    Raises
    ------
    Unusable
        Where the text does not tell for certain what is said.

    Example
    -------
    >>> normalise("Press 1 for your party's A.M. re-enter...")
    "PRESS ONE FOR YOUR PARTY'S A M RE ENTER"
    """
    text = re.sub(r"\[.\]$", "", text.strip())  # "at [@]" is said "at"
    if re.search(r"[][(){}<>]", text):
        raise Unusable("a sound effect or a note")
    if re.search(r"[a-z\d]\.[a-z]|\.\d", text):
        raise Unusable("a reading that is not certain")  # 28.8, H.323, a host
    text = re.sub(r"(?<=\d)(?=[A-Z])", " ", text)  # 3D
    words = []
    for word in re.sub(r'[-.,:;!?"]', " ", text).split():
        words += _spell(word)
    if not words:
        raise Unusable("no words")
    return " ".join(words)


def _spell(word):
    if word.isupper() and len(word) > 1:
        # IAX is said as a word by some and as letters by others.
        if word not in SPELLED_OUT:
            raise Unusable("a reading that is not certain")
        return list(word)
    word = SIGNS.get(word, word).strip("'").upper()
    if not re.fullmatch(r"[A-Z]+('[A-Z]+)*", word):
        raise Unusable("a reading that is not certain")
    return [MISSPELLED.get(word, word)]
