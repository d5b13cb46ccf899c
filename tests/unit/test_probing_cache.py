"""What is kept on the disk is what would be made anew, for all of training.

Authors
 * The d2v_sb developers 2026
"""

import csv
import logging
import os
import shutil
from dataclasses import replace

import pytest
import soundfile
import torch

from d2v_sb.errors import DataError
from d2v_sb.pretraining.crops import Crop
from d2v_sb.probing import FrozenEncoder
from d2v_sb.probing.caching import CachedStates, fill
from d2v_sb.probing.dataset import ProbeDataset
from d2v_sb.probing.rows import Utterance
from d2v_sb.probing.state_store import StateStore
from tests.unit.probing_runs import difference, finish, make, write_csvs

VIEWS = [
    ("clean", "test_view"),
    ("published", "test_view"),
    ("published", "training_view"),
]
# Some so alike that one might encode them as one batch.
LENGTHS = (16000, 15990, 15700, 15000, 14900, 8000, 7900, 5000)


@pytest.fixture
def utterances(tmp_path):
    """Noise of these lengths, each in the file of its number."""
    torch.manual_seed(0)
    found = []
    for i, num in enumerate(LENGTHS):
        path = tmp_path / f"{i}.wav"
        wav = 0.2 * torch.randn(num) + 0.05
        soundfile.write(path, wav, 16000, subtype="FLOAT")
        found.append(Utterance(f"{i}", str(path), "s", "up", 0, num, num))
    return found


def view_of(mode, name):
    """A tiny encoder's."""
    torch.manual_seed(0)
    return getattr(FrozenEncoder("tiny", mode), name)


def filled(folder, utterances, view, longest=None, **options):
    """All that fits of the utterances, each padded to its own length."""
    options.setdefault("dtype", "float32")
    longest = longest or [u.num_samples for u in utterances]
    store = StateStore(folder, view.settings(), **options)
    cached = CachedStates(store, utterances, longest)
    fill(cached, utterances, view, 2.5, "dev")
    return cached


def made(view, utterance, longest=None):
    """What the encoder makes of an utterance alone."""
    wav, _ = soundfile.read(utterance.wav, dtype="float32")
    wav = torch.from_numpy(wav)[utterance.start :][: utterance.num_samples]
    return view.keep([wav], longest or len(wav))[0]


@pytest.mark.parametrize(("mode", "name"), VIEWS)
def test_kept_states_are_what_is_made_anew(tmp_path, utterances, mode, name):
    """In half precision to its rounding."""
    view = view_of(mode, name)
    single = filled(tmp_path / "cache", utterances, view)
    half = filled(tmp_path / "cache", utterances, view, dtype="float16")
    assert not single.missing() and not half.missing()
    for i, utterance in enumerate(utterances):
        expected = made(view, utterance)
        own = single.get(i)
        assert own.dtype == torch.float32 and own.shape == expected.shape
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-5)
        assert half.get(i).dtype == torch.float16
        torch.testing.assert_close(
            half.get(i).float(), expected, rtol=2**-10, atol=2e-5
        )


def test_published_states_are_kept_by_the_length_of_their_batch(
    tmp_path, utterances
):
    """An utterance in two batches has states of two kinds."""
    view = view_of("published", "test_view")
    short = [16000] * 3 + [15700, 14900] + [8000] * 3
    long = [16001] * 5 + [8000] * 3
    for longest in (short, long):
        cached = filled(tmp_path / "cache", utterances, view, longest)
        for i, utterance in enumerate(utterances):
            expected = made(view, utterance, longest[i])
            own = cached.get(i)
            torch.testing.assert_close(own, expected, rtol=0, atol=1e-5)
    assert len(cached.store) == len(utterances) + 5


def test_a_part_of_a_file_is_kept_as_such(tmp_path, utterances):
    """Also of two that are padded to one length."""
    parts = [
        replace(utterances[0], start=start, num_samples=num)
        for start, num in ((0, 8000), (8000, 8000), (8000, 4000))
    ]
    for mode in ("clean", "published"):
        view = view_of(mode, "test_view")
        cached = filled(tmp_path / "cache", parts, view, [9000] * 3)
        assert len(cached.store) == 3
        for i, part in enumerate(parts):
            expected = made(view, part, 9000)
            torch.testing.assert_close(
                cached.get(i), expected, rtol=0, atol=1e-5
            )


@pytest.mark.parametrize("change", ["mtime", "size", "name"])
def test_another_file_of_the_name_is_heard_anew(tmp_path, utterances, change):
    """Its content is not compared: its time of change tells, or its size."""
    view, first = view_of("clean", "test_view"), utterances[0]
    filled(tmp_path / "cache", [first], view)
    found = os.stat(first.wav)
    if change == "name":
        (tmp_path / "b").mkdir()
        shutil.copy2(first.wav, tmp_path / "b/0.wav")
        first = replace(first, wav=str(tmp_path / "b/0.wav"))
    elif change == "size":
        wav, rate = soundfile.read(first.wav)
        soundfile.write(first.wav, -wav, rate, subtype="PCM_16")
        os.utime(first.wav, ns=(found.st_atime_ns, found.st_mtime_ns))
    else:
        wav, rate = soundfile.read(first.wav)
        soundfile.write(first.wav, -wav, rate, subtype="FLOAT")
        assert os.stat(first.wav).st_size == found.st_size
    cached = filled(tmp_path / "cache", [first], view)
    assert len(cached.store) == 2
    torch.testing.assert_close(
        cached.get(0), made(view, first), rtol=0, atol=1e-5
    )


def test_what_is_there_is_not_encoded_again(tmp_path, utterances, monkeypatch):
    """Another run finds it; one that lacks a few encodes these."""
    view = view_of("clean", "test_view")
    filled(tmp_path / "cache", utterances[:5], view)
    keep, heard = view.keep, []
    monkeypatch.setattr(
        view,
        "keep",
        lambda wavs, longest: (
            heard.extend(map(len, wavs)) or keep(wavs, longest)
        ),
    )
    filled(tmp_path / "cache", utterances[:5], view)
    assert not heard
    filled(tmp_path / "cache", utterances, view)
    assert sorted(heard) == sorted(LENGTHS[5:])


def test_what_does_not_fit_is_said_and_absent(tmp_path, utterances, caplog):
    """Before hours of encoding: with the sizes that would hold it, and what
    else lies in the cache."""
    view = view_of("clean", "test_view")
    filled(tmp_path / "cache", utterances[:1], view, dtype="float16")
    limit, keep, heard = 200_000, view.keep, []
    view.keep = lambda wavs, n: heard.extend(wavs) or keep(wavs, n)
    with caplog.at_level(logging.WARNING):
        cached = filled(tmp_path / "cache", utterances, view, limit_bytes=limit)
    (message,) = caplog.messages
    assert message.startswith(
        "dev: a cache of 200 kB holds some 0.0 of 0.1 min"
    )
    assert "states take 77 kB for each second" in message
    assert "38 kB, 1 utterances: encoder" in message
    absent = cached.missing()
    assert 0 < len(absent) < len(LENGTHS) and cached.store.nbytes <= limit
    assert len(heard) < len(LENGTHS)  # the rest is not encoded in vain
    kept = set(range(len(LENGTHS))) - set(absent)
    # The shortest first: more of them fit.
    assert min(kept) > max(absent)
    data = ProbeDataset(utterances, lambda _: [0], cached)
    for i in range(len(LENGTHS)):
        _, _, own, wav = data[i]
        assert (own is None) == (i in absent) != (wav is None)


def test_stretches_of_files_are_never_taken_from_the_cache(
    tmp_path, utterances
):
    """Not even one that is as long as the utterance that is kept."""
    view = view_of("clean", "test_view")
    cached = filled(tmp_path / "cache", utterances, view)
    data = ProbeDataset(utterances, lambda _: [0], cached)
    assert data[0][2] is not None
    utterance, _, kept, wav = data[Crop(0, 300, 700)]
    assert kept is None and len(wav) == utterance.num_samples == 700
    whole, _ = soundfile.read(utterance.wav, dtype="float32")
    assert torch.equal(wav, torch.from_numpy(whole)[300:1000])


def test_absent_audio_is_an_error_with_a_way_out(tmp_path, utterances):
    (tmp_path / "3.wav").unlink()
    with pytest.raises(DataError, match="3.wav, which 3 is in"):
        filled(tmp_path / "cache", utterances, view_of("clean", "test_view"))


@pytest.fixture(scope="module")
def prepared(corpora, tmp_path_factory):
    """The CSV files of real clips."""
    folder = tmp_path_factory.mktemp("prepared")
    write_csvs(corpora, folder)
    return folder


def posteriors(run):
    """Of the predictions, by utterance and class."""
    rows = csv.DictReader(run.predictions.splitlines())
    return {(r["ID"], r["predicted"]): float(r["posterior"]) for r in rows}


# GB that hold everything, and a half: clean states of training and of tests;
# the published ones of training, which are smaller, or of tests alone.
LIMITS = {"clean": (1.0, 6e-4), "published": (1.0, 5e-5, 6e-4)}


@pytest.mark.parametrize("kind", ["class", "ctc"])
@pytest.mark.parametrize("mode", ["clean", "published"])
def test_cached_training_is_the_uncached_one(
    prepared, tmp_path, monkeypatch, kind, mode
):
    """Losses, weights and predictions; also where a limit keeps a half."""
    options = {"mode": mode}
    plain = finish(make(kind, prepared, tmp_path / "0", **options), monkeypatch)
    shares = set()
    for limit in LIMITS[mode]:
        run = make(
            kind,
            prepared,
            tmp_path / f"{limit}",
            cache_folder=str(tmp_path / f"{limit}/cache"),
            cache_gb=limit,
            **options,
        )
        cached = finish(run, monkeypatch)
        assert cached.losses == pytest.approx(plain.losses, abs=1e-4)
        assert difference(cached.weights, plain.weights) < 1e-3
        if kind == "class":
            expected = pytest.approx(posteriors(plain), abs=1e-4)
            assert posteriors(cached) == expected
        else:
            assert cached.predictions == plain.predictions
        shares.update(len(store) for store in cached.run.data.stores.values())
        assert not any(m.training for m in run.frozen.lobe.modules())
    assert len(shares) > 2  # of 8, or 16, with 0 and some in between
    assert len(plain.losses) == 6 and len(set(plain.losses)) == 6


def test_half_precision_in_the_cache_hardly_changes_a_training(
    prepared, tmp_path, monkeypatch
):
    """Also beside what is made anew, in single."""
    runs = [
        finish(
            make(
                "class",
                prepared,
                tmp_path / dtype,
                mode="published",
                cache_folder=str(tmp_path / "cache"),
                cache_dtype=dtype,
                cache_gb=limit,
            ),
            monkeypatch,
        )
        for dtype, limit in (("float16", 2e-5), ("float32", 1.0))
    ]
    stores = [r.run.data.stores[r.run.frozen.training_view] for r in runs]
    assert 0 < len(stores[0]) < len(stores[1]) == 8
    assert runs[0].losses != runs[1].losses
    assert runs[0].losses == pytest.approx(runs[1].losses, abs=5e-3)


def test_another_seed_or_mode_is_another_training(
    prepared, tmp_path, monkeypatch
):
    """What is said to be equal above would not be so by chance."""
    losses = []
    for i, options in enumerate(
        ({"mode": "clean"}, {"mode": "published"}, {"seed": 2})
    ):
        options.update(number_of_epochs=1, head="mean", head_options={})
        run = make("class", prepared, tmp_path / f"{i}", **options)
        losses.append(finish(run, monkeypatch).losses)
    for other in losses[1:]:
        assert other != pytest.approx(losses[0], abs=1e-4)
