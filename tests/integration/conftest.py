"""Corpora of noise in the layouts of LibriSpeech, VoxCeleb and IEMOCAP.

Noise is enough to see that files, checkpoints and processes behave; whether
anything is learned is seen on real speech.

Authors
 * The d2v_sb developers 2026
"""

import numpy
import pytest
import soundfile

WORDS = ("ONE", "TWO", "IT'S", "FOUR", "A", "BEE")


def write_split(folder, speaker, num_clips, seed):
    """One chapter of noise with words that fit its length."""
    random = numpy.random.default_rng(seed)
    chapter = folder / str(speaker) / "1"
    chapter.mkdir(parents=True)
    lines = []
    for i in range(num_clips):
        name = f"{speaker}-1-{i:04d}"
        seconds = random.uniform(0.8, 1.6)
        noise = random.normal(0, 0.1, int(seconds * 16000))
        soundfile.write(chapter / f"{name}.flac", noise, 16000)
        words = random.choice(WORDS, random.integers(1, 4))
        lines.append(f"{name} {' '.join(words)}")
    text = "\n".join(lines) + "\n"
    (chapter / f"{speaker}-1.trans.txt").write_text(text)


@pytest.fixture(scope="session")
def noise_corpus(tmp_path_factory):
    """LibriSpeech's layout: 24 clips to train on, 4 and 5 to measure."""
    root = tmp_path_factory.mktemp("LibriSpeech")
    write_split(root / "train-clean-5", 11, 24, 0)
    write_split(root / "dev-clean", 12, 4, 1)
    write_split(root / "test-clean", 13, 5, 2)
    return root


def write_voice(path, pitch, seed):
    """Noise with a pitch, which a model can learn a voice by."""
    random = numpy.random.default_rng(seed)
    seconds = random.uniform(0.6, 1.4)
    time = numpy.arange(int(seconds * 16000)) / 16000
    tone = 0.2 * numpy.sin(2 * numpy.pi * pitch * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone + random.normal(0, 0.02, len(time)), 16000)


@pytest.fixture(scope="session")
def noise_voxceleb(tmp_path_factory):
    """VoxCeleb1's layout: six speakers of two sessions of three clips, two of
    them for trials, and its lists."""
    root = tmp_path_factory.mktemp("VoxCeleb")
    split, trials = [], []
    for number in range(6):
        speaker = f"id1{number:04d}"
        for session in ("aaa", "bbb"):
            for clip in (1, 2, 3):
                name = f"{speaker}/{session}/{clip:05d}.wav"
                seed = hash((number, session == "aaa", clip)) % 2**31
                write_voice(root / "wav" / name, 150 + 130 * number, seed)
                part = 1 if session == "aaa" else min(clip + 1, 3)
                split.append(f"{part} {name}")
    for own, other in (("id10004", "id10005"), ("id10005", "id10004")):
        for clip in (1, 2, 3):
            first = f"{own}/aaa/{clip:05d}.wav"
            trials.append(f"1 {first} {own}/bbb/00001.wav")
            trials.append(f"0 {first} {other}/bbb/00002.wav")
    (root / "iden_split.txt").write_text("\n".join(split) + "\n")
    (root / "veri_test2.txt").write_text("\n".join(trials) + "\n")
    return root


@pytest.fixture(scope="session")
def noise_iemocap(tmp_path_factory):
    """IEMOCAP's layout: three sessions, two speakers each, four emotions."""
    root = tmp_path_factory.mktemp("IEMOCAP")
    for session in (1, 2, 3):
        folder = root / f"Session{session}"
        dialog, lines = f"Ses{session:02d}F_impro01", []
        for gender in "FM":
            for i, label in enumerate(["ang", "hap", "exc", "neu", "sad"] * 2):
                turn = f"{dialog}_{gender}{i:03d}"
                wav = folder / "sentences/wav" / dialog / f"{turn}.wav"
                pitch = 200 + 150 * ["ang", "hap", "exc", "neu", "sad"].index(
                    label
                )
                write_voice(
                    wav, pitch, 100 * session + 10 * (gender == "F") + i
                )
                lines.append(f"[{i}.0 - {i}.9]\t{turn}\t{label}\t[2, 2, 2]\n")
        path = folder / "dialog/EmoEvaluation" / f"{dialog}.txt"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines))
    return root
