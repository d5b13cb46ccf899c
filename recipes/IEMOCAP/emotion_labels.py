"""Classes of an emotion corpus: which labels are merged, and which left out.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter

from speechbrain.utils.logger import get_logger

from d2v_sb.errors import DataError

logger = get_logger(__name__)

NO_MAJORITY = "xxx"  # the annotators disagreed: a class only if asked for


def map_labels(rows, labels, corpus):
    """Gives each row its class, and leaves out those that have none.

    Arguments
    ---------
    rows : list of dict
        With ``label`` as the corpus calls it.
    labels : dict of str to (str or None), or None
        Class of each label. Labels that it does not name, or names with null,
        are left out and counted in the log. None: each label is a class, but
        for IEMOCAP's ``xxx``.
    corpus : str
        Its name, for messages.

    Returns
    -------
    list of dict
        Rows anew, in order.

    Raises
    ------
    DataError
        If fewer than two classes are named, or found.

    Example
    -------
    >>> rows = [{"ID": x, "label": x} for x in ("hap", "exc", "neu", "fru")]
    >>> four = {"hap": "hap", "exc": "hap", "neu": "neu"}
    >>> [row["label"] for row in map_labels(rows, four, "iemocap")]
    ['hap', 'hap', 'neu']
    """
    counts = Counter(row["label"] for row in rows)
    if labels is None:
        labels = {label: label for label in counts if label != NO_MAJORITY}
    if not isinstance(labels, dict):
        raise DataError(
            f"labels are mapped to classes by {labels!r}, which must be a "
            "mapping, such as {ang: ang, hap: hap, exc: hap}"
        )
    # YAML takes the label 1 for a number, and CSVs do not.
    class_of = {str(k): str(v) for k, v in labels.items() if v is not None}
    there = ", ".join(f"{k} {counts[k]}" for k in sorted(counts))
    if len(set(class_of.values())) < 2:
        raise DataError(
            f"fewer than two classes to tell apart: {labels}. {corpus} has the "
            f"labels {there}"
        )
    absent = sorted({str(label) for label in labels} - set(counts))
    if absent:
        logger.warning(
            f"{corpus} has no utterance of {', '.join(absent)}, which the "
            f"mapping to classes names; it has {there}"
        )
    left_out = [f"{k} {counts[k]}" for k in sorted(set(counts) - set(class_of))]
    if left_out:
        logger.info(f"{corpus}: labels left out: {', '.join(left_out)}")
    kept = [
        {**row, "label": class_of[row["label"]]}
        for row in rows
        if row["label"] in class_of
    ]
    classes = {row["label"] for row in kept}
    if len(classes) < 2:
        raise DataError(
            f"{corpus} has utterances of {len(classes)} of the classes of "
            f"{labels}, where two are the least. It has the labels {there}: "
            "--classes null takes them all as they are, and --classes '{label: "
            "class}' maps some"
        )
    return kept


def log_counts(rows, corpus):
    """Logs how many speakers there are, and utterances of each class."""
    speakers = {row["spk_id"] for row in rows}
    counts = Counter(row["label"] for row in rows)
    logger.info(
        f"{corpus}: {len(rows)} utterances, {len(speakers)} speakers, "
        f"{len(counts)} classes"
    )
    for label in sorted(counts):
        logger.info(f"{corpus}: {counts[label]} of class {label}")
