"""Which utterances are heard, which parts of them, and in what order.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter

import numpy as np
import pytest
import soundfile
from speechbrain.dataio.dataset import DynamicItemDataset

from d2v_sb.errors import DataError, UserError
from d2v_sb.probing.batches import UtteranceBatches, in_order, share_batch
from d2v_sb.probing.dataset import ProbeDataset
from d2v_sb.probing.rows import (
    Beginnings,
    Segments,
    Utterance,
    Whole,
    beginnings,
    read_utterances,
)
from d2v_sb.sampling import UpdateBatchSampler


def utterances(lengths, targets=None, file_samples=None):
    """Of these lengths, named by their number."""
    targets = targets or ["x"] * len(lengths)
    return [
        Utterance(f"{i}", "", "s", target, 0, num, file_samples or num)
        for i, (num, target) in enumerate(zip(lengths, targets, strict=True))
    ]


LENGTHS = [int(n) for n in np.random.default_rng(0).integers(9, 30, 40)]


def test_ascending_batches_are_speechbrains_sorting():
    """As recipes sort a dataset for a loader that does not shuffle, twins in
    the order of the file; the same in each pass."""
    rows = {f"{i}": {"duration": n / 16} for i, n in enumerate(LENGTHS)}
    data = DynamicItemDataset(rows, output_keys=["id"])
    ids = data.filtered_sorted(sort_key="duration").data_ids
    expected = [ids[i : i + 7] for i in range(0, 40, 7)]
    batches = UtteranceBatches(utterances(LENGTHS), 7, "ascending", seed=3)
    for epoch in (0, 5):
        batches.set_epoch(epoch)
        found = [[f"{i}" for i in batch] for batch in batches]
        assert found == expected and len(batches) == len(found)
    assert in_order(utterances(LENGTHS), 7) == list(batches)
    assert len(set(LENGTHS)) < 40


def test_random_batches_hear_all_anew_in_each_pass():
    """By seed and pass alone."""

    def batches(seed, epoch):
        made = UtteranceBatches(utterances(LENGTHS), 7, "random", seed)
        made.set_epoch(epoch)
        return list(made)

    first = batches(1, 0)
    assert sorted(sum(first, [])) == list(range(40))
    assert [len(batch) for batch in first] == [7] * 5 + [5]
    assert batches(1, 0) == first
    assert batches(1, 1) != first != batches(2, 0)


def test_two_processes_share_the_batches_of_one():
    """What they hear together in an update is what one hears."""
    alone = UtteranceBatches(utterances(LENGTHS), 8)
    half = UtteranceBatches(utterances(LENGTHS), share_batch(8, 1, 2)[0])
    one = UpdateBatchSampler(alone, 7)
    pair = [UpdateBatchSampler(half, 7, rank, 2) for rank in (0, 1)]
    for sampler in (one, *pair):
        sampler.set_epoch(2)
    for batch, *parts in zip(one, *pair, strict=True):
        assert batch == sum(parts, [])


def test_balanced_batches_draw_each_class_as_often():
    """Of one in forty as of nine in ten; unbalanced, as often as it is."""
    targets = ["rare"] + ["some"] * 3 + ["many"] * 36
    data = utterances(LENGTHS, targets)
    counts = {}
    for balance in (True, False):
        batches = UtteranceBatches(data, 8, "random", 0, balance)
        counts[balance] = Counter()
        for epoch in range(100):
            batches.set_epoch(epoch)
            rows = sum(batches, [])
            assert len(rows) == 40
            counts[balance].update(targets[row] for row in rows)
    assert all(abs(n / 4000 - 1 / 3) < 0.03 for n in counts[True].values())
    assert counts[False] == {"rare": 100, "some": 300, "many": 3600}


def test_chunks_lie_within_their_files_and_reach_both_ends():
    """Anywhere, another place in each pass; short files are heard whole."""
    data = utterances([6, 6, 6], file_samples=10)
    data.append(Utterance("short", "", "s", "x", 0, 4, 4))
    batches = UtteranceBatches(data, 3, "random", 0, False, chunk=6)
    starts = Counter()
    for epoch in range(200):
        batches.set_epoch(epoch)
        crops = [crop for batch in batches for crop in batch]
        assert sorted(crop.row for crop in crops) == [0, 1, 2, 3]
        for crop in crops:
            if crop.row == 3:
                assert (crop.start, crop.num_samples) == (0, 4)
            else:
                assert crop.num_samples == 6
                starts[crop.start] += 1
    assert set(starts) == {0, 1, 2, 3, 4}
    assert min(starts.values()) > 80


def test_share_of_a_process_keeps_the_update_as_large():
    """Or is refused, with what could be changed."""
    for batch_size, accumulate, processes in (
        (8, 1, 1),
        (8, 1, 2),
        (8, 4, 4),
        (2, 8, 4),
        (4, 3, 1),
    ):
        size, times = share_batch(batch_size, accumulate, processes)
        assert size * times * processes == batch_size * accumulate
        assert size <= batch_size
    for refused in ((8, 1, 3), (2, 1, 4), (1, 1, 2), (4, 3, 2)):
        with pytest.raises(UserError) as error:
            share_batch(*refused)
        total = refused[0] * refused[1]
        assert f"{refused[2]} processes can not share {total}" in str(
            error.value
        )
        assert f"--accumulate {refused[1]}" in str(error.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": 0}, "--batch_size 0: it must be 1"),
        (
            {"batch_size": 2, "order": "descending"},
            "--sorting descending: .*asc",
        ),
    ],
)
def test_batches_that_can_not_be_are_refused(options, match):
    with pytest.raises(UserError, match=match):
        UtteranceBatches(utterances([3]), **options)


def write_csv(path, text):
    """A CSV of text."""
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_are_read_with_their_lengths_in_samples(tmp_path):
    """To the nearest: durations are written in decimals."""
    path = write_csv(
        tmp_path / "a.csv",
        "ID,duration,wav,spk_id,wrd\na,0.500062,a.wav,s,ONE TWO\n",
    )
    (found,) = read_utterances(path, "wrd")
    assert found == Utterance("a", "a.wav", "s", "ONE TWO", 0, 8001, 8001)
    assert int(0.500062 * 16000) == 8000
    assert found.seconds == 8001 / 16000
    assert read_utterances(path)[0].target == ""


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "there is no .*--prepared_folder"),
        ("ID,wav\na,b\n", "no column duration, label, spk_id; it needs ID"),
        ("ID,duration,wav,spk_id,label\n", "lists no utterance"),
        (
            "ID,duration,wav,spk_id,label\na,x,b,c,d\n",
            "line 2: its duration is 'x'",
        ),
        ("ID,duration,wav,spk_id,label\na,1,b,c\n", "line 2: it has no label"),
        ("", "no column"),
    ],
)
def test_files_that_list_nothing_are_explained(tmp_path, text, match):
    path = tmp_path / "a.csv"
    if text is not None:
        write_csv(path, text)
    with pytest.raises(DataError, match=match):
        read_utterances(path, "label")


def test_segments_are_whole_pieces_that_do_not_overlap():
    """What is left over is not heard, but for an utterance that is short."""
    pieces = Segments(0.001)(utterances([16, 47, 48, 9]))
    found = [(p.id, p.start, p.num_samples) for p in pieces]
    assert found == [
        ("0#0", 0, 16),
        ("1#0", 0, 16),
        ("1#1", 16, 16),
        ("2#0", 0, 16),
        ("2#1", 16, 16),
        ("2#2", 32, 16),
        ("3#0", 0, 9),
    ]
    assert [p.file_samples for p in pieces] == [16, 47, 47, 48, 48, 48, 9]


def test_beginnings_are_cut_and_short_utterances_are_not():
    data = utterances([16, 17, 9])
    found = Beginnings(0.001)(data)
    assert [u.num_samples for u in found] == [16, 16, 9]
    assert [u.file_samples for u in found] == [16, 17, 9]
    assert isinstance(beginnings(None), Whole)
    assert beginnings(None)(data) == data and beginnings("0.001")(data) == found


def test_a_segment_is_read_from_its_place(tmp_path):
    """And not from the beginning of its file."""
    wav = np.arange(100, dtype="float32") / 128
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    whole = Utterance("a", str(tmp_path / "a.wav"), "s", "x", 0, 100, 100)
    data = ProbeDataset(Segments(0.002)([whole]), lambda _: [1, 2])
    assert len(data) == 3
    utterance, target, kept, heard = data[1]
    assert utterance.id == "a#1" and kept is None
    assert target.tolist() == [1, 2]
    np.testing.assert_array_equal(heard, wav[32:64])
