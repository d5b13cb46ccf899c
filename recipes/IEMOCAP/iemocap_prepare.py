"""Prepare IEMOCAP or another emotion corpus: folds of CSVs, audio checked.

The corpora are in ``iemocap_turns``, ``emotion_corpora`` and
``emotion_manifest``, the protocols in ``emotion_protocols``.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter
from pathlib import Path

from emotion_corpora import NAMED_CORPORA
from emotion_fold_check import check_folds
from emotion_fold_files import COLUMNS, find_folds, refuse_others, write_folds
from emotion_labels import log_counts, map_labels
from emotion_manifest import list_manifest
from emotion_protocols import make_folds
from iemocap_turns import list_iemocap

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import Fault, check_choice
from d2v_sb.errors import DataError
from d2v_sb.manifest import make_manifest, read_rows

CORPORA = {
    "iemocap": list_iemocap,
    **NAMED_CORPORA,
    "manifest": list_manifest,
}


def prepare_emotion(
    data_folder,
    save_folder,
    corpus="iemocap",
    labels=None,
    protocol="session",
    num_folds=None,
    seed=1986,
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
    share_speakers=False,
):
    """Writes ``all.csv`` and, for each fold of a protocol,
    ``<fold>/train.csv``, ``dev.csv`` and ``test.csv``.

    Audio files are opened once for all folds, and not again as long as the
    corpus and the labels stay the same. Folds are made of what is left once
    bad files are dropped.

    Arguments
    ---------
    data_folder : str or Path
        Folder of the corpus; of ``manifest``, the CSV.
    save_folder : str or Path
        Where the CSV files go, and ``all.bad.txt`` where files are bad.
    corpus : str
        A key of ``CORPORA``.
    labels : dict of str to (str or None), optional
        Class of each label of the corpus; see
        ``emotion_labels.map_labels``.
    protocol : str
        A key of ``emotion_protocols.PROTOCOLS``.
    num_folds, seed
        As of ``emotion_protocols.make_folds``.
    on_bad_audio : str
        What to do about utterances that can not be used as they are:
        ``error``, ``drop`` or ``convert`` (see
        ``d2v_sb.audio_files.ON_BAD_AUDIO``). RAVDESS, of 48 kHz and partly
        in stereo, needs ``convert``.
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Make nothing: return the folds that are there.
    share_speakers : bool
        Whether a speaker may be in two parts of a fold; under protocol
        ``random`` they are in any case.

    Returns
    -------
    list of str
        Names of the folds, which are those of their folders.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if labels or protocol
        do not suit it, if audio is bad and ``on_bad_audio`` is ``error``, if
        the folder holds other folds too, or if a CSV can not be written.

    Example
    -------
    >>> prepare_emotion("data", getfixture("tmp_path"), skip_prep=True)
    Traceback (most recent call last):
    d2v_sb.errors.DataError: no fold is prepared in ...
    """
    # Absolute but not resolved: symbolic links are the user's own names.
    save_folder = Path(save_folder).expanduser().absolute()
    if skip_prep:
        names = find_folds(save_folder)
        if not names:
            raise DataError(
                f"no fold is prepared in {save_folder} (a folder with "
                "train.csv, dev.csv and test.csv): leave --skip_prep out"
            )
        return names
    check_choice(on_bad_audio)
    if corpus not in CORPORA:
        raise DataError(
            f"corpus is {corpus!r}, but must be one of: {', '.join(CORPORA)}; "
            "'manifest' is a CSV of your own"
        )
    rows = CORPORA[corpus](Path(data_folder).expanduser().absolute())
    rows = map_labels(rows, labels, corpus)
    check_unique(rows)

    def folds_of(rows):
        folds = make_folds(rows, protocol, num_folds, seed)
        check_folds(folds, rows, share_speakers or protocol == "random")
        refuse_others(save_folder, [fold.name for fold in folds])
        return folds

    # Once before audio is opened, which may take an hour, and once after.
    folds_of(rows)
    rows, faults = part_missing(rows)
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    path = save_folder / "all.csv"
    columns = [name for name in COLUMNS if name != "duration"]
    plain = [{name: row[name] for name in columns} for row in rows]
    make_manifest(path, plain, COLUMNS, faults, on_bad_audio, num_workers)
    table = {row["ID"]: row for row in read_rows(path, COLUMNS)}
    rows = [row for row in rows if row["ID"] in table]
    folds = folds_of(rows)
    log_counts(rows, corpus)
    write_folds(save_folder, folds, list(table.values()))
    return [fold.name for fold in folds]


def check_unique(rows):
    """Raises a ``DataError`` that lists ids that two rows have."""
    counts = Counter(row["ID"] for row in rows)
    twice = [row for row in rows if counts[row["ID"]] > 1]
    if twice:
        lines = [f"{row['ID']}: {row.get('where', '')}" for row in twice[:20]]
        raise DataError(
            f"{len(twice)} utterances share ids, first:\n  "
            + "\n  ".join(lines)
            + "\nRemove the copies."
        )


def part_missing(rows):
    """Rows whose audio is there, and a ``Fault`` for each of the others.

    Only those with a ``where`` can lack it: the others were found by it.
    """
    there, faults = [], []
    for row in rows:
        if "where" in row and not Path(row["wav"]).is_file():
            # By its line: once its audio is there, the corpus has changed.
            reason = f"missing: no {row['wav']}"
            faults.append(Fault(row["ID"], row["where"], reason))
        else:
            there.append(row)
    return there, faults
