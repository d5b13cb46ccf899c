"""Common Voice's lists: who says what in which clip.

A release is a folder of ``train.tsv``, ``dev.tsv``, ``test.tsv`` and more,
and of ``clips/*.mp3``, one a language. Of the lists' columns, which change from
release to release, only ``COLUMNS`` are needed.

Authors
 * The d2v_sb developers 2026
"""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from d2v_sb.audio_files import Fault
from d2v_sb.errors import DataError
from d2v_sb.folders import describe

COLUMNS = ("client_id", "path", "sentence")
SPLITS = ("train", "dev", "test")
WAY_OUT = (
    "Give the folder of a language, which holds train.tsv and clips, or the "
    "release's folder and a language. Common Voice has to be asked for at "
    "https://commonvoice.mozilla.org/datasets"
)


@dataclass
class Listing:
    """What a list says, audio unopened."""

    rows: list[dict] = field(default_factory=list)  # less the duration
    faults: list[Fault] = field(default_factory=list)
    num_short: int = 0  # sentences of too few words


def find_language(data_folder, language=None):
    """Folder of a language, which has all the lists.

    Arguments
    ---------
    data_folder : pathlib.Path
        It, or the folder that it is in.
    language : str, optional
        Its code, such as ``cy``, if the folder it is in was given.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If there is none.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "cy" / "clips").mkdir(parents=True)
    >>> for split in SPLITS:
    ...     (folder / "cy" / f"{split}.tsv").touch()
    >>> find_language(folder, "cy").name, find_language(folder / "cy").name
    ('cy', 'cy')
    """
    folder = data_folder
    if language and data_folder.name != language:
        folder = data_folder / language
    if not folder.is_dir():
        there = describe(data_folder) if data_folder.is_dir() else "nothing"
        raise DataError(
            f"{folder} does not exist (found in {data_folder}: {there}). "
            f"{WAY_OUT}"
        )
    needed = [*(f"{split}.tsv" for split in SPLITS), "clips"]
    absent = [name for name in needed if not (folder / name).exists()]
    if absent:
        raise DataError(
            f"{folder} is no language of Common Voice: no {', '.join(absent)} "
            f"in it (folders found there: {describe(folder)}). {WAY_OUT}"
        )
    return folder


def list_split(path, fewest_words=3):
    """Reads a list.

    Sentences are left as they are, case, accents and punctuation too, but for
    spaces at their ends and after another.

    Arguments
    ---------
    path : pathlib.Path
        Such as ``train.tsv``, with ``clips`` beside it.
    fewest_words : int
        Sentences of fewer are left out.

    Returns
    -------
    Listing
        In the list's order.

    Raises
    ------
    DataError
        If it is no such list.

    Example
    -------
    >>> path = getfixture("tmp_path") / "dev.tsv"
    >>> _ = path.write_text(
    ...     "client_id\\tpath\\tsentence\\n"
    ...     "a1\\tc_1.mp3\\tMae'n  bwrw glaw.\\nb2\\tc_2.mp3\\tBore da\\n"
    ... )
    >>> listing = list_split(path)
    >>> listing.rows[0]["wrd"], listing.num_short
    ("Mae'n bwrw glaw.", 1)
    """
    listing, first_seen = Listing(), {}
    clips = path.parent / "clips"
    for number, cells in _read_lines(path):
        where = f"{path}, line {number}"
        lacking = [name for name in COLUMNS if not cells[name]]
        name = cells["path"] or ""
        id_ = Path(name).stem
        if name and id_ in first_seen:
            reason = f"duplicate clip, first in {first_seen[id_]}"
        else:
            reason = f"no {', '.join(lacking)}" if lacking else ""
        first_seen.setdefault(id_, where)
        if reason:
            listing.faults.append(Fault(id_ or f"line {number}", where, reason))
            continue
        # Spaces only, as in MP3S: what else looks like one is a character.
        words = re.sub(" +", " ", cells["sentence"]).strip()
        if len(words.split(" ")) < fewest_words:
            listing.num_short += 1
            continue
        row = {"ID": id_, "wav": str(clips / name)}
        listing.rows.append({**row, "spk_id": cells["client_id"], "wrd": words})
    return listing


def _read_lines(path):
    """(number, cells by column) of each line."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            # Quotation marks are part of the sentences.
            reader = csv.DictReader(
                file, delimiter="\t", quoting=csv.QUOTE_NONE
            )
            header = reader.fieldnames or []
            absent = [name for name in COLUMNS if name not in header]
            if absent:
                raise DataError(
                    f"{path} is no list of Common Voice: no column "
                    f"{', '.join(absent)} (it has: "
                    f"{', '.join(header) or 'nothing'})"
                )
            return [(reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} can not be read ({error}). Unpack the release again."
        ) from error
