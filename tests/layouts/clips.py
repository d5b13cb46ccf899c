"""Real clips, to be laid out as other corpora are.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path
from typing import NamedTuple


class Clip(NamedTuple):
    """A clip, what is said in it in capitals, and who says it."""

    path: Path
    words: str
    speaker: str


def an4_clips(corpora, split="train-clean-5", num_speakers=4, per_speaker=3):
    """Some clips of some speakers of a split in LibriSpeech's layout."""
    clips = []
    for speaker in sorted((corpora / "librispeech_mini" / split).iterdir()):
        if not speaker.is_dir():
            continue
        found = []
        for lines in sorted(speaker.glob("*/*.trans.txt")):
            for line in lines.read_text(encoding="utf-8").splitlines():
                name, words = line.split(maxsplit=1)
                path = lines.with_name(f"{name}.flac")
                found.append(Clip(path, words, speaker.name))
        clips += found[:per_speaker]
        if len({clip.speaker for clip in clips}) == num_speakers:
            break
    return clips
