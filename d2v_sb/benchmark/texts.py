"""A benchmark's figures as text.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.published.reference import NAMES
from d2v_sb.benchmark.summary import NOT_PUBLISHED, NOT_RUN

UNKNOWN = "the script's own"  # encoder
WITHOUT_UNIT = ("minDCF", "MTWV")


def number(value, measure):
    """A figure with as many digits as a table needs.

    Arguments
    ---------
    value : float
        The figure.
    measure : str
        Its name.

    Returns
    -------
    str

    Example
    -------
    >>> number(12.345, "WER"), number(5.3, "WER"), number(0.7443, "minDCF")
    ('12.3', '5.30', '0.744')
    """
    if measure in WITHOUT_UNIT:
        return f"{value:.3f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_interval(estimate, measure):
    """A mean and its interval, all with the digits of the mean.

    Arguments
    ---------
    estimate : Estimate
        Of ``d2v_sb.benchmark.estimates``.
    measure : str
        Its name.

    Returns
    -------
    str

    Example
    -------
    >>> from d2v_sb.benchmark.estimates import Estimate
    >>> from d2v_sb.benchmark.intervals import Interval
    >>> interval = Interval(9.871, 14.82, "over speakers")
    >>> with_interval(Estimate(12.3, None, interval, 1, 1), "WER")
    '12.3 [9.9, 14.8]'
    """
    text = number(estimate.value, measure)
    if estimate.interval is None:
        return text
    digits = len(text.partition(".")[2])
    low, high, _ = estimate.interval
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def ours(cell):
    """What a cell holds, with what is missing of it.

    Arguments
    ---------
    cell : Cell
        Of ``d2v_sb.benchmark.summary``.

    Returns
    -------
    str
    """
    if cell.estimate is None:
        return NOT_RUN
    text = with_interval(cell.estimate, cell.measure)
    return f"{text} ({cell.gaps})" if cell.gaps else text


def theirs(reference):
    """A published figure with the digits that it was published with, or
    fewer.

    Arguments
    ---------
    reference : Reference or None
        Of ``d2v_sb.benchmark.published``.

    Returns
    -------
    str
    """
    return NOT_PUBLISHED if reference is None else str(reference.value)


def difference(cell):
    """Ours minus theirs, with the limits of ours.

    Arguments
    ---------
    cell : Cell
        Of ``d2v_sb.benchmark.summary``.

    Returns
    -------
    str
        A dash where there is none.
    """
    if cell.difference is None:
        return "–"
    digits = 3 if cell.measure in WITHOUT_UNIT else 2
    value, low, high = (
        None if one is None else f"{one:+.{digits}f}".replace("-", "−")
        for one in cell.difference
    )
    return value if low is None else f"{value} [{low}, {high}]"


def unit(measure):
    """A measure's name with its unit.

    Example
    -------
    >>> unit("WER"), unit("minDCF")
    ('WER %', 'minDCF')
    """
    return measure if measure in WITHOUT_UNIT else f"{measure} %"


def rate(cell):
    """A cell's learning rate and how it came about.

    Arguments
    ---------
    cell : Cell
        Of ``d2v_sb.benchmark.summary``.

    Returns
    -------
    str
        Empty where there was no choice and none is known.
    """
    lr = "" if cell.lr is None else f"{cell.lr:g}"
    return f"{cell.chosen}: {lr}" if cell.chosen and lr else cell.chosen or lr


def encoder_name(encoder, encoders):
    """An encoder's name in tables.

    Arguments
    ---------
    encoder : str
        Its source; empty where its task decides, and it was not run yet.
    encoders : dict of str to str
        Sources by name, of a table.

    Returns
    -------
    str

    Example
    -------
    >>> encoder_name("facebook/wav2vec2-base", {})
    'wav2vec 2.0 Base'
    >>> encoder_name("my.pt", {"mine": "my.pt"})
    'mine'
    """
    names = {source: name for name, source in encoders.items()}
    return names.get(encoder) or NAMES.get(encoder, encoder) or UNKNOWN


def mode_names(parts):
    """What modes are called beside each other.

    Arguments
    ---------
    parts : iterable of Cell or Group
        Of which each has a mode.

    Returns
    -------
    dict of str to str
        By mode; of one alone the name is empty, as it is understood.
    """
    modes = {part.mode for part in parts}
    return {mode: f"mode {mode}" if len(modes) > 1 else "" for mode in modes}


def label(*texts):
    """Texts in one, without the empty ones.

    Example
    -------
    >>> label("Base", "", None, "BiLSTM")
    'Base, BiLSTM'
    """
    return ", ".join(filter(None, texts))
