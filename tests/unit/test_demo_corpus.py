"""The demo corpus: what is said, who is held out, and what a failure leaves.

Authors
 * The d2v_sb developers 2026
"""

import gzip
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from d2v_sb.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes/LibriSpeech/demo_corpus.py"


@pytest.fixture(scope="module")
def demo():
    """The recipe's script as a module; recipes are no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        yield importlib.import_module("demo_corpus")


@pytest.fixture
def archive(demo, tmp_path, monkeypatch):
    """Two sentences and a word, in place of the archive's packages."""
    prompts = {
        "one": "Press 1 for help now.",
        "digits/two": "two",
        "three": "press one, for help now",
        "beep": "[a beep]",
    }

    def unpack(package, root):
        documents, sounds = root / demo.DOCUMENTS, root / demo.SOUNDS
        documents.mkdir(parents=True, exist_ok=True)
        (documents / "copyright").write_text("CC-BY-SA-3.0")
        with gzip.open(documents / "core-sounds-en.txt.gz", "wt") as file:
            file.write("; a comment\n")
            for name, text in prompts.items():
                file.write(f"{name}: {text}\n")
                path = sounds / f"{name}.g722"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(os.urandom(demo.BYTES_PER_SECOND))

    monkeypatch.setattr(demo, "fetch_packages", lambda cache: [Path("a.deb")])
    monkeypatch.setattr(demo, "unpack_package", unpack)
    return tmp_path / "data"


@pytest.mark.parametrize(
    "text, said",
    [
        ("Goodbye!", "GOODBYE"),
        (" ... for ...", "FOR"),
        ("o'clock", "O'CLOCK"),
        ("A.M.", "A M"),
        ("De-activated.", "DE ACTIVATED"),
        ("Login incorrect.  Mailbox?", "LOGIN INCORRECT MAILBOX"),
        ('a polite "don\'t call" menu', "A POLITE DON'T CALL MENU"),
        ("at [@]", "AT"),
        ("space [ ]", "SPACE"),
        ("Use the 7 key for Q", "USE THE SEVEN KEY FOR Q"),
        ("press 1, or 0", "PRESS ONE OR ZERO"),
        ("separated by * and", "SEPARATED BY STAR AND"),
        ("3D audio", "THREE D AUDIO"),
        ("M I S D N", "M I S D N"),
        ("open source PBX.", "OPEN SOURCE P B X"),
        ("All represenatives", "ALL REPRESENTATIVES"),
    ],
)
def test_prompt_is_spelled_as_it_is_spoken(demo, text, said):
    assert demo.normalise(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "[ascending tones]",
        "<beep ascending>",
        "(1 second of silence)",
        'IAX (note: does not say "2")',
        "IAX",
        "H.323",
        "a 28.8 kilobit modem",
        "dial 500 now",
        "followed by # to exit",
        "visit www.example.org.",
        "café",
        "...",
        "",
    ],
)
def test_prompt_of_uncertain_reading_is_left_out(demo, text):
    with pytest.raises(demo.Unusable):
        demo.normalise(text)


def test_every_digit_is_spelled(demo):
    said = demo.normalise("0 1 2 3 4 5 6 7 8 9")
    assert said == "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE"


def test_only_sentences_are_held_out_in_the_stated_shares(demo):
    sentences = [f"PRESS {'A' * (i + 2)} FOR HELP" for i in range(2000)]
    splits = [demo.choose_split(words) for words in sentences]
    assert abs(splits.count("test-clean") / 2000 - demo.TEST_SHARE) < 0.03
    assert abs(splits.count("dev-clean") / 2000 - demo.DEV_SHARE) < 0.03
    for words in ("SEVEN", "M I S D N", "NO MORE MESSAGES"):
        assert demo.choose_split(words) == "train-clean"


def test_equal_texts_share_a_split_and_a_second_call_changes_nothing(
    demo, archive, capsys
):
    pytest.importorskip("av", reason="the demo decodes with PyAV")
    assert demo.make_demo_corpus(archive) == archive
    rows = (archive / "SOURCE.tsv").read_text().splitlines()[1:]
    split = {name: s for _, s, name, _ in (row.split("\t") for row in rows)}
    assert set(split) == {"one", "digits/two", "three"}
    assert split["one"] == split["three"]
    assert "Allison Smith" in (archive / "CREDIT.txt").read_text()
    assert "1 clips: a sound effect or a note" in capsys.readouterr().out
    before = (archive / "SOURCE.tsv").stat().st_mtime_ns
    demo.make_demo_corpus(archive)
    assert (archive / "SOURCE.tsv").stat().st_mtime_ns == before


def test_other_data_in_the_folder_is_refused_and_kept(demo, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="new or empty"):
        demo.make_demo_corpus(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_without_apt_the_error_offers_librispeech(demo, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt-get is not .* make demo DATA="):
        demo.fetch_packages(tmp_path / "cache")


def test_dead_network_is_told_with_the_cause_that_apt_names(
    demo, tmp_path, monkeypatch
):
    says = r"W: old\nE: no route\nE: some failed"
    for tool in ("apt-get", "dpkg-deb"):
        (tmp_path / tool).write_text(
            f"#!/bin/sh\nprintf '{says}' >&2\nexit 100"
        )
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DataError, match="E: no route .* make demo DATA="):
        demo.fetch_packages(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_failure_midway_leaves_no_corpus_and_the_next_call_mends_it(
    demo, archive, monkeypatch
):
    pytest.importorskip("av", reason="the demo decodes with PyAV")
    decode, calls = demo.decode_g722, []

    def fail_at_second(path):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return decode(path)

    monkeypatch.setattr(demo, "decode_g722", fail_at_second)
    with pytest.raises(KeyboardInterrupt):
        demo.make_demo_corpus(archive)
    assert not archive.exists()
    demo.make_demo_corpus(archive)
    assert len(list(archive.rglob("*.flac"))) == 3
    assert not archive.with_name("data.partial").exists()


def run(data):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(data)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_run_leaves_no_half_corpus_and_the_next_is_whole(demo, tmp_path):
    pytest.importorskip("av", reason="the demo decodes with PyAV")
    data = tmp_path / "data"
    try:
        demo.fetch_packages(tmp_path / "data_packages")
    except DataError as error:
        pytest.skip(f"no packages to be had: {error}")
    process = run(data)
    deadline = time.monotonic() + 60
    while not any(tmp_path.glob("data.partial/corpus/*/*/*/*.flac")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not data.exists()

    process = run(data)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Allison Smith" in out
    sentences = {}
    for split in ("train-clean", "dev-clean", "test-clean"):
        (file,) = data.glob(f"{split}/*/*/*.trans.txt")
        lines = [line.split(" ", 1) for line in file.read_text().splitlines()]
        recordings = data.glob(f"{split}/*/*/*.flac")
        assert {name for name, _ in lines} == {p.stem for p in recordings}
        sentences[split] = {words for _, words in lines}
    assert not sentences["train-clean"] & sentences["test-clean"]
    assert not sentences["train-clean"] & sentences["dev-clean"]
    assert not sentences["dev-clean"] & sentences["test-clean"]
    assert 40 <= len(list(data.glob("test-clean/*/*/*.flac"))) <= 50
