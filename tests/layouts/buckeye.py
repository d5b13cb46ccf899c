"""Real clips in Buckeye's layout: recordings with pauses, and word times.

Authors
 * The d2v_sb developers 2026
"""

import itertools
from zipfile import ZipFile

import numpy as np
import soundfile as sf

from d2v_sb.atomic import replacing

RATE = 16000
# The first three have a split each.
SPEAKERS = ("s01", "s36", "s38", "s02", "s37", "s39", "s40", "s03", "s04")
PAUSES = ("<SIL>", "<VOCNOISE>", "uh")
HEADER = """signal {name}
type 0
color 121
comment created using xlabel Wed Jul 10 17:26:24 2002
font -misc-*-bold-*-*-*-15-*-*-*-*-*-*-*
separator ;
nfields 4
comment
#
"""


def make_buckeye(folder, clips):
    """Writes a recording of each speaker's clips; returns the data folder."""
    speakers = dict.fromkeys(clip.speaker for clip in clips)
    for speaker, own in zip(SPEAKERS, speakers):
        name, place = f"{speaker}01a", folder / speaker
        place.mkdir(parents=True)
        sound, tokens = join([clip for clip in clips if clip.speaker == own])
        sf.write(place / f"{name}.wav", sound, RATE, "PCM_16")
        (place / f"{name}.words").write_text(words_file(name, tokens))
    return folder


def join(clips):
    """Sound of clips with pauses, and (end, word) of its tokens; a pause comes
    after three words at least, and makes up for what lacks to two seconds."""
    parts, tokens, now, since, said = [], [], 0.0, 0.5, 0
    pauses = itertools.cycle(PAUSES)

    def add(sound, words):
        nonlocal now
        parts.append(sound)
        seconds = len(sound) / RATE
        for place, word in enumerate(words, 1):
            tokens.append((now + seconds * place / len(words), word))
        now += seconds

    add(np.zeros(RATE // 4), ["{B_TRANS}"])
    add(np.zeros(RATE // 4), ["<SIL>"])
    for clip in clips:
        words = clip.words.lower().split()
        add(sf.read(clip.path)[0], words)
        said += len(words)
        if said >= 3:
            seconds = max(0.5, 2.1 - (now - since))
            add(np.zeros(int(seconds * RATE)), [next(pauses)])
            since, said = now, 0
    add(np.zeros(RATE // 4), ["{E_TRANS}"])
    return np.concatenate(parts), tokens


def words_file(name, tokens):
    """Text of a ``.words`` file."""
    lines = [f"  {end:.6f}  122 {word}; U; U\n" for end, word in tokens]
    return HEADER.format(name=name) + "".join(lines)


def zip_buckeye(data_folder, target):
    """Writes it as it comes: a zip a speaker, of zips of recordings."""
    target.mkdir()
    for place in sorted(data_folder.iterdir()):
        with ZipFile(target / f"{place.name}.zip", "w") as speaker:
            for words in place.glob("*.words"):
                with replacing(target / f"{words.stem}.zip") as beside:
                    with ZipFile(beside, "w") as recording:
                        for path in place.glob(f"{words.stem}.*"):
                            recording.write(path, path.name)
                    held = beside.read_bytes()
                (target / f"{words.stem}.zip").unlink()
                speaker.writestr(f"{place.name}/{words.stem}.zip", held)
    return target
