"""IEMOCAP's turns: who says each, and which label most annotators gave it.

The corpus lies as USC releases it (https://sail.usc.edu/iemocap/):
``<data_folder>/Session<1 to 5>/`` with ``dialog/EmoEvaluation/<dialog>.txt``
and ``sentences/wav/<dialog>/<turn>.wav``. Of its 10,039 turns, the four
classes ang, hap with exc, neu and sad hold 5,531.

Authors
 * The d2v_sb developers 2026
"""

import re

from d2v_sb.errors import DataError
from d2v_sb.folders import describe, subfolders

EVALUATIONS = "Session*/dialog/EmoEvaluation/[!.]*.txt"  # not "._*" of a Mac
# "[6.29 - 8.24]\tSes01F_impro01_M000\tneu\t[2.5, 2.5, 2.5]"; the lines of the
# single annotators, below each, begin with a letter. Who speaks is the letter
# after the last "_"; the first one says who wore the markers in the dialog.
TURN = re.compile(
    r"\[[^]]*\]\t"
    r"(?P<turn>(?P<dialog>(?P<session>Ses\d+)[FM]\S*)_(?P<gender>[FM])[^_\s]*)"
    r"\t(?P<label>\S+)\t\["
)


def list_iemocap(data_folder):
    """Lists the labelled turns of IEMOCAP, audio unopened.

    Arguments
    ---------
    data_folder : Path
        Folder that holds the sessions' folders.

    Returns
    -------
    list of dict
        Rows, as of ``emotion_corpora``, with ``where``, the line of each. A
        ``spk_id`` such as ``Ses01M`` is the speaker of the turn.

    Raises
    ------
    DataError
        If there is no labelled turn.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "Session1/dialog/EmoEvaluation"
    >>> folder.mkdir(parents=True)
    >>> line = "[0.5 - 3.8]\\tSes01F_impro01_M000\\tneu\\t[2.5, 2.5, 2.5]"
    >>> _ = (folder / "Ses01F_impro01.txt").write_text(line)
    >>> row = list_iemocap(getfixture("tmp_path"))[0]
    >>> row["ID"], row["spk_id"], row["session"], row["label"]
    ('Ses01F_impro01_M000', 'Ses01M', '1', 'neu')
    """
    rows = []
    for path in sorted(data_folder.glob(EVALUATIONS)):
        session = path.parents[2]
        wavs = session / "sentences" / "wav"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path}: the labels can not be read ({error}). Unpack the "
                "corpus again."
            ) from error
        for number, line in enumerate(lines, 1):
            found = TURN.match(line)
            if found is None:
                continue
            wav = wavs / found["dialog"] / f"{found['turn']}.wav"
            rows.append(
                {
                    "ID": found["turn"],
                    "wav": str(wav),
                    "spk_id": found["session"] + found["gender"],
                    "session": session.name.removeprefix("Session"),
                    "label": found["label"],
                    "where": f"{path}, line {number}",
                }
            )
    if not rows:
        raise DataError(_not_iemocap(data_folder))
    return rows


def _not_iemocap(data_folder):
    """Text of the error that says what was expected, and what is there."""
    found = hint = ""
    if data_folder.is_dir():
        found = f" (found there: {describe(data_folder)})"
        for inner in subfolders(data_folder):
            if any(inner.glob(EVALUATIONS)):
                hint = f"Did you mean --data_folder {inner}? "
                break
    else:
        found = ", which does not exist"
    return (
        f"{data_folder} is not laid out as IEMOCAP{found}: no labelled turn "
        "in Session<1 to 5>/dialog/EmoEvaluation/<dialog>.txt, with its audio "
        f"in Session<1 to 5>/sentences/wav/<dialog>/<turn>.wav. {hint}Give "
        "the folder that holds Session1 to Session5 with --data_folder. The "
        "corpus is free for research: ask for it with the release form on "
        "https://sail.usc.edu/iemocap/. --corpus names others, and 'manifest' "
        "a CSV of your own."
    )
