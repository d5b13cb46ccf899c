"""Many files through a model: each gets what it gets alone, none is lost.

Authors
 * The d2v_sb developers 2026
"""

import json

import numpy as np
import pytest
import soundfile
import torch

from d2v_sb.bulk.engine import Engine
from d2v_sb.bulk.inputs import Item
from d2v_sb.bulk.loading import Failed, Loader, longest_first
from d2v_sb.bulk.pieces import AtPauses, Piece, Windows
from d2v_sb.bulk.results import Results
from d2v_sb.bulk.run import run_all
from d2v_sb.bulk.sndfile import open_sndfile
from d2v_sb.errors import DataError


class Sums:
    """A model that gives each row's sum, and notes its batches."""

    device = torch.device("cpu")

    def __init__(self):
        self.shapes = []

    def forward(self, wavs, wav_lens):
        """(B, N) to (B, N): the longest may be looked at in `rows` only."""
        self.shapes.append(tuple(wavs.shape))
        return (wavs,)

    def rows(self, tensors, num_samples):
        """Sums without padding."""
        rows = zip(tensors[0], num_samples, strict=True)
        return [round(row[:n].sum().item(), 3) for row, n in rows]


class Total:
    """Adds up a file's pieces."""

    def __init__(self):
        self.numbers, self.total = [], 0.0

    def add(self, piece, output):
        """After the last, the record."""
        self.numbers.append(piece.start)
        self.total += output
        assert self.numbers == sorted(self.numbers)
        return {"total": round(self.total, 2)} if piece.last else None


@pytest.fixture
def items(tmp_path):
    """Files of 0.1 to 4 s, of ones."""
    made = []
    for number, seconds in enumerate((0.1, 4.0, 0.5, 2.2, 0.11, 3.9, 1.0)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.full(int(seconds * 16000), 0.5), 16000)
        made.append(Item(path.name, str(path)))
    return made


def totals(items, **options):
    """Totals of all files by names, and the model."""
    model, results = Sums(), Results(None, "")
    engine = Engine(model, AtPauses(1.0), **options)
    summary = run_all(engine, items, results, lambda _: Total(), "summing")
    found = {r["name"]: r["total"] for r in results.records(items)}
    return found, model, summary


@pytest.mark.parametrize("batch_seconds", [0.2, 2.0, 60.0])
@pytest.mark.parametrize("num_workers", [1, 4])
def test_each_file_gets_all_of_itself_in_order(
    items, batch_seconds, num_workers
):
    found, model, summary = totals(
        items, batch_seconds=batch_seconds, num_workers=num_workers
    )
    expected = [0.1, 4.0, 0.5, 2.2, 0.11, 3.9, 1.0]
    assert [found[i.name] for i in items] == pytest.approx(
        [8000 * seconds for seconds in expected], rel=1e-3
    )
    assert summary.done == 7 and not summary.failed
    assert summary.audio_seconds == pytest.approx(sum(expected), abs=0.01)
    for B, N in model.shapes:
        assert B == 1 or B * N <= batch_seconds * 16000


def test_batches_are_of_like_lengths(items):
    _, model, _ = totals(items, batch_seconds=60.0)
    padded = sum(B * N for B, N in model.shapes)
    assert padded < 1.15 * 16000 * (0.1 + 4.0 + 0.5 + 2.2 + 0.11 + 3.9 + 1.0)
    assert max(B for B, _ in model.shapes) > 1


def test_a_broken_file_leaves_the_others(items, tmp_path):
    whole = (tmp_path / "1.wav").read_bytes()
    (tmp_path / "1.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "2.wav").write_text("no audio")
    missing = Item("absent.wav", str(tmp_path / "absent.wav"))
    found, _, summary = totals([*items, missing])
    assert set(found) == {"0.wav", "3.wav", "4.wav", "5.wav", "6.wav"}
    reasons = {x.item.name: x.reason for x in summary.failed}
    assert set(reasons) == {"1.wav", "2.wav", "absent.wav"}
    assert "truncated" in reasons["1.wav"]
    assert str(tmp_path) not in reasons["absent.wav"]


def test_a_file_that_breaks_after_some_pieces_is_not_half_done(
    items, monkeypatch
):
    def breaks(path, block_seconds):
        yield torch.ones(40000)
        raise DataError(f"{path}: broken after 2.5 s")

    monkeypatch.setattr("d2v_sb.bulk.loading.audio_blocks", breaks)
    discarded = []

    class Spool(Total):
        def discard(self):
            discarded.append(True)

    results = Results(None, "")
    engine = Engine(Sums(), AtPauses(1.0), batch_seconds=0.1)
    summary = run_all(engine, items[:1], results, lambda _: Spool(), "x")
    assert not list(results.records(items)) and discarded == [True]
    assert summary.failed[0].reason == "broken after 2.5 s"


def test_errors_of_the_program_are_not_taken_for_bad_files(items):
    def cut(blocks):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(Engine(Sums(), cut).run(items))


def test_reading_ahead_is_bounded_and_ends_with_the_user(items):
    reader = Loader(items * 50, Windows(0.5, 0.1), 4, ahead_seconds=2.0)
    with reader as loader:
        first = next(iter(loader))
        assert len(first.piece.wav) <= 8000
        # Each thread may hold one piece more than there is room for.
        assert loader._waiting <= 2 * 16000 + 8000
    assert not any(t.is_alive() for t in reader._threads)


def test_a_piece_longer_than_what_may_wait_still_passes(items):
    with Loader(items, AtPauses(10.0), 4, ahead_seconds=0.001) as loader:
        assert sum(found.piece.last for found in loader) == len(items)


def test_the_longest_are_first(items):
    found, failed = longest_first(items)
    seconds = [seconds for _, seconds in found]
    assert seconds == sorted(seconds, reverse=True) and failed == []


def test_what_is_done_is_known_again(items, tmp_path):
    path = tmp_path / "out.jsonl"

    def run(made_by):
        results = Results(path, made_by)
        engine = Engine(Sums(), AtPauses(1.0))
        done = run_all(engine, items, results, lambda _: Total(), "x").done
        results.finish(items)
        return done, list(results.records(items))

    assert run("model 1")[0] == 7
    assert run("model 1")[0] == 0
    # Another model does all again, and its lines replace the others.
    done, records = run("model 2")
    assert done == 7 and {r["made_by"] for r in records} == {"model 2"}
    assert len(path.read_text().splitlines()) == 7
    # A file that changed is done again.
    soundfile.write(items[0].path, np.ones(3200), 16000)
    assert run("model 2")[0] == 1


def test_a_torn_line_costs_its_file_and_no_other(items, tmp_path):
    path = tmp_path / "out.jsonl"
    results = Results(path, "model")
    for item in items[:3]:
        results.add(item, {"text": "HELLO"})
    whole = path.read_text()
    path.write_text(whole[:-20])
    again = Results(path, "model")
    assert [again.knows(item) for item in items[:3]] == [True, True, False]
    again.add(items[2], {"text": "HELLO"})
    assert Results(path, "model").knows(items[2])
    again.finish(items)
    records = list(again.records(items))
    assert [r["name"] for r in records] == ["0.wav", "1.wav", "2.wav"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_lines_of_files_that_were_not_asked_for_stay(items, tmp_path):
    path = tmp_path / "out.jsonl"
    for item in items[:2]:
        results = Results(path, "model")
        results.add(item, {"text": "HELLO"})
        results.finish([item])
        assert len(list(results.records([item]))) == 1
    assert len(path.read_text().splitlines()) == 2


def test_a_file_of_something_else_is_not_overwritten(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text("my notes\nof two lines\n")
    with pytest.raises(DataError, match="holds something else"):
        Results(path, "model")
    assert path.read_text() == "my notes\nof two lines\n"


def test_a_failure_has_its_file_and_reason():
    (failed,) = longest_first([Item("x", "absent.wav")])[1]
    assert isinstance(failed, Failed) and "absent.wav" not in failed.reason


def seconds_and_rest(blocks):
    """Pieces of a second, and what is left as one of its own length."""
    parts = torch.cat(list(blocks)).split(16000)
    for number, wav in enumerate(parts):
        last = number == len(parts) - 1
        yield Piece(wav, 16000 * number, 0, None, last)


def test_a_file_ends_soon_after_its_last_piece_was_read(tmp_path):
    """Also where its last piece is of a length that few others have: such a
    batch, which never fills, is heard after some others."""
    items = []
    for number in range(60):
        path = tmp_path / f"{number}.wav"
        rest = round(500 * 1.16 ** (number % 20))
        soundfile.write(path, np.ones(32000 + rest), 16000)
        items.append(Item(path.name, str(path)))
    engine = Engine(Sums(), seconds_and_rest, batch_seconds=4, num_workers=1)
    open_files, most = set(), 0
    for done in engine.run(items):
        open_files.add(done.item.name)
        if done.piece.last:
            open_files.remove(done.item.name)
        most = max(most, len(open_files))
    assert most <= 25 and not open_files


def test_what_is_done_keeps_no_audio(items):
    for done in Engine(Sums(), AtPauses(1.0)).run(items):
        assert not any(torch.is_tensor(field) for field in done.piece)
        assert not hasattr(done.piece, "wav")


def test_a_broken_decoder_is_one_files_fault(items, monkeypatch):
    def breaks(path):
        if path.endswith("1.wav"):
            raise AttributeError("a stream without a codec")
        return open_sndfile(path)

    monkeypatch.setattr("d2v_sb.bulk.audio.open_sndfile", breaks)
    found, _, summary = totals(items)
    assert len(found) == 6 and len(summary.failed) == 1


def test_overlap_counts_once_in_the_rate(items):
    results = Results(None, "")
    engine = Engine(Sums(), Windows(1.0, 0.25))
    summary = run_all(engine, items, results, lambda _: Total(), "x")
    expected = 0.1 + 4.0 + 0.5 + 2.2 + 0.11 + 3.9 + 1.0
    assert summary.audio_seconds == pytest.approx(expected, abs=0.01)
