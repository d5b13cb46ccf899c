"""A corpus of noise in LibriSpeech's layout.

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
