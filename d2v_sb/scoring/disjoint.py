"""What must not be in the trials that are reported: cohort and calibration.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.errors import DataError
from d2v_sb.scoring.trials import SHOWN, key_of, speakers_of


def check_cohort(path, speakers, trials):
    """Makes sure that a cohort has none of the speakers of trials.

    Arguments
    ---------
    path : str or pathlib.Path
        The cohort's list, for the message.
    speakers : iterable of str
        Of the cohort.
    trials : list of Trial
        All that are to be scored.

    Raises
    ------
    DataError
        If there are such speakers.

    Example
    -------
    >>> check_cohort("train.csv", ["c", "d"], [])
    """
    _raise_if_common(
        sorted(set(speakers) & speakers_of(trials)),
        f"{path}: speakers of the cohort are in the trials too, which would "
        "be compared to themselves. Take a cohort of others, such as the "
        "training speakers",
    )


def check_calibration_trials(path, calibration_trials, trials):
    """Makes sure that nothing is calibrated on a trial it is reported on.

    Arguments
    ---------
    path : str or pathlib.Path
        The list of trials to calibrate on, for the message.
    calibration_trials, trials : list of Trial
        To calibrate on and to report on.

    Raises
    ------
    DataError
        If a trial is in both, its sides exchanged or not.

    Example
    -------
    >>> check_calibration_trials("held_out.txt", [], [])
    """
    pairs = [
        {tuple(sorted(map(key_of, trial[1:]))) for trial in some}
        for some in (calibration_trials, trials)
    ]
    _raise_if_common(
        [" ".join(pair) for pair in sorted(pairs[0] & pairs[1])],
        f"{path}: trials to calibrate on are among those that are reported. "
        "Take trials of other speakers, such as the training speakers",
    )


def _raise_if_common(common, claim):
    if common:
        more = "" if len(common) <= SHOWN else ", ..."
        names = ", ".join(common[:SHOWN])
        raise DataError(f"{claim}. These are {len(common)}: {names}{more}")
