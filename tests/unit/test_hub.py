"""Published weights: from a cache without a network, or from the hub.

The hub here is a server on this machine that speaks as much of the hub's
HTTP as a download takes.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file

from d2v_sb.checkpoints import load_checkpoint, save_hf
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.lobes import Data2VecAudio
from d2v_sb.presets import HUB_NAMES, EncoderConfig

ROOT = Path(__file__).parents[2]
NAME = "facebook/data2vec-audio-base"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = EncoderConfig(
    conv_feature_layers=((8, 10, 5),) + ((8, 3, 2),) * 4 + ((8, 2, 2),) * 2,
    encoder_layers=1,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=16,
    encoder_attention_heads=2,
    normalize=False,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as it lies on the hub; normalize=False needs all its files."""
    torch.manual_seed(0)
    weights = dict(Data2VecAudio(SMALL).named_parameters())
    weights = {k: v.detach() for k, v in weights.items()}
    folder = tmp_path_factory.mktemp("published") / "model"
    save_hf(Checkpoint("x", "random", SMALL, weights), folder)
    return folder


def as_pickle(folder):
    """Turns safetensors into pytorch_model.bin, which is all some have."""
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def same(found, expected):
    """Whether all that is expected is there, bit for bit."""
    return all(torch.equal(found[k], v) for k, v in expected.items())


def fill_cache(cache, published, pickled=False):
    """The hub's own layout of a cache."""
    repo = cache / f"models--{NAME.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    shutil.copytree(published, snapshot)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    if pickled:
        as_pickle(snapshot)
    return snapshot


@pytest.fixture
def usual_cache(tmp_path, monkeypatch):
    """An empty cache in the place of the user's; no way into the network."""

    def refuse(*args, **kwargs):
        raise OSError("the network is cut off")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    cache = tmp_path / "usual"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


def online(monkeypatch):
    """Lets the hub's client try; tests are offline otherwise."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize("pickled", [False, True], ids=["safe", "pickled"])
@pytest.mark.parametrize("place", ["usual", "save_path"])
def test_a_cached_model_needs_no_network(
    tmp_path, usual_cache, published, monkeypatch, place, pickled
):
    online(monkeypatch)
    cache = usual_cache if place == "usual" else tmp_path / "save"
    snapshot = fill_cache(cache, published, pickled)
    encoder = Data2VecAudio(NAME, save_path=str(tmp_path / "save"))
    assert encoder.config.normalize is False
    expected = load_checkpoint(snapshot).encoder
    assert same(encoder.state_dict(), expected)
    if place == "usual":
        assert not (tmp_path / "save").exists()


def test_a_cache_without_the_weights_is_no_model(usual_cache, published):
    snapshot = fill_cache(usual_cache, published)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=f"{NAME} is not on this machine"):
        load_checkpoint(NAME)


@pytest.mark.parametrize("mode", ["offline mode", "network cut off"])
def test_what_can_not_be_fetched_is_named_with_the_way_out(
    usual_cache, tmp_path, monkeypatch, mode
):
    if mode == "network cut off":
        online(monkeypatch)
        # Between the client's attempts.
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(NAME, save_path=str(tmp_path / "save"))
    message = str(caught.value)
    assert f"{NAME} is not on this machine and can not be fetched" in message
    assert f"hf download {NAME}" in message
    assert all(name in message for name in HUB_NAMES)


# Downloads


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as ``hf_hub_download`` asks for."""

    folder = log = cut = busy = None

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if "/resolve/" not in self.path:  # other matters of the client
            return self.refuse(404, "None")
        repo, _, file = self.path.partition("/resolve/")
        path = self.folder / file.partition("/")[2]
        self.log.append(path.name)
        if repo != f"/{NAME}":
            return self.refuse(404, "RepoNotFound")
        if path.name == self.busy:
            return self.refuse(503, "None")
        if not path.is_file():
            return self.refuse(404, "EntryNotFound")
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{path.name}-1"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            cut = path.name == self.cut
            self.wfile.write(data[: len(data) // 2] if cut else data)

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Nothing on the terminal."""


LOAD = """
import json, sys, time
time.sleep = lambda seconds: None  # between the client's attempts
from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.errors import CheckpointError
for line in sys.stdin:
    name, save_path = json.loads(line)
    try:
        checkpoint = load_checkpoint(name, save_path)
        answer = [checkpoint.path, checkpoint.config.normalize]
    except CheckpointError as error:
        answer = f"CheckpointError: {error}"
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Loads from our hub, in a process that reads the hub's address when it
    starts, as the hub's library does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    environment = {
        **{k: v for k, v in os.environ.items() if "proxy" not in k.lower()},
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path_factory.mktemp("home")),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", LOAD],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def load(save_path, name=NAME):
        print(
            json.dumps([name, str(save_path)]), file=process.stdin, flush=True
        )
        return json.loads(process.stdout.readline())

    with process:
        yield load
        process.stdin.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(published, monkeypatch):
    """What our hub has and how it behaves."""
    monkeypatch.setattr(Hub, "folder", published)
    monkeypatch.setattr(Hub, "log", [])
    monkeypatch.setattr(Hub, "cut", None)
    monkeypatch.setattr(Hub, "busy", None)
    return Hub


@pytest.mark.parametrize("pickled", [False, True], ids=["safe", "pickled"])
def test_a_model_is_downloaded_once_and_then_cached(
    client, server, tmp_path, pickled
):
    save_path = tmp_path / "save"
    server.folder = shutil.copytree(server.folder, tmp_path / "source")
    if pickled:
        as_pickle(server.folder)
    folder, normalize = client(save_path)
    assert normalize is False and save_path in Path(folder).parents
    assert "config.json" in server.log
    server.log.clear()
    assert client(save_path) == [folder, normalize] and not server.log
    found, expected = load_checkpoint(folder), load_checkpoint(server.folder)
    assert found.config == expected.config
    assert same(found.encoder, expected.encoder)


def test_a_name_that_the_hub_does_not_know_is_answered_with_those_known(
    client, server, tmp_path
):
    said = client(tmp_path / "save", "facebook/data2vec")
    assert "CheckpointError: the hub has no model 'facebook/data2vec'" in said
    assert all(name in said for name in HUB_NAMES)


@pytest.mark.parametrize(
    "fault, file",
    [("cut", "model.safetensors"), ("busy", "preprocessor_config.json")],
)
def test_a_download_that_breaks_off_is_explained_and_can_be_repeated(
    client, server, tmp_path, fault, file
):
    setattr(server, fault, file)
    said = client(tmp_path / "save")
    assert f"CheckpointError: {NAME} is not on this machine" in said
    setattr(server, fault, None)
    assert client(tmp_path / "save")[1] is False


def test_a_name_that_no_model_can_have_is_answered_with_those_known():
    with pytest.raises(CheckpointError, match="no model 'a--b/c'.*Known"):
        load_checkpoint("a--b/c")
