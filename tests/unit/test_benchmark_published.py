"""Published figures in code are those of the notes that they were taken from.

The notes are read here anew, from their text.
"""

import re

import pytest

from d2v_sb.benchmark.markdown import published_table
from d2v_sb.benchmark.published import (
    EMOTION,
    LIBRISPEECH,
    MP3S,
    SUPERB,
    published,
    references,
)
from d2v_sb.benchmark.published.look_up import BENCHMARKS, REFERENCES
from d2v_sb.finetuning.regimes import REGIMES
from tests.conftest import REPO, SHARED

BASE = "facebook/data2vec-audio-base"
LARGE = "facebook/data2vec-audio-large"
LABELS = ["10min", "1h", "10h", "100h", "960h"]
SUPERB_TASKS = "PR KS IC SID ER ASR ASR+LM QbE SF-F1 SF-CER SV SD".split()
OURS = "pr ks ic sid er asr asr_lm qbe sf_f1 sf_cer asv sd".split()


@pytest.fixture(scope="module")
def notes():
    path = SHARED / "docs/published.md"
    if not path.is_file():
        pytest.skip(f"the notes on published figures are not in {path}")
    return path.read_text(encoding="utf-8")


def part(notes, begin, end):
    """The text between two texts."""
    return notes.split(begin, 1)[1].split(end, 1)[0]


def markdown_rows(text):
    """Cells of a table's body, without bold and with empty ones as None."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        cells = [c.strip().strip("*") for c in line.strip("|").split("|")]
        yield [cell or None for cell in cells]


def figures(rows, *names):
    """Cells of references by what names them."""
    return {
        tuple(getattr(row, name) for name in names): row.value for row in rows
    }


def as_number(cell):
    return None if cell is None else float(cell)


def test_table_2_of_the_paper_is_that_of_the_notes(notes):
    text = part(notes, "table 2)", "Table 6")
    wanted = {
        (name, f"{name.split()[-1].lower()}_{label}"): as_number(cell)
        for name, _, *cells in markdown_rows(text)
        for label, cell in zip(LABELS, cells, strict=True)
    }
    own = [row for row in LIBRISPEECH if row.source.endswith("table 2")]
    assert len(wanted) == len(own) == 40
    assert figures(own, "name", "task") == wanted
    assert {row.split for row in own} == {"test-other_lm"}
    assert sum(value is None for value in wanted.values()) == 5


def test_table_6_of_the_paper_is_that_of_the_notes(notes):
    head, text = part(notes, "Table 6, Base, 4-gram, ", ". Large").split(
        ": ", 1
    )
    splits = [f"{split}_lm" for split in head.split(" / ")]
    wanted = {}
    for line in text.split("; "):
        labels, cells = line.rsplit(" ", 1)
        for split, cell in zip(splits, cells.split("/"), strict=True):
            task = "base_" + labels.replace(" ", "")
            wanted[task, split] = float(cell)
    own = [row for row in LIBRISPEECH if row.source.endswith("table 6")]
    # Its test-other is that of table 2, and is there.
    again = {k: v for k, v in wanted.items() if k[1] == "test-other_lm"}
    assert len(own) == 12 and len(again) == 4
    assert figures(own, "task", "split") | again == wanted
    table_2 = [row for row in LIBRISPEECH if row.source.endswith("table 2")]
    base = [row for row in table_2 if row.encoder == BASE]
    assert again.items() <= figures(base, "task", "split").items()
    assert {row.encoder for row in own} == {BASE}


def test_figures_of_model_cards_are_those_of_the_notes(notes):
    text = part(notes, "Without an LM (model cards, ", "\n")
    found = re.findall(r"(\S+-960h\S*) (\d+\.\d+) / (\d+\.\d+)", text)
    wanted = {
        (card, split): float(value)
        for card, *values in found
        for split, value in zip(("test-clean", "test-other"), values)
    }
    own = {
        (row.source.rpartition("/")[2], row.split): row.value
        for row in LIBRISPEECH
        if row.source.startswith("model card")
    }
    assert len(own) == 6
    assert own == wanted


def test_mp3s_is_that_of_the_notes(notes):
    text = part(notes, "## MP3S", "Head 1:")
    wanted = {}
    for name, *cells in markdown_rows(text):
        size = name.replace(",", " ").split()[0]
        place = name.split("head ")[1]
        wanted[size, place] = [float(cell) for cell in cells]
    own = {}
    for place, half in (("1", range(7)), ("2", range(7, 14))):
        for size, encoder in (("Base", BASE), ("Large", LARGE)):
            rows = [row for row in MP3S if row.encoder == encoder]
            heads = list(dict.fromkeys((r.task, r.head) for r in rows))
            assert len(rows) == len(heads) == 14
            own[size, place] = [rows[n].value for n in half]
    assert own == wanted


def test_the_heads_of_mp3s_are_those_of_the_notes(notes):
    heads = part(notes, "Head 1: ", ". The README").replace(
        "ContextNet (the README says Conformer, the folder holds ContextNet)",
        "ContextNet",
    )
    first, second = heads.split(". Head 2: ")
    wanted = []
    for name in first.split(", "):
        name, _, times = name.partition(" ×")
        wanted += [name] * int(times or 1)
    wanted += second.split(", ")
    rows = [row for row in MP3S if row.encoder == BASE]
    assert [row.head for row in rows] == wanted


def test_superb_is_that_of_the_notes(notes):
    text = part(notes, "Reference rows (", "\n\n")
    names, text = re.split(r"\):\s", text, maxsplit=1)
    assert names.split(" / ") == SUPERB_TASKS
    wanted = {}
    for row in text.rstrip(".").split("; "):
        name, cells = row.rsplit(" ", 1)
        name = name.replace("wav2vec2", "wav2vec 2.0")
        for task, cell in zip(OURS, cells.split("/"), strict=True):
            wanted[name, task] = float(cell)
    own = [row for row in SUPERB if "data2vec" not in row.name]
    assert len(own) == 60
    assert figures(own, "name", "task") == wanted


def test_superbs_fragments_of_data2vec_are_those_of_the_notes(notes):
    text = part(notes, "fragments: ", "\n")
    wanted = re.findall(r"(SID|ASV|ER)(?: EER)? ([\d.]+\d)", text)
    own = [row for row in SUPERB if "data2vec" in row.name]
    found = [(row.task.upper(), row.value) for row in own]
    assert found == [(task, float(value)) for task, value in wanted]
    assert [row.name.split()[-1] for row in own] == ["Base"] * 4 + ["Large"]


def test_emotion2vecs_table_is_that_of_the_notes(notes):
    text = part(notes, "leave one session out): ", ".\n")
    wanted = {}
    for row in text.split(", "):
        name, value = row.rsplit(" ", 1)
        wanted[name] = float(value)
    assert {row.name: row.value for row in EMOTION} == wanted


def test_there_are_no_figures_but_those_tested_above():
    assert BENCHMARKS == ("MP3S", "SUPERB", "emotion2vec", "data2vec")
    assert len(REFERENCES) == 28 + 65 + 6 + 40 + 12 + 6


def test_what_is_not_published_is_not_filled():
    hubert = "facebook/hubert-base-ls960"
    assert published("data2vec", "base_100h", hubert).value == 8.1
    assert published("data2vec", "base_960h", hubert) is None
    assert published("MP3S", "slurp", hubert) is None
    assert published(None, "sid", BASE) is None


def test_heads_are_found_under_the_names_of_recipes():
    first = published("MP3S", "iemocap", BASE, "linear")
    assert first is published("MP3S", "iemocap", BASE, "time pooling + linear")
    assert first.value == 63.0
    assert published("MP3S", "iemocap", BASE, "ecapa").value == 72.0
    assert published("MP3S", "slurp", BASE, "BiLSTM").value == 73.4
    assert published("MP3S", "iemocap", BASE, "BiLSTM") is None


def test_a_language_model_is_not_compared_with_none():
    split = published("data2vec", "base_960h", BASE, split="test-other")
    assert split.value == 7.08
    assert published("data2vec", "base_960h", BASE).value == 5.5
    assert published("data2vec", "base_10h", BASE, split="test-other") is None


def test_another_measure_is_not_compared():
    assert references("MP3S", "librispeech100", measure="CER") == []
    assert len(references("MP3S", "librispeech100", measure="WER")) == 4


def test_the_regimes_have_their_published_figures():
    for regime in REGIMES:
        encoder = LARGE if regime.startswith("large") else BASE
        assert published("data2vec", regime, encoder) is not None


def test_the_documentation_has_all_figures_and_no_other():
    text = (REPO / "docs/benchmark.md").read_text(encoding="utf-8")
    places = [
        *(("MP3S", ""), ("SUPERB", ""), ("emotion2vec", "")),
        *(("data2vec", name) for name in ("table 2", "table 6", "model card")),
    ]
    shown = 0
    for benchmark, source in places:
        name = ", ".join(filter(None, (benchmark, source)))
        begin = f"<!-- published: {name} -->\n"
        table = part(text, begin, "\n<!-- end of published -->")
        assert table == published_table(benchmark, source)
        shown += len(re.findall(r"(?<=\| )\d+\.\d+(?= \|)", table))
    assert shown == sum(row.value is not None for row in REFERENCES)
