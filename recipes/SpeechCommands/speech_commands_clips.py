"""Speech Commands' clips: which word each is of, who says it, in which split.

A clip is ``<word>/<speaker>_nohash_<n>.wav``. The official lists name clips
by that path; a speaker is in one of them only, or in none. In the official
test set the clips of ``_unknown_`` have their word before the speaker, and
those of ``_silence_`` only a number.

Authors
 * The d2v_sb developers 2026
"""

import re

from speechbrain.utils.logger import get_logger

from d2v_sb.audio_files import SHOWN, Fault
from d2v_sb.errors import DataError
from d2v_sb.folders import describe, subfolders

logger = get_logger(__name__)

WORDS = "yes no up down left right on off stop go".split()
UNKNOWN, SILENCE = "_unknown_", "_silence_"
CLASSES = [*WORDS, UNKNOWN, SILENCE]
TEST_SET = "speech_commands_test_set_"
DEV_LIST, TEST_LIST = "validation_list.txt", "testing_list.txt"
SPEAKER = re.compile(r"(?:.*_)?([^_]+)_nohash_.*")
WAY_OUT = (
    "Give the folder that speech_commands_v0.01.tar.gz, or v0.02, was unpacked "
    "in"
)
TEST_WAY_OUT = (
    "Give the folder that speech_commands_test_set_v0.01.tar.gz, or v0.02, was "
    "unpacked in"
)


def list_words(data_folder):
    """Parts the clips of the words' folders by the official lists.

    Arguments
    ---------
    data_folder : pathlib.Path
        Folder of the words' folders and the lists.

    Returns
    -------
    train, dev : list of dict
        ``ID``, ``wav``, ``spk_id`` and ``label``, by word and name.
    faults : list of Fault
        Clips of dev that have no file.

    Raises
    ------
    DataError
        If a list or a word is absent, or clips are in both lists.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for word in WORDS:
    ...     (folder / word).mkdir()
    ...     (folder / word / "0a7c2a8d_nohash_0.wav").touch()
    >>> _ = (folder / DEV_LIST).write_text("yes/a69b9b3e_nohash_0.wav")
    >>> _ = (folder / TEST_LIST).write_text("yes/0a7c2a8d_nohash_0.wav")
    >>> train, dev, faults = list_words(folder)
    >>> len(train), dev, faults[0].reason
    (9, [], 'missing: no .../yes/a69b9b3e_nohash_0.wav')
    """
    if not data_folder.is_dir():
        raise DataError(f"{data_folder} does not exist. {WAY_OUT}")
    words = [x for x in subfolders(data_folder) if x.name[0] not in "._"]
    lacking = sorted(set(WORDS) - {folder.name for folder in words})
    if lacking:
        raise DataError(
            f"{data_folder} has no folder of: {', '.join(lacking)} (found "
            f"there: {describe(data_folder)}). {WAY_OUT}"
        )
    in_dev = read_list(data_folder / DEV_LIST)
    in_test = read_list(data_folder / TEST_LIST)
    both = [clip for clip in in_dev if clip in in_test]
    if both:
        raise DataError(
            f"{len(both)} clips are both in {data_folder / DEV_LIST} and in "
            f"{TEST_LIST}, such as {', '.join(both[:SHOWN])}: fetch them again"
        )
    train, dev = [], []
    for folder in words:
        label = folder.name if folder.name in WORDS else UNKNOWN
        for path in sorted(folder.glob("[!.]*.wav")):
            clip = f"{folder.name}/{path.name}"
            if in_dev.pop(clip, None):
                dev.append(make_row(path, label))
            elif clip not in in_test:
                train.append(make_row(path, label))
    faults = [
        Fault(clip, where, f"missing: no {data_folder / clip}")
        for clip, where in in_dev.items()
    ]
    return train, dev, faults


def find_test_set(data_folder):
    """The official test set of a corpus, beside it or in it.

    Arguments
    ---------
    data_folder : pathlib.Path
        Folder of the corpus.

    Returns
    -------
    pathlib.Path
        Where there are several, that whose name ends like the corpus's, as
        with its version.

    Raises
    ------
    DataError
        If there is none, or it is not clear which.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "speech_commands_v0.01"
    >>> for version in ("v0.01", "v0.02"):
    ...     folder.with_name(f"{TEST_SET}{version}").mkdir()
    >>> find_test_set(folder).name
    'speech_commands_test_set_v0.01'
    """
    found = [
        path
        for place in (data_folder.parent, data_folder)
        for path in sorted(place.glob(f"{TEST_SET}*"))
        if path.is_dir()
    ]
    version = data_folder.name.rpartition("_")[2]
    if len(found) > 1:
        found = [path for path in found if path.name == TEST_SET + version]
    if len(found) != 1:
        raise DataError(
            f"the test set is not given, and there is not just one "
            f"{TEST_SET}{version} beside {data_folder} or in it. "
            f"{TEST_WAY_OUT}"
        )
    return found[0]


def list_test_clips(test_folder):
    """Rows of the official test set, whose folders are the classes.

    Arguments
    ---------
    test_folder : pathlib.Path
        The set.

    Returns
    -------
    list of dict
        As of ``list_words``.

    Raises
    ------
    DataError
        If there is no such set, or it has a folder that is no class.
    """
    if not test_folder.is_dir():
        raise DataError(f"{test_folder} does not exist. {TEST_WAY_OUT}")
    folders = [x for x in subfolders(test_folder) if x.name[0] != "."]
    names = [folder.name for folder in folders]
    if set(names) != set(CLASSES):
        wrong = [name for name in names if name not in CLASSES]
        lacking = [name for name in CLASSES if name not in names]
        raise DataError(
            f"{test_folder} is not the official test set, which has a folder "
            f"for each class and no other. Too many: "
            f"{', '.join(wrong[:SHOWN]) or 'none'}; lacking: "
            f"{', '.join(lacking) or 'none'}. {TEST_WAY_OUT}"
        )
    return [
        make_row(path, folder.name)
        for folder in folders
        for path in sorted(folder.glob("[!.]*.wav"))
    ]


def read_list(path):
    """Clips that a list names, and where it does."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: the list can not be read ({error}). {WAY_OUT}"
        ) from error
    places = enumerate((line.strip() for line in lines), 1)
    return {line: f"{path}, line {count}" for count, line in places if line}


def make_row(path, label):
    """A clip's row. Its ID has its folder: a speaker says many words."""
    id_ = f"{path.parent.name}/{path.stem}"
    return {
        "ID": id_,
        "wav": str(path),
        "spk_id": speaker_of(path.name) or id_,
        "label": label,
    }


def speaker_of(name):
    """Who says a clip, None where its name does not tell.

    Example
    -------
    >>> speaker_of("0a7c2a8d_nohash_0.wav")
    '0a7c2a8d'
    >>> speaker_of("bed_3ff840aa_nohash_0.wav.wav")  # of the test set
    '3ff840aa'
    >>> speaker_of("1035.wav") is None
    True
    """
    match = SPEAKER.fullmatch(name)
    return match and match[1]


def check_speakers(train, dev, test):
    """Raises a ``DataError`` for speakers of train who are in dev too, and
    warns of those who are in the test set, which is as it is."""
    trained = {row["spk_id"] for row in train}
    shared = sorted(trained & {row["spk_id"] for row in dev})
    if shared:
        raise DataError(
            f"{len(shared)} speakers are both in train and in {DEV_LIST}: "
            f"{', '.join(shared[:SHOWN])}. The official lists part speakers: "
            "fetch them again, or list all clips of these"
        )
    shared = sorted(trained & {row["spk_id"] for row in test})
    if shared:
        logger.warning(
            f"{len(shared)} speakers of the test set are trained on, though "
            f"{TEST_LIST} should hold them: {', '.join(shared[:SHOWN])}. Are "
            "both of one version?"
        )
