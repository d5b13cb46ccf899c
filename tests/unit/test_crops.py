"""Crops of audio: which are drawn, and how they are read.

Authors
 * The d2v_sb developers 2026
"""

import time

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from d2v_sb.errors import DataError
from d2v_sb.pretraining import CropDataset
from d2v_sb.pretraining.audio import collate_crops, read_crop
from d2v_sb.pretraining.crops import Crop, CropSampler

RATE = 16000


def durations(num_files=300, longest=30.0, seed=0):
    """Seconds, as uneven as those of real corpora."""
    return np.random.default_rng(seed).uniform(2, longest, num_files)


def sampler(seconds=None, batch_seconds=60, **options):
    options = {"max_seconds": 20, "seed": 1, **options}
    seconds = durations() if seconds is None else seconds
    return CropSampler(seconds, batch_seconds, **options)


def epoch(number=1, *args, **options):
    """All micro-batches of an epoch."""
    drawn = sampler(*args, **options)
    drawn.set_epoch(number)
    return list(drawn)


def processes(W, *args, **options):
    """The epoch of each process, micro-batch by micro-batch."""
    ranks = [
        epoch(1, *args, rank=r, num_processes=W, **options) for r in range(W)
    ]
    return list(zip(*ranks, strict=True))


# What all processes get


@pytest.mark.parametrize("W", (1, 2, 3, 8))
def test_all_processes_get_equally_much_of_one_length(W):
    """So that none waits for another, in any micro-batch."""
    together = processes(W)
    assert len(together) > 10
    lengths = set()
    for micro_batches in together:
        (length,) = {c.num_samples for batch in micro_batches for c in batch}
        assert len({len(batch) for batch in micro_batches}) == 1
        lengths.add(length)
    assert len(lengths) > 5


@pytest.mark.parametrize("W", (1, 2, 3, 8))
def test_no_window_is_heard_twice_in_a_pass(W):
    """And fewer than one a process are left out."""
    seconds = durations(longest=19)
    drawn = [c.row for t in processes(W, seconds) for b in t for c in b]
    assert len(set(drawn)) == len(drawn) > len(seconds) - W


def test_the_length_is_that_of_the_shortest():
    seconds = durations(longest=19)
    for micro_batches in processes(2, seconds):
        crops = [c for batch in micro_batches for c in batch]
        shortest = min(round(seconds[c.row] * RATE) for c in crops)
        assert {c.num_samples for c in crops} == {shortest}


def test_little_is_cut_off():
    """Files of like lengths come together: taken at random, the shortest of
    a dozen would leave a third."""
    seconds = durations(2000, longest=19)
    heard = sum(c.num_samples for batch in epoch(1, seconds) for c in batch)
    assert heard > 0.88 * seconds.sum() * RATE


@pytest.mark.parametrize("W", (1, 3))
@pytest.mark.parametrize("batch_seconds", (25, 60, 400))
def test_no_crop_leaves_its_file(W, batch_seconds):
    seconds = durations(longest=90)
    total = np.round(seconds * RATE)
    for number in range(3):
        for micro_batches in processes(W, seconds, batch_seconds, seed=number):
            for crop in (c for batch in micro_batches for c in batch):
                assert 0 <= crop.start
                assert crop.start + crop.num_samples <= total[crop.row]
                assert 0 < crop.num_samples <= 20 * RATE


def test_crops_reach_both_ends_of_a_file():
    """To the sample, where they must."""
    (batch,) = epoch(1, [2.5, 2.5])
    assert sorted(batch) == [Crop(0, 0, 40000), Crop(1, 0, 40000)]
    starts = [
        crop.start
        for number in range(1, 400)
        for batch in epoch(number, [2.0, 2.0 + 3 / RATE], num_batches=1)
        for crop in batch
        if crop.row == 1
    ]
    assert set(starts) == {0, 1, 2, 3}


# Micro-batches are not too large


@pytest.mark.parametrize("W", (1, 2))
@pytest.mark.parametrize(
    "seconds",
    (
        durations(),
        durations(40),
        # The order varies by a tenth: the two of 10 s may meet where two of
        # 9.5 s were planned.
        np.array([10, 10, 9.5, 9.5]),
        np.linspace(9, 10, 30),
    ),
    ids=len,
)
def test_a_micro_batch_holds_no_more_than_it_may(W, seconds):
    for seed in range(30):
        for micro_batches in processes(W, seconds, 19.1, seed=seed):
            for batch in micro_batches:
                held = sum(crop.num_samples for crop in batch)
                assert held <= 19.1 * RATE or len(batch) == 1


def test_micro_batches_are_well_filled():
    held = [sum(c.num_samples for c in batch) for batch in epoch(1, None, 240)]
    # The last has what is left.
    assert np.mean(sorted(held)[1:]) > 0.9 * 240 * RATE


def test_a_clip_longer_than_a_micro_batch_comes_alone_and_whole():
    for batch in epoch(1, [15.0, 16.0, 3.0], 10):
        assert len(batch) == 1
        assert batch[0].num_samples == round([15, 16, 3][batch[0].row] * RATE)


# Long files


def windows_of(row, num_passes, seconds, **options):
    """(start, end) of the crops of a file, pass by pass."""
    return [
        sorted(
            (c.start, c.start + c.num_samples)
            for batch in epoch(number, seconds, **options)
            for c in batch
            if c.row == row
        )
        for number in range(1, num_passes + 1)
    ]


def test_a_long_file_is_heard_in_windows_that_slide():
    passes = windows_of(0, 100, [70.0, 3.0])
    for number, windows in enumerate(passes):
        assert len(windows) == 3  # 10 s are left over
        for i, (start, end) in enumerate(windows):
            assert end - start == 20 * RATE
            # Each has its own part, and what is left over to slide in.
            assert 20 * i * RATE <= start <= (20 * i + 10) * RATE
        assert windows != passes[number - 1]
    assert len(np.unique([w[0] for w in sum(passes, [])])) > 290
    # Over the passes every tenth of a second is heard, the ends as well.
    heard = np.zeros(700, dtype=int)
    for start, end in sum(passes, []):
        heard[-(-start // 1600) : end // 1600] += 1
    assert heard[5:-5].min() > 0 and heard[100:600].min() > 50


def test_a_file_of_whole_windows_is_heard_whole_in_each_pass():
    for windows in windows_of(0, 3, [60.0, 3.0]):
        assert windows == [
            (20 * i * RATE, 20 * (i + 1) * RATE) for i in range(3)
        ]


def test_audio_weighs_by_its_length_not_by_files():
    drawn = sampler([200.0, 5.0, 39.9])
    assert np.bincount(drawn.rows).tolist() == [10, 1, 1]
    assert drawn.seconds == 200 + 5 + 20


# A function of seed and pass


def test_the_same_seed_gives_the_same_and_others_others():
    assert epoch(1) == epoch(1)
    assert epoch(1) != epoch(1, seed=2)
    drawn = sampler()
    assert list(drawn) == list(drawn)


def test_passes_differ_in_order_mates_and_crops():
    first, second = epoch(1), epoch(2)
    assert len(first) == len(second)

    def mates(batches):
        return {frozenset(c.row for c in batch) for batch in batches}

    assert len(mates(first) & mates(second)) < 3
    lengths = [[b[0].num_samples for b in e] for e in (first, second)]
    order = [np.argsort(x) for x in lengths]
    assert (order[0] != order[1]).any()
    # Not from the longest to the shortest: the loss would go along.
    for x in lengths:
        assert abs(np.corrcoef(x, np.arange(len(x)))[0, 1]) < 0.8


@pytest.mark.parametrize("num_batches", (1, 7, 45, 200))
def test_an_epoch_gives_what_a_run_from_the_start_would(num_batches):
    """Whether it is shorter than a pass or longer."""
    whole = sampler(num_batches=num_batches)
    assert len(whole) == num_batches
    pieces = []
    for number in (1, 2, 3):
        whole.set_epoch(number)
        pieces.append(list(whole))
        assert len(pieces[-1]) == num_batches
    for number in (3, 1, 2):
        resumed = epoch(number, num_batches=num_batches)
        assert resumed == pieces[number - 1]
    # Epochs go on through the passes: together they are one long one.
    together = epoch(1, num_batches=3 * num_batches)
    assert together == pieces[0] + pieces[1] + pieces[2]


def test_another_number_of_processes_hears_the_same_audio():
    """Where as many crops are taken at a time."""
    seconds = durations(longest=90)
    # Powers of two: 3 x (60 // length) is no 180 // length.
    two = processes(2, np.exp2(np.log2(seconds).round()), 64)
    one = processes(1, np.exp2(np.log2(seconds).round()), 128)
    assert len(two) == len(one) > 20
    for pair, (single,) in zip(two, one, strict=True):
        assert sorted(pair[0] + pair[1]) == sorted(single)


# Odd sets


@pytest.mark.parametrize("num_files", (1, 3))
def test_fewer_files_than_processes_are_shared(num_files):
    seconds = [5.0, 6.0, 7.0][:num_files]
    for micro_batches in processes(4, seconds, num_batches=5):
        assert [len(batch) for batch in micro_batches] == [1] * 4
        rows = {batch[0].row for batch in micro_batches}
        assert rows == set(range(num_files))


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(DataError, match="no audio files"):
        sampler([])


def test_no_file_is_left_out_of_every_pass():
    """Of 21 like files two processes take 20 at a time."""
    heard = [
        {
            c.row
            for t in processes(2, np.full(21, 5.0), 10, seed=s)
            for b in t
            for c in b
        }
        for s in range(5)
    ]
    assert all(len(rows) == 20 for rows in heard)
    assert len(set.union(*heard)) == 21


def test_a_million_files_are_planned_in_seconds():
    seconds = durations(1_000_000)
    start = time.process_time()
    drawn = sampler(seconds, 240)
    batches = iter(drawn)
    assert len(next(batches)) >= 12
    made = time.process_time() - start
    # It took 2 s; any pass over all of them for each micro-batch, minutes.
    assert made < 20
    start = time.process_time()
    for _ in range(500):
        next(batches)
    assert time.process_time() - start < 2


# Reading


def noise(num_samples, channels=1, seed=0):
    random = np.random.default_rng(seed)
    return (0.3 * random.standard_normal((num_samples, channels))).clip(-1, 1)


def write(path, samples, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return str(path)


@pytest.mark.parametrize("ending", ("wav", "flac"))
def test_a_crop_is_the_slice_of_the_whole_file(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", noise(RATE))
    whole, _ = soundfile.read(path, dtype="float32")
    for start, num_samples in ((0, 100), (7777, 8000), (RATE - 1, 1)):
        wav = read_crop(path, start, num_samples)
        assert wav.dtype == torch.float32 and wav.shape == (num_samples,)
        expected = whole[start : start + num_samples]
        assert torch.equal(wav, torch.from_numpy(expected))


def test_channels_are_mixed(tmp_path):
    samples = noise(RATE, channels=2)
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    wav = read_crop(path, 1000, 3000)
    expected = samples[1000:4000].mean(axis=1)
    assert np.allclose(wav, expected, atol=1e-6)


@pytest.mark.parametrize("rate", (8000, 22050, 44100, 48000))
def test_another_sample_rate_is_resampled(tmp_path, rate):
    """Slow waves, so that a fraction of a sample is little."""
    seconds = np.arange(4 * rate) / rate
    wave = 0.5 * np.sin(2 * np.pi * 100 * seconds) * np.cos(3 * seconds)
    path = write(tmp_path / "a.wav", np.stack([wave] * 2, 1), rate)
    whole = resample(torch.from_numpy(wave).float(), rate, RATE)
    for start, num_samples in ((0, RATE), (20001, 30001), (48000, RATE)):
        wav = read_crop(path, start, num_samples)
        assert wav.shape == (num_samples,)
        expected = whole[start : start + num_samples]
        # Less what the filter sees beyond the ends of the crop.
        error = (wav - expected)[50:-50].abs().max()
        # By how much the wave changes in a sample of the file.
        assert error < 0.5 * 2 * np.pi * 100 / rate
        assert expected.abs().max() > 0.3


@pytest.mark.parametrize("rate", (RATE, 48000))
def test_only_the_crop_is_read(tmp_path, rate, monkeypatch):
    path = write(tmp_path / "a.wav", noise(60 * rate), rate)
    read, counts = soundfile.SoundFile.read, []

    def counting(self, frames=-1, *args, **kwargs):
        out = read(self, frames, *args, **kwargs)
        counts.append(len(out))
        return out

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    read_crop(path, 50 * RATE, RATE)
    assert counts == [rate]


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = str(tmp_path / "gone.wav")
    with pytest.raises(DataError, match="gone.wav can not be read.* remove it"):
        read_crop(path, 0, 100)


def test_what_is_no_audio_is_named(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(DataError, match="a.wav can not be read"):
        read_crop(str(path), 0, 100)


@pytest.mark.parametrize("ending", ("wav", "flac"))
@pytest.mark.parametrize("start", (0, RATE // 2, RATE + 5000))
def test_a_file_that_was_cut_is_named(tmp_path, ending, start):
    path = tmp_path / f"a.{ending}"
    write(path, noise(2 * RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"a.{ending} "):
        read_crop(str(path), start, 2 * RATE - start)


def test_a_file_that_ends_earlier_says_by_how_much(tmp_path):
    path = write(tmp_path / "a.wav", noise(RATE))
    with pytest.raises(DataError, match="a.wav ends 0.50 s before what"):
        read_crop(path, 0, 24000)


def test_a_sample_too_few_is_filled_up(tmp_path):
    """Durations are rounded where the rate is another."""
    path = write(tmp_path / "a.wav", noise(RATE))
    wav = read_crop(path, 100, RATE - 99)
    assert wav.shape == (RATE - 99,) and wav[-1] == 0 and wav[-2] != 0
    with pytest.raises(DataError, match="ends"):
        read_crop(path, 100, RATE - 97)


@pytest.mark.parametrize("rate", (8000, 11025, 22050, 32000, 44100, 48000))
@pytest.mark.parametrize("extra", (0, 1, 7, 100))
def test_a_file_of_any_length_is_read_to_its_end(tmp_path, rate, extra):
    """From the duration that is in its manifest."""
    samples = noise(rate + extra)
    path = write(tmp_path / "a.wav", samples, rate)
    ((crop,),) = epoch(1, [len(samples) / rate])
    assert crop.start == 0
    wav = read_crop(path, crop.start, crop.num_samples)
    assert len(wav) == crop.num_samples
    late = crop.num_samples // 3
    assert len(read_crop(path, late, crop.num_samples - late)) > 0


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_samples_that_are_no_numbers_are_named(tmp_path, bad):
    samples = noise(1000)
    samples[500] = bad
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(DataError, match="a.wav holds samples that are NaN"):
        read_crop(path, 0, 1000)
    assert torch.isfinite(read_crop(path, 501, 400)).all()


def test_a_dataset_gives_names_and_crops(tmp_path):
    path = write(tmp_path / "x.wav", noise(RATE))
    (tmp_path / "a.csv").write_text(
        f"ID,duration,wav\nspk/x,1.0,{path}\ny,0.5,{tmp_path}/y.wav\n"
    )
    data = CropDataset(tmp_path / "a.csv")
    assert len(data) == 2 and data.durations == [1.0, 0.5]
    items = [data[Crop(0, start, 4000)] for start in (0, 12000)]
    batch = collate_crops(items)
    assert batch.names == ("spk/x from 0.00 s", "spk/x from 0.75 s")
    assert torch.equal(batch.wavs[1], read_crop(path, 12000, 4000))


def test_a_csv_that_is_not_there_says_how_it_is_made(tmp_path):
    with pytest.raises(DataError, match="no .*train.csv: .*--skip_prep"):
        CropDataset(tmp_path / "train.csv")


@pytest.mark.parametrize(
    "content",
    (
        "ID,seconds,wav\na,1.0,a.wav\n",
        "a,1.0,a.wav\nb,1.0,b.wav\n",
        "ID,duration,wav\na,long,a.wav\n",
        "ID,duration,wav\na\n",
        "ID,duration,wav\na,1.0\n",
        b"\xff\xfe\x00\x01\n\x00",
    ),
)
def test_another_csv_is_refused(tmp_path, content):
    path = tmp_path / "train.csv"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    with pytest.raises(DataError, match="train.csv is no CSV of .*; delete it"):
        CropDataset(path)
