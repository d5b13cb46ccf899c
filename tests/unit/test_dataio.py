"""Audio and labels: what is refused, by name, and what is converted.

Authors
 * The d2v_sb developers 2026
"""

import csv

import numpy
import pytest
import soundfile
import torch

from d2v_sb.dataio import asr_dataset, drop_unalignable, read_audio
from d2v_sb.errors import DataError
from d2v_sb.lobes.feature_extractor import num_frames
from d2v_sb.presets import PRESETS
from d2v_sb.tokens import Letters, Subwords

RATE = 16000
LAYERS = PRESETS["base"].conv_feature_layers
LETTERS = Letters(" AB")


def tone(seconds=1.0, rate=RATE, frequency=440):
    """A sine of amplitude 0.5."""
    times = numpy.arange(round(seconds * rate)) / rate
    return 0.5 * numpy.sin(2 * numpy.pi * frequency * times)


def write(path, samples, rate=RATE, **options):
    """Writes audio; returns its path as a manifest has it."""
    soundfile.write(path, samples, rate, **options)
    return str(path)


def pitch(wav):
    """The strongest frequency, in Hz."""
    spectrum = torch.fft.rfft(wav).abs()
    return spectrum.argmax().item() * RATE / len(wav)


def test_samples_come_as_they_are_in_the_file(tmp_path):
    path = write(tmp_path / "a.wav", tone(), subtype="FLOAT")
    wav = read_audio(path)
    assert wav.dtype == torch.float32
    assert torch.equal(wav, torch.from_numpy(tone()).float())
    assert torch.equal(read_audio(path, convert=True), wav)


@pytest.mark.parametrize(
    "samples, rate, found",
    [
        (
            numpy.stack([tone(), tone()], 1),
            RATE,
            r"16000 Hz and 2 channel\(s\)",
        ),
        (tone(rate=8000), 8000, r"8000 Hz and 1 channel\(s\)"),
    ],
    ids=["stereo", "8 kHz"],
)
def test_another_format_is_refused_with_the_options(
    tmp_path, samples, rate, found
):
    path = write(tmp_path / "a.flac", samples, rate)
    with pytest.raises(DataError, match=f"a.flac has {found}") as caught:
        read_audio(path)
    assert "--on_bad_audio convert" in str(caught.value)
    assert "drop" in str(caught.value)


@pytest.mark.parametrize("convert", [False, True])
@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, bad, convert):
    samples = tone()
    samples[1234] = bad
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(DataError, match="a.wav holds .* NaN or infinite"):
        read_audio(path, convert)


@pytest.mark.parametrize("convert", [False, True])
def test_what_is_no_audio_is_named(tmp_path, convert):
    write(tmp_path / "empty.wav", numpy.zeros(0))
    (tmp_path / "nothing.wav").touch()
    (tmp_path / "text.wav").write_text("a transcript\n")
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(DataError, match="empty.wav is empty"):
        read_audio(str(tmp_path / "empty.wav"), convert)
    for name in ("nothing", "text", "folder", "missing"):
        with pytest.raises(DataError, match=f"{name}.wav can not be read"):
            read_audio(str(tmp_path / f"{name}.wav"), convert)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_converting_keeps_length_pitch_and_loudness(tmp_path, rate):
    path = write(tmp_path / "a.wav", tone(0.5, rate), rate)
    wav = read_audio(path, convert=True)
    assert abs(len(wav) - 0.5 * RATE) <= 1
    assert pitch(wav) == pytest.approx(440, abs=2)
    middle = wav[1000:-1000]
    assert middle.abs().max() == pytest.approx(0.5, abs=0.01)


def test_converting_mixes_channels_by_their_mean(tmp_path):
    both = numpy.stack([tone(frequency=440), 0.5 * tone(frequency=440)], 1)
    path = write(tmp_path / "a.wav", both, subtype="FLOAT")
    wav = read_audio(path, convert=True)
    expected = torch.from_numpy(0.75 * tone()).float()
    torch.testing.assert_close(wav, expected)


def test_letters_are_numbered_after_the_blank():
    encoder = Letters(" 'AB")
    assert len(encoder) == 5 and encoder.get_blank_index() == 0
    assert encoder.encode_sequence(list("A 'B")) == [3, 1, 2, 4]
    assert encoder.decode_ndim([3, 1, 2, 4]) == list("A 'B")
    with pytest.raises(KeyError):
        encoder.encode_sequence("C")


def manifest(folder, texts, seconds=1.0):
    """A CSV with a tone for each text; `seconds` one or one each."""
    if isinstance(seconds, float):
        seconds = [seconds] * len(texts)
    path = folder / "a.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["ID", "duration", "wav", "wrd"])
        for i, (text, duration) in enumerate(zip(texts, seconds, strict=True)):
            write(folder / f"u{i}.wav", tone(duration))
            rows.writerow([f"u{i}", duration, folder / f"u{i}.wav", text])
    return str(path)


def test_a_dataset_gives_waveform_words_and_labels(tmp_path):
    path = manifest(tmp_path, ["A B", "BB"], [0.5, 0.25])
    dataset = asr_dataset(path, Letters(" AB"))
    item = dataset[0]
    assert set(item) == {"id", "sig", "wrd", "tokens"}
    assert item["id"] == "u0" and item["wrd"] == "A B"
    assert torch.equal(item["tokens"], torch.tensor([2, 1, 3]))
    assert len(item["sig"]) == 8000 and len(dataset[1]["sig"]) == 4000


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no .*b.csv: .*skip_prep"):
        asr_dataset(str(tmp_path / "b.csv"), Letters("AB"))


def test_every_foreign_letter_is_named_with_its_first_utterance(tmp_path):
    path = manifest(tmp_path, ["AB", "AÉ", "B-É", "BA"])
    with pytest.raises(DataError) as caught:
        asr_dataset(path, Letters(" AB"))
    message = str(caught.value)
    assert "'É' (u1), '-' (u2)." in message and "'A'" not in message
    assert "a.csv" in message and "`alphabet`" in message


def samples_for(frames):
    """The fewest samples that make so many frames."""
    return next(n for n in range(10**6) if num_frames(n, LAYERS) == frames)


def test_what_ctc_can_not_align_is_left_out_and_listed(tmp_path, caplog):
    """A frame a letter, and one more between equal neighbours."""
    cases = [
        ("ABAB", 4, True),
        ("ABAB", 3, False),
        ("AABB", 6, True),
        ("AABB", 5, False),
        ("AAA", 5, True),
        ("AAA", 4, False),
        ("A A", 3, True),
    ]
    texts = [text for text, _, _ in cases]
    seconds = [samples_for(frames) / RATE for _, frames, _ in cases]
    path = manifest(tmp_path, texts, seconds)
    dataset = asr_dataset(path, Letters(" AB"))
    kept = drop_unalignable(dataset, LETTERS, LAYERS, tmp_path / "out.txt")
    fits = [f"u{i}" for i, (_, _, fit) in enumerate(cases) if fit]
    assert [item["id"] for item in kept] == fits
    assert (tmp_path / "out.txt").read_text() == "u1\nu3\nu5\n"
    assert "3 of 7 utterances" in caplog.text and "out.txt" in caplog.text
    # torch's own judgement: no alignment is an infinite loss.
    for text, frames, fit in cases:
        labels = Letters(" AB").encode(text)
        loss = torch.nn.functional.ctc_loss(
            torch.zeros(frames, 1, 4).log_softmax(-1),
            torch.tensor([labels]),
            [frames],
            [len(labels)],
        )
        assert torch.isfinite(loss) == fit


def test_where_all_can_be_aligned_nothing_is_listed(tmp_path):
    path = manifest(tmp_path, ["AB", "BA"])
    dataset = asr_dataset(path, Letters("AB"))
    (tmp_path / "out.txt").write_text("u0\n")  # of an earlier run
    kept = drop_unalignable(dataset, LETTERS, LAYERS, tmp_path / "out.txt")
    assert len(kept) == 2 and not (tmp_path / "out.txt").exists()


def test_nothing_left_to_train_on_is_an_error(tmp_path):
    path = manifest(tmp_path, ["ABAB" * 9, "BA" * 20], 0.1)
    dataset = asr_dataset(path, Letters("AB"))
    with pytest.raises(DataError, match="every utterance is too short"):
        drop_unalignable(dataset, LETTERS, LAYERS, tmp_path / "out.txt")


def test_subwords_need_fewer_frames_than_letters(tmp_path):
    """21 frames hold a word of 24 letters that is a few subwords."""
    texts = ["ABABABABABABABABABABABAB"] * 4 + ["BABA"] * 4
    path = manifest(tmp_path, texts, 0.425)
    subwords = Subwords(path, tmp_path, 6, "bpe")
    assert num_frames(int(0.425 * RATE), LAYERS) == 21
    for labels, kept in ((LETTERS, 4), (subwords, 8)):
        dataset = asr_dataset(path, labels)
        rest = drop_unalignable(dataset, labels, LAYERS, tmp_path / "out.txt")
        assert len(rest) == kept


def test_silence_is_read_and_said(tmp_path, caplog):
    path = tmp_path / "silence.wav"
    soundfile.write(path, [0.0] * 800, 16000)
    assert read_audio(str(path)).abs().sum() == 0
    assert f"{path} is silent" in caplog.text
