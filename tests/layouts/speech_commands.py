"""Real clips in Speech Commands' layout.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import soundfile as sf

WORDS = "yes no up down left right on off stop go".split()
OTHERS = ["bed", "cat"]
# Names of the corpus, as its own lists have them.
DEV, TEST = "a69b9b3e", "3ff840aa"
TRAIN = ["004ae714", "00176480", "0a7c2a8d", "012c8314", "0132a06d", "00f0204f"]
RATE = 16000


def make_speech_commands(folder, clips):
    """The corpus and its test set; returns both folders.

    The first speaker is dev, the second test, up to six others are train.
    Each says one word after another of ``yes``, ``bed`` and ``go``, and a
    speaker of train each word there is; ``bed`` and ``cat`` are no classes.
    """
    data_folder, test_folder = folder / "commands", folder / "commands_test"
    speakers = list(dict.fromkeys(clip.speaker for clip in clips))
    names = dict(zip(speakers, [DEV, TEST, *TRAIN], strict=False))
    listed = {DEV: [], TEST: []}
    counts = {}
    for clip in clips:
        name = names[clip.speaker]
        count = counts[name] = counts.get(name, -1) + 1
        word = ["yes", "bed", "go"][count % 3]
        file = f"{name}_nohash_{count // 3}.wav"
        write(data_folder / word / file, clip)
        if name in listed:
            listed[name].append(f"{word}/{file}\n")
        if name == TEST:
            if word == "bed":
                word, file = "_unknown_", f"bed_{file}.wav"
            write(test_folder / word / file, clip)
    for word in [*WORDS, *OTHERS]:
        write(data_folder / word / f"{TRAIN[0]}_nohash_4.wav", clips[-1])
    for word in [*WORDS, "_unknown_", "_silence_"]:
        (test_folder / word).mkdir(exist_ok=True)
    for list_, name in [("validation", DEV), ("testing", TEST)]:
        text = "".join(listed[name])
        (data_folder / f"{list_}_list.txt").write_text(text, encoding="utf-8")

    # Eleven seconds and a half: a piece for dev, and a rest that is none.
    noise = np.resize(sf.read(clips[0].path)[0] / 20, 23 * RATE // 2)
    (data_folder / "_background_noise_").mkdir()
    for name in ("running_tap", "white_noise"):
        path = data_folder / "_background_noise_" / f"{name}.wav"
        sf.write(path, noise, RATE)
    (data_folder / "_background_noise_" / "README.md").write_text("Noises\n")
    for name, begin in [("104", 0), ("1035", RATE)]:
        path = test_folder / "_silence_" / f"{name}.wav"
        sf.write(path, noise[begin : begin + RATE], RATE)
    return data_folder, test_folder


def write(path, clip):
    """A second of a clip, or a second that has all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = sf.read(clip.path)[0][:RATE]
    sf.write(path, np.pad(samples, (0, RATE - len(samples))), RATE)
