"""What would make the scores of folds worthless, all of it at once.

Authors
 * The d2v_sb developers 2026
"""

from itertools import combinations

from emotion_folds import PARTS, SHOWN, in_order

from d2v_sb.errors import DataError


def check_folds(folds, rows, share_speakers):
    """Raises an error that lists all that would make scores worthless.

    Arguments
    ---------
    folds : list of Fold
        What is checked.
    rows : list of dict
        The utterances that they are of.
    share_speakers : bool
        Whether a speaker may be in two parts of a fold.

    Raises
    ------
    DataError
        If parts share speakers or ids, if a part is empty, or if dev or test
        has a class that train has not.

    Example
    -------
    >>> from emotion_folds import Fold
    >>> rows = [{"ID": p, "spk_id": "a", "label": "sad"} for p in PARTS]
    >>> fold = Fold("x", *(frozenset([p]) for p in PARTS))
    >>> check_folds([fold], rows, share_speakers=True)
    >>> check_folds([fold], rows, share_speakers=False)
    Traceback (most recent call last):
    d2v_sb.errors.DataError: 3 faults of the folds:
      fold x: train and dev share speakers a ...
    """
    speaker_of = {row["ID"]: row["spk_id"] for row in rows}
    label_of = {row["ID"]: row["label"] for row in rows}
    faults = []
    for fold in folds:
        parts = {part: getattr(fold, part) for part in PARTS}
        where = f"fold {fold.name}:"
        faults += [f"{where} {p} is empty" for p in PARTS if not parts[p]]
        for one, other in combinations(PARTS, 2):
            twice = parts[one] & parts[other]
            if twice:
                faults.append(
                    f"{where} {one} and {other} share utterances "
                    f"{_names(twice)}"
                )
            speakers = {speaker_of[id_] for id_ in parts[one]}
            speakers &= {speaker_of[id_] for id_ in parts[other]}
            if speakers and not share_speakers:
                faults.append(
                    f"{where} {one} and {other} share speakers "
                    f"{_names(speakers)}"
                )
        known = {label_of[id_] for id_ in fold.train}
        for part in ("dev", "test"):
            unknown = {label_of[id_] for id_ in parts[part]} - known
            if unknown and known:
                faults.append(
                    f"{where} train has no utterance of {_names(unknown)}, "
                    f"but {part} has"
                )
    if faults:
        raise DataError(
            f"{len(faults)} faults of the folds:\n  "
            + "\n  ".join(faults)
            + "\nChoose another --protocol or --num_folds, leave rare classes "
            "out of the mapping of labels, or set share_speakers where that is "
            "on purpose."
        )


def _names(names):
    names = in_order(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
