"""SLURP's annotations: which recording belongs to which scenario and speaker.

The annotations are ``train.jsonl``, ``train_synthetic.jsonl``,
``devel.jsonl``, ``test.jsonl`` and ``metadata.json``, in the data folder or,
as in their repository, in ``dataset/slurp`` in it; the audio is
``slurp_real/*.flac`` and ``slurp_synth/*.flac``, there or in ``audio``.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.audio_files import SHOWN, Fault
from d2v_sb.errors import DataError
from d2v_sb.folders import describe

logger = get_logger(__name__)

# The list and the audio folder of each split.
SPLITS = {
    "train_real": ("train.jsonl", "slurp_real"),
    "train_synthetic": ("train_synthetic.jsonl", "slurp_synth"),
    "devel": ("devel.jsonl", "slurp_real"),
    "test": ("test.jsonl", "slurp_real"),
}
TRAIN_SPLITS = ["train_real", "train_synthetic"]
LIST_PLACES = ("dataset/slurp", ".")
AUDIO_PLACES = (".", "audio")
LISTS_URL = "https://github.com/pswietojanski/slurp"
AUDIO_URL = "https://zenodo.org/record/4274930"


def list_split(data_folder, split, first_seen):
    """Pairs the recordings that a split lists with their audio files.

    Arguments
    ---------
    data_folder : pathlib.Path
        Of the corpus.
    split : str
        A key of ``SPLITS``.
    first_seen : dict of str to str
        Where each recording is listed first; filled here. A recording that
        is listed twice, in whatever splits, is a fault.

    Returns
    -------
    rows : list of dict
        ``ID``, ``wav`` and ``label``, in the order of the lists.
    faults : list of Fault
        Recordings that have no file, or that were listed before.

    Raises
    ------
    DataError
        If the list or the audio folder is absent, or lines are no
        annotations; all such lines are named.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "slurp_real").mkdir()
    >>> (folder / "slurp_real" / "audio-1.flac").touch()
    >>> line = '{"scenario": "alarm", "recordings": [{"file": "audio-1.flac"}]}'
    >>> _ = (folder / "devel.jsonl").write_text(line)
    >>> (row,), faults = list_split(folder, "devel", {})
    >>> row["ID"], row["label"], faults
    ('slurp_real/audio-1', 'alarm', [])
    """
    name, audio = SPLITS[split]
    path = find(data_folder, LIST_PLACES, name, LISTS_URL)
    folder = find(data_folder, AUDIO_PLACES, audio, AUDIO_URL)
    # One listing of the folder, not 70,000 questions to a disk far away.
    there = set(os.listdir(folder))
    rows, faults = [], []
    for number, scenario, file in read_annotations(path):
        where = f"{path}, line {number}"
        # With its folder: nothing says that synthetic names are others.
        id_ = f"{audio}/{Path(file).stem}"
        if id_ in first_seen:
            reason = f"duplicate recording, first in {first_seen[id_]}"
            faults.append(Fault(id_, where, reason))
            continue
        first_seen[id_] = where
        if file not in there:
            # By its line: once its audio is there, the corpus has changed.
            faults.append(Fault(id_, where, f"missing: no {folder / file}"))
            continue
        rows.append({"ID": id_, "wav": str(folder / file), "label": scenario})
    return rows, faults


def find(data_folder, places, name, url):
    """A file or folder of the corpus, in the first place that has it."""
    for place in places:
        path = data_folder / place / name
        if path.exists():
            return path
    there = describe(data_folder) if data_folder.is_dir() else "no such folder"
    raise DataError(
        f"{name} is neither in {data_folder} nor in "
        f"{' or '.join(p for p in places if p != '.')} in it (folders found "
        f"there: {there}). Give the folder that holds SLURP's annotations "
        f"({LISTS_URL}) and audio ({AUDIO_URL}); {name} is to be had at {url}"
    )


def read_annotations(path):
    """(line, scenario, file) of each recording in a ``.jsonl``."""
    recordings, wrong = [], []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can not be read ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            sentence = json.loads(line)
            scenario = sentence["scenario"]
            files = [recording["file"] for recording in sentence["recordings"]]
            if not all(x and isinstance(x, str) for x in (scenario, *files)):
                raise ValueError("its scenario or a file is no name")
        except (ValueError, KeyError, TypeError) as error:
            wrong.append(f"line {number}: {type(error).__name__}: {error}")
            continue
        recordings += [(number, scenario, file) for file in files]
    if wrong:
        shown = "".join(f"  {line}\n" for line in wrong[:SHOWN])
        if len(wrong) > SHOWN:
            shown += f"  ... and {len(wrong) - SHOWN} more\n"
        raise DataError(
            f"{path}: {len(wrong)} lines are no annotations with a scenario "
            f"and recordings:\n{shown}Fetch it again from {LISTS_URL}"
        )
    return recordings


def read_speakers(data_folder):
    """Speaker of each recording's file as ``metadata.json`` has them; none
    where that is absent."""
    try:
        path = find(data_folder, LIST_PLACES, "metadata.json", LISTS_URL)
    except DataError:  # MP3S does without
        return {}
    try:
        sentences = json.loads(path.read_text(encoding="utf-8"))
        return {
            file: recording["usrid"]
            for sentence in sentences.values()
            for file, recording in sentence["recordings"].items()
            if recording.get("usrid")
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} does not say who speaks ({type(error).__name__}: {error})."
            f" Fetch it again from {LISTS_URL}, or move it away to do without "
            "speakers"
        ) from error


def name_speakers(rows, speakers, split):
    """Rows with ``spk_id``: the recording's speaker or, where nothing is
    known, what both microphones recorded at once."""
    named = []
    for row in rows:
        own = row["ID"].removesuffix("-headset")
        spk_id = speakers.get(Path(row["wav"]).name, own)
        named.append({**row, "spk_id": spk_id})
    unknown = sum(Path(row["wav"]).name not in speakers for row in rows)
    if unknown:
        logger.warning(
            f"{split}: metadata.json names no speaker of {unknown} of "
            f"{len(rows)} recordings. Each of these counts as its own, so that "
            "intervals over speakers are over recordings there"
        )
    return named
