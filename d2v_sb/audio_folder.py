"""Prepare any folder of audio for training without transcripts.

The tree may be that of LibriSpeech, Libri-light or one's own: what counts is
what the files' names end in.

Authors
 * The d2v_sb developers 2026
"""

import os
import re
from collections import Counter
from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import Fault, check_choice
from d2v_sb.errors import DataError
from d2v_sb.folders import WAY_OUT, find_split, walk
from d2v_sb.manifest import as_list, make_manifest
from d2v_sb.progress import Progress
from d2v_sb.train_dev import COLUMNS, write_train_dev

logger = get_logger(__name__)

# Those that libsndfile reads, less what says nothing of the samples (.raw).
ENDINGS = frozenset(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .sph .voc "
    ".w64 .wav .wave".split()
)
# A `$name` is a variable to SpeechBrain's reader of CSVs; the others (control
# characters, other ends of lines, bytes that are no UTF-8) break a list.
UNFIT = re.compile(r"\$[\w.]|[\0-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def prepare_audio_folder(
    data_folder,
    save_folder,
    train_splits,
    dev_splits,
    valid_percent=0.01,
    min_seconds=2.0,
    on_bad_audio="drop",
    num_workers=None,
    skip_prep=False,
):
    """Writes ``train.csv`` and ``dev.csv`` of the audio under a folder.

    Every file is opened once, for ``audio.csv``, which holds them all: as long
    as these are the same, another ``min_seconds``, ``valid_percent`` or choice
    of the folders that are dev opens none. A run that was killed goes on where
    it was (see ``make_manifest``).

    An ID is the path in the data folder without the ending, or with it where
    it alone tells two files apart. A file under two splits is in one, and dev
    wins.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds the splits' folders.
    save_folder : str or Path
        Where the CSV files go, and ``audio.bad.txt`` where files are bad.
    train_splits, dev_splits : list of str, or str
        Folders in the data folder, searched to any depth; ``.`` is all of it.
    valid_percent : float
        Without dev splits: the share (0.01 is one in a hundred, fairseq's
        name) that is held out for dev, at least one file. Which, follows from
        each file's path alone: what is added later moves no other file.
    min_seconds : float
        What is shorter is left out; it is not bad.
    on_bad_audio : str
        What to do about files that can not be used as they are: ``error``,
        ``drop`` or ``convert`` (see ``d2v_sb.audio_files.ON_BAD_AUDIO``).
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If a folder is not there or holds no audio, if none is left for train
        or dev, if audio is bad and ``on_bad_audio`` is ``error``, or if a CSV
        can not be written.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> for name in ["a", "b", "c"]:
    ...     soundfile.write(folder / f"{name}.flac", [0.1] * 32000, 16000)
    >>> prepare_audio_folder(folder, folder / "csv", ".", [])
    >>> print((folder / "csv" / "dev.csv").read_text())
    ID,duration,wav
    c,2.0,.../c.flac
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    train_splits = splits_of("train_splits", train_splits)
    dev_splits = splits_of("dev_splits", dev_splits)
    if not train_splits:
        raise DataError(
            "train_splits is empty: name folders in the data folder, or '.' "
            "for all of it"
        )
    if not dev_splits and not 0 < valid_percent < 1:
        raise DataError(
            f"valid_percent is {valid_percent}, but must lie between 0 and 1 "
            "(0.01 is one file in a hundred) where no --dev_splits are given"
        )
    rows, faults = list_audio(data_folder, [*dev_splits, *train_splits])
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    path, options = save_folder / "audio.csv", (on_bad_audio, num_workers)
    make_manifest(path, rows, COLUMNS, faults, *options, keep_short=True)
    del rows  # a third of the memory that a million files take
    write_train_dev(path, dev_splits, valid_percent, min_seconds)


def splits_of(option, names):
    """Names of splits, each once and in one form.

    Arguments
    ---------
    option : str
        Where they were given, for the message.
    names : str, list of str or None
        As ``as_list`` takes them.

    Returns
    -------
    list of str

    Raises
    ------
    DataError
        If one is no folder in the data folder: it would have no ids.

    Example
    -------
    >>> splits_of("train_splits", ["a/", "./a", "b/c"])
    ['a', 'b/c']
    """
    splits = [os.path.normpath(name) for name in as_list(names)]
    for split in splits:
        if os.path.isabs(split) or split.split(os.sep)[0] == os.pardir:
            raise DataError(
                f"{option}: {split} is not in the data folder. Give its path "
                "there, or a --data_folder that holds all splits."
            )
    return as_list(splits)


def list_audio(data_folder, splits):
    """Finds audio by its endings, unopened.

    Arguments
    ---------
    data_folder : pathlib.Path
        Folder that holds the splits' folders.
    splits : list of str
        Of ``splits_of``. A folder under two of them is the first one's.

    Returns
    -------
    rows : list of dict
        ``COLUMNS`` less the duration, in the order of the ids, which is the
        same whatever the order of the splits.
    faults : list of Fault
        Files whose path no list can hold.

    Raises
    ------
    DataError
        If a split is not there, or all of them are without audio.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a.flac").touch()
    >>> rows, faults = list_audio(folder, ["."])
    >>> rows[0]["ID"], rows[0]["wav"] == str(folder / "a.flac"), faults
    ('a', True, [])
    """
    for split in splits:
        find_split(data_folder, split)
    rows, faults, others, seen = [], [], Counter(), set()
    with Progress("finding audio") as progress:
        for split in splits:
            for folder, names in walk(data_folder, split, seen, progress):
                endings = [os.path.splitext(name)[1].lower() for name in names]
                pairs = zip(names, endings)
                audio = [name for name, end in pairs if end in ENDINGS]
                others.update(end for end in endings if end not in ENDINGS)
                prefix = "" if folder == "." else f"{folder}/"
                for id_, name in zip(ids_of(audio), audio):
                    id_, wav = prefix + id_, f"{data_folder}/{prefix}{name}"
                    if UNFIT.search(wav):
                        faults.append(unfit(id_, wav))
                    else:
                        rows.append({"ID": id_, "wav": wav})
    counts = [f"{n} {end or 'without'}" for end, n in others.most_common(5)]
    if not rows and not faults:
        raise DataError(
            f"{data_folder}: no audio in {', '.join(splits)} (found there: "
            f"{', '.join(counts) or 'no files'}). Read are files that end in "
            f"{', '.join(sorted(ENDINGS))}. {WAY_OUT}"
        )
    rows.sort(key=lambda row: row["ID"])
    note = f"; passed over: {', '.join(counts)}" if counts else ""
    logger.info(f"{len(rows) + len(faults)} audio files found{note}")
    return rows, faults


def ids_of(names):
    """Names of a folder's files less their endings, where that is unique.

    Arguments
    ---------
    names : list of str
        All different.

    Returns
    -------
    list of str
        All different.

    Example
    -------
    >>> ids_of(["a.flac", "b.flac", "b.wav"])
    ['a', 'b.flac', 'b.wav']
    """
    stems = [os.path.splitext(name)[0] for name in names]
    counts, whole = Counter(stems), set(names)
    return [
        # "b.flac.wav" must not become the "b.flac" that is there already.
        stem if counts[stem] == 1 and stem not in whole else name
        for stem, name in zip(stems, names)
    ]


def unfit(id_, wav):
    """Fault of a file whose path no list can hold, written so that one can."""
    id_, wav = (x.encode("unicode_escape").decode() for x in (id_, wav))
    return Fault(
        id_,
        wav,
        "its path holds a `$`, a control character or bytes that are no UTF-8: "
        "rename it",
    )
