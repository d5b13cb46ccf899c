"""Transcoding m4a: what comes out, what damage is seen, what a kill leaves.

Authors
 * The d2v_sb developers 2026
"""

import logging
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from d2v_sb.errors import DataError
from d2v_sb.transcoding import Unreadable, transcode, transcode_all

av = pytest.importorskip("av", reason="m4a is written and read with PyAV")

ROOT = Path(__file__).parents[2]
SECONDS = 2.1  # no whole number of packets at any rate


def tone(rate, seconds=SECONDS):
    """440 Hz that swell and fade twice a second, (N,)."""
    t = np.arange(round(rate * seconds)) / rate
    return 0.3 * np.sin(2 * np.pi * 440 * t) * np.sin(2 * np.pi * t) ** 2


def write_m4a(path, channels, rate=16000, **options):
    """Encodes channels (C, N) as AAC, as VoxCeleb2's files are."""
    layout = {1: "mono", 2: "stereo"}[len(channels)]
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = 96000
        frame = av.AudioFrame.from_ndarray(
            np.asarray(channels, np.float32), format="fltp", layout=layout
        )
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = 0  # without it, the encoder's delay is not written down
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.fixture
def m4a(tmp_path):
    """A good file, its header first as on the web."""
    path = tmp_path / "a.m4a"
    return write_m4a(path, [tone(16000)], movflags="faststart")


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_any_rate_becomes_16_khz_in_place(tmp_path, rate):
    """To the sample: neither delayed nor with what fills the last packet."""
    source, target = tmp_path / "a.m4a", tmp_path / "new" / "a.flac"
    transcode(write_m4a(source, [tone(rate)], rate), target)
    with sf.SoundFile(target) as file:
        assert (file.format, file.subtype) == ("FLAC", "PCM_16")
        assert (file.samplerate, file.channels) == (16000, 1)
        samples = file.read()
    due = tone(16000)
    assert len(samples) == len(due)

    def error(shift):
        return np.sqrt(np.mean((np.roll(samples, shift) - due) ** 2))

    assert error(0) < 0.004 < 0.02 < min(error(-1), error(1))


@pytest.mark.parametrize("rate", [8000, 44100])
def test_end_that_the_resampler_holds_back_is_written(tmp_path, rate):
    """WAV, since what fills AAC's last packet hides what is lost there."""
    sf.write(tmp_path / "a.wav", tone(rate), rate)
    transcode(tmp_path / "a.wav", tmp_path / "a.flac")
    samples, _ = sf.read(tmp_path / "a.flac")
    assert len(samples) == len(tone(16000))
    assert np.abs(samples - tone(16000))[-400:-20].max() < 0.002


def test_channels_are_averaged(tmp_path):
    """To take the first alone would halve what one microphone hears."""
    both = [tone(16000), 0 * tone(16000)]
    transcode(write_m4a(tmp_path / "a.m4a", both), tmp_path / "a.flac")
    samples, _ = sf.read(tmp_path / "a.flac")
    assert np.sqrt(np.mean((samples - tone(16000) / 2) ** 2)) < 0.002


def first_packets(path):
    """The bytes of a file up to the middle packet, which is left out."""
    with av.open(str(path)) as container:
        places = [p.pos for p in container.demux(audio=0) if p.size]
    return path.read_bytes()[: places[len(places) // 2]]


def spoilt(path):
    """With 300 bytes in its middle overwritten."""
    content = path.read_bytes()
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 300 + content[middle + 300 :]


DAMAGE = {
    "no bytes": (lambda p: b"", "unreadable: .*Invalid data"),
    "text": (lambda p: b"moved here\n" * 99, "unreadable: .*Invalid data"),
    "no header": (lambda p: p.read_bytes()[2000:], "unreadable: .*Invalid"),
    "cut": (lambda p: p.read_bytes()[:-3000], "unreadable: .*Invalid data"),
    "cut between packets": (first_packets, "truncated: the last 1.1 s are m"),
    "spoilt": (spoilt, "unreadable: .*Invalid data"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_seen_and_nothing_is_written(m4a, tmp_path, name):
    """Cut between packets, FFmpeg itself takes it for a shorter recording."""
    spoil, reason = DAMAGE[name]
    m4a.write_bytes(spoil(m4a))
    with pytest.raises(Unreadable, match=reason):
        transcode(m4a, tmp_path / "new" / "a.flac")
    assert not (tmp_path / "new").exists()


def test_missing_file_and_one_without_audio_are_unreadable(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        transcode(tmp_path / "gone.m4a", tmp_path / "a.flac")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 16
        frame = av.VideoFrame(16, 16, "yuv420p")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(Unreadable, match="no audio in it"):
        transcode(tmp_path / "a.mp4", tmp_path / "a.flac")


def test_bare_aac_whose_length_is_a_guess_is_taken_whole(tmp_path):
    """The guess is from the first packets' rate: here far too long a time."""
    samples = np.r_[tone(16000), np.zeros(160000), tone(16000)]
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="adts") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.float32([samples]), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        guess = float(stream.duration * stream.time_base)
    assert abs(guess - len(samples) / 16000) > 1
    transcode(path, tmp_path / "a.flac")
    assert 0 <= sf.info(tmp_path / "a.flac").frames - len(samples) < 4096


# Many.


@pytest.fixture
def files(tmp_path):
    """Five sources and where they go, in two folders."""
    made = []
    for i in range(5):
        source = write_m4a(tmp_path / f"{i}.m4a", [tone(16000, 0.5)])
        target = tmp_path / "flac" / str(i % 2) / f"{i}.flac"
        made.append((f"id{i}", source, target))
    return made


def test_broken_files_are_faults_and_the_others_are_made(files):
    """In order, with what make_manifest lists: id, file and reason."""
    for i in (3, 1):
        files[i][1].write_bytes(b"")
    faults = transcode_all(files)
    assert [(f.id, f.where) for f in faults] == [
        ("id1", str(files[1][1])),
        ("id3", str(files[3][1])),
    ]
    assert all("unreadable" in f.reason and not f.convertible for f in faults)
    assert [target.exists() for *_, target in files] == [1, 0, 1, 0, 1]


def test_what_is_there_is_left_and_what_is_empty_is_made(files, caplog):
    """And only broken sources are tried again."""
    files[2][1].write_bytes(b"")
    assert len(transcode_all(files)) == 1
    stamps = [files[i][2].stat().st_mtime_ns for i in (1, 3, 4)]
    files[0][2].write_bytes(b"")
    with caplog.at_level(logging.INFO):
        assert [fault.id for fault in transcode_all(files)] == ["id2"]
    assert "3 were made earlier" in caplog.text
    assert sf.info(files[0][2]).frames == 8000
    assert [files[i][2].stat().st_mtime_ns for i in (1, 3, 4)] == stamps


def test_target_that_can_not_be_written_stops_and_is_no_fault(files, tmp_path):
    """The source is good: `drop` must not lose it."""
    (tmp_path / "flac").write_text("in the way")
    with pytest.raises(DataError, match="flac was not written") as caught:
        transcode_all(files)
    assert not isinstance(caught.value, Unreadable)


KILLED = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from d2v_sb import transcoding

write, calls = transcoding.sf.write, []

def stop(path, *args, **kwargs):
    write(path, *args, **kwargs)
    calls.append(path)
    if len(calls) > 2:
        os.truncate(path, 99)
        os.write(1, b"STOPPED\\n")
        time.sleep(60)

transcoding.sf.write = stop
files = [(i, s, Path(t)) for i, s, t in {files!r}]
transcoding.transcode_all(files, num_workers=1)
"""


def test_kill_leaves_no_half_file_and_a_rerun_makes_the_rest(files, tmp_path):
    """SIGKILL, which no handler sees, while the third is half written."""
    names = [(id_, str(source), str(target)) for id_, source, target in files]
    code = KILLED.format(root=str(ROOT), files=names)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert line == b"STOPPED\n"
    assert [target.exists() for *_, target in files] == [1, 1, 0, 0, 0]
    assert [p.name[:8] for p in tmp_path.glob("flac/0/.*")] == [".2.flac."]

    assert transcode_all(files) == []
    assert {sf.info(target).frames for *_, target in files} == {8000}
    assert not list(tmp_path.glob("flac/*/.*"))


# Without PyAV.


@pytest.fixture
def without_av(tmp_path, monkeypatch):
    """No PyAV, and no program but those that are put in the folder."""
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_without_a_decoder_the_error_says_what_to_install(
    files, tmp_path, without_av
):
    """Before anything is made, and not once for each file."""
    with pytest.raises(DataError, match=r'pip install -e "\.\[av\]"'):
        transcode_all(files)
    assert not (tmp_path / "flac").exists()


def test_program_ffmpeg_stands_in(m4a, tmp_path, without_av):
    """It is asked for raw 16 kHz mono, and its failure is the file's."""
    program = without_av / "ffmpeg"
    (tmp_path / "raw").write_bytes(np.arange(-500, 500, dtype="<i2").tobytes())
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        f"open({str(tmp_path / 'asked')!r}, 'w').write(' '.join(sys.argv))\n"
        f"shutil.copyfileobj(open({str(tmp_path / 'raw')!r}, 'rb'), "
        "sys.stdout.buffer)\n"
    )
    program.chmod(0o755)
    transcode(m4a, tmp_path / "a.flac")
    samples, rate = sf.read(tmp_path / "a.flac", dtype="int16")
    assert samples.tolist() == list(range(-500, 500)) and rate == 16000
    asked = (tmp_path / "asked").read_text()
    assert f"-i {m4a} " in asked and "-ac 1 -ar 16000 -f s16le -" in asked

    program.write_text("#!/bin/sh\necho moov atom not found >&2\nexit 183\n")
    with pytest.raises(Unreadable, match="unreadable: moov atom not found"):
        transcode(m4a, tmp_path / "b.flac")
