"""What VoxCeleb is not trained on: speakers of trials, and sessions for dev.

Pure functions of keys, which are ``<speaker>/<session>/<clip>``.

Authors
 * The d2v_sb developers 2026
"""

from collections import defaultdict

from speechbrain.utils.logger import get_logger

from d2v_sb.audio_files import SHOWN
from d2v_sb.errors import DataError
from d2v_sb.scoring.trials import speaker_of, speakers_of
from d2v_sb.train_dev import share_of

logger = get_logger(__name__)


def check_folds(train_keys, trials, path):
    """Raises a ``DataError`` if speakers in trials are trained on."""
    shared = {speaker_of(key) for key in train_keys} & speakers_of(trials)
    if shared:
        raise DataError(
            f"{path} trains on {len(shared)} speakers who are in the trials "
            f"too: {first(shared)}. A speaker verified must be one never "
            "heard: leave the trials out, or leave the split_file out to "
            "train on all other speakers."
        )


def leave_out(keys, speakers, folders):
    """Keys less those of speakers who are in the trials."""
    found = {speaker_of(key) for key in keys}
    num_out = len(found & speakers)
    if len(found) - num_out < 2:
        raise DataError(
            f"train_folders {', '.join(folders)}: {len(found)} speakers, "
            f"{num_out} of them in the trials, leave {len(found) - num_out} "
            "to train on, and two is the least. The lists E and H cover all "
            "of VoxCeleb1: with them, train on VoxCeleb2 (put it in the data "
            "folder and name its folder with --train_folders)."
        )
    logger.info(
        f"{len(found) - num_out} speakers to train on, {num_out} left out "
        "because they are in the trials"
    )
    return {key for key in keys if speaker_of(key) not in speakers}


def hold_out_sessions(keys, valid_percent):
    """Splits clips into train and dev by whole sessions.

    Clips of one video are too much alike to validate on one and train on
    another. Which sessions are dev follows from a hash of their names, so that
    what is added later moves few others. Of each speaker the session that is
    last in the order of these hashes is always in train.

    Arguments
    ---------
    keys : iterable of str
        The clips.
    valid_percent : float
        The share of the sessions that is dev, between 0 and 1.

    Returns
    -------
    dict of str to list of str
        ``train`` and ``dev``.

    Raises
    ------
    DataError
        If no session is dev.

    Example
    -------
    >>> keys = ["id00001/a/1", "id00001/b/1", "id00001/b/2", "id00002/c/1"]
    >>> hold_out_sessions(keys, 0.99)["dev"]
    ['id00001/a/1']
    """
    if not 0 < valid_percent < 1:
        raise DataError(
            f"valid_percent is {valid_percent}, but must lie between 0 and 1 "
            "(0.05 is one session in twenty)"
        )
    counts, shares = defaultdict(int), defaultdict(dict)
    for key in keys:
        counts[speaker_of(key)] += 1
        session = key.rpartition("/")[0]
        if session not in shares[speaker_of(key)]:
            share = share_of({"ID": session, "wav": ""})
            shares[speaker_of(key)][session] = share
    single = [speaker for speaker, count in counts.items() if count == 1]
    if single:
        logger.warning(
            f"{len(single)} speakers have a single clip, which is trained on "
            f"and not validated: {first(single)}"
        )
    can_be_dev = {}
    for own in shares.values():
        for session in sorted(own, key=own.get)[:-1]:
            can_be_dev[session] = own[session]
    dev = {x for x, share in can_be_dev.items() if share < valid_percent}
    if not dev:
        way_out = "No speaker has two: give more sessions."
        if can_be_dev:
            least = min(can_be_dev.values())
            way_out = f"Give a --valid_percent above {least:.4f}."
        raise DataError(
            f"no session of {len(shares)} speakers is held out for dev at a "
            f"valid_percent of {valid_percent}. {way_out}"
        )
    splits = {"train": [], "dev": []}
    for key in sorted(keys):
        side = "dev" if key.rpartition("/")[0] in dev else "train"
        splits[side].append(key)
    return splits


def first(speakers):
    """The first speakers, for a message."""
    more = ", ..." if len(speakers) > SHOWN else ""
    return ", ".join(sorted(speakers)[:SHOWN]) + more
