"""Pieces of files are the files.

Authors
 * The d2v_sb developers 2026
"""

import pytest
import torch

from d2v_sb.bulk import pieces
from d2v_sb.bulk.pieces import AtPauses, Overlapping, Windows, quietest
from d2v_sb.errors import DataError, UserError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.presets import PRESETS

LAYERS = PRESETS["tiny"].conv_feature_layers
LENGTHS = (400, 719, 720, 16000, 16079, 40000, 64321)


def blocks(wav, size=7000):
    """A waveform as a reader gives it."""
    return list(wav.split(size))


@pytest.mark.parametrize("num_samples", LENGTHS)
@pytest.mark.parametrize("size", [500, 7000, 100_000])
def test_the_frames_that_count_are_those_of_the_whole_file(num_samples, size):
    """By a model whose frames know their place: the sample they begin at."""
    wav = torch.arange(num_samples, dtype=torch.float64)
    cut = Overlapping(LAYERS, chunk_seconds=0.5, context_seconds=0.2)
    starts = []
    for piece in cut(blocks(wav, size)):
        frames = piece.wav.unfold(0, cut.window, cut.hop)[:, 0]
        starts += frames[piece.first : piece.first + piece.num_frames].tolist()
    whole = wav.unfold(0, cut.window, cut.hop)[:, 0].tolist()
    assert starts == whole


def test_context_is_what_makes_chunks_like_the_whole():
    """The conv frames of chunks with context equal the whole's exactly; a
    transformer sees more with it than without."""
    encoder = Data2VecAudio("tiny", normalize=False).eval()
    wav = torch.randn(64000)
    with torch.no_grad():
        whole = encoder(wav[None])[0]

        def error(context_seconds):
            cut = Overlapping(LAYERS, 1.0, context_seconds)
            parts = [
                encoder(p.wav[None])[0][p.first : p.first + p.num_frames]
                for p in cut(blocks(wav))
            ]
            return (torch.cat(parts) - whole).abs().mean().item()

        assert error(1.0) < error(0.0) / 2
        assert error(3.0) < 1e-5  # all is context then


@pytest.mark.parametrize("num_samples", LENGTHS)
def test_a_file_of_one_chunk_is_heard_whole(num_samples):
    wav = torch.randn(num_samples)
    (piece,) = Overlapping(LAYERS, 10.0, 1.0)(blocks(wav))
    assert torch.equal(piece.wav, wav)
    assert piece.last and (piece.start, piece.first) == (0, 0)


@pytest.mark.parametrize("num_samples", LENGTHS)
def test_pieces_at_pauses_are_the_file(num_samples):
    wav = torch.randn(num_samples)
    pieces = list(AtPauses(1.0)(blocks(wav)))
    assert torch.equal(torch.cat([p.wav for p in pieces]), wav)
    assert [p.last for p in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(400 <= len(p.wav) <= 16000 for p in pieces)
    starts = torch.tensor([0, *(len(p.wav) for p in pieces)]).cumsum(0)
    assert [p.start for p in pieces] == starts[:-1].tolist()


def test_a_cut_is_in_the_pause():
    wav = torch.randn(16000)
    wav[12000:14000] *= 0.01
    assert 12000 < quietest(wav, 9600) < 14000


@pytest.mark.parametrize("num_samples", LENGTHS)
@pytest.mark.parametrize("hop_seconds", [0.3, 1.0, 1.7])
def test_windows_are_those_of_classify_windows(num_samples, hop_seconds):
    wav = torch.randn(num_samples)
    pieces = list(Windows(1.0, hop_seconds)(blocks(wav, 3000)))
    length = min(num_samples, 16000)
    hop = round(hop_seconds * 16000)
    last = num_samples - length
    assert [p.start for p in pieces] == [*range(0, last, hop), last]
    for piece in pieces:
        part = wav[piece.start : piece.start + length]
        assert torch.equal(piece.wav, part)
    assert [p.last for p in pieces].index(True) == len(pieces) - 1


@pytest.mark.parametrize(
    "cut", [Overlapping(LAYERS), AtPauses(), Windows(1.0, 1.0)]
)
def test_what_gives_no_frame_is_refused(cut):
    with pytest.raises(DataError, match="empty"):
        list(cut([]))
    with pytest.raises(DataError, match="too short"):
        list(cut([torch.ones(399)]))


def test_lengths_that_make_no_sense_are_refused():
    for make in (
        lambda: Overlapping(LAYERS, 0.01),
        lambda: Overlapping(LAYERS, 1.0, -1.0),
        lambda: AtPauses(0.5),
        lambda: Windows(0.01, 1.0),
        lambda: Windows(1.0, 0.0),
    ):
        with pytest.raises(UserError, match="_seconds="):
            make()


@pytest.mark.parametrize(
    "cut", [Overlapping(LAYERS, 1.0, 0.5), AtPauses(1.0), Windows(1.0, 0.5)]
)
def test_memory_follows_the_piece_and_not_the_file(cut, monkeypatch):
    held, take = [], pieces._Buffer.slice

    def spy(self, begin, end):
        held.append(sum(map(len, self.parts)))
        return take(self, begin, end)

    monkeypatch.setattr(pieces._Buffer, "slice", spy)
    for piece in cut(torch.randn(16000) for _ in range(50)):
        assert piece.wav.untyped_storage().nbytes() <= 4 * 32100
    assert max(held) <= 5 * 16000
