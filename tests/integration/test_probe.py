"""The linear probe: it finds what is there, and nothing where nothing is.

Authors
 * The d2v_sb developers 2026
"""

import sys

import numpy
import pytest
import soundfile

from tests.integration.recipe_runs import ROOT, run

pytestmark = pytest.mark.integration


def write_speakers(split, pitches, num_clips=8):
    """Clips of noise and a tone; a speaker is a pitch."""
    random = numpy.random.default_rng(0)
    time = numpy.arange(12000) / 16000
    for speaker, pitch in enumerate(pitches, start=1):
        chapter = split / f"{speaker}/1"
        chapter.mkdir(parents=True)
        for i in range(num_clips):
            tone = numpy.sin(2 * numpy.pi * pitch * time + random.random())
            clip = 0.3 * tone + random.normal(0, 0.1, len(time))
            soundfile.write(chapter / f"{speaker}-1-{i:04d}.flac", clip, 16000)


def probe(folder, *words):
    """Runs the script on the split `speakers`."""
    script = ROOT / "recipes/LibriSpeech/probe.py"
    command = [sys.executable, str(script), "--data_folder", str(folder)]
    return run([*command, "--split", "speakers", *words])


def accuracy(line):
    return float(line.partition("speaker accuracy ")[2].split()[0])


def test_it_tells_pitches_apart_and_not_equal_ones(tmp_path):
    write_speakers(tmp_path / "a/speakers", (150, 400, 1000, 2500))
    write_speakers(tmp_path / "b/speakers", (400,) * 4)
    encoders = ("--encoder", "d2v_sb/small")
    different = probe(tmp_path / "a", *encoders).stdout.splitlines()[-1]
    equal = probe(tmp_path / "b", *encoders).stdout.splitlines()[-1]
    assert accuracy(different) == 100.0
    assert accuracy(equal) < 80.0  # of 8 clips; 25 by chance


def test_too_little_to_probe_is_explained(tmp_path):
    write_speakers(tmp_path / "speakers", (150, 400), num_clips=3)
    result = probe(tmp_path, "--encoder", "tiny")
    assert result.returncode == 1
    assert "two speakers or more" in result.stdout
    assert "Traceback" not in result.stdout
