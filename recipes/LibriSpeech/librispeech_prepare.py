"""Prepare LibriSpeech: one CSV a split, every audio file checked first.

The corpus lies as OpenSLR ships it (https://www.openslr.org/12):
``<data_folder>/<split>/<speaker>/<chapter>/``, with one
``<speaker>-<chapter>.trans.txt`` and one FLAC (or WAV) file an utterance.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass, field
from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import Fault, check_choice
from d2v_sb.errors import DataError
from d2v_sb.finetuning.regimes import LIMITED, LIMITED_URL
from d2v_sb.folders import WAY_OUT, describe, find_split
from d2v_sb.manifest import as_list, make_manifest, merge

logger = get_logger(__name__)

COLUMNS = ["ID", "duration", "wav", "spk_id", "wrd"]


@dataclass
class Listing:
    """What the folders and transcripts of a split say, audio unopened."""

    rows: list[dict] = field(default_factory=list)  # COLUMNS less duration
    faults: list[Fault] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)  # audio, no transcript


def prepare_librispeech(
    data_folder,
    save_folder,
    train_splits,
    dev_splits,
    test_splits,
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
):
    """Writes a CSV for each split (see ``split_csv``), ``train.csv`` and
    ``dev.csv``.

    ``train.csv`` holds all train splits, one after another, and ``dev.csv``
    all dev splits. A split whose CSV says what the corpus says now is not made
    again; its audio files are then not opened again either.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds the splits' folders.
    save_folder : str or Path
        Where the CSV files go, and ``<split>.bad.txt`` where files are bad.
    train_splits, dev_splits, test_splits : list of str, or str
        Names of splits, such as ``train-clean-100``, or their paths in the
        data folder, such as ``librispeech_finetuning/1h/0/clean``.
    on_bad_audio : str
        What to do about utterances that can not be used as they are:
        ``error``, ``drop`` or ``convert`` (see
        ``d2v_sb.audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus is not there or not as expected, if audio is bad and
        ``on_bad_audio`` is ``error``, or if a CSV can not be written.

    Example
    -------
    >>> prepare_librispeech(
    ...     "data", "csv", "train-clean-100", [], [], skip_prep=True
    ... )
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    merged = {"train": as_list(train_splits), "dev": as_list(dev_splits)}
    splits = [*merged["train"], *merged["dev"], *as_list(test_splits)]
    for split in splits:
        if split.startswith(LIMITED) and not (data_folder / split).is_dir():
            raise DataError(
                f"split {split!r}: no such folder in {data_folder}. It is of "
                f"Libri-light's limited supervision: unpack {LIMITED_URL} in "
                "the data folder, or link it there"
            )
    folders = {split: find_split(data_folder, split) for split in splits}
    # A single split that is called "train" is train.csv already.
    merged = {k: v for k, v in merged.items() if v not in ([], [k])}
    for name, parts in merged.items():
        if name in folders:
            raise DataError(
                f"{save_folder / name}.csv would be both the split {name!r} "
                f"and {' + '.join(parts)}: rename {folders[name]}."
            )
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    for split, folder in folders.items():
        path, listing = split_csv(save_folder, split), list_split(folder)
        options = listing.faults, on_bad_audio, num_workers
        make_manifest(path, listing.rows, COLUMNS, *options)
    for name, parts in merged.items():
        paths = [split_csv(save_folder, split) for split in parts]
        merge(paths, save_folder / f"{name}.csv", COLUMNS)


def split_csv(save_folder, split):
    """The CSV of a split.

    Arguments
    ---------
    save_folder : Path
        Where the CSV files are.
    split : str
        Its name, or its path in the data folder.

    Returns
    -------
    Path

    Example
    -------
    >>> split_csv(Path("csv"), "librispeech_finetuning/1h/0/clean").name
    'librispeech_finetuning-1h-0-clean.csv'
    """
    return save_folder / f"{split.strip('/').replace('/', '-')}.csv"


def list_split(folder):
    """Pairs transcripts and audio files by name, chapter by chapter.

    Arguments
    ---------
    folder : Path
        Folder of a split.

    Returns
    -------
    Listing
        In the order of the folders' names and of the transcripts' lines.
    """
    if not any(folder.glob("*/*/[!.]*.trans.txt")):
        raise DataError(
            f"{folder} is not laid out as LibriSpeech: no transcript such as "
            f"<speaker>/<chapter>/<speaker>-<chapter>.trans.txt in it (found "
            f"there: {describe(folder)}). {WAY_OUT}"
        )
    listing, first_seen = Listing(), {}
    for chapter in sorted(folder.glob("*/*")):
        if not chapter.is_dir():
            continue
        audio, lines = read_chapter(chapter)
        for where, name, words in lines:
            if name in first_seen:
                reason = f"duplicate id, first in {first_seen[name]}"
            elif name not in audio:
                reason = f"missing: no {name}.flac or .wav beside it"
            else:
                reason = "" if words else "empty transcript"
            first_seen.setdefault(name, where)
            if reason:
                listing.faults.append(Fault(name, where, reason))
                continue
            # As SpeechBrain's own CSVs: a speaker in a chapter.
            spk_id = "-".join(name.split("-")[:2])
            row = {"ID": name, "wav": str(audio[name])}
            listing.rows.append({**row, "spk_id": spk_id, "wrd": words})
        spoken = {name for _, name, _ in lines}
        listing.orphans += [audio[name] for name in audio if name not in spoken]
    if listing.orphans:
        names = ", ".join(path.name for path in listing.orphans[:5])
        logger.warning(
            f"{folder.name}: {len(listing.orphans)} audio files have no "
            f"transcript and are left out, first: {names}"
        )
    return listing


def read_chapter(chapter):
    """Audio files by name, and (where, id, upper-case words) of each line."""
    audio, lines = {}, []
    for path in sorted(chapter.iterdir()):
        if path.name.startswith("."):  # "._84-121123.trans.txt" of a Mac
            continue
        if path.name.endswith(".trans.txt"):
            lines += read_transcript(path)
        elif path.suffix.lower() in (".flac", ".wav"):
            # "x.flac" sorts before "x.wav", so that FLAC wins.
            audio.setdefault(path.stem, path)
    return audio, lines


def read_transcript(path):
    """Lists (where, id, upper-case words) of a ``.trans.txt``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: the transcript can not be read ({error}). Fetch this "
            "split again."
        ) from error
    words = [(f"{path}, line {n}", x.split()) for n, x in enumerate(lines, 1)]
    return [(where, w[0], " ".join(w[1:]).upper()) for where, w in words if w]
