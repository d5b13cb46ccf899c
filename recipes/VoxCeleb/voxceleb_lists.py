"""VoxCeleb's lists: found, and the one that splits clips read and checked.

Lists of trials are read by ``d2v_sb.scoring.trials``.

Authors
 * The d2v_sb developers 2026
"""

import re
from pathlib import Path

from voxceleb_clips import URL, WAY_OUT

from d2v_sb.atomic import replacing
from d2v_sb.audio_files import SHOWN
from d2v_sb.errors import DataError
from d2v_sb.scoring.trials import speaker_of

LINE = re.compile(r"([123])\s+(id\d{5}/[^/\s]+/[^/\s]+)\.\w+")
SPLITS = {"1": "train", "2": "dev", "3": "test"}


def find_list(name, data_folder):
    """A list as a path, or by its name in the data folder."""
    given = Path(name).expanduser().absolute()
    for path in (given, data_folder / name):
        if path.is_file():
            return path
    raise DataError(
        f"no list {name}: neither {given} nor {data_folder / name} is a file. "
        f"VoxCeleb's lists are to be had at {URL}"
    )


def read_split(path, save_folder):
    """Keys of train, dev and test in a list such as ``iden_split.txt``; wrong
    lines go to ``<list>.wrong.txt``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can not be read ({error})") from error
    numbers, wrong = {}, []
    for count, line in enumerate(lines, 1):
        match = LINE.fullmatch(line.strip())
        if match is None:
            if line.strip():
                wrong.append(f"line {count}: {line.strip()!r}")
        elif numbers.setdefault(match[2], match[1]) != match[1]:
            wrong.append(f"line {count}: {line!r}, in another split before")
    stop_at(
        wrong,
        f"{path}: {len(wrong)} lines are wrong",
        save_folder / f"{path.stem}.wrong.txt",
        "A line is `1 id10001/1zcIwhmdeo4/00001.wav`: 1 train, 2 validation, "
        "3 test, and a clip in one of them.",
    )
    splits = {name: [] for name in SPLITS.values()}
    for key, number in sorted(numbers.items()):
        splits[SPLITS[number]].append(key)
    for number, name in SPLITS.items():
        if not splits[name]:
            raise DataError(f"{path}: no line begins with {number} ({name}).")
    return splits


def check_split(splits, path, clips, save_folder):
    """Raises a ``DataError`` if clips are missing, or some to validate or test
    on are of speakers without a clip to train on."""
    keys = [key for keys in splits.values() for key in keys]
    missing = [key for key in keys if key not in clips]
    stop_at(
        missing,
        f"{path}: {len(missing)} of its {len(keys)} clips are missing",
        save_folder / f"{path.stem}.missing.txt",
        WAY_OUT,
    )
    known = {speaker_of(key) for key in splits["train"]}
    unknown = [key for key in keys if speaker_of(key) not in known]
    stop_at(
        unknown,
        f"{path}: {len(unknown)} clips are of speakers who have no clip in "
        "train, so that no model can name them",
        save_folder / f"{path.stem}.unknown.txt",
        "Take these lines out of the list, or give each speaker some in train.",
    )


def stop_at(lines, what, path, way_out):
    """Raises a ``DataError`` of the first lines, all being in a file."""
    if not lines:
        path.unlink(missing_ok=True)  # of a run before the list was mended
        return
    with replacing(path) as beside:
        beside.write_text("".join(f"{x}\n" for x in lines), encoding="utf-8")
    shown = "".join(f"  {line}\n" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        shown += f"  ... and {len(lines) - SHOWN} more\n"
    raise DataError(f"{what}, all listed in {path}:\n{shown}{way_out}")
