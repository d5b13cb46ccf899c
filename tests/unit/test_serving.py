"""What the page of d2v-sb serve answers and draws, without a browser.

Authors
 * The d2v_sb developers 2026
"""

import re
import socket
import sys
from html import unescape
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from speechbrain.inference.ASR import EncoderASR
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.nnet.linear import Linear

from d2v_sb.alignment import transcribe_words
from d2v_sb.bulk.cues import to_srt
from d2v_sb.bulk.hearing import make_listener
from d2v_sb.classification_folder import export_classifier
from d2v_sb.cli.serve import serve
from d2v_sb.errors import DataError, UserError
from d2v_sb.inference import export_ctc
from d2v_sb.lobes import (
    CTCModel,
    Data2VecAudio,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.serving import answers, drawing, server
from d2v_sb.serving.page import Models, build_page
from d2v_sb.serving.recordings import read_recording
from d2v_sb.tokens import Letters
from d2v_sb.utterances import Labels
from d2v_sb.windows import Window, classify_windows

WORDS = [
    {"text": "A<B", "start": 1.0, "end": 1.5, "confidence": 0.9},
    {"text": "LAST", "start": 2.0, "end": 2.4, "confidence": 0.1},
]
RECORD = {"seconds": 4.0, "text": "A<B LAST", "words": WORDS}


@pytest.fixture(scope="module")
def asr(tmp_path_factory):
    """A loaded CTC folder of random weights."""
    folder = tmp_path_factory.mktemp("asr") / "inference"
    torch.manual_seed(0)
    letters = Letters(" 'ABCDEFGH")
    encoder = Data2VecAudio("tiny", encoder_layers=1)
    with torch.no_grad():  # else all frames are much the same
        encoder.encoder.layers[-1].final_layer_norm.weight.mul_(2)
    head = Linear(input_size=128, n_neurons=len(letters))
    export_ctc(folder, CTCModel(encoder, head), letters)
    return EncoderASR.from_hparams(source=str(folder))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A loaded folder of two classes, random as well."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "train.csv").write_text("ID,label\na,calm\nb,loud\n")
    torch.manual_seed(0)
    encoder = UtteranceEncoder(
        WeightedData2Vec("tiny"), make_head("statistics", 128, 8)
    )
    model = UtteranceClassifier(encoder, Linear(input_size=8, n_neurons=2))
    labels = Labels(folder / "train.csv", "label")
    export_classifier(folder / "inference", model, labels, 1.0)
    return SpeakerRecognition.from_hparams(source=str(folder / "inference"))


def noise(seconds, seed=0):
    """A waveform whose loudness changes."""
    generator = torch.Generator().manual_seed(seed)
    length = int(seconds * 16000)
    loudness = torch.linspace(0.01, 0.1, length)
    return torch.randn(length, generator=generator) * loudness


def write(path, wav, rate=16000):
    """A file of a waveform."""
    soundfile.write(path, wav.numpy(), rate, subtype="FLOAT")
    return path


def test_a_recording_of_the_limit_is_read_and_a_longer_one_not_to_its_end(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "a.wav", noise(3))
    assert torch.equal(read_recording(path, 3), noise(3))
    with pytest.raises(DataError, match="a.wav is longer than 2.9 s"):
        read_recording(path, 2.9)
    given = []

    def endless(path):
        while True:
            given.append(path)
            yield torch.rand(16000)

    monkeypatch.setattr("d2v_sb.serving.recordings.audio_blocks", endless)
    with pytest.raises(DataError, match="longer than 5 s"):
        read_recording(path, 5)
    assert len(given) == 6


def test_what_can_not_be_heard_is_said_without_the_folder(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    write(tmp_path / "silent.wav", torch.zeros(16000))
    write(tmp_path / "short.wav", noise(0.01))
    for name, reason in (
        ("broken", "broken.wav"),
        ("silent", "is silent"),
        ("short", "too short"),
        ("missing", "missing.wav"),
    ):
        with pytest.raises(DataError, match=reason) as caught:
            read_recording(tmp_path / f"{name}.wav", 10)
        assert str(tmp_path) not in str(caught.value)


def test_what_a_browser_records_is_read(tmp_path):
    av = pytest.importorskip("av")
    tone = 0.3 * np.sin(np.arange(96000) * 2 * np.pi * 440 / 48000)
    with av.open(str(tmp_path / "a.webm"), "w") as file:
        stream = file.add_stream("libopus", rate=48000, layout="stereo")
        samples = np.repeat(tone.astype(np.float32), 2)[None]
        frame = av.AudioFrame.from_ndarray(samples, "flt", "stereo")
        frame.sample_rate = 48000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    wav = read_recording(tmp_path / "a.webm", 10)
    assert len(wav) == pytest.approx(32000, abs=1000)
    loudest = wav[8000:24000].double().numpy()
    assert np.abs(np.fft.rfft(loudest)).argmax() == 440  # 1 Hz a bin


def test_a_recording_is_heard_as_transcribe_words_hears_it(asr, tmp_path):
    wav, listener = noise(3), make_listener(asr)
    record = answers.hear(listener, wav)
    expected = transcribe_words(asr, str(write(tmp_path / "a.wav", wav)))
    found = [word["text"] for word in record["words"]]
    assert found == [word.text for word in expected] and len(found) > 1
    assert record["text"] == " ".join(found)
    assert answers.hear(listener, noise(3, 1))["text"] != record["text"]


def test_the_course_is_that_of_classify_windows_and_its_mean(
    classifier, tmp_path
):
    wav = noise(7)
    course = answers.course(classifier, wav)
    path = write(tmp_path / "a.wav", wav)
    expected = list(classify_windows(classifier, path, hop_seconds=1.0))
    assert [w.start for w in course.windows] == [0, 1, 2, 3]
    for found, window in zip(course.windows, expected, strict=True):
        assert found == window
    calm = [window.posteriors["calm"] for window in expected]
    assert course.mean["calm"] == pytest.approx(sum(calm) / 4)
    assert sum(course.mean.values()) == pytest.approx(1)
    assert calm[0] != pytest.approx(course.mean["calm"], abs=1e-6)


def test_two_recordings_score_as_verify_files_does(classifier, tmp_path):
    one, other = noise(2), noise(3, 1).cumsum(0) / 10
    paths = [
        str(write(tmp_path / f"{i}.wav", w)) for i, w in enumerate((one, other))
    ]
    expected, _ = classifier.verify_files(*paths)
    score = answers.likeness(classifier, one, other)
    assert score == pytest.approx(expected.item(), abs=1e-5)
    itself = answers.likeness(classifier, one, one)
    assert itself == pytest.approx(1) and score < 0.9999


def test_no_more_is_compared_than_the_page_says(classifier, monkeypatch):
    monkeypatch.setattr(answers, "COMPARED_SECONDS", 1)
    long, other = noise(2), noise(1, 1)
    assert answers.likeness(classifier, long, other) == answers.likeness(
        classifier, long[:16000], other
    )
    assert answers.likeness(classifier, long, long[:16000]) == pytest.approx(1)


def test_words_lie_at_their_times_and_are_no_markup():
    html = drawing.words_drawing(noise(4), RECORD)
    places = re.findall(r'd2v-word"[^>]*left:([\d.]+)%;width:([\d.]+)%', html)
    # From begin to the next word's, and to the end.
    assert places == [("25.000", "25.000"), ("50.000", "50.000")]
    assert re.findall(r'<i style="width:([\d.]+)%', html) == ["50.0", "20.0"]
    assert re.findall(r"--sure:(\d+)%", html) == ["81", "1"]
    assert "<b>A&lt;B</b>" in html and "A<B" not in html
    assert "2.00–2.40 s, confidence 0.10" in html


def test_segments_are_drawn_where_words_have_no_times():
    segment = {"text": "ALL OF IT", "start": 0.0, "end": 4.0}
    html = drawing.words_drawing(noise(4), {"segments": [segment]})
    assert "ALL OF IT" in html and "0.00–4.00 s<" in html


def test_a_waveform_is_as_tall_as_its_loudest_part():
    wav = torch.zeros(32000)
    wav[16000:] = torch.tensor([0.2, -0.1]).repeat(8000)
    html = drawing.words_drawing(wav, {"words": []})
    points = re.search(r'polygon points="([^"]+)"', html)[1].split()
    points = [tuple(map(int, point.split(","))) for point in points]
    quiet = [y for x, y in points if x < 100]
    loud = [y for x, y in points if x >= 100]
    assert set(quiet) == {50, 51} and set(loud) == {2, 74}


def test_chances_fill_the_drawing_at_every_time():
    windows = [
        Window(0.0, 4.0, {"a": 0.2, "b<": 0.8}),
        Window(1.0, 5.0, {"a": 0.6, "b<": 0.4}),
    ]
    course = answers.Course(windows, {"a": 0.4, "b<": 0.6})
    html = drawing.course_drawing(noise(5), course)
    first, second = re.findall(r'polygon points="([^"]+)" fill', html)
    edge = [point.split(",") for point in first.split()]
    # At the ends as in the outer windows, between them at their middles.
    assert edge[4:] == [
        ["1000.0", "60.0"],
        ["600.0", "60.0"],
        ["400.0", "20.0"],
        ["0.0", "20.0"],
    ]
    assert all(point.split(",")[1] == "100.0" for point in second.split()[4:])
    assert "0.0–4.0 s: b&lt; 80 %, a 20 %" in html
    assert 'd2v-verdict">b&lt;<' in html


def test_what_is_saved_is_the_transcript():
    html = drawing.saving_links(RECORD)
    links = dict(re.findall(r'transcript\.(\w+)" href="[^,]+,([^"]*)"', html))
    assert unquote(unescape(links["srt"])) == to_srt(RECORD)
    assert unquote(links["txt"]) == "A<B LAST\n"
    assert set(links) == {"srt", "vtt", "json", "txt"}


def test_the_verdict_follows_the_threshold():
    assert "Same speaker" in drawing.score_drawing(0.3, 0.25)
    assert "Different speakers" in drawing.score_drawing(0.3, 0.35)


def test_one_request_is_at_work_at_a_time(asr, classifier):
    pytest.importorskip("gradio")
    page = build_page(Models(asr, classifier, classifier))
    queued = [event for event in page.fns.values() if event.queue]
    assert len(queued) == 4  # a recorder each
    assert {event.concurrency_id for event in queued} == {"models"}
    assert {event.concurrency_limit for event in queued} == {1}


def test_a_port_that_is_taken_is_said():
    pytest.importorskip("gradio")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port} can not"):
            server.make_server(build_page(Models()), port=port)


def test_the_command_says_what_is_missing(monkeypatch, tmp_path):
    call = CliRunner(catch_exceptions=False).invoke
    with pytest.raises(UserError, match="give --asr, --emotion or --speakers"):
        call(serve, [])
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r'pip install "d2v_sb\[serve\]"'):
        call(serve, ["--asr", str(tmp_path)])


def test_the_command_warns_of_an_address_that_others_reach(
    monkeypatch, classifier
):
    pytest.importorskip("gradio")
    monkeypatch.setattr(
        "d2v_sb.bulk.models.load_interface", lambda *_: classifier
    )
    monkeypatch.setattr(
        "d2v_sb.serving.server.run_until_stopped", lambda *_: None
    )
    call = CliRunner(catch_exceptions=False).invoke
    options = ["--speakers", "folder", "--port", "0"]
    for host, warns in (("127.0.0.1", False), ("0.0.0.0", True)):
        result = call(serve, [*options, "--host", host])
        assert result.exit_code == 0
        assert ("warning: --host 0.0.0.0" in result.output) is warns
