"""d2v-sb transcribe: what SpeechBrain's interface hears, of any file.

Authors
 * The d2v_sb developers 2026
"""

import json
import os

import pytest
import soundfile
import torch
from speechbrain.inference.ASR import EncoderASR, EncoderDecoderASR

from d2v_sb.alignment import transcribe_words
from d2v_sb.bulk.audio import load_audio
from d2v_sb.bulk.hearing import GreedyListener
from d2v_sb.bulk.lock import only_run
from d2v_sb.bulk.pieces import AtPauses
from d2v_sb.bulk.results import Results
from d2v_sb.chunked import stream_words
from tests.unit.bulk_models import (
    GOOD,
    call,
    ctc_folder,
    joint_folder,
    refused,
    write_formats,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ctc_folder(tmp_path_factory.mktemp("model") / "inference")


@pytest.fixture(scope="module")
def asr(model):
    return EncoderASR.from_hparams(source=str(model))


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    return write_formats(tmp_path_factory.mktemp("audio") / "clips")


@pytest.fixture(scope="module")
def transcripts(model, audio, tmp_path_factory):
    """The records of all, and what the command said."""
    output = tmp_path_factory.mktemp("out") / "all.jsonl"
    result = call("transcribe", model, audio, "-o", output)
    lines = output.read_text(encoding="utf-8").splitlines()
    return {r["name"]: r for r in map(json.loads, lines)}, result


def test_every_format_is_heard_as_speechbrain_hears_its_waveform(
    asr, audio, transcripts
):
    records, _ = transcripts
    assert list(records) == GOOD
    for name in GOOD:
        wav = load_audio(str(audio / name))
        ((text,), _) = asr.transcribe_batch(wav[None], wav.new_ones(1))
        assert records[name]["text"] == " ".join(text.split()), name
        assert len(records[name]["text"]) > 5
        assert records[name]["seconds"] == pytest.approx(len(wav) / 16000, 1e-3)


def test_words_have_the_times_of_the_alignment(asr, audio, transcripts):
    path = audio / "long.flac"
    words = [word._asdict() for word in transcribe_words(asr, str(path))]
    found = transcripts[0]["long.flac"]["words"]
    assert [w["text"] for w in found] == [w["text"] for w in words]
    for ours, theirs in zip(found, words, strict=True):
        assert ours["start"] == theirs["start"] and ours["end"] == theirs["end"]
        assert ours["confidence"] == pytest.approx(
            theirs["confidence"], abs=1e-3
        )


def test_bad_files_are_told_at_the_end_and_the_rest_is_kept(transcripts):
    records, result = transcripts
    assert result.exit_code == 1
    assert (
        "7 files, " in result.stderr and "2 could not be used" in result.stderr
    )
    for name, reason in (("broken.flac", "broken"), ("empty.wav", "0 bytes")):
        (line,) = (x for x in result.stderr.splitlines() if f"/{name}: " in x)
        assert reason in line and "Traceback" not in result.stderr


def test_a_long_file_in_chunks_is_what_streaming_hears(
    model, asr, audio, tmp_path
):
    """Without waveform normalisation, which streaming does for the whole file
    and this for each chunk, the two are the same; with it, near."""
    output = tmp_path / "chunks.jsonl"
    words = ("--chunk_seconds", 1.5, "--context_seconds", 0.5)
    call("transcribe", model, audio / "long.flac", "-o", output, *words)
    found = json.loads(output.read_text())["words"]
    streamed = list(stream_words(asr, str(audio / "long.flac"), 1.5, 0.5))
    spelled = "".join(w["text"] for w in found)
    expected = "".join(w.text for w in streamed)
    assert abs(len(spelled) - len(expected)) <= 0.2 * len(expected)
    assert found[-1]["end"] <= 7.3


def test_a_chunk_that_holds_the_file_changes_nothing(model, audio, transcripts):
    words = ("--chunk_seconds", 7.3, "--format", "jsonl")
    result = call("transcribe", model, audio / "long.flac", *words)
    found = json.loads(result.stdout)
    assert found["words"] == transcripts[0]["long.flac"]["words"]


def test_a_rerun_does_only_what_is_missing(model, audio, tmp_path, monkeypatch):
    output = tmp_path / "all.txt"
    add, calls = Results.add, []

    def stops(self, item, *rest):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(item.name)
        add(self, item, *rest)

    monkeypatch.setattr(Results, "add", stops)
    result = call("transcribe", model, audio, "-o", output)
    assert result.exit_code == 130 and "goes on from here" in result.stderr
    assert len(output.read_text().splitlines()) == 3
    monkeypatch.setattr(Results, "add", add)
    result = call("transcribe", model, audio, "-o", output)
    assert "4 files, " in result.stderr and "3 done before" in result.stderr
    names = [line.split("\t")[0] for line in output.read_text().splitlines()]
    assert names == GOOD
    # In another format nothing is heard again: the results are there.
    assert call("transcribe", model, audio, "-o", output).exit_code == 1


def test_formats_are_of_one_transcript(model, audio, transcripts, tmp_path):
    records, _ = transcripts
    files = [audio / name for name in GOOD]
    result = call("transcribe", model, *files, "--format", "tsv")
    header, *rows = result.stdout.splitlines()
    assert header.split("\t") == "name start end confidence text".split()
    assert len(rows) == sum(len(r["words"]) for r in records.values())
    call(
        "transcribe", model, *files, "-o", tmp_path / "subs", "--format", "srt"
    )
    written = sorted(p.name for p in (tmp_path / "subs").rglob("*.srt"))
    assert len(written) == len(GOOD)
    (srt,) = (tmp_path / "subs").rglob("a.srt")
    blocks = srt.read_text().strip().split("\n\n")
    texts = [block.split("\n", 2)[2] for block in blocks]
    assert " ".join(texts) == records["a.flac"]["text"]
    call("transcribe", model, files[0], "-o", tmp_path / "one.vtt")
    assert (tmp_path / "one.vtt").read_text().startswith("WEBVTT\n\n00:00:0")


def test_one_file_alone_is_its_text(model, audio, transcripts):
    result = call("transcribe", model, audio / "a.flac")
    assert result.exit_code == 0
    assert result.stdout == transcripts[0]["a.flac"]["text"] + "\n"


def test_precision_and_batches_change_little(model, audio, transcripts):
    files = [audio / name for name in GOOD]
    small = call(
        *("transcribe", model, *files, "--batch_seconds", 2, "--format", "text")
    )
    texts = [line.split("\t")[1] for line in small.stdout.splitlines()]
    assert texts == [r["text"] for r in transcripts[0].values()]
    half = call("transcribe", model, *files, "--precision", "bf16")
    assert half.exit_code == 0 and len(half.stdout.splitlines()) == 7


def test_attention_is_heard_as_by_its_interface(audio, tmp_path):
    folder = joint_folder(tmp_path / "inference")
    asr = EncoderDecoderASR.from_hparams(source=str(folder))
    names = ["a.flac", "long.flac"]
    words = ("--chunk_seconds", 3, "--format", "jsonl")
    # Each alone: what finds no end, as here, is cut at its batch's limit.
    words = (*words, "--batch_seconds", 0.1)
    files = [audio / name for name in names]
    result = call("transcribe", folder, *files, *words)
    for name, line in zip(names, result.stdout.splitlines(), strict=True):
        record, texts = json.loads(line), []
        for piece in AtPauses(3.0)([load_audio(str(audio / name))]):
            wav = piece.wav[None]
            texts += asr.transcribe_batch(wav, wav.new_ones(1))[0]
        assert record["text"] == " ".join(filter(None, texts))
        assert len(texts) == (1 if name == "a.flac" else 3)
        # CTC can not spell everything that attention says in its frames.
        for word in record.get("words", []):
            assert 0 <= word["start"] < word["end"] <= record["seconds"]


def test_a_model_without_times_of_words_has_those_of_pieces(audio, tmp_path):
    """Its output is normalised over the file, so chunks would be others."""
    folder = ctc_folder(tmp_path / "inference", output_norm=True)
    words = ("--chunk_seconds", 3, "--format", "jsonl")
    result = call("transcribe", folder, audio / "long.flac", *words)
    record = json.loads(result.stdout)
    assert "words" not in record and len(record["segments"]) == 3
    assert record["segments"][0]["start"] == 0
    assert record["segments"][-1]["end"] == record["seconds"]
    srt = call("transcribe", folder, audio / "long.flac", "--format", "srt")
    assert srt.stdout.startswith("1\n00:00:00,000 --> ")


@pytest.mark.parametrize(
    "words, reason",
    [
        (("absent.wav",), "there is no such file"),
        (("a.flac", "-o", "x.docx"), "choose a --format"),
        (("a.flac", "b.ogg", "--format", "srt"), "name a folder with -o"),
        (("a.flac", "--device", "cuda:99"), "--device cuda:99"),
        (("a.flac", "-o", "sub", "--format", "tsv"), "is a folder"),
    ],
)
def test_what_does_not_fit_is_said_before_the_work(
    model, audio, monkeypatch, words, reason
):
    monkeypatch.chdir(audio)
    assert reason in refused("transcribe", model, *words)


def test_what_is_no_model_is_said(audio, tmp_path):
    message = refused("transcribe", tmp_path, audio)
    assert "is no model folder" in message and "inference" in message
    (tmp_path / "hyperparams.yaml").write_text("a: 1\n")
    (tmp_path / "model.ckpt").touch()
    assert "another interface" in refused("transcribe", tmp_path, audio)


def test_words_of_later_pieces_have_their_times(audio, tmp_path):
    folder = joint_folder(tmp_path / "inference")
    words = ("--chunk_seconds", 3, "--batch_seconds", 0.1, "--format", "jsonl")
    record = json.loads(
        call("transcribe", folder, audio / "long.flac", *words).stdout
    )
    pieces = list(AtPauses(3.0)([load_audio(str(audio / "long.flac"))]))
    alone = []
    for number, piece in enumerate(pieces):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, piece.wav.numpy(), 16000, "FLOAT")
        part = json.loads(call("transcribe", folder, path, *words).stdout)
        start = piece.start / 16000
        alone += [(w["text"], w["start"] + start) for w in part["words"]]
    found = [(w["text"], w["start"]) for w in record["words"]]
    assert len(found) > len(pieces) > 1
    assert [w for w, _ in found] == [w for w, _ in alone]
    assert [s for _, s in found] == pytest.approx(
        [s for _, s in alone], abs=2e-3
    )


def test_results_of_other_options_or_labels_are_not_taken(audio, tmp_path):
    folder = ctc_folder(tmp_path / "inference")
    output = tmp_path / "out.jsonl"
    words = ("transcribe", folder, audio / "a.flac", "-o", output)
    call(*words)
    assert "1 done before" in call(*words).stderr
    for more in (
        ("--chunk_seconds", 5),
        ("--context_seconds", 1),
        ("--precision", "bf16"),
    ):
        assert "done before" not in call(*words, *more).stderr, more
    call(*words)
    before = json.loads(output.read_text())["text"]
    tokens = folder / "tokenizer.ckpt"
    text = tokens.read_text(encoding="utf-8")
    assert "'A' => " in text
    tokens.write_text(text.replace("'A' => ", "'X' => "), encoding="utf-8")
    assert "done before" not in call(*words).stderr
    assert json.loads(output.read_text())["text"] == before.replace("A", "X")


def test_precision_is_that_of_the_encoder(model, audio, monkeypatch):
    seen, forward = [], GreedyListener.forward

    def spy(self, wavs, wav_lens):
        weight = self.model.encoder.encoder.layers[0].fc1
        handle = weight.register_forward_hook(
            lambda module, inputs, output: seen.append(output.dtype)
        )
        result = forward(self, wavs, wav_lens)
        handle.remove()
        return result

    monkeypatch.setattr(GreedyListener, "forward", spy)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        seen.clear()
        words = ("--precision", precision)
        assert (
            call("transcribe", model, audio / "a.flac", *words).exit_code == 0
        )
        assert set(seen) == {dtype}


def test_a_file_that_broke_since_has_no_text_any_more(model, audio, tmp_path):
    clip = tmp_path / "clips/a.flac"
    clip.parent.mkdir()
    clip.write_bytes((audio / "a.flac").read_bytes())
    output = tmp_path / "out.txt"
    call("transcribe", model, clip.parent, "-o", output)
    assert output.read_text()
    clip.write_text("broken")
    assert call("transcribe", model, clip.parent, "-o", output).exit_code == 1
    assert output.read_text() == ""


def test_a_users_own_file_is_not_overwritten(model, audio, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text(f"{audio / 'a.flac'}\n")
    message = refused("transcribe", model, notes, "-o", notes)
    assert "not of this command" in message
    assert notes.read_text() == f"{audio / 'a.flac'}\n"
    for path in (tmp_path / "subs/a.srt", tmp_path / "clips/a.flac"):
        path.parent.mkdir()
        path.write_bytes((audio / "a.flac").read_bytes())
    words = ("-o", tmp_path / "subs", "--format", "srt")
    message = refused("transcribe", model, tmp_path / "clips", *words)
    assert "subs/a.srt is there already" in message
    one_line = tmp_path / "notes.jsonl"
    for text in ('{"a": 1}\n', "[1, 2]\n", "mine\n", '"x"'):
        one_line.write_text(text)
        message = refused("transcribe", model, audio, "-o", one_line)
        assert "holds something else" in message
        assert one_line.read_text() == text


def test_two_runs_do_not_write_to_one_output(model, audio, tmp_path):
    output = tmp_path / "out.txt"
    with only_run(f"{output}.jsonl"):
        message = refused("transcribe", model, audio, "-o", output)
    assert "another run is at work" in message
    assert (
        call("transcribe", model, audio / "a.flac", "-o", output).exit_code == 0
    )


def test_a_stop_leaves_an_earlier_output_as_it_is(
    model, audio, tmp_path, monkeypatch
):
    output = tmp_path / "out.txt"
    call("transcribe", model, audio, "-o", output)
    before = output.read_text()

    def stops(self, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(Results, "add", stops)
    words = ("--chunk_seconds", 5)  # other options: nothing is known
    assert (
        call("transcribe", model, audio, "-o", output, *words).exit_code == 130
    )
    assert output.read_text() == before


def test_names_that_break_lines_are_told(model, audio, tmp_path):
    names = ("new\nline.flac", "tab\t.flac", os.fsdecode(b"caf\xe9.flac"))
    for name in (*names, "fine é.flac"):
        (tmp_path / name).write_bytes((audio / "a.flac").read_bytes())
    result = call("transcribe", model, tmp_path)
    assert result.exit_code == 1 and "3 could not be used" in result.stderr
    assert len(result.stdout.splitlines()) == 1
