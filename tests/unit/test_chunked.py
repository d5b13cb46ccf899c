"""Hearing in chunks: the whole where it can be, and every frame once.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import soundfile
import torch
from speechbrain.inference.ASR import EncoderASR
from speechbrain.nnet.linear import Linear

from d2v_sb.alignment import transcribe_words
from d2v_sb.chunked import stream_log_probs, stream_words
from d2v_sb.errors import DataError, UserError
from d2v_sb.inference import export_ctc
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.tokens import Letters

LETTERS = Letters(" ABCDEFGH")
SECONDS = 7.3


def ctc_model(**options):
    """A small random model whose texts are long and differ."""
    torch.manual_seed(0)
    encoder = Data2VecAudio("tiny", encoder_layers=1, **options)
    head = Linear(input_size=128, n_neurons=len(LETTERS))
    with torch.no_grad():
        head.w.weight.mul_(4)
    return CTCModel(encoder, head).eval()


@pytest.fixture(scope="module")
def asr(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "inference"
    export_ctc(folder, ctc_model(), LETTERS)
    return EncoderASR.from_hparams(source=str(folder))


def noise(path, rate=16000, channels=1, offset=0.1):
    """Noise that is loud in its second half, and not about zero."""
    generator = torch.Generator().manual_seed(1)
    wav = 0.1 * torch.randn(int(SECONDS * rate), channels, generator=generator)
    wav[len(wav) // 2 :] *= 4
    soundfile.write(path, wav + offset, rate, subtype="FLOAT")
    return str(path)


def test_one_chunk_is_the_whole_file(asr, tmp_path):
    path = noise(tmp_path / "a.wav")
    wav = asr.load_audio(path)
    expected = asr.encode_batch(wav[None], torch.ones(1))[0]
    (found,) = stream_log_probs(asr.mods.encoder, path, chunk_seconds=60)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    words = list(stream_words(asr, path, chunk_seconds=60))
    assert [word.text for word in words] == asr.transcribe_file(path).split()
    for word, other in zip(words, transcribe_words(asr, path), strict=True):
        assert word[:3] == other[:3]
        assert word.confidence == pytest.approx(other.confidence, abs=1e-5)


@pytest.mark.parametrize("chunk", (0.02, 1.0, 2.37, 7.25))
def test_chunks_that_see_all_give_the_whole(asr, tmp_path, chunk):
    """Each frame comes once, in its place, whatever the chunks' borders."""
    path = noise(tmp_path / "a.wav")
    model = asr.mods.encoder
    (whole,) = stream_log_probs(model, path, chunk_seconds=60)
    every = 40 if chunk < 0.1 else 1  # 364 passes would take long
    blocks = list(stream_log_probs(model, path, chunk * every, 60))
    assert len(blocks) > 1
    torch.testing.assert_close(torch.cat(blocks), whole, atol=1e-5, rtol=0)
    words = list(stream_words(asr, path, chunk * every, 60))
    assert words[0][:3] == next(stream_words(asr, path, 60))[:3]


def test_less_context_changes_little_and_none_more(asr, tmp_path):
    path = noise(tmp_path / "a.wav")
    model = asr.mods.encoder
    (whole,) = stream_log_probs(model, path, chunk_seconds=60)

    def error(context):
        blocks = stream_log_probs(model, path, 2.0, context)
        return (torch.cat(list(blocks)) - whole).abs().mean().item()

    assert error(60) < 1e-5 < error(2.0) < error(0.0)


def test_the_waveform_is_normalised_by_the_whole_file(tmp_path):
    """By each chunk's own loudness the quiet half would sound like the loud
    one; a model that does not normalise hears the file as it is."""
    path = noise(tmp_path / "a.wav")
    model = ctc_model(normalize=False)
    wav = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    with torch.no_grad():
        expected = model(wav[None])[0]
    (found,) = stream_log_probs(model, path, 60)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    (other,) = stream_log_probs(ctc_model(), path, 60)
    assert (other - found).abs().max() > 1e-3


def test_other_rates_and_channels_are_converted(asr, tmp_path):
    path = noise(tmp_path / "a.wav", rate=8000, channels=2)
    blocks = list(stream_log_probs(asr.mods.encoder, path, 2.0, 1.0))
    count = asr.mods.encoder.encoder.num_frames(int(SECONDS * 16000))
    assert sum(map(len, blocks)) == count


def test_what_can_not_be_heard_is_explained(asr, tmp_path):
    model = asr.mods.encoder
    path = noise(tmp_path / "a.wav")
    for options in ((0.001, 1), (1, -1)):
        with pytest.raises(UserError, match="a chunk has at least 0.02 s"):
            next(stream_log_probs(model, path, *options))
    with pytest.raises(UserError, match="output_norm"):
        next(stream_log_probs(ctc_model(output_norm=True), path))
    (tmp_path / "b.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match="b.wav can not be read"):
        next(stream_log_probs(model, str(tmp_path / "b.wav")))
    soundfile.write(tmp_path / "c.wav", [0.1] * 300, 16000)
    with pytest.raises(DataError, match="c.wav is shorter than a frame"):
        next(stream_log_probs(model, str(tmp_path / "c.wav")))
