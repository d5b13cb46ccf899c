"""Embeddings: batched, computed once, and never another model's or file's.

Authors
 * The d2v_sb developers 2026
"""

import os
from collections import Counter

import numpy as np
import pytest
import soundfile as sf
import torch

from d2v_sb.errors import DataError, UserError
from d2v_sb.scoring import (
    embed,
    embeddings as module,
    folder_identity,
)
from d2v_sb.scoring.embedding_cache import EmbeddingCache
from d2v_sb.scoring.embeddings import plan_batches

NUM = 7


class Model:
    """Sums of a clip's samples and of their squares, padding left out; it
    breaks down at the batch that it is told."""

    def __init__(self, breaks_at=None):
        self.batches = []
        self.breaks_at = breaks_at

    def encode_batch(self, wavs, wav_lens):
        if len(self.batches) == self.breaks_at:
            raise KeyboardInterrupt
        self.batches.append(tuple(wavs.shape))
        lengths = (wav_lens * wavs.shape[1]).round()
        valid = torch.arange(wavs.shape[1]) < lengths[:, None]
        wavs = torch.where(valid, wavs, 100.0)
        sums = (wavs * valid).sum(dim=1), (wavs.square() * valid).sum(dim=1)
        return torch.stack(sums, dim=1)[:, None]


@pytest.fixture
def files(tmp_path):
    """Clips of 0.25, 0.5 ... s."""
    paths = {}
    for i in range(NUM):
        key = f"id{i}/a/{i:05d}"
        paths[key] = tmp_path / "wav" / f"{key}.wav"
        paths[key].parent.mkdir(parents=True)
        write(paths[key], 4000 * (i + 1), seed=i)
    return paths


@pytest.fixture
def opened(monkeypatch):
    """How often each file was read, by the number in its name."""
    counts, read = Counter(), module.read_audio

    def spy(path, convert):
        counts[int(path[-9:-4])] += 1
        return read(path, convert)

    monkeypatch.setattr(module, "read_audio", spy)
    return counts


@pytest.fixture
def cache(tmp_path):
    """Where the cache is to be."""
    return tmp_path / "out" / "embeddings.safetensors"


def write(path, num_samples=8000, seed=0, rate=16000):
    """Noise that 16 bits hold."""
    generator = np.random.default_rng(seed)
    sf.write(path, 0.1 * generator.standard_normal(num_samples), rate)


def expected(path):
    """What the model makes of a clip alone."""
    wav = torch.from_numpy(sf.read(path, dtype="float32")[0])
    return torch.stack([wav.sum(), wav.square().sum()])


def check(found, files):
    """All clips, in order, each with its own embedding."""
    assert list(found) == list(files)
    for key, path in files.items():
        torch.testing.assert_close(found[key], expected(path))
        assert found[key].dtype == torch.float32


def test_batches_hold_at_most_so_much_audio_padding_included(files, cache):
    """The longest first; one that is longer than a batch alone."""
    model = Model()
    found = embed(model, files, cache, "m", batch_seconds=1.6)
    check(found, files)
    assert model.batches == [(1, 28000), (1, 24000), (1, 20000), (1, 16000)] + [
        (2, 12000),
        (1, 4000),
    ]


def test_plan_keeps_every_clip_once():
    """Whatever the lengths."""
    generator = np.random.default_rng(0)
    lengths = generator.exponential(5, size=200)
    durations = {str(i): float(x) for i, x in enumerate(lengths)}
    batches = plan_batches(durations, 20.0)
    assert sorted(sum(batches, [])) == sorted(durations)
    for batch in batches:
        longest = max(durations[key] for key in batch)
        assert len(batch) == 1 or longest * len(batch) <= 20.0
    # A batch is closed only where the next clip would not have fitted.
    for batch in batches[:-1]:
        assert durations[batch[0]] * (len(batch) + 1) > 20.0


def test_second_run_opens_nothing(files, cache, opened, monkeypatch):
    """Not even a header, and the cache is not written."""
    first = embed(Model(), files, cache, "m")
    assert opened == dict.fromkeys(range(NUM), 1)
    monkeypatch.setattr(module, "check_audio", None)
    before = cache.stat().st_mtime_ns, cache.stat().st_ino
    model = Model()
    second = embed(model, files, cache, "m")
    assert model.batches == [] and opened.total() == NUM
    assert all(torch.equal(first[key], second[key]) for key in files)
    assert (cache.stat().st_mtime_ns, cache.stat().st_ino) == before


def test_changed_file_is_embedded_again(files, cache, opened):
    """One of the same size and one of another; the others are not opened."""
    embed(Model(), files, cache, "m")
    keys = list(files)
    later = files[keys[2]].stat().st_mtime_ns + 1_000_000
    write(files[keys[2]], 12000, seed=99)
    os.utime(files[keys[2]], ns=(later, later))
    write(files[keys[5]], 9000, seed=98)
    opened.clear()
    check(embed(Model(), files, cache, "m"), files)
    assert opened == {2: 1, 5: 1}
    opened.clear()
    check(embed(Model(), files, cache, "m"), files)
    assert not opened


def test_other_model_is_never_served_from_the_cache(files, cache, opened):
    """Nor does the first find its own again."""
    for identity in ("m", "n", "m"):
        opened.clear()
        embed(Model(), files, cache, identity)
        assert opened.total() == NUM


def test_clips_of_another_call_stay(files, cache, opened):
    """Trials and cohort share a cache."""
    parts = [dict(list(files.items())[part::2]) for part in (0, 1)]
    for part in (*parts, *parts):
        check(embed(Model(), part, cache, "m"), part)
    assert opened == dict.fromkeys(range(NUM), 1)


def test_interrupted_run_goes_on(files, cache, opened):
    """What was done before Ctrl-C is not done again."""
    with pytest.raises(KeyboardInterrupt):
        embed(Model(breaks_at=3), files, cache, "m", batch_seconds=1.6)
    model = Model()
    check(embed(model, files, cache, "m", batch_seconds=1.6), files)
    assert model.batches == [(1, 16000), (2, 12000), (1, 4000)]
    assert sorted(p.name for p in cache.parent.iterdir()) == [cache.name]


def test_cache_is_saved_while_the_run_goes_on(files, cache, monkeypatch):
    """For a kill, which no handler sees."""
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    monkeypatch.setattr(module, "SAVING_SHARE", 1e9)
    known = []

    class Watched(Model):
        def encode_batch(self, wavs, wav_lens):
            saved = EmbeddingCache(cache, "m")
            stamps = {key: module.stamp(path) for key, path in files.items()}
            known.append(sum(saved.knows(key, stamps[key]) for key in files))
            return super().encode_batch(wavs, wav_lens)

    embed(Watched(), files, cache, "m", batch_seconds=1.6)
    assert known == [0, 1, 2, 3, 4, 6]


def test_what_a_killed_run_left_goes(files, cache):
    """Its half cache, and nobody else's."""
    for name in (f".{cache.name}.abc", ".other.abc"):
        (cache.parent / name).mkdir(parents=True)
    embed(Model(), files, cache, "m")
    names = sorted(path.name for path in cache.parent.iterdir())
    assert names == [".other.abc", cache.name]


def test_bad_clips_are_named_together_before_anything_is_computed(files, cache):
    """Absent, too short, no audio."""
    keys = list(files)
    files[keys[0]].unlink()
    write(files[keys[1]], 100)
    files[keys[2]].write_bytes(b"no audio")
    model = Model()
    with pytest.raises(DataError, match="3 of 7 clips") as caught:
        embed(model, files, cache, "m")
    assert all(str(files[key]) in str(caught.value) for key in keys[:3])
    assert model.batches == []


def test_embeddings_that_are_not_finite_are_named(files, cache, opened):
    """All of them, after the others are kept."""

    class Broken(Model):
        def encode_batch(self, wavs, wav_lens):
            rows = super().encode_batch(wavs, wav_lens)
            rows[0] = float("nan")
            return rows

    with pytest.raises(DataError, match="(?s)3 of 7.*not finite") as caught:
        embed(Broken(), files, cache, "m", batch_seconds=4.0)
    named = [key for key in files if str(files[key]) in str(caught.value)]
    assert len(named) == 3
    opened.clear()
    check(embed(Model(), files, cache, "m"), files)
    assert opened.total() == 3


def test_file_damaged_past_its_header_is_named(files, cache, monkeypatch):
    """The others are kept."""
    read, spoilt = module.read_audio, list(files.values())[3]

    def damaged(path, convert):
        if path == str(spoilt):
            raise DataError(f"{path} can not be read as audio")
        return read(path, convert)

    monkeypatch.setattr(module, "read_audio", damaged)
    model = Model()
    with pytest.raises(DataError, match="1 of 7 clips(?s:.*)00003.wav"):
        embed(model, files, cache, "m", batch_seconds=1.6)
    assert sum(rows for rows, _ in model.batches) == 6


def test_other_rates_are_converted(tmp_path, cache):
    """To 16 kHz and one channel."""
    path = tmp_path / "id1.wav"
    sf.write(path, np.full((8000, 2), 0.25), 8000)
    model = Model()
    embed(model, {"id1": path}, cache, "m")
    assert model.batches == [(1, 16000)]


def test_file_that_is_no_cache_is_left_alone(files, cache):
    """It may be a model."""
    cache.parent.mkdir()
    cache.write_bytes(b"something else")
    with pytest.raises(DataError, match="no cache of embeddings"):
        embed(Model(), files, cache, "m")
    assert cache.read_bytes() == b"something else"
    with pytest.raises(UserError, match="batch_seconds must be positive"):
        embed(Model(), files, cache, "m", batch_seconds=0)


def test_identity_follows_yaml_and_weights_and_nothing_else(tmp_path):
    """Wherever the folder lies."""
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text("a: 1")
    with pytest.raises(UserError, match="no model folder"):
        folder_identity(folder)
    (folder / "model.ckpt").write_bytes(b"weights")
    first = folder_identity(folder)
    (folder / "README.md").write_text("card")
    folder = folder.rename(tmp_path / "b")
    assert folder_identity(folder) == first
    seen = {first}
    (folder / "model.ckpt").write_bytes(b"Weights")
    seen.add(folder_identity(folder))
    (folder / "hyperparams.yaml").write_text("a: 2")
    seen.add(folder_identity(folder))
    (folder / "norm.ckpt").write_bytes(b"")
    seen.add(folder_identity(folder))
    assert len(seen) == 4
    (folder / "hyperparams.yaml").unlink()
    with pytest.raises(UserError, match="no model folder"):
        folder_identity(folder)
