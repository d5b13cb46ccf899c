"""Noise and reverberation of a user's own recordings.

Authors
 * The d2v_sb developers 2026
"""

import random

import numpy as np
import pytest
import soundfile
import torch

from d2v_sb.augmentation import AudioFiles, Reverb, make_augmenter
from d2v_sb.errors import DataError


@pytest.fixture
def noises(tmp_path):
    """Two noises, one of them at 8 kHz and shorter than a batch."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "noise" / "free"
    folder.mkdir(parents=True)
    soundfile.write(folder / "a.wav", generator.normal(0, 0.1, 40000), 16000)
    soundfile.write(folder / "b.wav", generator.normal(0, 0.1, 4000), 8000)
    return tmp_path / "noise"


def seeded(augment, seed, wavs, lens):
    """As ``ClassificationBrain`` seeds each batch."""
    torch.manual_seed(seed)
    random.seed(seed)
    return augment(wavs, lens)


def test_a_batch_is_augmented_alike_whatever_came_before(noises, tmp_path):
    make = [make_augmenter(noises, noises, tmp_path / "csv") for _ in range(2)]
    wavs, lens = torch.randn(3, 16000), torch.tensor([1.0, 0.5, 0.8])
    first = [seeded(make[0], seed, wavs, lens)[0] for seed in range(8)]
    for seed in (7, 3, 5):
        assert torch.equal(seeded(make[1], seed, wavs, lens)[0], first[seed])
    kept = sum(torch.equal(wav, wavs) for wav in first)
    assert 0 < kept < 8
    assert all(wav.shape == wavs.shape for wav in first)


def test_noise_has_the_ratio_that_is_asked_for(noises, tmp_path):
    augment = make_augmenter(noises, None, tmp_path / "csv", 10, 10)
    (noise,) = augment.augmentations.values()
    wavs = torch.randn(2, 32000)
    noisy = noise(wavs, torch.ones(2))
    # SpeechBrain scales the speech down by as much as noise is added.
    share = 1 / (10 ** (10 / 20) + 1)
    added = noisy - wavs * (1 - share)
    ratio = 20 * torch.log10(
        (wavs * (1 - share)).square().mean().sqrt()
        / added.square().mean().sqrt()
    )
    assert float(ratio) == pytest.approx(10, abs=0.2)


def test_a_room_of_one_impulse_changes_nothing(tmp_path):
    soundfile.write(tmp_path / "room.wav", [1.0] + [0.0] * 799, 16000, "FLOAT")
    files = AudioFiles(tmp_path, tmp_path / "rirs.csv")
    wavs = torch.randn(2, 8000)
    assert (Reverb(files)(wavs) - wavs).abs().max() < 1e-4


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="leave --noise_folder and"):
        make_augmenter(tmp_path / "musan", None, tmp_path)
