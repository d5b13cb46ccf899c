"""Lists of trials, as VoxCeleb has them, and their scores.

A line is ``1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav``:
1 where both clips are of one speaker, and the clips' names, which begin with
the speaker. A clip's key is its name without the ending, since the audio on
the disk may be in another format.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2v_sb.atomic import replacing
from d2v_sb.errors import DataError

ENDINGS = (".wav", ".m4a", ".flac")
SHOWN = 20  # faults that a message names


class Trial(NamedTuple):
    """Two clips, and whether one speaker is in both.

    Example
    -------
    >>> Trial(True, "id1/a/1.wav", "id1/b/1.wav").target
    True
    """

    target: bool
    enrol: str
    test: str


def key_of(name):
    """Key of a clip: its name without the ending of an audio file.

    Example
    -------
    >>> key_of("id10270/x6uYqmx31kE/00001.wav")
    'id10270/x6uYqmx31kE/00001'
    """
    for ending in ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def speaker_of(name):
    """Speaker of a clip's name or key: the first folder in it.

    Example
    -------
    >>> speaker_of("id10270/x6uYqmx31kE/00001.wav")
    'id10270'
    """
    return name.split("/", 1)[0]


def keys_of(trials):
    """Keys of all clips in trials, each once, as they come.

    Example
    -------
    >>> keys_of([Trial(True, "a/1/1.wav", "a/2/1.wav")])
    ['a/1/1', 'a/2/1']
    """
    names = (name for trial in trials for name in (trial.enrol, trial.test))
    return list(dict.fromkeys(key_of(name) for name in names))


def speakers_of(trials):
    """Speakers in trials, as a set.

    Example
    -------
    >>> speakers_of([Trial(True, "a/1/1.wav", "a/2/1.wav")])
    {'a'}
    """
    return {speaker_of(key) for key in keys_of(trials)}


def read_trials(path):
    """Reads a list of trials in VoxCeleb's form; empty lines are skipped.

    Arguments
    ---------
    path : str or pathlib.Path
        The list.

    Returns
    -------
    list of Trial

    Raises
    ------
    DataError
        If the file can not be read, lines are not ``0|1 name name``, or there
        is no target or no impostor trial.

    Example
    -------
    >>> path = getfixture("tmp_path") / "trials.txt"
    >>> _ = path.write_text("1 a/1/1.wav a/2/1.wav\\n0 a/1/1.wav b/1/1.wav\\n")
    >>> read_trials(path)[1]
    Trial(target=False, enrol='a/1/1.wav', test='b/1/1.wav')
    """
    trials, faults = [], []
    for number, line in _lines(path):
        fields = line.split()
        if len(fields) == 3 and fields[0] in ("0", "1"):
            trials.append(Trial(fields[0] == "1", *fields[1:]))
        else:
            faults.append(f"line {number}: {line.strip()!r}")
    if faults:
        raise DataError(
            f"{path}: {len(faults)} lines are no trials. A trial is `1 name "
            "name` or `0 name name`, 1 for one speaker:\n" + _first(faults)
        )
    num_targets = sum(trial.target for trial in trials)
    if not 0 < num_targets < len(trials):
        raise DataError(
            f"{path} has {num_targets} target and {len(trials) - num_targets} "
            "impostor trials, and error rates need both kinds: is the file "
            "cut, or is it another list?"
        )
    return trials


def check_trials(path, trials, known, missing_path):
    """Makes sure that all clips in trials are there.

    Arguments
    ---------
    path : str or pathlib.Path
        The list, for the message.
    trials : list of Trial
        What it holds.
    known : container of str
        Keys of the clips that are there.
    missing_path : str or pathlib.Path
        Where all missing names are written, a line each; one that an earlier
        check wrote is removed where none is missing now.

    Raises
    ------
    DataError
        If any is missing.

    Example
    -------
    >>> trials = [Trial(True, "a/1/1.wav", "a/2/1.wav")]
    >>> missing_path = getfixture("tmp_path") / "missing.txt"
    >>> check_trials("trials.txt", trials, {"a/1/1", "a/2/1"}, missing_path)
    >>> missing_path.exists()
    False
    """
    missing_path = Path(missing_path)
    names = (name for trial in trials for name in (trial.enrol, trial.test))
    names = dict.fromkeys(names)
    missing = [name for name in names if key_of(name) not in known]
    if not missing:
        missing_path.unlink(missing_ok=True)
        return
    with replacing(missing_path) as beside:
        text = "".join(f"{name}\n" for name in missing)
        beside.write_text(text, encoding="utf-8")
    raise DataError(
        f"{path}: {len(missing)} of its {len(names)} clips are not in the "
        f"data folder, all of them listed in {missing_path}:\n"
        f"{_first(missing)}\nFetch the part of the corpus that this list is "
        "of, or name its folder with --data_folder."
    )


def write_scores(path, trials, scores):
    """Writes target, enrol, test and score of each trial, tab-separated.

    There is no header: less its last column, the file is a list of trials.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    trials : list of Trial
        What was scored.
    scores : sequence of float
        One a trial, written with all digits.

    Raises
    ------
    DataError
        If it can not be written.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.tsv"
    >>> write_scores(path, [Trial(True, "a/1/1.wav", "a/2/1.wav")], [0.1])
    >>> read_scores(path)[1].tolist()
    [0.1]
    """
    with (
        replacing(path) as beside,
        open(beside, "w", encoding="utf-8", newline="") as file,
    ):
        for trial, score in zip(trials, scores, strict=True):
            # repr of a float is the shortest text that reads as this float.
            row = int(trial.target), trial.enrol, trial.test, repr(float(score))
            file.write("\t".join(map(str, row)) + "\n")


def read_scores(path):
    """Reads what ``write_scores`` wrote.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    trials : list of Trial
    scores : np.ndarray
        float64 (N,).

    Raises
    ------
    DataError
        If the file can not be read, or is no such file.

    Example
    -------
    >>> read_scores("absent.tsv")
    Traceback (most recent call last):
    d2v_sb.errors.DataError: absent.tsv can not be read ...
    """
    trials, scores, faults = [], [], []
    for number, line in _lines(path):
        try:
            target, enrol, test, score = line.split("\t")
            scores.append(float(score))
            trials.append(Trial({"0": False, "1": True}[target], enrol, test))
        except (KeyError, ValueError):
            faults.append(f"line {number}: {line.strip()!r}")
    if faults:
        raise DataError(
            f"{path}: {len(faults)} lines are no scores. A line is target (0 "
            "or 1), enrol, test and score, with tabs between:\n"
            + _first(faults)
        )
    return trials, np.array(scores, dtype=np.float64)


def _lines(path):
    """Number and text of each line that is not empty."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can not be read ({error})") from error
    lines = enumerate(text.split("\n"), 1)
    return [(number, line) for number, line in lines if line.strip()]


def _first(faults):
    lines = [f"  {fault}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  ... and {len(faults) - SHOWN} more")
    return "\n".join(lines)
