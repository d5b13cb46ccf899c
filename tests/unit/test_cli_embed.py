"""d2v-sb embed: features of many files are those of each file alone.

Authors
 * The d2v_sb developers 2026
"""

import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from d2v_sb.bulk import feature_files, shards
from d2v_sb.bulk.audio import load_audio
from d2v_sb.bulk.feature_files import FeatureFiles
from d2v_sb.bulk.features import LayerFeatures
from d2v_sb.bulk.pieces import AtPauses
from d2v_sb.checkpoints import load_checkpoint, save_native
from d2v_sb.lobes import Data2VecAudio, WeightedData2Vec
from tests.unit.bulk_models import (
    GOOD,
    call,
    classifier_folder,
    refused,
    speech_like,
    write_formats,
)

SMALL = "d2v_sb/small"


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    return write_formats(tmp_path_factory.mktemp("audio") / "clips")


@pytest.fixture(scope="module")
def states(audio):
    """All states (L+1, T, D) of each file alone."""
    encoder = Data2VecAudio(SMALL, freeze=True, output_all_hiddens=True)
    wavs = {name: load_audio(str(audio / name)) for name in GOOD}
    return {
        name: encoder(wav[None])[:, 0].numpy() for name, wav in wavs.items()
    }


def index(folder):
    lines = (folder / "_index.jsonl").read_text().splitlines()
    return {r["name"]: r for r in map(json.loads, lines)}


def near(found, expected):
    return found.shape == expected.shape and np.allclose(
        found, expected, atol=2e-5
    )


@pytest.mark.parametrize(
    "layers, chosen",
    [(None, [3]), ("all", [0, 1, 2, 3]), ("1", [1]), ("0,2", [0, 2])],
)
def test_layers_are_those_of_each_file_alone(
    audio, states, tmp_path, layers, chosen
):
    words = () if layers is None else ("--layers", layers)
    result = call("embed", SMALL, audio, "-o", tmp_path / "out", *words)
    assert result.exit_code == 1 and "2 could not be used" in result.stderr
    rows = index(tmp_path / "out")
    assert list(rows) == GOOD
    for name, row in rows.items():
        found = load_file(tmp_path / "out" / row["file"])["features"]
        expected = states[name][chosen].swapaxes(0, 1)
        expected = expected[:, 0] if len(chosen) == 1 else expected
        assert near(found, expected), name
        assert row["shape"] == list(expected.shape)


def test_formats_hold_the_same(audio, states, tmp_path):
    for form in ("npy", "parquet"):
        call("embed", SMALL, audio, "-o", tmp_path / form, "--format", form)
    for name, row in index(tmp_path / "npy").items():
        assert near(np.load(tmp_path / "npy" / row["file"]), states[name][3])
    table = pq.read_table(tmp_path / "parquet").to_pandas()
    for name in GOOD:
        rows = table[table["name"] == name]
        assert near(np.stack(rows["features"]), states[name][3])
        times = rows["start"].to_numpy()
        assert np.allclose(times, 0.02 * np.arange(len(times)))


@pytest.mark.parametrize("form", ["npy", "safetensors", "parquet"])
def test_pooled_frames_are_rows(audio, states, tmp_path, form):
    words = ("--pool", "mean_std", "--format", form)
    call("embed", SMALL, audio, "-o", tmp_path, *words)
    part = tmp_path / f"part-00000.{form}"
    for name, row in index(tmp_path).items():
        if form == "npy":
            found = np.load(part)[row["row"]]
        elif form == "parquet":
            found = np.stack(pq.read_table(part)["embedding"].to_numpy())
            found = found[row["row"]]
        else:
            with safe_open(part, "np") as file:
                assert json.loads(file.metadata()["names"])[row["row"]] == name
                found = file.get_tensor("features")[row["row"]]
        last = states[name][3]
        assert near(found, np.concatenate([last.mean(0), last.std(0)])), name


def test_embeddings_are_those_of_the_interface(audio, tmp_path):
    folder, classifier = classifier_folder(tmp_path / "inference")
    call("embed", folder, audio, "-o", tmp_path / "own", "--format", "npy")
    matrix = np.load(tmp_path / "own/part-00000.npy")
    for name, row in index(tmp_path / "own").items():
        wav = load_audio(str(audio / name))
        expected = classifier.encode_batch(wav[None])[0, 0].detach().numpy()
        assert near(matrix[row["row"]], expected), name
    front_end = classifier.mods.embedding_model.front_end
    assert isinstance(front_end, WeightedData2Vec)
    words = ("--layers", "weighted", "--format", "npy")
    call("embed", folder, audio / "a.flac", "-o", tmp_path / "sum", *words)
    (row,) = index(tmp_path / "sum").values()
    wav = load_audio(str(audio / "a.flac"))
    with torch.no_grad():
        expected = front_end(wav[None])[0].numpy()
    assert near(np.load(tmp_path / "sum" / row["file"]), expected)


def test_a_file_larger_than_the_memory_allows_is_the_same(
    audio, tmp_path, monkeypatch
):
    words = ("--chunk_seconds", 1, "--context_seconds", 0.5)
    for form in ("npy", "safetensors", "parquet"):
        outputs = []
        for spill in (1 << 30, 1000):
            monkeypatch.setattr(
                feature_files.Frames.__init__, "__defaults__", (spill,)
            )
            monkeypatch.setattr(shards, "SPILL", spill)
            output = tmp_path / f"{form}{spill}"
            call(
                *("embed", SMALL, audio / "long.flac", "-o", output),
                *("--format", form, *words),
            )
            (row,) = index(output).values()
            outputs.append((output / row["file"]).read_bytes())
            assert not (output / ".unfinished").exists()
        assert outputs[0] == outputs[1]


def test_chunks_have_the_frames_of_the_whole(audio, states, tmp_path):
    words = ("--chunk_seconds", 2, "--context_seconds", 1, "--format", "npy")
    call("embed", SMALL, audio / "long.flac", "-o", tmp_path, *words)
    (row,) = index(tmp_path).values()
    found, whole = np.load(tmp_path / row["file"]), states["long.flac"][3]
    assert found.shape == whole.shape
    angle = (found * whole).sum(-1)
    angle /= np.linalg.norm(found, axis=-1) * np.linalg.norm(whole, axis=-1)
    assert angle.mean() > 0.8
    shifted = (found[1:] * whole[:-1]).sum(-1)
    shifted /= np.linalg.norm(found[1:], axis=-1)
    shifted /= np.linalg.norm(whole[:-1], axis=-1)
    assert shifted.mean() < angle.mean()  # a frame off would be seen


@pytest.mark.parametrize("words", [(), ("--pool", "mean")])
def test_a_rerun_does_only_what_is_missing(audio, tmp_path, monkeypatch, words):
    seen = []
    command = (
        "embed",
        SMALL,
        audio,
        "-o",
        tmp_path,
        "--num_workers",
        1,
        *words,
    )
    write = FeatureFiles.write if not words else shards.EmbeddingParts.write
    owner = FeatureFiles if not words else shards.EmbeddingParts

    def interrupted(self, *rest):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(1)
        write(self, *rest)

    monkeypatch.setattr(owner, "write", interrupted)
    result = call(*command)
    assert result.exit_code == 130 and "goes on from here" in result.stderr
    assert len(index(tmp_path)) == 3
    monkeypatch.setattr(owner, "write", write)
    result = call(*command)
    assert "4 files, " in result.stderr and "3 done before" in result.stderr
    assert list(index(tmp_path)) == GOOD


def test_other_settings_are_not_mixed_into_a_folder(audio, tmp_path):
    call("embed", SMALL, audio / "a.flac", "-o", tmp_path)
    for words, reason in (
        (("--layers", "all"), r"layers [3], now [0, 1, 2, 3]"),
        (("--format", "npy"), "format safetensors, now npy"),
    ):
        message = refused(
            "embed", SMALL, audio / "a.flac", "-o", tmp_path, *words
        )
        assert reason in message
    other = tmp_path / "other.safetensors"
    checkpoint = load_checkpoint(SMALL)
    checkpoint.encoder["projection.norm.bias"] = torch.ones(64)
    save_native(checkpoint, other)
    message = refused("embed", other, audio / "a.flac", "-o", tmp_path)
    assert "another model" in message
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").touch()
    message = refused("embed", SMALL, audio, "-o", tmp_path / "mine")
    assert "holds something else" in message


def test_rows_of_a_file_that_changed_are_not_left_beside_new_ones(tmp_path):
    clip = tmp_path / "clips/a.wav"
    clip.parent.mkdir()
    soundfile.write(clip, speech_like(1.0), 16000)
    words = ("embed", SMALL, clip.parent, "-o", tmp_path / "out")
    call(*words, "--pool", "mean")
    soundfile.write(clip, speech_like(2.0), 16000)
    assert "not the same file any more" in refused(*words, "--pool", "mean")


@pytest.mark.parametrize(
    "words, reason",
    [
        (("--layers", "4"), "the layers 0 to 3"),
        (("--layers", "first"), "the layers 0 to 3"),
        (("--layers", "weighted"), "no learned weights"),
        (("--pool", "model"), "is no model folder"),
    ],
)
def test_what_a_model_has_not_is_said(audio, tmp_path, words, reason):
    source = tmp_path / "encoder.safetensors"
    save_native(load_checkpoint(SMALL), source)
    message = refused("embed", source, audio, "-o", tmp_path / "out", *words)
    assert reason in message and not (tmp_path / "out").exists()


def test_features_of_another_file_of_that_name_are_not_overwritten(tmp_path):
    for place, seconds in (("A", 1.0), ("B", 2.0)):
        (tmp_path / place).mkdir()
        soundfile.write(tmp_path / place / "x.wav", speech_like(seconds), 16000)
    call("embed", SMALL, tmp_path / "A", "-o", tmp_path / "out")
    message = refused("embed", SMALL, tmp_path / "B", "-o", tmp_path / "out")
    assert "A/x.wav as x.wav" in message and "another folder" in message
    # The same place with another content is done anew.
    soundfile.write(tmp_path / "A/x.wav", speech_like(3.0), 16000)
    call("embed", SMALL, tmp_path / "A", "-o", tmp_path / "out")
    assert index(tmp_path / "out")["x.wav"]["shape"] == [149, 128]


def test_features_that_were_removed_are_made_again(audio, tmp_path):
    words = ("embed", SMALL, audio / "a.flac", "-o", tmp_path)
    call(*words)
    (row,) = index(tmp_path).values()
    (tmp_path / row["file"]).unlink()
    assert "1 file, " in call(*words).stderr
    assert (tmp_path / row["file"]).is_file()


@pytest.mark.parametrize("words", [("--pool", "mean"), ()])
def test_parts_and_index_agree_wherever_a_run_is_killed(
    audio, tmp_path, monkeypatch, words
):
    """Between the index's lines and the part's name, which comes last."""
    command = ("embed", SMALL, audio, "-o", tmp_path, "--format", "parquet")
    replace = os.replace

    def killed(source, target):
        if str(target).endswith(".parquet"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(shards.os, "replace", killed)
    assert call(*command, *words).exit_code == 130
    assert not list(tmp_path.glob("part-*"))
    monkeypatch.setattr(shards.os, "replace", replace)
    assert "7 files, " in call(*command, *words).stderr
    names = pq.read_table(tmp_path)["name"].to_pylist()
    assert set(names) == set(GOOD)
    if words:
        assert len(names) == 7


def test_several_parts_hold_each_file_once(audio, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROWS", 3)
    words = ("--pool", "mean", "--format", "npy")
    call("embed", SMALL, audio, "-o", tmp_path, *words)
    parts = sorted(tmp_path.glob("part-*.npy"))
    assert [len(np.load(part)) for part in parts] == [3, 3, 1]
    places = {(row["file"], row["row"]) for row in index(tmp_path).values()}
    assert len(places) == 7


def test_half_precision_is_of_the_frames_on_the_disk(audio, tmp_path):
    words = ("--dtype", "float16", "--format", "npy")
    call("embed", SMALL, audio / "a.flac", "-o", tmp_path / "f", *words)
    (row,) = index(tmp_path / "f").values()
    frames = np.load(tmp_path / "f" / row["file"])
    assert frames.dtype == np.float16
    call(
        "embed",
        SMALL,
        audio / "a.flac",
        "-o",
        tmp_path / "v",
        *words,
        "--pool",
        "mean",
    )
    vector = np.load(tmp_path / "v/part-00000.npy")[0]
    assert vector.dtype == np.float32
    mean = frames.astype(np.float64).mean(0)
    assert 1e-6 < np.abs(vector - mean).max() < 1e-2  # not of rounded frames


def test_a_long_file_in_pieces_is_their_mean_by_length(tmp_path):
    folder, classifier = classifier_folder(tmp_path / "inference")
    wav = speech_like(3.5, seed=3)
    soundfile.write(tmp_path / "a.flac", wav, 16000)
    words = ("--chunk_seconds", 3, "--format", "npy")
    call("embed", folder, tmp_path / "a.flac", "-o", tmp_path / "out", *words)
    wav = load_audio(str(tmp_path / "a.flac"))
    pieces = [piece.wav for piece in AtPauses(3.0)([wav])]
    assert len(pieces) == 2 and len(pieces[0]) != len(pieces[1])
    with torch.no_grad():
        rows = [classifier.encode_batch(x[None])[0, 0] for x in pieces]
    expected = sum(r * len(x) for r, x in zip(rows, pieces)) / len(wav)
    found = np.load(tmp_path / "out/part-00000.npy")[0]
    assert near(found, expected.numpy())
    assert not near(found, torch.stack(rows).mean(0).numpy())


def test_what_is_not_finite_fails_and_the_rest_is_kept(
    audio, tmp_path, monkeypatch
):
    rows = LayerFeatures.rows

    def broken(self, tensors, num_samples):
        found = rows(self, tensors, num_samples)
        return [
            np.full_like(x, np.nan) if n > 100_000 else x
            for x, n in zip(found, num_samples)
        ]

    monkeypatch.setattr(LayerFeatures, "rows", broken)
    result = call("embed", SMALL, audio, "-o", tmp_path)
    assert result.exit_code == 1 and "are not finite" in result.stderr
    assert list(index(tmp_path)) == [n for n in GOOD if n != "long.flac"]


def test_spilled_features_leave_no_open_file(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        frames = feature_files.Frames(tmp_path, spill=1)
        frames.add(np.ones((2, 2), np.float32))
        with frames as array:
            assert len(array) == 2
    assert len(os.listdir("/proc/self/fd")) <= before + 1
