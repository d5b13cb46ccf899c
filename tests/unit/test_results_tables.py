"""The tables that results/tables.py makes of benchmarks' rows.

Authors
 * The d2v_sb developers 2026
"""

import importlib.util
from pathlib import Path

import pytest

from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.benchmark.rows import result_rows
from d2v_sb.benchmark.table_file import find_table, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "results/tables.py"
BASE = "facebook/data2vec-audio-base"


@pytest.fixture(scope="module")
def tables():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(name, corpus):
    """Rows of one result of a table that comes with the recipes."""
    dev, test = Measure("dev", "EER", 6.0), Measure("veri_test2", "EER", 5.0)
    result = Result(
        *("voxceleb1", "x-vector", BASE, "clean", 1, dev, [test]),
        about={"corpus": corpus},
    )
    return result_rows([result], read_table(find_table(name)))


def test_each_benchmark_has_its_table_and_real_corpora_published_figures(
    tables,
):
    rows = rows_of("mp3s", "VoxCeleb1") + rows_of("small", "VoxCeleb1")
    rows += [{**row, "benchmark": "mine", "title": "Mine"} for row in rows[:1]]
    text = tables.probing_tables(rows).strip()
    mp3s, small, mine = text.split("\n\n")[1::2]
    assert "| data2vec Base | clean | 5.00 |" in mp3s
    assert "| data2vec Base | published | 5.43 |" in mp3s
    assert "| data2vec Base | clean | 5.00 |" in small and small == mine


def test_a_stand_in_is_set_beside_no_published_figure(tables):
    text = tables.probing_tables(rows_of("mp3s", "voxceleb_mini"))
    assert "| voxceleb_mini, voxceleb1" in text and "published" not in text
