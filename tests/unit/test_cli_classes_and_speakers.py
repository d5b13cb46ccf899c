"""d2v-sb classify and verify: what SpeechBrain's interfaces say.

Authors
 * The d2v_sb developers 2026
"""

import json

import pytest
import soundfile
import torch

from d2v_sb.bulk.audio import load_audio
from d2v_sb.scoring.detection import equal_error_rate
from d2v_sb.windows import classify_windows
from tests.unit.bulk_models import (
    GOOD,
    call,
    classifier_folder,
    refused,
    speech_like,
    write_formats,
)


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    return write_formats(tmp_path_factory.mktemp("audio") / "clips")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return classifier_folder(tmp_path_factory.mktemp("model") / "inference")


def records(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_classes_are_those_of_the_interface(model, audio):
    folder, classifier = model
    result = call("classify", folder, audio, "--format", "jsonl")
    assert result.exit_code == 1 and "2 could not be used" in result.stderr
    found = records(result)
    assert [r["name"] for r in found] == GOOD
    for record in found:
        wav = load_audio(str(audio / record["name"]))
        with torch.no_grad():
            scores, _, _, label = classifier.classify_batch(wav[None])
        assert record["label"] == label[0]
        expected = scores.exp().max().item()
        assert record["score"] == pytest.approx(expected, abs=1e-4)
        assert sum(record["posteriors"].values()) == pytest.approx(1, abs=1e-3)


def test_classes_over_time_are_those_of_windows(model, audio):
    folder, classifier = model
    words = ("--window_seconds", 1, "--hop_seconds", 0.4, "--format", "jsonl")
    (record,) = records(call("classify", folder, audio / "long.flac", *words))
    windows = classify_windows(classifier, audio / "long.flac", 1.0, 0.4)
    for found, window in zip(record["windows"], windows, strict=True):
        assert (found["start"], found["end"]) == (
            round(window.start, 3),
            round(window.end, 3),
        )
        assert found["posteriors"] == pytest.approx(window.posteriors, abs=1e-4)
    tsv = call(
        "classify", folder, audio / "long.flac", *words[:4], "--format", "tsv"
    )
    assert len(tsv.stdout.splitlines()) == 1 + len(record["windows"])


def test_a_rerun_classifies_nothing_again(model, audio, tmp_path):
    output = tmp_path / "classes.tsv"
    call("classify", model[0], audio, "-o", output)
    before = output.read_text()
    result = call("classify", model[0], audio, "-o", output)
    assert "7 done before" in result.stderr and output.read_text() == before
    assert len(before.splitlines()) == 8
    words = ("--window_seconds", 1)
    result = call("classify", model[0], audio, "-o", output, *words)
    assert "done before" not in result.stderr  # other options, other results


def test_a_hop_without_a_window_is_refused(model, audio):
    message = refused("classify", model[0], audio, "--hop_seconds", 1)
    assert "--window_seconds" in message


def test_two_recordings_are_compared_as_by_the_interface(model, audio):
    folder, classifier = model
    one, two = audio / "a.flac", audio / "long.flac"
    result = call("verify", folder, one, two, "--format", "jsonl")
    (record,) = records(result)
    wavs = [load_audio(str(path))[None] for path in (one, two)]
    with torch.no_grad():
        embeddings = [classifier.encode_batch(wav)[0, 0] for wav in wavs]
    expected = torch.cosine_similarity(*embeddings, dim=-1).item()
    assert record["score"] == pytest.approx(expected, abs=1e-5)
    for threshold, same in ((expected - 0.01, True), (expected + 0.01, False)):
        words = ("--threshold", threshold)
        line = call("verify", folder, one, two, *words).stdout
        assert line.rstrip().endswith("same" if same else "different")


@pytest.fixture
def pairs(audio, tmp_path):
    path = tmp_path / "pairs.txt"
    clips = ("a.flac", "b.ogg", "d.wav", "long.flac")
    lines = [
        f"{int(x != 'long.flac' and y != 'long.flac')} {x} {y}"
        for i, x in enumerate(clips)
        for y in clips[i + 1 :]
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_lists_are_scored_and_their_errors_counted(
    model, audio, pairs, tmp_path
):
    output = tmp_path / "scores.jsonl"
    words = ("verify", model[0], pairs, "--audio", audio, "-o", output)
    result = call(*words)
    assert result.exit_code == 0
    found = [json.loads(line) for line in output.read_text().splitlines()]
    scores = [record["score"] for record in found]
    labels = [record["target"] for record in found]
    eer = 100 * equal_error_rate(scores, labels)
    assert len(found) == 6 and f"EER {eer:.2f} %" in result.stderr
    assert "4 done before" in call(*words).stderr


def test_pairs_of_a_broken_clip_are_left_out_and_told(model, audio, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("a.flac b.ogg\na.flac broken.flac\n")
    result = call("verify", model[0], path, "--audio", audio)
    assert result.exit_code == 1 and "broken.flac" in result.stderr
    assert len(result.stdout.splitlines()) == 1 and "EER" not in result.stderr


def test_what_is_no_list_of_pairs_is_said(model, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("a.wav b.wav\na.wav\n")
    assert "line 2: 'a.wav' is no pair" in refused("verify", model[0], path)
    path.write_text("\n")
    assert "lists no pairs" in refused("verify", model[0], path)
    soundfile.write(tmp_path / "a.wav", speech_like(1.0), 16000)
    words = [tmp_path / "a.wav"] * 3
    assert "two recordings" in refused("verify", model[0], *words)
    assert "Name another recording" in refused("verify", model[0], words[0])


def test_a_long_recording_counts_each_second_once(model, tmp_path, monkeypatch):
    monkeypatch.setattr("d2v_sb.bulk.classes.WHOLE_SECONDS", 2.0)
    folder, classifier = model
    soundfile.write(tmp_path / "a.flac", speech_like(2.5, seed=5), 16000)
    result = call("classify", folder, tmp_path / "a.flac", "--format", "jsonl")
    (record,) = records(result)
    wav = load_audio(str(tmp_path / "a.flac"))
    with torch.no_grad():
        parts = [
            classifier.classify_batch(x[None])[0].exp().flatten()
            for x in (wav[:32000], wav[-32000:])
        ]
    expected = (2.0 * parts[0] + 0.5 * parts[1]) / 2.5
    assert record["score"] == pytest.approx(expected.max().item(), abs=1e-4)


def test_scores_of_other_options_are_not_taken(model, audio, pairs, tmp_path):
    words = ("verify", model[0], pairs, "--audio", audio)
    words = (*words, "-o", tmp_path / "scores.tsv")
    call(*words)
    assert "4 done before" in call(*words).stderr
    for more in (("--chunk_seconds", 2), ("--precision", "bf16")):
        assert "done before" not in call(*words, *more).stderr


def test_a_list_is_not_overwritten_by_its_scores(model, audio, pairs):
    before = pairs.read_text()
    words = ("verify", model[0], pairs, "--audio", audio, "-o", pairs)
    assert "not of this command" in refused(*words)
    assert pairs.read_text() == before
