"""Audio files: each fault is found and named, and sound files pass.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb.audio_files import (
    ON_BAD_AUDIO,
    Fault,
    check_audio,
    check_choice,
    examine,
    read_dropped,
    stop_message,
    write_faults,
)
from d2v_sb.errors import DataError


def noise(num_samples=8000):
    """Quiet white noise."""
    return 0.1 * np.random.default_rng(0).standard_normal(num_samples)


@pytest.fixture
def path(tmp_path):
    """A sound file."""
    sf.write(tmp_path / "a.flac", noise(), 16000)
    return tmp_path / "a.flac"


# Faults: how a file is made to have one, what the reason says.


def cut(path, share):
    """Keeps the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


def write_float(path, value):
    """Replaces a file by a WAV of floats with one odd sample."""
    samples = noise(100000)
    samples[90000] = value
    sf.write(path, samples, 16000, subtype="FLOAT", format="WAV")


def write_cut_wav(path):
    """Replaces a file by a WAV that lacks its second half."""
    sf.write(path, noise(), 16000, format="WAV")
    cut(path, 0.5)


def forget_length(path):
    """Zeroes the number of samples in a FLAC's header."""
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)


FAULTS = {
    "missing": (Path.unlink, "unreadable: .*No such file"),
    "no bytes": (lambda p: p.write_bytes(b""), "empty: a file of 0 bytes"),
    "not audio": (lambda p: p.write_text("<html>" * 99), "unreadable"),
    "no samples": (
        lambda p: sf.write(p, noise(0), 16000, format="WAV"),
        "empty: 0 samples",
    ),
    "too short": (lambda p: sf.write(p, noise(399), 16000), "too short: 399"),
    # Length counts at 16 kHz, and is never mended by conversion.
    "too short, other rate": (
        lambda p: sf.write(p, noise(500), 44100),
        "too short: 500 samples at 44100 Hz",
    ),
    "cut flac": (lambda p: cut(p, 0.5), "truncated: the last of its 8000"),
    "cut flac, last byte": (lambda p: cut(p, 0.9999), "truncated"),
    "cut wav": (write_cut_wav, "truncated: .* bytes are missing"),
    "nan": (lambda p: write_float(p, np.nan), "NaN or infinite"),
    "inf": (lambda p: write_float(p, -np.inf), "NaN or infinite"),
    "no length": (forget_length, "no length in its header"),
}
CONVERTIBLE = {
    "rate": (lambda p: sf.write(p, noise(), 8000), "8000 Hz, not 16000"),
    "stereo": (
        lambda p: sf.write(p, np.stack([noise()] * 2, 1), 16000),
        "2 channels, not 1",
    ),
    "short, other rate": (lambda p: sf.write(p, noise(250), 8000), "8000 Hz"),
}


@pytest.mark.parametrize("name", [*FAULTS, *CONVERTIBLE])
def test_fault_is_found_and_named(path, name):
    """And only a wrong rate or number of channels can be converted."""
    spoil, reason = {**FAULTS, **CONVERTIBLE}[name]
    spoil(path)
    _, fault = examine("a", path)
    assert (fault.id, fault.where) == ("a", str(path))
    assert fault.convertible == (name in CONVERTIBLE)
    with pytest.raises(ValueError, match=reason):
        raise ValueError(fault.reason)


@pytest.mark.parametrize("choice", ON_BAD_AUDIO)
@pytest.mark.parametrize("name", ["nan", "rate"])
def test_only_convert_keeps_and_only_the_convertible(path, name, choice):
    good = path.with_name("good.flac")
    sf.write(good, noise(), 16000)
    {**FAULTS, **CONVERTIBLE}[name][0](path)
    files = [("a", path), ("b", str(good))]
    durations, dropped, kept = check_audio(files, choice)
    keeps = choice == "convert" and name == "rate"
    assert durations == ({"a": 1.0, "b": 0.5} if keeps else {"b": 0.5})
    assert len(kept) == keeps and len(dropped) == 1 - keeps


def test_order_is_that_of_the_files_whatever_the_threads(tmp_path):
    files = []
    for i in range(100):
        files.append((f"{i}", tmp_path / f"{i}.wav"))
        sf.write(files[-1][1], noise(400 + i), 16000)
    durations, *_ = check_audio(files, num_workers=4)
    assert list(durations.items()) == [
        (f"{i}", (400 + i) / 16000) for i in range(100)
    ]
    assert durations == check_audio(files, num_workers=1)[0]


def test_good_float_wav_passes(path):
    """Floats are read, not refused."""
    write_float(path, 0.5)
    assert examine("a", path) == (100000 / 16000, None)


def test_shortest_audio_passes(path):
    """400 samples are one frame."""
    sf.write(path, noise(400), 16000)
    assert examine("a", path) == (0.025, None)


@pytest.mark.parametrize("size", [b"\xff" * 4, bytes(4)])
def test_wav_from_a_pipe_passes(path, size):
    """A RIFF size that its writer did not know says nothing."""
    sf.write(path, noise(), 16000, format="WAV")
    data = bytearray(path.read_bytes())
    data[4:8] = size
    path.write_bytes(data)
    assert examine("a", path) == (0.5, None)


def test_unknown_choice_names_the_choices():
    """A typing error must not mean the default."""
    with pytest.raises(DataError, match="'skip'.*'error'.*'drop'.*'convert'"):
        check_choice("skip")


def test_list_is_one_of_its_choice(tmp_path):
    """Reasons of several lines take one; another choice is no answer."""
    path = tmp_path / "dev.bad.txt"
    assert read_dropped(path, "drop") == set()
    faults = [Fault("a", "a.flac", "two\nlines"), Fault("b", "b.flac", "x")]
    write_faults(path, "convert", faults[:1], faults[1:])
    lines = path.read_text().splitlines()
    assert lines[1:] == [
        "dropped\ta\ta.flac\ttwo lines",
        "kept\tb\tb.flac\tx",
    ]
    assert read_dropped(path, "convert") == {("a", "a.flac")}
    assert read_dropped(path, "drop") is None
    path.write_text("")
    assert read_dropped(path, "convert") is None


def test_message_shows_twenty_and_counts_the_rest():
    """A corpus that is bad throughout does not fill the screen."""
    faults = [Fault(f"{i}", f"{i}.flac", "bad", i < 7) for i in range(30)]
    message = stop_message("dev", faults, 99, "dev.bad.txt")
    assert "dev: 30 of 99 utterances" in message
    assert message.count("bad\n") == 20 and "and 10 more" in message
    assert "listed in dev.bad.txt" in message
    assert "'drop'" in message and "'convert'" in message
    assert "it would keep 7 of these" in message


def write_piped_mp3(path, samples, rate):
    """An MP3 file as ffmpeg writes it into a pipe: of a constant bit rate,
    with an ID3 tag, and without LAME's first frame, which says the length."""
    sf.write(
        path,
        samples,
        rate,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=0.5,
    )
    data = path.read_bytes()
    second = data.index(data[:2], 4)
    assert b"Info" in data[:second]
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x23" + bytes(0x23)
    path.write_bytes(tag + data[second:])


@pytest.mark.parametrize("rate", [48000, 32000])
def test_mp3_without_a_length_is_measured_and_not_called_truncated(
    tmp_path, rate
):
    """libsndfile's guess of it is too much; to believe that is the mistake."""
    path = tmp_path / "a.mp3"
    write_piped_mp3(path, noise(2 * rate), rate)
    seconds, fault = examine("a", path)
    assert fault.convertible and fault.reason == f"{rate} Hz, not 16000"
    assert seconds == sf.read(path)[0].size / rate
    assert 2 <= seconds < 2.1 and seconds < sf.info(path).duration


def test_mp3_that_says_its_length_is_truncated_where_it_is(tmp_path):
    """It is not measured, so that what lacks is seen."""
    path = tmp_path / "a.mp3"
    sf.write(path, noise(96000), 48000, format="MP3")
    assert examine("a", path)[0] == 2
    path.write_bytes(path.read_bytes()[:-1000])
    assert examine("a", path)[1].reason.startswith("truncated")
