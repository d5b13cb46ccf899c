"""Real clips in the layout of Fluent Speech Commands.

Authors
 * The d2v_sb developers 2026
"""

import csv
import uuid

import soundfile as sf

COLUMNS = "path speakerId transcription action object location".split()
# The last two differ in the location alone.
INTENTS = [
    ("activate", "lights", "none"),
    ("increase", "heat", "none"),
    ("increase", "heat", "kitchen"),
]


def make_fluent_commands(folder, clips):
    """The first speaker is valid, the second test, the others are train; each
    one's clips, from short to long, are of one intent after another. At least
    three speakers of two clips."""
    lines = {"valid": [], "test": [], "train": []}
    speakers = list(dict.fromkeys(clip.speaker for clip in clips))
    for number, speaker in enumerate(speakers):
        split = ["valid", "test", "train"][min(number, 2)]
        own = [clip for clip in clips if clip.speaker == speaker]
        own.sort(key=lambda clip: len(clip.words))
        for count, clip in enumerate(own):
            name = uuid.uuid5(uuid.NAMESPACE_URL, clip.path.name)
            path = f"wavs/speakers/{speaker}/{name}.wav"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            sf.write(folder / path, *sf.read(clip.path))
            words = clip.words.capitalize()
            intent = INTENTS[count % len(INTENTS)]
            lines[split].append([path, speaker, words, *intent])
    (folder / "data").mkdir()
    for split, rows in lines.items():
        path = folder / "data" / f"{split}_data.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            # As pandas writes it: the first column, a number, has no name.
            writer.writerow(["", *COLUMNS])
            writer.writerows([n, *row] for n, row in enumerate(rows))
