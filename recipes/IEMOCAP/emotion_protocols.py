"""Protocols: which folds of an emotion corpus are trained and tested.

Those that keep speakers apart are in ``emotion_speaker_folds``. Random folds
share them, and a user's own may.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
from emotion_folds import PARTS, SHOWN, Fold, check_num_folds, fold_of
from emotion_speaker_folds import session_folds, speaker_folds

from d2v_sb.errors import DataError

PROTOCOLS = {
    "session": "each session is tested once, by models of the others",
    "speaker": "each speaker, or each of num_folds groups, is tested once",
    "random": "each utterance is tested once; speakers are shared",
    "given": "one fold, by the column `split` of your own CSV",
}
NUM_RANDOM_FOLDS = 5


def make_folds(rows, protocol, num_folds=None, seed=1986):
    """Makes the folds of a protocol.

    Arguments
    ---------
    rows : list of dict
        Utterances.
    protocol : str
        A key of ``PROTOCOLS``.
    num_folds : int, optional
        See ``speaker_folds`` and ``random_folds``; the other protocols say
        themselves how many there are.
    seed : int
        Of ``random``.

    Returns
    -------
    list of Fold

    Raises
    ------
    DataError
        If the protocol is unknown or does not suit the rows.

    Example
    -------
    >>> make_folds([], "loso")
    Traceback (most recent call last):
    d2v_sb.errors.DataError: protocol is 'loso', but must be one of: ...
    """
    if protocol not in PROTOCOLS:
        choices = "; ".join(f"{k!r} ({v})" for k, v in PROTOCOLS.items())
        raise DataError(
            f"protocol is {protocol!r}, but must be one of: {choices}"
        )
    if protocol == "speaker":
        return speaker_folds(rows, num_folds)
    if protocol == "random":
        num = NUM_RANDOM_FOLDS if num_folds is None else num_folds
        return random_folds(rows, num, seed)
    folds = session_folds(rows) if protocol == "session" else [given_fold(rows)]
    if num_folds not in (None, len(folds)):
        raise DataError(
            f"num_folds is {num_folds}, but protocol {protocol!r} makes "
            f"{len(folds)} of this corpus: leave num_folds out (null), or "
            "choose protocol 'speaker' or 'random'"
        )
    return folds


def random_folds(rows, num_folds=NUM_RANDOM_FOLDS, seed=1986):
    """Deals utterances out at random, each class evenly.

    Speakers are shared on purpose: scores are higher than on new speakers,
    and compare with papers that split so. Half of the next fold is dev.

    Arguments
    ---------
    rows : list of dict
        Utterances, in any order.
    num_folds : int
        How many.
    seed : int
        Of the generator.

    Returns
    -------
    list of Fold
        ``random1`` and so on.

    Raises
    ------
    DataError
        If there are fewer utterances than folds.

    Example
    -------
    >>> rows = [{"ID": f"{c}{i}", "label": c} for c in "ab" for i in range(8)]
    >>> fold = random_folds(rows, 4)[0]
    >>> fold.name, sorted(i[0] for i in fold.test), len(fold.dev)
    ('random1', ['a', 'a', 'b', 'b'], 2)
    """
    num = check_num_folds(num_folds, len(rows), "utterances")
    by_class = {}
    for row in rows:
        by_class.setdefault(row["label"], []).append(row["ID"])
    generator = np.random.default_rng(seed)
    # Class after class, dealt out like cards: each fold, and each half of one,
    # has its share of each class to within one utterance. StratifiedKFold does
    # the same, but recipes do without scikit-learn.
    ids = []
    for label in sorted(by_class):
        of_class = sorted(by_class[label])
        ids += [of_class[i] for i in generator.permutation(len(of_class))]
    shares = [ids[k::num] for k in range(num)]
    return [
        fold_of(f"random{k}", rows, following[::2], share)
        for k, (share, following) in enumerate(
            zip(shares, shares[1:] + shares[:1]), 1
        )
    ]


def given_fold(rows):
    """The fold that the column ``split`` of a user's CSV says.

    Arguments
    ---------
    rows : list of dict
        Utterances, with a ``split`` of ``train``, ``dev`` or ``test``.

    Returns
    -------
    Fold

    Raises
    ------
    DataError
        If there is no such column, or other values are in it.

    Example
    -------
    >>> given_fold([{"ID": p, "split": p} for p in PARTS]).test
    frozenset({'test'})
    """
    unfit = [row for row in rows if row.get("split") not in PARTS]
    if unfit:
        values = sorted({repr(row.get("split", "")) for row in unfit})
        raise DataError(
            f"protocol 'given': {len(unfit)} of {len(rows)} utterances have "
            f"a split of {', '.join(values[:SHOWN])}, first: "
            f"{', '.join(row['ID'] for row in unfit[:SHOWN])}. Each row of "
            "the CSV needs a column split with train, dev or test; or choose "
            "another --protocol"
        )
    parts = {p: {r["ID"] for r in rows if r["split"] == p} for p in PARTS}
    return Fold("given", **{p: frozenset(ids) for p, ids in parts.items()})
