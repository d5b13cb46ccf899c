"""Prepare VoxCeleb: who speaks in which clip, every audio file checked first.

The corpora lie as their authors ship them (see ``voxceleb_clips``), with their
lists (``voxceleb_lists``). Who is not trained on: ``voxceleb_held_out``.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from voxceleb_clips import (
    add_converted,
    check_folders,
    check_found,
    convert_clips,
    walk_clips,
)
from voxceleb_held_out import check_folds, hold_out_sessions, leave_out
from voxceleb_lists import check_split, find_list, read_split

from d2v_sb.atomic import remove_left_overs
from d2v_sb.audio_files import Fault, check_choice
from d2v_sb.audio_folder import splits_of
from d2v_sb.manifest import as_list, make_manifest, stream_rows
from d2v_sb.scoring.trials import (
    check_trials,
    keys_of,
    read_trials,
    speaker_of,
    speakers_of,
)

COLUMNS = ["ID", "duration", "wav", "spk_id"]


def prepare_voxceleb(
    data_folder,
    save_folder,
    split_file=None,
    trials=(),
    train_folders=(".",),
    valid_percent=0.05,
    converted_folder=None,
    on_bad_audio="error",
    num_workers=None,
    skip_prep=False,
):
    """Writes CSVs of the clips to train on, to validate on, and to test on.

    With a ``split_file``, to identify speakers: ``train.csv``, ``dev.csv`` and
    ``test.csv`` as it says. Without one, to verify them: ``train.csv`` and
    ``dev.csv`` of all speakers who are in none of the ``trials``, dev being
    whole sessions (see ``hold_out_sessions``). With ``trials``, ``trials.csv``
    of all clips in them. What an earlier run made of the same is kept.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Folder that holds the clips, at any depth.
    save_folder : str or pathlib.Path
        Where the CSV files go, and lists of what is bad or missing.
    split_file : str, optional
        A list such as VoxCeleb1's ``iden_split.txt``, as a path or in the data
        folder.
    trials : list of str, or str
        Lists such as ``veri_test.txt``, likewise.
    train_folders : list of str, or str
        Folders in the data folder to train on where there is no
        ``split_file``; ``.`` is all of it.
    valid_percent : float
        The share (0.05 is one in twenty, fairseq's name) of sessions that is
        held out for dev where there is no ``split_file``.
    converted_folder : str or pathlib.Path, optional
        Where FLAC files of those m4a clips go that a CSV needs; by default
        ``flac`` in the data folder.
    on_bad_audio : str
        What to do about clips that can not be used as they are: ``error``,
        ``drop`` or ``convert`` (see ``d2v_sb.audio_files.ON_BAD_AUDIO``). Clips
        of trials are never dropped: they are an error then.
    num_workers : int, optional
        Threads that open audio files.
    skip_prep : bool
        Do nothing.

    Raises
    ------
    DataError
        If the corpus or a list is not there or not as expected, if a speaker
        would be both trained on and in the trials, if a split is empty, if
        audio is bad and ``on_bad_audio`` is ``error``, or if a file can not be
        written.

    Example
    -------
    >>> prepare_voxceleb("data", "csv", "iden_split.txt", skip_prep=True)
    """
    if skip_prep:
        return
    check_choice(on_bad_audio)
    # Absolute but not resolved: symbolic links are the user's own names.
    data_folder = Path(data_folder).expanduser().absolute()
    save_folder = Path(save_folder).expanduser().absolute()
    converted_folder = Path(converted_folder or data_folder / "flac")
    converted_folder = converted_folder.expanduser().absolute()
    folders = splits_of("train_folders", train_folders)
    check_folders(data_folder, folders)
    if split_file:
        split_file = find_list(split_file, data_folder)
    lists = [find_list(name, data_folder) for name in as_list(trials)]
    trials = [trial for path in lists for trial in read_trials(path)]
    splits = read_split(split_file, save_folder) if split_file else {}

    clips, within = walk_clips(data_folder, folders)
    check_found(within, data_folder, folders)
    if not converted_folder.is_relative_to(data_folder):
        if converted_folder.is_dir():
            add_converted(clips, converted_folder)
    if split_file:
        check_split(splits, split_file, clips, save_folder)
        check_folds(splits["train"], trials, split_file)
    if trials:
        names = ", ".join(path.name for path in lists)
        check_trials(names, trials, clips, save_folder / "trials.missing.txt")
    if not split_file:
        keys = leave_out(within, speakers_of(trials), folders)
        splits = hold_out_sessions(keys, valid_percent)
    if trials:  # first, since their speakers need not be in train
        splits = {"trials": sorted(keys_of(trials)), **splits}

    needed = sorted({key for keys in splits.values() for key in keys})
    faults = convert_clips(clips, needed, converted_folder, num_workers)
    for ending in (".csv", ".bad.txt"):
        remove_left_overs(save_folder, ending)
    speakers = None
    for name, keys in splits.items():
        rows, bad = list_split(keys, clips, faults, speakers)
        path = save_folder / f"{name}.csv"
        choice = on_bad_audio
        if name == "trials" and choice == "drop":
            choice = "error"  # a trial can not be left out
        make_manifest(path, rows, COLUMNS, bad, choice, num_workers)
        if name == "train":
            speakers = {row["spk_id"] for row in stream_rows(path, COLUMNS)}


def list_split(keys, clips, faults, speakers):
    """Rows (``COLUMNS`` less the duration) and faults of a split; ``speakers``
    are those trained on, where others are of no use."""
    rows, bad = [], []
    for key in keys:
        speaker = speaker_of(key)
        if key in faults:
            bad.append(faults[key])
        elif speakers is not None and speaker not in speakers:
            reason = "each clip of its speaker in train was dropped"
            bad.append(Fault(key, clips[key], reason))
        else:
            rows.append({"ID": key, "wav": clips[key], "spk_id": speaker})
    return rows, bad
