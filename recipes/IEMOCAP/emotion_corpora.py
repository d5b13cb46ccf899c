"""Emotion corpora that say all in their file names.

Each ``list_<name>`` reads no audio and returns rows: dicts with ``ID``,
``wav``, ``spk_id``, ``session`` ("" where the corpus has none) and ``label``,
as the corpus calls it. A corpus that is not here needs no code: list it in a
CSV (``emotion_manifest``).

Authors
 * The d2v_sb developers 2026
"""

import re
from dataclasses import dataclass
from pathlib import Path

from speechbrain.utils.logger import get_logger

from d2v_sb.errors import DataError
from d2v_sb.folders import walk
from d2v_sb.progress import Progress

logger = get_logger(__name__)

SHOWN = 5  # examples in a message


@dataclass(frozen=True)
class Naming:
    """How a corpus names its files, and where it is to be had."""

    corpus: str
    layout: str  # for messages
    url: str
    pattern: str  # of the name less .wav, with the groups speaker and emotion
    labels: dict[str, str]  # by what the name says of the emotion


RAVDESS = Naming(
    "RAVDESS",
    "Actor_01/03-01-05-01-02-01-01.wav (modality-channel-emotion-intensity-"
    "statement-repetition-actor, of which audio-only 03 and speech 01 are "
    "used)",
    "https://zenodo.org/records/1188976",
    r"03-01-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)",
    {
        "01": "neutral",
        "02": "calm",
        "03": "happy",
        "04": "sad",
        "05": "angry",
        "06": "fearful",
        "07": "disgust",
        "08": "surprised",
    },
)
CREMA_D = Naming(
    "CREMA-D",
    "AudioWAV/1001_DFA_ANG_XX.wav (actor_sentence_emotion_level)",
    "https://github.com/CheyneyComputerScience/CREMA-D",
    # The level of 1040_ITH_SAD_X has one letter.
    r"(?P<speaker>\d{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]+",
    {label: label for label in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")},
)
EMODB = Naming(
    "EmoDB",
    "wav/03a01Fa.wav (speaker 03, text a01, emotion F, version a)",
    "http://emodb.bilderbar.info",
    r"(?P<speaker>\d\d)[a-z]\d\d(?P<emotion>[A-Z])[a-z]",
    {
        "W": "anger",
        "L": "boredom",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "T": "sadness",
        "N": "neutral",
    },
)


def list_ravdess(data_folder):
    """Lists RAVDESS: 24 actors, 8 emotions, 48 kHz (``list_named``)."""
    return list_named(data_folder, RAVDESS)


def list_crema_d(data_folder):
    """Lists CREMA-D: 91 actors, 6 emotions, 16 kHz (``list_named``)."""
    return list_named(data_folder, CREMA_D)


def list_emodb(data_folder):
    """Lists EmoDB: 10 actors, 7 emotions, 16 kHz (``list_named``)."""
    return list_named(data_folder, EMODB)


def list_named(data_folder, naming):
    """Finds the WAV files of a corpus, at any depth, and decodes their names.

    Arguments
    ---------
    data_folder : Path
        Where to look.
    naming : Naming
        Of the corpus.

    Returns
    -------
    list of dict
        Rows. Files of other names, and second copies, are warned of.

    Raises
    ------
    DataError
        If no name fits.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "wav"
    >>> folder.mkdir()
    >>> (folder / "03a01Fa.wav").touch()
    >>> row = list_named(folder.parent, EMODB)[0]
    >>> row["ID"], row["spk_id"], row["label"]
    ('03a01Fa', '03', 'happiness')
    """
    if not data_folder.is_dir():
        raise DataError(
            f"the data folder {data_folder} does not exist. {_expect(naming)}"
        )
    rows, foreign, copies = {}, [], []
    with Progress(f"finding {naming.corpus}") as progress:
        for folder, names in walk(data_folder, ".", set(), progress):
            for name in names:
                path = Path(data_folder, folder, name)
                if path.suffix.lower() != ".wav":
                    continue
                found = re.fullmatch(naming.pattern, path.stem)
                label = naming.labels.get(found["emotion"]) if found else None
                if label is None:
                    foreign.append(str(path.relative_to(data_folder)))
                elif path.stem in rows:
                    copies.append(str(path.relative_to(data_folder)))
                else:
                    rows[path.stem] = {
                        "ID": path.stem,
                        "wav": str(path),
                        "spk_id": found["speaker"],
                        "session": "",
                        "label": label,
                    }
    if not rows:
        raise DataError(
            f"{data_folder} is not laid out as {naming.corpus}: none of its "
            f"{len(foreign)} WAV files is named so{_first(foreign)}. "
            f"{_expect(naming)}"
        )
    if foreign:
        logger.warning(
            f"{naming.corpus}: {len(foreign)} WAV files are not named as "
            f"{naming.layout} and are left out{_first(foreign)}"
        )
    if copies:
        # A well-known copy of RAVDESS holds everything twice.
        logger.warning(
            f"{naming.corpus}: {len(copies)} WAV files are there a second "
            f"time and are left out{_first(copies)}"
        )
    return list(rows.values())


def _expect(naming):
    return (
        f"{naming.corpus} is expected as {naming.layout}, at any depth. Give "
        f"its folder with --data_folder; it is to be had from {naming.url}"
    )


def _first(names):
    return f"; first: {', '.join(names[:SHOWN])}" if names else ""


NAMED_CORPORA = {
    "ravdess": list_ravdess,
    "crema_d": list_crema_d,
    "emodb": list_emodb,
}
