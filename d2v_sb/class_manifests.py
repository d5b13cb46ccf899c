"""CSV files of a corpus whose utterances have classes.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import Fault
from d2v_sb.manifest import make_manifest, stream_rows

COLUMNS = ["ID", "duration", "wav", "spk_id", "label"]


def make_class_manifests(
    save_folder, listings, on_bad_audio="error", num_workers=None
):
    """Writes a CSV for each split; what has a class that the first one lacks
    is a fault, also where it lacks it since its files were dropped.

    Arguments
    ---------
    save_folder : pathlib.Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    listings : dict of str to (list of dict, list of Fault)
        Rows (``COLUMNS`` less the duration) and faults by the splits' names,
        "train" first.
    on_bad_audio, num_workers
        As of ``make_manifest``.

    Raises
    ------
    DataError
        As of ``make_manifest``.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> wav = str(folder / "a.wav")
    >>> soundfile.write(wav, [0.1] * 800, 16000)
    >>> row = {"ID": "a", "wav": wav, "spk_id": "s", "label": "up"}
    >>> make_class_manifests(folder, {"train": ([row], []), "dev": ([row], [])})
    >>> sorted(path.name for path in folder.glob("*.csv"))
    ['dev.csv', 'train.csv']
    """
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    known = None
    for name, (rows, faults) in listings.items():
        if known is not None:
            rows, unknown = _part_unknown(rows, known)
            faults = [*faults, *unknown]
        path = save_folder / f"{name}.csv"
        make_manifest(path, rows, COLUMNS, faults, on_bad_audio, num_workers)
        if known is None:
            known = {row["label"] for row in stream_rows(path, COLUMNS)}


def _part_unknown(rows, known):
    faults = [
        Fault(row["ID"], row["wav"], f"train has no {row['label']!r} to learn")
        for row in rows
        if row["label"] not in known
    ]
    return [row for row in rows if row["label"] in known], faults
