"""The page of a benchmark."""

import csv
from dataclasses import dataclass, field, replace

import pytest

from d2v_sb.benchmark.page import write_page
from d2v_sb.benchmark.result import Measure, Result
from tests.unit.test_reporting import Page

BASE = "facebook/data2vec-audio-base"
OWN = "/home/me/encoders/enc.pt"
EVIL = "<script>alert(1)</script>"


@dataclass
class Task:
    """As of d2v_sb.benchmark.table, as far as a page looks."""

    name: str
    title: str
    measure: tuple
    heads: dict
    data: str
    folds: list = field(default_factory=list)
    lrs: list = field(default_factory=list)
    default_lr: float | None = None
    takes: tuple = ("encoder", "mode", "seed")


@dataclass
class Table:
    tasks: list
    data: dict
    name: str = "mp3s"
    title: str = "MP3S, all of it"
    published: str | None = "MP3S"
    about: str = "Frozen encoders."
    encoders: dict = field(
        default_factory=lambda: {"data2vec Base": BASE, "mine": OWN}
    )
    modes: list = field(default_factory=lambda: ["clean"])
    seeds: list = field(default_factory=lambda: [1])


ASR = Task(
    "librispeech100",
    "LibriSpeech-100",
    ("WER", "test-clean"),
    {"BiLSTM": {}, "ContextNet": {}},
    "librispeech",
)
SID = Task(
    "sid",
    "Speakers",
    ("accuracy", "test"),
    {"linear": {}},
    "voxceleb",
    lrs=[1e-3, 1e-2],
    default_lr=1e-3,
)


def result(value, task=ASR, **others):
    name, split = task.measure
    known = {
        "task": task.name,
        "head": next(iter(task.heads)),
        "encoder": BASE,
        "mode": "clean",
        "seed": 1,
        "dev": Measure("dev", name, value - 1),
        "measures": [Measure(split, name, value, value - 2, value + 3, 9)],
        "seconds": {"encoding": 60.0, "training": 3600.0},
        "about": {
            "corpus": "librispeech_mini",
            "commit": "abc123",
            "hardware": "one GPU",
            "versions": "torch 2.13.0",
            "command": f"python a.py --data_folder /corpora/x/{task.name}",
        },
    }
    return Result(**{**known, **others})


@pytest.fixture
def table(tmp_path):
    (tmp_path / "corpora").mkdir()
    folders = {
        "librispeech": str(tmp_path / "corpora"),
        "voxceleb": str(tmp_path / "absent"),
    }
    return Table([ASR, SID], folders)


def test_the_page_needs_nothing_else(table, tmp_path):
    results = [
        result(5.5),
        result(70.0, SID, lr=1e-3),
        result(7.0, SID, lr=1e-2),
    ]
    page = Page(write_page(table, results, tmp_path / "out"))
    assert all(address[0] == "#" for address in page.addresses)
    assert "script" not in page.tags
    assert "default-src 'none'" in page.source
    assert "prefers-color-scheme: dark" in page.source
    assert 'name="viewport"' in page.source
    # Both tasks as dots, and one of them over its learning rates.
    assert page.tags.count("svg") == 3


def test_the_page_has_ours_theirs_and_the_difference(table, tmp_path):
    page = Page(write_page(table, [result(5.5)], tmp_path))
    assert "5.50 [3.50, 8.50]" in page.words
    assert "published 5.3" in page.words
    assert "+0.20 [−1.80, +3.20]" in page.words
    assert "over speakers" in page.words
    assert "benchmarks/MP3S/README.md" in page.words
    assert "librispeech_mini" in page.words
    assert "one GPU" in page.words and "1:01:00" in page.words


def test_published_encoders_that_the_table_lacks_are_there_too(table, tmp_path):
    words = Page(write_page(table, [result(5.5)], tmp_path)).words
    assert "data2vec Large, BiLSTM" in words


def test_a_second_published_figure_of_an_encoder_is_said_to_be_one(
    table, tmp_path
):
    table = replace(table, published="SUPERB")
    words = Page(write_page(table, [], tmp_path)).words
    assert "data2vec Base, another source – 54.85" in words
    assert "wav2vec 2.0 Base – 75.18" in words


def test_the_page_says_what_was_not_run_and_why(table, tmp_path):
    begun = tmp_path / "librispeech100/ContextNet/data2vec-Base/clean/1"
    begun.mkdir(parents=True)
    (begun / "job.json").write_text("{}")
    path = write_page(table, [result(5.5)], tmp_path, {"sid"})
    words = Page(path).words
    missing = words.split("What was not run")[1]
    assert "begun, not ended: see output.txt" in missing
    assert "no folder of the corpus: --data voxceleb=FOLDER" in missing
    assert "LibriSpeech-100 mine clean not begun BiLSTM, ContextNet" in missing
    words = Page(write_page(table, [result(5.5)], tmp_path)).words
    assert "no folder of the corpus" not in words  # of what nobody asked for
    assert "1 of 8" in words  # runs; of them four of two learning rates


def test_no_folder_of_the_machine_is_shown(table, tmp_path):
    tuned = replace(ASR, name="tuned", takes=("seed",))
    table = replace(table, tasks=[*table.tasks, tuned])
    results = [
        result(5.5),
        result(6.5, encoder=OWN),
        result(7.5, tuned, encoder="/home/me/tuned/me.pt"),
    ]
    path = write_page(table, results, tmp_path)
    for file in (path, path.with_name("rows.csv")):
        text = file.read_text(encoding="utf-8")
        assert "me.pt" in text
        assert "/home/" not in text and str(tmp_path) not in text
        assert "/corpora/x" not in text


def test_texts_can_not_become_parts_of_the_page(table, tmp_path):
    evil = replace(ASR, title=EVIL, heads={EVIL: {}})
    table = replace(table, title=EVIL, tasks=[evil], encoders={EVIL: BASE})
    results = [
        result(5.5, evil, head=EVIL, about={"command": EVIL, "corpus": EVIL})
    ]
    page = Page(write_page(table, results, tmp_path))
    assert "script" not in page.tags
    assert "alert(1)" in page.words


def test_a_table_without_published_figures_says_nothing_of_any(table, tmp_path):
    """Neither in cells nor in captions."""
    table = replace(table, published=None)
    words = Page(write_page(table, [result(5.5)], tmp_path)).words
    assert "5.50 [3.50, 8.50]" in words and "its interval" in words
    assert "published" not in words.lower() and "difference" not in words


def test_a_benchmark_without_a_result_has_its_page(table, tmp_path):
    words = Page(write_page(table, [], tmp_path)).words
    assert "0 of 8" in words and "No run has ended yet" in words


def test_each_mode_has_a_column_of_its_own(table, tmp_path):
    table = replace(table, modes=["clean", "published"])
    results = [result(5.5), result(6.5, mode="published")]
    words = Page(write_page(table, results, tmp_path)).words
    assert "data2vec Base, mode clean data2vec Base, mode published" in words
    assert "data2vec Base, BiLSTM, mode published 6.50 [4.50, 9.50]" in words


def test_results_of_no_cell_are_said_and_are_in_the_rows(table, tmp_path):
    path = write_page(table, [result(5.5, head="linear")], tmp_path)
    assert "1 results are of no cell of this table" in Page(path).words
    with open(path.with_name("rows.csv"), newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["benchmark"], row["head"]) == ("mp3s", "linear")


def test_the_same_results_make_the_same_page(table, tmp_path):
    results = [result(5.5), result(70.0, SID, lr=1e-3)]
    first = write_page(table, results, tmp_path).read_bytes()
    assert write_page(table, results, tmp_path).read_bytes() == first
    other = write_page(table, [result(5.6), *results[1:]], tmp_path)
    assert other.read_bytes() != first
