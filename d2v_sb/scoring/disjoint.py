"""What must not be in the trials that are reported: cohort and calibration.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.errors import DataError
from d2v_sb.scoring.trials import SHOWN, speakers_of


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
    """Makes sure that nothing is calibrated on speakers it is reported on.

    Arguments
    ---------
    path : str or pathlib.Path
        The list of trials to calibrate on, for the message.
    calibration_trials, trials : list of Trial
        To calibrate on and to report on.

    Raises
    ------
    DataError
        If they share speakers.

    Example
    -------
    >>> check_calibration_trials("held_out.txt", [], [])
    """
    _raise_if_common(
        sorted(speakers_of(calibration_trials) & speakers_of(trials)),
        f"{path}: speakers of the trials to calibrate on are in those that are "
        "reported. Take trials of other speakers, such as the training "
        "speakers",
    )


def _raise_if_common(common, claim):
    if common:
        more = "" if len(common) <= SHOWN else ", ..."
        names = ", ".join(common[:SHOWN])
        raise DataError(f"{claim}. These are {len(common)}: {names}{more}")
