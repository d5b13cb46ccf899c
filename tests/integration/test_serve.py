"""The page of d2v-sb serve, in a browser without a screen.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import numpy
import pytest
import soundfile
import torch
from speechbrain.inference.ASR import EncoderASR
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.nnet.linear import Linear

from d2v_sb.alignment import transcribe_words
from d2v_sb.classification_folder import export_classifier
from d2v_sb.inference import export_ctc
from d2v_sb.lobes import (
    CTCModel,
    Data2VecAudio,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.serving.page import Models, build_page
from d2v_sb.serving.server import make_server, upload_folder
from d2v_sb.tokens import Letters
from d2v_sb.utterances import Labels

pytest.importorskip("gradio", reason="the page needs the extra serve")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="a browser is driven by playwright"
)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(BROWSER is None, reason="there is no chromium"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio"),
]
MAX_SECONDS = 6
SECONDS = 15  # that the page is waited for
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Inference folders of random models."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    letters = Letters(" 'ABCDEFGH")
    encoder = Data2VecAudio("tiny", encoder_layers=1)
    with torch.no_grad():  # else all frames are much the same
        encoder.encoder.layers[-1].final_layer_norm.weight.mul_(2)
    head = Linear(input_size=128, n_neurons=len(letters))
    export_ctc(folder / "asr", CTCModel(encoder, head), letters)
    (folder / "train.csv").write_text("ID,label\na,calm\nb,loud\n")
    embedding = UtteranceEncoder(
        WeightedData2Vec("tiny"), make_head("statistics", 128, 8)
    )
    model = UtteranceClassifier(embedding, Linear(input_size=8, n_neurons=2))
    labels = Labels(folder / "train.csv", "label")
    export_classifier(folder / "classes", model, labels, 1.0)
    return folder


@pytest.fixture(scope="module")
def models(folders):
    """They, loaded."""
    classes = SpeakerRecognition.from_hparams(source=str(folders / "classes"))
    asr = EncoderASR.from_hparams(source=str(folders / "asr"))
    return Models(asr, emotion=classes, speakers=classes)


@pytest.fixture(scope="module")
def clips(corpora):
    """A real recording of each of two speakers."""
    folder = corpora / "voxceleb_mini" / "wav"
    return [min(path.rglob("*.wav")) for path in sorted(folder.iterdir())[:2]]


@pytest.fixture(scope="module")
def address(models):
    """Where the page is served."""
    with upload_folder() as uploads:
        page = build_page(models, max_seconds=MAX_SECONDS)
        server, bound = make_server(page, port=0, max_mb=1)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}
        )
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        assert os.listdir(uploads)  # so what follows says something
        server.should_exit = True
        thread.join()
    assert not os.path.exists(uploads)


@pytest.fixture(scope="module")
def browser(clips):
    """Chromium, whose microphone hears the first clip over and over."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={clips[0]}"],
        )
        yield browser.new_context(permissions=["microphone"])
        browser.close()


@pytest.fixture(scope="module")
def asked():
    """Addresses that the browser asked for."""
    return []


@pytest.fixture
def tab(browser, address, asked):
    """Opens a tab of a page that nothing was done with yet."""
    page = browser.new_page()
    page.on("request", lambda request: asked.append(urlsplit(request.url)))
    page.set_default_timeout(SECONDS * 1000)

    def open_tab(name):
        page.goto(address)
        page.get_by_role("tab", name=name).click()
        panel = page.locator("[role=tabpanel]:visible")
        panel.locator("input[type=file]").first.wait_for(state="attached")
        return panel

    yield open_tab
    page.close()


def drop(panel, path):
    """Gives a file to the first recorder that is empty."""
    panel.locator("input[type=file]").first.set_input_files(str(path))


def test_the_words_of_an_upload_are_those_of_transcribe_words(
    tab, clips, models
):
    panel = tab("Transcription")
    drop(panel, clips[0])
    panel.locator(".d2v-word").first.wait_for()
    expected = transcribe_words(models.asr, str(clips[0]))
    found = panel.locator(".d2v-word b").all_text_contents()
    assert found == [word.text for word in expected] and len(found) > 1
    text = panel.locator("textarea").input_value()
    assert text == " ".join(found)
    other = transcribe_words(models.asr, str(clips[1]))
    assert text != " ".join(word.text for word in other)
    tip = panel.locator(".d2v-tip").first
    assert not tip.is_visible()
    panel.locator(".d2v-word").first.hover()
    tip.wait_for(state="visible")
    start, end = expected[0].start, expected[0].end
    assert tip.text_content().startswith(f"{start:.2f}–{end:.2f} s")


def test_what_can_not_be_heard_is_said_and_leaves_no_other_text(
    tab, clips, tmp_path
):
    noise = numpy.random.default_rng(0).normal(0, 0.1, 16000)
    soundfile.write(tmp_path / "long.wav", numpy.tile(noise, 8), 16000)
    soundfile.write(tmp_path / "silent.wav", 0 * noise, 16000)
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    panel = tab("Transcription")
    message = panel.locator(".d2v-message")
    for name, reason in (
        ("long.wav", "longer than 6 s"),
        ("silent.wav", "silent"),
        ("broken.wav", "broken.wav"),
    ):
        drop(panel, clips[0])
        panel.locator(".d2v-word").first.wait_for()
        panel.get_by_label("Clear").click()
        drop(panel, tmp_path / name)
        message.wait_for()
        text = message.text_content()
        assert reason in text and "Traceback" not in text and "/" not in text
        assert panel.locator("textarea").input_value() == ""
        assert not panel.locator(".d2v-word").count()
        panel.get_by_label("Clear").click()
        message.wait_for(state="detached")


def test_the_microphone_is_heard(tab):
    panel = tab("Transcription")
    panel.get_by_label("Record audio").click()
    panel.get_by_role("button", name="Record", exact=True).click()
    stop = panel.get_by_role("button", name="Stop", exact=True)
    stop.wait_for()
    panel.page.wait_for_timeout(1500)
    stop.click()
    panel.locator(".d2v-word").first.wait_for()
    assert not panel.locator(".d2v-message").count()


def test_chances_of_classes_are_drawn_over_time(tab, clips):
    panel = tab("Emotion")
    drop(panel, clips[0])
    panel.locator(".d2v-areas").wait_for()
    assert panel.locator(".d2v-areas polygon").count() == 2
    names = panel.locator(".d2v-bars b").all_text_contents()
    assert names == ["calm", "loud"]
    assert panel.locator(".d2v-verdict").text_content() in names


def test_two_speakers_are_compared_and_the_threshold_moves(tab, clips, models):
    panel = tab("Speakers")
    drop(panel, clips[0])
    panel.get_by_label("Clear").wait_for()
    drop(panel, clips[1])
    panel.locator(".d2v-score").wait_for()
    score, _ = models.speakers.verify_files(*map(str, clips))
    shown = panel.locator(".d2v-mark b")
    assert shown.text_content() == f"{score.item():.2f}"
    assert score < 0.99
    for threshold, text in ((-0.99, "Same"), (0.99, "Different")):
        panel.get_by_role("spinbutton").fill(str(threshold))
        panel.get_by_role("spinbutton").press("Enter")
        panel.get_by_text(f"threshold {threshold:.2f}").wait_for()
        verdict = panel.locator(".d2v-verdict").text_content()
        assert verdict.startswith(text)
        assert shown.text_content() == f"{score.item():.2f}"


def test_too_large_a_file_is_refused_with_the_limit(tab, tmp_path):
    soundfile.write(tmp_path / "a.wav", numpy.zeros((48000 * 6, 2)), 48000)
    panel = tab("Transcription")
    drop(panel, tmp_path / "a.wav")
    toast = panel.page.get_by_test_id("toast-body")
    toast.wait_for()
    assert re.search(r"maximum .* 1.0 Mb.*a\.wav", toast.text_content())
    assert not panel.locator(".d2v-wave").count()


def test_no_request_went_to_another_machine(asked):
    assert {url.scheme for url in asked} <= {"http", "data", "blob"}
    there = [url.hostname for url in asked if url.scheme == "http"]
    # So many are asked for by a page that is used at all.
    assert set(there) == {"127.0.0.1"} and len(there) > 20


def test_an_upload_is_heard_once(tab, clips, asked):
    panel = tab("Transcription")
    before = len(asked)
    drop(panel, clips[0])
    panel.locator(".d2v-word").first.wait_for()
    panel.page.wait_for_timeout(500)
    paths = [url.path for url in asked[before:]]
    assert len([path for path in paths if path.endswith("queue/join")]) == 1


def test_the_command_serves_and_leaves_nothing_behind(folders, tmp_path):
    command = [sys.executable, "-m", "d2v_sb", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--asr", str(folders / "asr")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        port = re.search(r"localhost:(\d+)", process.stdout.readline())[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            text = answer.read().decode()
        assert "What is said" in text and "one speaker" not in text
        assert list(tmp_path.glob("d2v_sb_serve_*"))
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert not list(tmp_path.glob("d2v_sb_serve_*"))


def post(address, path, body, **headers):
    """Status and answer of a request that no browser made."""
    request = urllib.request.Request(
        address + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_request_can_not_name_a_file_of_the_machine(address, clips):
    data = {"path": str(clips[0]), "meta": {"_type": "gradio.FileData"}}
    config = urllib.request.urlopen(f"{address}config").read()
    numbers = [
        function["id"]
        for function in json.loads(config)["dependencies"]
        if len(function["inputs"]) == 1
    ]
    assert numbers
    for number in numbers:
        body = {"data": [data], "fn_index": number, "session_hash": "x"}
        status, answer = post(address, "gradio_api/run/predict", body)
        if status == 404:  # by another route
            status, answer = post(address, "gradio_api/queue/join", body)
            events = f"{address}gradio_api/queue/data?session_hash=x"
            with urllib.request.urlopen(events, timeout=SECONDS) as stream:
                answer += stream.read().decode()
        assert "<svg" not in answer and '"success":true' not in answer, answer


def test_a_site_under_another_name_is_not_answered(address):
    status, _ = post(address, "config", {}, Host="evil.example")
    assert status == 400
