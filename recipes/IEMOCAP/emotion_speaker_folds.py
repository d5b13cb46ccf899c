"""Folds that keep speakers apart: one session, speaker or group is left out.

Authors
 * The d2v_sb developers 2026
"""

from emotion_folds import SHOWN, check_num_folds, fold_of, in_order, said_by

from d2v_sb.errors import DataError


def session_folds(rows):
    """Leaves one session out: all its speakers are tested on.

    The best checkpoint is chosen on one speaker of the next session, the
    first and the second in turn (in IEMOCAP women for odd sessions and men for
    even ones); everyone else is trained on.

    Arguments
    ---------
    rows : list of dict
        Utterances.

    Returns
    -------
    list of Fold
        ``session<name>``, sorted.

    Raises
    ------
    DataError
        If rows have no session.

    Example
    -------
    >>> rows = [
    ...     {"ID": s + g, "session": s, "spk_id": s + g}
    ...     for s in "123"
    ...     for g in "FM"
    ... ]
    >>> fold = session_folds(rows)[0]
    >>> fold.name, sorted(fold.train), sorted(fold.dev), sorted(fold.test)
    ('session1', ['2M', '3F', '3M'], ['2F'], ['1F', '1M'])
    """
    without = [row["ID"] for row in rows if not row["session"]]
    if without:
        raise DataError(
            f"protocol 'session': {len(without)} of {len(rows)} utterances "
            f"have no session, first: {', '.join(without[:SHOWN])}. Use "
            "--protocol speaker, or random, which need none"
        )
    sessions = in_order({row["session"] for row in rows})
    folds = []
    for k, session in enumerate(sessions):
        following = sessions[(k + 1) % len(sessions)]
        speakers = in_order(
            {row["spk_id"] for row in rows if row["session"] == following}
        )
        dev = [speakers[k % 2 % len(speakers)]]
        test = {row["ID"] for row in rows if row["session"] == session}
        folds.append(
            fold_of(f"session{session}", rows, said_by(rows, dev), test)
        )
    return folds


def speaker_folds(rows, num_folds=None):
    """Leaves one speaker out, or one group of speakers.

    One speaker: the best checkpoint is chosen on the next one of the session,
    or of the corpus where that has no sessions. Groups: on the first half of
    the next group. Everyone else is trained on.

    Arguments
    ---------
    rows : list of dict
        Utterances.
    num_folds : int, optional
        Number of groups, of neighbours by name and about as large; by default
        each speaker is tested alone.

    Returns
    -------
    list of Fold
        By the speaker's name, or ``speakers1`` and so on.

    Raises
    ------
    DataError
        If there are fewer speakers than groups.

    Example
    -------
    >>> rows = [{"ID": s + "1", "session": "", "spk_id": s} for s in "abcd"]
    >>> fold = speaker_folds(rows)[3]
    >>> fold.name, sorted(fold.train), sorted(fold.dev), sorted(fold.test)
    ('d', ['b1', 'c1'], ['a1'], ['d1'])
    >>> fold = speaker_folds(rows, 2)[0]
    >>> fold.name, sorted(fold.train), sorted(fold.dev), sorted(fold.test)
    ('speakers1', ['d1'], ['c1'], ['a1', 'b1'])
    """
    session_of = {row["spk_id"]: row["session"] for row in rows}
    speakers = in_order(session_of)
    if num_folds is None:
        folds = []
        for speaker in speakers:
            here = session_of[speaker]
            mates = [s for s in speakers if session_of[s] == here]
            mates = mates if len(mates) > 1 else speakers
            dev = mates[(mates.index(speaker) + 1) % len(mates)]
            parts = said_by(rows, [dev]), said_by(rows, [speaker])
            folds.append(fold_of(speaker, rows, *parts))
        return folds
    num = check_num_folds(num_folds, len(speakers), "speakers")
    edges = [k * len(speakers) // num for k in range(num + 1)]
    groups = [speakers[i:j] for i, j in zip(edges, edges[1:])]
    return [
        fold_of(
            f"speakers{k}",
            rows,
            said_by(rows, following[: (len(following) + 1) // 2]),
            said_by(rows, group),
        )
        for k, (group, following) in enumerate(
            zip(groups, groups[1:] + groups[:1]), 1
        )
    ]
