"""Audio of any format: equal to the whole file's, bounded, damage seen.

Authors
 * The d2v_sb developers 2026
"""

import math
import sys
import weakref
from fractions import Fraction

import numpy as np
import pytest
import soundfile as sf
import torch
from torchaudio.functional import resample

from d2v_sb.bulk import audio
from d2v_sb.bulk.audio import audio_blocks, load_audio, probe
from d2v_sb.bulk.resampling import StreamingResampler
from d2v_sb.dataio import read_audio
from d2v_sb.errors import DataError, UserError

try:
    import av
except ImportError:
    av = None

needs_av = pytest.mark.skipif(av is None, reason="PyAV reads and writes these")
RATES = [8000, 11025, 22050, 44100, 48000, 96000]
SECONDS = 3.03  # no whole number of packets or frames at any rate


def sound(rate, channels=2, seconds=SECONDS):
    """A swelling tone of 440 Hz, and one of 660 in the others, (N, C)."""
    t = np.arange(round(rate * seconds)) / rate
    tones = [
        np.sin(2 * np.pi * (440 if c == 0 else 660) * t)
        for c in range(channels)
    ]
    swell = 0.4 * np.sin(np.pi * t) ** 2
    return (swell[:, None] * np.stack(tones, 1)).astype(np.float32)


def write(path, rate=44100, channels=2, subtype=None, seconds=SECONDS):
    """In the format of its ending."""
    sf.write(path, sound(rate, channels, seconds), rate, subtype)
    return path


def encode(path, codec, rate=48000, seconds=SECONDS, kind=None, **options):
    """A stereo file by FFmpeg; options of its container."""
    codec_options = {"b": options.pop("b", "128000")}
    with av.open(str(path), "w", format=kind, options=options) as container:
        stream = container.add_stream(
            codec, rate=rate, layout="stereo", options=codec_options
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound(rate, 2, seconds).T), "fltp", "stereo"
        )
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = 0
        to_codec = av.AudioResampler(stream.codec_context.format, "stereo")
        for part in [*to_codec.resample(frame), *to_codec.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def edited(path, edit):
    """The file again, its bytes changed."""
    path.write_bytes(edit(path.read_bytes()))
    return path


def cut(data):
    return data[: len(data) * 6 // 10]


def broken(data):
    """Zeros in the middle."""
    middle, length = len(data) // 2, len(data) // 5
    return data[:middle] + bytes(length) + data[middle + length :]


def streamed(wav, rate, sizes):
    """Resampled in pieces of these sizes, again and again."""
    resampler, parts, at = StreamingResampler(rate), [], 0
    while at < len(wav):
        for size in sizes:
            parts.append(resampler.push(wav[at : at + size]))
            at += size
    return torch.cat([*parts, resampler.finish()])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sizes", [[7001], [1, 300, 2], [441], [10**6]])
def test_any_split_resamples_to_what_the_whole_gives(rate, sizes):
    wav = torch.randn(30011, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        streamed(wav, rate, sizes),
        resample(wav, rate, 16000),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("rate", RATES)
def test_pieces_resampled_without_context_are_something_else(rate):
    wav = torch.randn(30000, generator=torch.Generator().manual_seed(0))
    whole = resample(wav, rate, 16000)
    size = 30 * rate // math.gcd(rate, 16000)  # where both rates meet
    parts = [resample(part, rate, 16000) for part in wav.split(size)]
    apart = torch.cat(parts)
    assert len(apart) == len(whole)
    assert (apart - whole).abs().max() > 0.01


@pytest.mark.parametrize("rate", RATES)
def test_length_is_that_of_the_whole(rate):
    for length in [1, 2, 440, 441, 442, 1000, 200_003]:
        wav = torch.zeros(length)
        whole = resample(wav, rate, 16000)
        assert len(streamed(wav, rate, [123_457])) == len(whole)


@pytest.mark.parametrize("rate", [11025, 22050, 44100])
def test_length_is_that_of_the_whole_where_torchaudio_loses_a_sample(rate):
    divisor = math.gcd(rate, 16000)
    old, new = rate // divisor, 16000 // divisor
    # One 441st above a whole number, which float32 does not hold.
    wav = torch.zeros(pow(new, -1, old) + 500 * old)
    whole = resample(wav, rate, 16000)
    assert len(whole) == math.ceil(new * len(wav) / old) - 1
    assert len(streamed(wav, rate, [123_457])) == len(whole)


def test_16_khz_pass_the_resampler_unchanged():
    wav = torch.randn(5000)
    assert torch.equal(streamed(wav, 16000, [7, 1000]), wav)


def test_rate_that_would_take_gigabytes_is_refused(tmp_path):
    sf.write(tmp_path / "a.wav", np.zeros(1000), 128_001)
    with pytest.raises(DataError, match="a.wav: 128001 Hz can not be"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "ending, rate, channels, subtype",
    [
        ("wav", 8000, 1, None),
        ("wav", 16000, 1, None),
        ("wav", 44100, 2, "FLOAT"),
        ("wav", 22050, 6, "PCM_24"),
        ("wav", 8000, 1, "ULAW"),
        ("flac", 96000, 2, None),
        ("aiff", 11025, 2, None),
        ("ogg", 44100, 2, None),
        ("ogg", 48000, 2, "OPUS"),
        ("mp3", 44100, 2, None),
        ("mp3", 16000, 1, None),
    ],
)
def test_blocks_together_are_the_file_as_training_reads_it(
    tmp_path, ending, rate, channels, subtype
):
    path = tmp_path / f"a.{ending}"
    # The piece of 10 seconds and libsndfile's own both end within it.
    write(path, rate, channels, subtype, seconds=10.7)
    whole = read_audio(str(path), convert=True)
    blocks = list(audio_blocks(path, block_seconds=0.7))
    assert {len(block) for block in blocks[:-1]} == {11200}
    assert 0 < len(blocks[-1]) <= 11200
    assert all(block.dtype == torch.float32 for block in blocks)
    torch.testing.assert_close(torch.cat(blocks), whole, rtol=0, atol=1e-6)
    assert probe(path).seconds == pytest.approx(len(whole) / 16000, abs=1e-4)


@pytest.mark.parametrize("block_seconds", [0.5, 1.0, 2.0, 3.0])
def test_last_block_is_full_where_blocks_divide_the_file(
    tmp_path, block_seconds
):
    write(tmp_path / "a.wav", 16000, 1, seconds=6)
    lengths = [len(b) for b in audio_blocks(tmp_path / "a.wav", block_seconds)]
    assert lengths == [block_seconds * 16000] * round(6 / block_seconds)


def test_block_without_a_sample_is_refused(tmp_path):
    with pytest.raises(UserError, match="block_seconds=0"):
        next(audio_blocks(write(tmp_path / "a.wav"), 0))


@needs_av
@pytest.mark.parametrize(
    "name, codec, rate",
    [
        ("a.m4a", "aac", 44100),
        ("a.mp4", "aac", 48000),
        ("a.m4a", "alac", 44100),
        ("a.webm", "libopus", 48000),
        ("a.opus", "libopus", 48000),
        ("a.mka", "flac", 44100),
        ("a.m4a", "aac", 16000),
    ],
)
def test_ffmpeg_gives_the_sound_in_its_place(tmp_path, name, codec, rate):
    path = encode(tmp_path / name, codec, rate)
    wav = load_audio(path)
    due = torch.from_numpy(sound(rate).mean(1))
    due = due if rate == 16000 else resample(due, rate, 16000)
    assert len(wav) == len(due)
    assert probe(path).seconds == pytest.approx(SECONDS, abs=0.02)
    assert probe(path)[1:3] == (rate, 2)

    def error(shift):
        return (wav.roll(shift) - due).square().mean().sqrt()

    assert error(0) < 0.01 < 0.02 < min(error(-1), error(1))


@needs_av
def test_name_that_looks_like_an_address_is_a_file(tmp_path, monkeypatch):
    encode(tmp_path / "http:12.m4a", "aac", 16000)
    monkeypatch.chdir(tmp_path)
    assert len(load_audio("http:12.m4a")) == 16000 * SECONDS


@needs_av
def test_both_decoders_give_the_same_samples(tmp_path):
    """Lossless, so nothing excuses a difference."""
    write(tmp_path / "a.flac", 44100)
    encode(tmp_path / "a.mka", "flac", 44100)
    wav = load_audio(tmp_path / "a.flac")
    torch.testing.assert_close(
        load_audio(tmp_path / "a.mka"), wav, atol=1e-4, rtol=0
    )


@needs_av
def test_sound_track_of_a_video_is_read_and_a_video_without_refused(tmp_path):
    for name, has_sound in (("with.mp4", True), ("without.mp4", False)):
        with av.open(str(tmp_path / name), "w") as container:
            film = container.add_stream("mpeg4", rate=10)
            film.width = film.height = 64
            film.pix_fmt = "yuv420p"
            if has_sound:
                track = container.add_stream("aac", rate=16000, layout="mono")
            for _ in range(30):
                image = np.zeros((64, 64, 3), np.uint8)
                image = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(film.encode(image))
            container.mux(film.encode(None))
            if has_sound:
                frame = av.AudioFrame.from_ndarray(
                    sound(16000, 1).T.copy(), "fltp", "mono"
                )
                frame.sample_rate, frame.pts = 16000, 0
                frame.time_base = Fraction(1, 16000)
                container.mux([*track.encode(frame), *track.encode(None)])
    assert len(load_audio(tmp_path / "with.mp4")) == 16000 * SECONDS
    for read in (load_audio, probe):
        with pytest.raises(DataError, match="without.mp4: no audio in it"):
            read(tmp_path / "without.mp4")


@needs_av
def test_mp3_whose_length_libsndfile_guesses_is_read_to_its_end(tmp_path):
    parts = []
    for rate in ("320000", "64000"):
        path = tmp_path / f"{rate}.mp3"
        encode(path, "libmp3lame", b=rate, write_xing="0", id3v2_version="0")
        parts.append(path.read_bytes())
    path = tmp_path / "a.mp3"
    path.write_bytes(b"".join(parts))
    samples, rate = sf.read(path)
    assert len(samples) / rate < 1.5 * SECONDS
    assert len(load_audio(path)) / 16000 == pytest.approx(2 * SECONDS, abs=0.2)
    assert probe(path).seconds is None


@needs_av
def test_ogg_streams_in_a_row_are_read_to_the_last(tmp_path):
    one = encode(tmp_path / "a.opus", "libopus").read_bytes()
    two = encode(tmp_path / "b.opus", "libopus", seconds=1).read_bytes()
    (tmp_path / "both.ogg").write_bytes(one + two)
    wav = load_audio(tmp_path / "both.ogg")
    assert len(wav) / 16000 == pytest.approx(SECONDS + 1, abs=0.01)


def test_flac_without_its_length_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "a.flac")
    whole = load_audio(path)
    # 36 bits of STREAMINFO
    edited(path, lambda d: d[:21] + bytes([d[21] & 0xF0, *bytes(4)]) + d[26:])
    assert probe(path).seconds is None
    assert torch.equal(load_audio(path), whole)


@needs_av
@pytest.mark.parametrize("size", [b"\xff" * 4, bytes(4)])
def test_wav_out_of_a_pipe_is_read_to_its_end(tmp_path, size):
    path = write(tmp_path / "a.wav")
    whole = load_audio(path)
    edited(path, lambda d: d[:4] + size + d[8:40] + size + d[44:])
    assert torch.equal(load_audio(path), whole)


@needs_av
def test_webm_of_a_browser_has_no_length_and_is_read(tmp_path):
    path = encode(tmp_path / "a.webm", "libopus", live="1")
    assert probe(path).seconds is None
    assert len(load_audio(path)) == 16000 * SECONDS


def not_audio(path):
    path.write_text("hello " * 100)
    return path


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda p: p / "a.wav", "unreadable: No such file"),
        (lambda p: p, "unreadable: Is a directory"),
        (lambda p: edited(write(p / "a.wav"), lambda d: b""), "empty: a file"),
        (lambda p: write(p / "a.wav", seconds=0), "empty: 0"),
        (lambda p: not_audio(p / "a.mp3"), "unreadable: Invalid data"),
        (lambda p: not_audio(p / "a.raw"), "no audio|unreadable"),
        (lambda p: edited(write(p / "a.wav"), cut), "truncated: .* bytes"),
        (
            lambda p: edited(write(p / "a.wav", 8000, 6), cut),
            "truncated: .* bytes",
        ),
        (lambda p: edited(write(p / "a.aiff"), cut), "truncated: .* bytes"),
        (lambda p: edited(write(p / "a.ogg"), cut), "truncated: .* bytes"),
        (lambda p: edited(write(p / "a.flac"), cut), "broken after .* s: "),
        (lambda p: edited(write(p / "a.flac"), broken), "broken after .* s: "),
        (lambda p: edited(write(p / "a.ogg", seconds=12), broken), "or broken"),
        (lambda p: edited(write(p / "a.mp3"), cut), "truncated or broken"),
        (lambda p: edited(write(p / "a.mp3"), broken), "broken after .* s: "),
    ],
)
@needs_av
def test_damage_is_an_error_that_says_which_file_and_what(
    tmp_path, make, reason
):
    path = make(tmp_path)
    with pytest.raises(DataError, match=reason) as error:
        load_audio(path)
    assert str(error.value).startswith(f"{path}: ")


@needs_av
@pytest.mark.parametrize(
    "name, codec, edit, reason",
    [
        ("a.m4a", "aac", cut, "unreadable: Invalid data found when proc"),
        ("a.m4a", "aac", broken, "broken after .* s: Invalid data"),
        ("a.webm", "libopus", cut, "truncated or broken: .* s are missing"),
        ("a.webm", "libopus", broken, "truncated or broken: .* s are missing"),
    ],
)
def test_damage_that_ffmpeg_passes_over_is_an_error(
    tmp_path, name, codec, edit, reason
):
    path = edited(encode(tmp_path / name, codec, seconds=12), edit)
    with pytest.raises(DataError, match=reason):
        load_audio(path)


@needs_av
def test_m4a_that_ends_between_two_packets_is_an_error(tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, "aac", seconds=12, movflags="faststart")
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio[0])
        end = [p.pos for p in packets if p.pos is not None][200]
    edited(path, lambda data: data[:end])
    with pytest.raises(DataError, match="truncated or broken: 7.. s are miss"):
        load_audio(path)


def test_file_without_permission_is_an_error(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Root may read anything, and tests may run as root.
    monkeypatch.setattr(audio, "open", refuse, raising=False)
    with pytest.raises(DataError, match="a.wav: unreadable: Permission denied"):
        load_audio(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_samples_that_are_no_numbers_are_an_error(tmp_path, value, rate):
    samples = sound(rate)
    samples[-5, 1] = value
    sf.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    with pytest.raises(DataError, match="a.wav: NaN or infinite samples"):
        load_audio(tmp_path / "a.wav")


def test_file_that_breaks_in_its_middle_gives_what_was_before(tmp_path):
    path = write(tmp_path / "a.flac", 16000, seconds=40)
    whole = load_audio(path)
    edited(path, broken)
    blocks = audio_blocks(path, block_seconds=5)
    torch.testing.assert_close(next(blocks), whole[:80000])
    with pytest.raises(DataError, match="a.flac: broken after"):
        list(blocks)


def test_without_pyav_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert len(load_audio(write(tmp_path / "a.mp3"))) == 16000 * SECONDS
    not_audio(tmp_path / "a.m4a")
    with pytest.raises(
        DataError, match=r'a.m4a: .* pip install "d2v_sb\[av\]"'
    ):
        load_audio(tmp_path / "a.m4a")


def test_longer_file_than_allowed_is_refused(tmp_path):
    path = write(tmp_path / "a.wav", 8000, 1, seconds=2)
    assert len(load_audio(path, max_seconds=2)) == 32000
    with pytest.raises(DataError, match="a.wav: longer than 1.9 s"):
        load_audio(path, max_seconds=1.9)


def test_file_is_closed_where_the_reader_stops(tmp_path, monkeypatch):
    closed = []

    class Decoder:
        def read(self):
            return 16000, iter([torch.zeros(16000)] * 100)

        def close(self):
            closed.append(True)

    monkeypatch.setattr(audio, "open_decoder", lambda path: Decoder())
    blocks = audio_blocks("a.wav", 1)
    next(blocks)
    blocks.close()
    assert closed == [True]


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("seconds_due", [None, 10**6])
def test_memory_follows_the_block(monkeypatch, rate, seconds_due):
    """No part of what was given out stays, not by an empty view either."""
    from d2v_sb.bulk.ffmpeg import _without_padding

    alive = weakref.WeakSet()

    class Samples(np.ndarray):
        """An array that can be hashed, hence counted."""

        __hash__ = object.__hash__

    def pieces():
        for _ in range(60):
            samples = np.zeros(2 * rate, np.float32)
            alive_samples = samples.view(Samples)
            alive.add(alive_samples)
            yield torch.from_numpy(alive_samples)

    class Decoder:
        def read(self):
            if seconds_due is None:
                return rate, pieces()
            return rate, _without_padding(pieces(), seconds_due, rate)

        def close(self):
            pass

    monkeypatch.setattr(audio, "open_decoder", lambda path: Decoder())
    most = 0
    for _ in audio_blocks("a.wav", block_seconds=4):
        most = max(most, len(alive))
    assert 0 < most <= 8  # two seconds each: a piece of ten and what follows


@pytest.mark.parametrize("named", ["absolute", "relative", "file:"])
def test_a_playlist_opens_no_other_file(tmp_path, named):
    """What a stranger's file names is not read for them."""
    encode(tmp_path / "private.aac", "aac", 16000)
    assert len(load_audio(str(tmp_path / "private.aac"))) > 0
    target = {
        "absolute": f"{tmp_path}/private.aac",
        "relative": "private.aac",
        "file:": f"file://{tmp_path}/private.aac",
    }[named]
    playlist = tmp_path / "x.m3u8"
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n"
    playlist.write_text(f"{head}{target}\n#EXT-X-ENDLIST\n")
    with pytest.raises(DataError, match="x.m3u8"):
        load_audio(str(playlist))
