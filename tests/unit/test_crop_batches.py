"""Crops of utterances in batches: what a pass hears, and that it comes again.

Authors
 * The d2v_sb developers 2026
"""

from collections import Counter

import pytest

from d2v_sb.crop_batches import CropBatches, Crops
from d2v_sb.errors import DataError, UserError
from d2v_sb.sampling import UpdateBatchSampler

RATE = 16000
DURATIONS = [0.5, 1.0, 2.0, 3.0, 5.5, 9.0, 20.0] * 9


def a_pass(crops, number=0, batch_seconds=12.0, **options):
    """The batches of a pass."""
    batches = CropBatches(DURATIONS, batch_seconds, crops, seed=3, **options)
    batches.set_epoch(number)
    return list(batches)


@pytest.mark.parametrize(
    "seconds, short",
    [(3.0, "repeat"), (3.0, "keep"), ([2, 4], "repeat"), (None, "keep")],
)
def test_a_pass_hears_each_utterance_once(seconds, short):
    batches = a_pass(Crops(seconds, short))
    rows = [crop.row for batch in batches for crop in batch]
    assert set(rows) == set(range(len(DURATIONS)))
    twice = [batch for batch in batches if len({c.row for c in batch}) == 1]
    assert len(rows) - len(DURATIONS) == sum(len(b) == 2 for b in twice)
    for batch in batches:
        longest = max(crop.num_samples for crop in batch) / RATE
        assert len(batch) == 1 or len(batch) * longest <= 12.0
        for crop in batch:
            there = round(DURATIONS[crop.row] * RATE)
            assert crop.start >= 0
            end = crop.start + crop.num_samples
            assert end <= there or (crop.start == 0 and short == "repeat")


def test_short_clips_are_repeated_or_kept_never_dropped():
    for batch in a_pass(Crops(3.0, "repeat")):
        assert {crop.num_samples for crop in batch} == {3 * RATE}
    lengths = Counter(
        crop.num_samples
        for batch in a_pass(Crops(3.0, "keep"))
        for crop in batch
    )
    assert lengths[RATE // 2] == 9 and lengths[3 * RATE] == 4 * 9


def test_a_range_is_one_length_a_batch_and_all_of_the_range():
    lengths = []
    for number in range(20):
        for batch in a_pass(Crops([2, 4], "repeat"), number):
            (length,) = {crop.num_samples for crop in batch}
            lengths.append(length / RATE)
    assert 2 <= min(lengths) < 2.1 and 3.9 < max(lengths) <= 4


def test_crops_begin_anywhere_in_a_clip():
    starts = [
        crop.start / RATE
        for number in range(30)
        for batch in a_pass(Crops(3.0), number)
        for crop in batch
        if DURATIONS[crop.row] == 20.0
    ]
    assert min(starts) < 1 and max(starts) > 16


def test_a_pass_follows_from_its_number_alone():
    crops = Crops([2, 4], "keep")
    assert a_pass(crops, 5) == a_pass(crops, 5) != a_pass(crops, 6)
    batches = CropBatches(DURATIONS, 12.0, crops, seed=3)
    assert list(batches) == list(batches)


def test_what_is_left_over_is_heard_twice_and_not_alone():
    batches = CropBatches([3.0] * 7, 6.0, Crops(2.0, "repeat"))
    parts = list(batches)
    assert sorted(map(len, parts)) == [2, 3, 3]
    (pair,) = [
        p
        for p in map(list, CropBatches([9.0] * 5, 4.0, Crops(2.0)))
        if p[0].row == p[1].row
    ]
    assert pair[0].start != pair[1].start
    (alone,) = CropBatches([9.0], 4.0, Crops(3.0))
    assert len(alone) == 1


def test_like_lengths_are_together_where_they_are_padded():
    batches = a_pass(Crops(None, "keep"), batch_seconds=40.0)
    samples = [[crop.num_samples for crop in batch] for batch in batches]
    heard = sum(map(sum, samples))
    padded = sum(len(row) * max(row) for row in samples)
    assert heard / padded > 0.75


def test_balanced_classes_are_heard_equally_often():
    classes = ["rare"] * 7 + ["frequent"] * (len(DURATIONS) - 7)
    heard = Counter()
    for number in range(60):
        for batch in a_pass(Crops(1.0), number, classes=classes):
            heard.update(classes[crop.row] for crop in batch)
    assert heard["rare"] / sum(heard.values()) == pytest.approx(0.5, abs=0.03)


def test_a_run_that_changes_its_crops_is_resumed_where_it_was():
    """As ``ClassificationBrain`` does for the large margin."""

    def epoch(sampler, number):
        if number >= 4 and sampler.origin == 1:
            sampler.batches.crops = Crops(6.0)
            sampler.begin_anew(4)
        sampler.set_epoch(number)
        return list(sampler)

    def sampler():
        batches = CropBatches(DURATIONS, 12.0, Crops(3.0), seed=3)
        return UpdateBatchSampler(batches, 10)

    whole = sampler()
    epochs = {number: epoch(whole, number) for number in range(1, 8)}
    for number in epochs:
        assert epoch(sampler(), number) == epochs[number]
    # The plausible mistake: another count of batches a pass, same counting.
    forgotten = sampler()
    forgotten.batches.crops = Crops(6.0)
    forgotten.set_epoch(6)
    assert list(forgotten) != epochs[6]


@pytest.mark.parametrize("seconds", [0, -1, [4, 2], [1, 2, 3], []])
def test_lengths_that_are_none_are_refused(seconds):
    with pytest.raises(UserError, match="crop_seconds is"):
        Crops(seconds)


def test_an_unknown_way_with_short_clips_is_refused():
    with pytest.raises(UserError, match="repeat, keep"):
        Crops(3.0, "drop")


def test_no_utterances_are_an_error():
    with pytest.raises(DataError, match="nothing to train on"):
        CropBatches([], 12.0, Crops(3.0))


def test_a_crop_longer_than_the_batch_comes_alone():
    batches = a_pass(Crops(None, "keep"), batch_seconds=4.0)
    for batch in batches:
        total = sum(DURATIONS[crop.row] for crop in batch)
        assert len(batch) == 1 or total <= 4.0
