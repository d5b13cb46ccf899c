"""Real clips in Common Voice's layout: MP3 files, and lists of them.

Authors
 * The d2v_sb developers 2026
"""

import itertools

import soundfile as sf
import torch
from torchaudio.functional import resample

HEADER = (
    "client_id path sentence up_votes down_votes age gender accents locale "
    "segment"
).split()
RATES = (48000, 32000)  # of older and newer releases
MIN_WORDS = 3
# So that there are letters beyond ASCII, and cases of them, to be written.
ACCENTS = str.maketrans("AEOU", "âÊôŵ")


def make_common_voice(folder, clips, language="cy"):
    """Writes a language of clips; returns its folder, in the release's.

    The first speaker is in train, the second in dev, the third in test, and
    all others in train. Clips of a speaker are joined until they have three
    words.
    """
    place = folder / "cv-corpus-11.0-2022-09-21" / language
    (place / "clips").mkdir(parents=True)
    splits = {"train": [], "dev": [], "test": []}
    names = itertools.chain(splits, itertools.repeat("train"))
    speakers = dict.fromkeys(clip.speaker for clip in clips)
    rates = itertools.cycle(RATES)
    for speaker, split in zip(speakers, names):
        own = [clip for clip in clips if clip.speaker == speaker]
        for sound, words in joined(own):
            # Numbers of eight digits, as the real ones have.
            number = 17000000 + len(list((place / "clips").iterdir()))
            name = f"common_voice_{language}_{number}.mp3"
            write_mp3(place / "clips" / name, sound, next(rates))
            sentence = words.capitalize().translate(ACCENTS) + "."
            splits[split].append(line(speaker, name, sentence, language))
    for split, lines in splits.items():
        text = "".join(["\t".join(HEADER) + "\n", *lines])
        (place / f"{split}.tsv").write_text(text, encoding="utf-8")
    return place


def line(speaker, name, sentence, language="cy"):
    """A line of a list."""
    client = speaker.encode().hex().ljust(128, "0")
    cells = [client, name, sentence, "2", "0", "", "", "", language, ""]
    return "\t".join(cells) + "\n"


def joined(clips):
    """(sound, words) of clips, some of them joined."""
    sounds, words = [], []
    for clip in clips:
        sounds.append(torch.from_numpy(sf.read(clip.path, dtype="float32")[0]))
        words += clip.words.split()
        if len(words) >= MIN_WORDS:
            yield torch.cat(sounds), " ".join(words)
            sounds, words = [], []


def write_mp3(path, sound, rate):
    """Writes sound of 16 kHz at another rate."""
    sound = resample(sound, 16000, rate)
    sf.write(path, sound.numpy(), rate, format="MP3")
