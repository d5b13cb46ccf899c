"""What the site and the recipes' pages say is run, or exists.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import doctest
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import click
import pytest
import soundfile
import torch
from speechbrain.nnet.linear import Linear
from speechbrain.utils.run_opts import RunOptions

from d2v_sb.classification_folder import export_classifier
from d2v_sb.cli import main
from d2v_sb.inference import export_ctc, export_joint
from d2v_sb.lobes import (
    AttentionDecoder,
    CTCModel,
    Data2VecAudio,
    JointModel,
    SpeechEncoder,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.presets import PRESETS
from d2v_sb.tokens import Letters, Subwords
from d2v_sb.utterances import Labels

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# These are pages of the site too.
INCLUDED = [*sorted(ROOT.glob("recipes/*/README.md")), ROOT / "README.md"]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
SHELL = ("", "sh", "bash")
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    """Pairs of a fence's info string and its text, in order."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def command_lines(page, program):
    """Words of each line of a page's shell blocks that runs a program."""
    lines = []
    for kind, text in blocks(page):
        if kind in SHELL:
            lines += text.replace("\\\n", " ").splitlines()
    own = [line for line in lines if line.startswith(f"{program} ")]
    return [shlex.split(line, comments=True) for line in own]


def name(page):
    """Of a page, for the test's."""
    return str(page.relative_to(ROOT))


def cases(found):
    """A parameter for each command line of each page, named by it."""
    return [
        pytest.param(words, id=f"{name(page)}: {shlex.join(words)[:60]}")
        for page in [*PAGES, *INCLUDED]
        for words in found(page)
    ]


# Python


def pages_with_python():
    return [p for p in PAGES if any(k == "python" for k, _ in blocks(p))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the pages take to be there: recipes' models, tiny, and audio."""
    folder = tmp_path_factory.mktemp("docs")
    torch.manual_seed(0)
    for file, seconds in {
        "speech.wav": 2,
        "one.wav": 1,
        "another.wav": 2,
        "call.wav": 5,
        "lecture.flac": 40,
    }.items():
        wav = 0.1 * torch.randn(seconds * 16000)
        soundfile.write(folder / file, wav.clamp(-1, 1).numpy(), 16000)
    results = folder / "results"
    letters = Letters(" ABC")
    head = Linear(input_size=128, n_neurons=len(letters))
    ctc = CTCModel(Data2VecAudio("tiny"), head)
    export_ctc(results / "d2v_ctc/1986/inference", ctc, letters)
    said = {"ang": "ONE TWO THREE", "hap": "TOO TREE NOT"}
    rows = [f"{c}{i},{c},{w}" for i in range(9) for c, w in said.items()]
    (folder / "train.csv").write_text("\n".join(["ID,label,wrd", *rows]))
    subwords = Subwords(
        folder / "train.csv", folder, 14, "bpe", bos_index=1, eos_index=2
    )
    joint = JointModel(
        SpeechEncoder(Data2VecAudio("tiny"), 32),
        Linear(input_size=32, n_neurons=14),
        AttentionDecoder(14, 32, num_layers=1),
        Linear(input_size=32, n_neurons=14),
    )
    search = {
        "bos_index": 1,
        "eos_index": 2,
        "blank_index": 0,
        "beam_size": 2,
        "ctc_weight_decode": 0.4,
        "temperature": 1.0,
        "max_decode_ratio": 0.2,
        "length_normalization": True,
    }
    to = results / "d2v_attention/1986/inference"
    export_joint(to, joint, subwords, search)
    classes = Labels(folder / "train.csv", "label")
    head = make_head("mean", 128, 16)
    encoder = UtteranceEncoder(WeightedData2Vec("tiny"), head)
    output = Linear(input_size=16, n_neurons=len(classes))
    model = UtteranceClassifier(encoder, output)
    for run in ("d2v_speaker_verification/1986", "d2v_emotion/1986/session1"):
        export_classifier(results / run / "inference", model, classes, 1.0)
    return folder


@pytest.mark.parametrize("page", pages_with_python(), ids=name)
def test_its_python_runs_and_prints_what_it_says(page, folder, monkeypatch):
    """A block of text right behind one of Python is what it prints."""
    monkeypatch.chdir(folder)
    presets = dict(PRESETS)
    found, scope = blocks(page), {}
    for (kind, code), after in zip(found, [*found[1:], ("", "")]):
        if kind == "python":
            printed = StringIO()
            with redirect_stdout(printed):
                exec(compile(code, name(page), "exec"), scope)
            if after[0] == "text":
                same = doctest.OutputChecker().check_output
                assert same(after[1], printed.getvalue(), OUTPUT), (
                    f"{code}\nprints\n{printed.getvalue()}"
                )
    PRESETS.clear()
    PRESETS.update(presets)


def test_a_page_that_says_what_is_not_printed_is_noticed():
    same = doctest.OutputChecker().check_output
    assert not same("2.0\n", "3.7\n", OUTPUT)


@pytest.mark.parametrize("page", [*PAGES, *INCLUDED], ids=name)
def test_python_that_is_not_run_compiles(page):
    for kind, code in blocks(page):
        if kind.startswith("python"):
            compile(code, name(page), "exec")


# Commands


def check_command(words):
    """Parses a line of d2v-sb as click does; files need not be there."""
    _, *rest = words
    context = click.Context(main, info_name="d2v-sb")
    command = main.get_command(context, rest[0])
    assert command is not None, f"there is no d2v-sb {rest[0]}"
    if "--help" in rest:
        return
    try:
        command.make_context(rest[0], rest[1:], parent=context)
    except click.BadParameter as error:
        if "does not exist" not in str(error):
            raise


@pytest.mark.parametrize("words", cases(lambda p: command_lines(p, "d2v-sb")))
def test_d2v_sb_takes_its_command_lines(words):
    if words[1] == "COMMAND":  # that of the page of commands
        words = [words[0], "inspect", *words[2:]]
    check_command(words)


def help_lines():
    """Examples in the help of the commands."""
    context = click.Context(main)
    for command in main.list_commands(context):
        text = main.get_command(context, command).help
        for line in text.replace("\\\n", " ").splitlines():
            if line.strip().startswith("d2v-sb "):
                yield line.strip()


@pytest.mark.parametrize("line", list(help_lines()))
def test_d2v_sb_takes_the_examples_of_its_help(line):
    check_command(shlex.split(line))


@pytest.mark.parametrize(
    "line",
    [
        "d2v-sb inspekt a.pt",
        "d2v-sb inspect a.pt --jsn",
        "d2v-sb inspect",
        "d2v-sb convert a.pt b --to torch",
    ],
)
def test_a_wrong_command_line_is_noticed(line):
    with pytest.raises((AssertionError, click.UsageError)):
        check_command(line.split())


@pytest.mark.parametrize("page", [*PAGES, *INCLUDED], ids=name)
def test_commands_in_its_sentences_exist(page):
    text = page.read_text(encoding="utf-8")
    known = main.list_commands(click.Context(main))
    for command in re.findall(r"`d2v-sb ([a-z]+)", text):
        assert command in known


def recipe_lines(page):
    """Command lines of recipes: their words from the script on."""
    lines = [
        *command_lines(page, "python"),
        *command_lines(page, "torchrun"),
        *command_lines(page, ".venv/bin/python"),
    ]
    for words in lines:
        for place, word in enumerate(words):
            if word.startswith("recipes/"):
                yield words[place:]


@pytest.mark.parametrize("words", cases(recipe_lines))
def test_recipes_take_their_command_lines(words):
    check_recipe(words)


def check_recipe(words):
    """A line's script, hparams file and options exist."""
    script, *rest = words
    source = (ROOT / script).read_text(encoding="utf-8")
    known = set(re.findall(r'"--(\w+)"', source))
    known |= {field.name for field in dataclasses.fields(RunOptions)}
    if rest and rest[0].startswith("hparams/"):
        hparams = (ROOT / rest[0]).read_text(encoding="utf-8")
        known |= set(re.findall(r"^(\w+):", hparams, re.M))
    options = {word[2:] for word in rest if word.startswith("--")}
    assert options <= known, options - known


def test_a_wrong_option_of_a_recipe_is_noticed():
    good = "recipes/LibriSpeech/train.py hparams/d2v_ctc.yaml --encoder tiny"
    check_recipe(good.split())
    with pytest.raises(AssertionError, match="encodr"):
        check_recipe(good.replace("encoder", "encodr").split())
    with pytest.raises(OSError):
        check_recipe(good.replace("d2v_ctc", "ctc").split())


# Links and the site


@pytest.mark.parametrize("page", [*PAGES, *INCLUDED], ids=name)
def test_its_relative_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path = link.partition("#")[0]
        if not re.match(r"\w+:", link) and path:
            assert (page.parent / path).exists(), link


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    if find_spec("furo") is None or find_spec("myst_parser") is None:
        pytest.skip('the site needs the extra "docs"')
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    result = subprocess.run(
        [*words, "-b", "html", "-d", out / "trees", "docs", out / "html"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    print(result.stdout[-4000:], result.stderr[-4000:])
    assert result.returncode == 0
    return out / "html"


@pytest.mark.integration
def test_the_site_is_built_without_a_warning(site):
    for page in PAGES:
        assert (site / f"{page.stem}.html").is_file()
    modules = (site / "api/d2v_sb.lobes.html").read_text(encoding="utf-8")
    assert 'id="d2v_sb.lobes.data2vec.Data2VecAudio.forward"' in modules


@pytest.mark.integration
def test_the_site_has_the_help_of_every_command(site):
    text = (site / "commands.html").read_text(encoding="utf-8")
    for command in main.list_commands(click.Context(main)):
        assert f'id="d2v-sb-{command}"' in text
    assert "Usage: d2v-sb inspect [OPTIONS] SRC" in text


@pytest.mark.integration
def test_links_between_the_repositorys_files_stay_in_the_site(site):
    text = (site / "librispeech.html").read_text(encoding="utf-8")
    assert 'href="pretraining.html"' in text
    assert 'href="results.html"' in text
    assert "../" not in re.findall(r"<article.*?</article>", text, re.S)[0]


@pytest.mark.integration
def test_the_site_loads_nothing_from_elsewhere(site):
    loads = re.compile(
        r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"(?:https?:)?//[^>]*"
        r"|url\([\"']?(?:https?:)?//[^)]*|@import[^;]*",
    )
    assert loads.search('<script src="https://cdn.org/a.js">')
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        found = loads.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found[0]}"
