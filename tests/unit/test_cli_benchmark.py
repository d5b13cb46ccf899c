"""The command d2v-sb benchmark.

Authors
 * The d2v_sb developers 2026
"""

import importlib.util
import json
import shlex
import sys
import types

import pytest
from click.testing import CliRunner

from d2v_sb.__main__ import main
from d2v_sb.benchmark.launch import Local
from tests.unit.test_benchmark_run import small_table


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(Local, "pause", 0.01)


@pytest.fixture
def pages(monkeypatch):
    """What is asked of the page, which is not made."""
    asked = []

    def write_page(table, results, folder, missing):
        asked.append((table, results, missing))
        return folder / "benchmark.html"

    page = types.ModuleType("d2v_sb.benchmark.page")
    page.write_page = write_page
    page.__spec__ = importlib.util.spec_from_loader(page.__name__, None)
    monkeypatch.setitem(sys.modules, page.__name__, page)
    return asked


@pytest.fixture
def call(tmp_path, pages):
    """Calls the command on a table of given heads."""

    def run(heads, *words):
        path = small_table(tmp_path, heads).path
        words = [path, "-o", tmp_path / "out", "--task", "asr", *words]
        runner = CliRunner(catch_exceptions=False)
        return runner.invoke(main, ["benchmark", *map(str, words)])

    return run


def test_all_jobs_are_run_and_the_page_is_of_all(call, pages, tmp_path):
    result = call({"ctc": {}}, "--encoder", "A")
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'out' / 'benchmark.html'}\n"
    assert "[1 of 1] done: asr, ctc, A, clean, 1: WER 11.00" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last == "asr, ctc, A, clean: WER % 11.0 on test"
    own = ["--encoder", "Mine=results/a", "--seed", 4, "--mode", "published"]
    result = call({"ctc": {}}, *own)
    assert result.exit_code == 0 and "Mine, published, 4" in result.stderr
    table, results, missing = pages[-1]
    assert not missing
    assert table.encoders == {"Mine": "results/a", "A": "a", "B": "b"}
    assert {(r.encoder, r.mode, r.seed) for r in results} == {
        ("a", "clean", 1),
        ("results/a", "published", 4),
    }


def test_a_failure_is_shown_with_its_log_and_is_status_1(call, pages, tmp_path):
    heads = {"bad": {"fail": "/none"}, "good": {}}
    result = call(heads, "--encoder", "A")
    log = tmp_path / "out/asr/bad/A/clean/1/output.txt"
    assert result.exit_code == 1 and log.is_file()
    assert f"ended with status 3; {log} ends with" in result.stderr
    assert "    no more memory\n" in result.stderr
    assert len(pages[0][1]) == 1


def test_a_stopped_run_has_its_page(call, pages, monkeypatch):
    def stopped(self, folder):
        if folder.job.encoder == "B":
            raise KeyboardInterrupt
        return start(self, folder)

    start = Local.start
    monkeypatch.setattr(Local, "start", stopped)
    result = call({"ctc": {}})
    assert result.exit_code == 130 and "goes on from here" in result.stderr
    ((_, results, _),) = pages
    assert [one.encoder for one in results] == ["a"]


def test_what_is_not_run_is_named_at_the_end(call, pages, tmp_path):
    missing = tmp_path / "missing"
    result = call({"ctc": {}}, "--data", f"small={missing}")
    assert result.exit_code == 1
    said = f"not run: no folder {missing} (--data small=FOLDER): asr"
    assert said in result.stderr and pages[0][2] == {"asr"}
    words = ["--data", f"small={missing}", "--task", "other", "--dry_run"]
    result = call({"ctc": {}, "b": {}}, *words)
    assert result.output.splitlines() == [
        f"# {said}, other",
        "# to be run: 0, done: 0, not run: 6",
    ]


def test_a_task_without_the_heads_that_are_asked_for_is_named(call):
    words = ["--task", "other", "--head", "b", "--dry_run"]
    result = call({"b": {}}, *words)
    assert result.exit_code == 0
    assert "not run: no head b: other\n" in result.stderr


def test_a_dry_run_shows_commands_that_can_be_run(call, tmp_path):
    call({"a": {}}, "--encoder", "A")
    (tmp_path / "out/asr/a/B/clean/1").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    words = ["--option", "text=a b", "--encoder", "B", "--dry_run"]
    result = call({"a": {}}, *words)
    comment, line, summary = result.output.splitlines()
    assert comment == "# 1 of 1, to be run: asr, a, B, clean, 1"
    assert summary == "# to be run: 1, done: 0, not run: 0"
    command = shlex.split(line)
    assert command[0] == sys.executable and command[-2:] == ["--text", "a b"]
    result = call({"a": {}}, "--dry_run")
    first, second, command, summary = result.output.splitlines()
    assert first == "# 1 of 2, done: asr, a, A, clean, 1"
    assert second == "# 2 of 2, to be run: asr, a, B, clean, 1"
    assert command.startswith(sys.executable)
    assert summary == "# to be run: 1, done: 1, not run: 0"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words, said",
    [
        (["--task", "tts"], "no task 'tts'"),
        (["--encoder", "C"], "no encoder 'C'"),
        (["--data", "small"], "KEY=VALUE is expected"),
        (["--option", "=x"], "KEY=VALUE is expected"),
        (["--option", "seed=3"], "--option seed: jobs of asr"),
        (["--option", "devi=cuda"], "did you mean device?"),
        (["--encoder", "A", "--encoder", "A=x/y"], "--encoder A is given 2"),
        (["--gpus", "0", "--nproc_per_node", "2"], "is more than the 1"),
        (["--gpus", "0", "--slurm", "cluster=local"], "--gpus is of this"),
    ],
)
def test_what_can_not_be_is_refused_with_status_2(call, tmp_path, words, said):
    result = call({"a": {}}, *words)
    assert result.exit_code == 2 and said in result.output
    assert not (tmp_path / "out/asr").exists()


def test_other_options_for_a_job_that_is_done_are_refused(call):
    assert call({"a": {}}).exit_code == 0
    for words in ([], ["--dry_run"]):
        result = call({"a": {}}, "--option", "layers=3", *words)
        assert result.exit_code == 2
        assert "layers: not given -> 3" in result.output


def test_a_gpu_that_no_job_gets_is_named(call):
    words = ["--gpus", "0,1,2", "--nproc_per_node", 2, "--data", "small=/none"]
    result = call({"a": {}}, *words)
    assert "GPU 2 of --gpus stays idle: 1 jobs at a time" in result.stderr


def test_a_table_that_is_not_there_is_refused(tmp_path):
    words = ["benchmark", "no_such", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and "no such table: no_such" in result.output


def test_a_parameter_of_slurm_is_a_number_where_it_can_be():
    from d2v_sb.cli.benchmark import _number_or_text

    assert _number_or_text("60") == 60 and _number_or_text("gpu") == "gpu"
    assert json.dumps(_number_or_text("[1, 2]")) == "[1, 2]"
