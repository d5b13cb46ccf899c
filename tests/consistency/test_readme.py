"""What the README says is run.

Authors
 * The d2v_sb developers 2026
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The README's code blocks of a language."""
    # All of them in turn, or an end would be taken for a beginning.
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", README, re.M | re.S)
    return [body for kind, body in found if kind == language]


def run(command, cwd, **kwargs):
    """Runs a command; its output goes into the test's report."""
    result = subprocess.run(
        command, cwd=cwd, text=True, capture_output=True, timeout=200, **kwargs
    )
    print(result.stdout[-4000:], result.stderr[-4000:])
    return result


def commands(program):
    """Lines of the README's plain blocks that run a program."""
    lines = "".join(blocks("")).splitlines()
    return [line for line in lines if line.startswith(program + " ")]


def test_its_python_runs_and_prints_what_it_says(capsys):
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
        said = re.findall(r"# (torch\.Size.*)$", block, re.M)
        assert capsys.readouterr().out.split("\n")[:-1] == said


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^)make ([a-z]+)\b", README, re.M))
    assert targets >= {"demo", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_its_set_up_lines_are_those_of_make_install():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in commands(".venv/bin/python"):
        assert line.replace(".venv/bin", "$(BIN)") in makefile
    assert 'pip install -c constraints.txt -e ".[test,demo]"' in makefile


def test_ci_runs_the_readmes_test_command_and_nothing_less():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "make test" in script and "make test" in README


def test_its_checkpoint_commands_run(reference, tmp_path):
    shutil.copy(reference / "fairseq_v1_tiny.pt", tmp_path / "checkpoint.pt")
    lines = [line for line in commands("d2v-sb") if "facebook/" not in line]
    assert len(lines) >= 3
    for line in lines:
        words = [sys.executable, "-m", "d2v_sb", *line.split()[1:]]
        if "benchmark" in line:  # its corpora are not there
            words.append("--dry_run")
        assert run(words, tmp_path).returncode == 0, line
    assert (tmp_path / "encoder.safetensors").is_file()


@pytest.mark.integration
@pytest.mark.parametrize("line", commands("python"))
def test_its_training_commands_say_what_is_missing(line, tmp_path):
    words = [sys.executable, *(str(ROOT / x) for x in line.split()[1:])]
    result = run(words, tmp_path)
    assert result.returncode == 1
    assert "--data_folder" in result.stderr
    assert ("--download true" in result.stderr) == ("LibriSpeech" in line)
    assert "Traceback" not in result.stderr


def test_its_results_are_those_of_the_rows():
    script = ROOT / "results/tables.py"
    assert run([sys.executable, str(script), "--check"], ROOT).returncode == 0


def test_its_tree_names_what_is_there():
    tree = README.split("## The tree\n")[1].split("```")[1]
    for line in tree.strip().splitlines():
        assert (ROOT / line.split()[0]).exists(), line


def test_the_package_is_found_from_the_folder_above_a_clone(tmp_path):
    """Where the clone's own folder has the package's name."""
    (tmp_path / "d2v_sb").mkdir()
    code = "import d2v_sb; print(d2v_sb.__version__)"
    assert run([sys.executable, "-c", code], tmp_path).returncode == 0
