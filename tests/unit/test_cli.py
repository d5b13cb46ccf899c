"""The command d2v-sb, on the recorded checkpoints of fairseq.

Authors
 * The d2v_sb developers 2026
"""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from d2v_sb.__main__ import main
from d2v_sb.checkpoints import load_checkpoint
from d2v_sb.lobes import Data2VecAudio

FILES = ("fairseq_v1_tiny", "fairseq_v1_tiny_args", "fairseq_v1_tiny_ctc")
PARTS = ("encoder", "ctc_head", "predictor", "teacher")


def call(*words):
    """Runs the command; an exception of its own comes out as it is."""
    runner = CliRunner(catch_exceptions=False)
    return runner.invoke(main, [str(word) for word in words])


def refused(*words):
    """What the command says where it ends as users should see it end."""
    result = call(*words)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    return result.output


def same(found, expected):
    """Whether two parts of a checkpoint are equal, bit for bit."""
    if expected is None or found is None:
        return found is expected
    return list(found) == list(expected) and all(
        torch.equal(found[k], expected[k]) for k in expected
    )


@pytest.mark.parametrize("name", FILES)
def test_a_native_file_holds_all_that_the_source_holds(
    reference, tmp_path, name
):
    source, path = reference / f"{name}.pt", tmp_path / "a.safetensors"
    result = call("convert", source, path, "--to", "native")
    assert result.exit_code == 0 and f"{source} -> {path}" in result.output
    found, expected = load_checkpoint(path), load_checkpoint(source)
    for part in PARTS:
        assert same(getattr(found, part), getattr(expected, part)), part
    assert found.config == expected.config
    assert found.vocabulary == expected.vocabulary
    assert found.training_config == expected.training_config
    assert found.training_config
    has = [part for part in PARTS if getattr(found, part) is not None]
    tuned = ["encoder", "ctc_head"]
    pretrained = ["encoder", "predictor", "teacher"]
    assert has == (tuned if name.endswith("ctc") else pretrained)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FILES)
def test_a_transformers_folder_holds_what_transformers_has(
    reference, tmp_path, name
):
    source, path = reference / f"{name}.pt", tmp_path / "folder"
    result = call("convert", source, path, "--to", "hf")
    assert result.exit_code == 0
    found, expected = load_checkpoint(path), load_checkpoint(source)
    assert same(found.encoder, expected.encoder)
    assert same(found.ctc_head, expected.ctc_head)
    assert found.config.architecture() == expected.config.architecture()
    for part in ("predictor", "teacher"):
        left_out = getattr(expected, part) is not None
        assert (f"left out: the {part}" in result.output) == left_out
    assert (path / "vocab.json").exists() == name.endswith("ctc")


def test_from_transformers_back_to_native_changes_no_weight(
    reference, tmp_path
):
    source = reference / "fairseq_v1_tiny_ctc.pt"
    folder, path = tmp_path / "folder", tmp_path / "a.safetensors"
    assert call("convert", source, folder, "--to", "hf").exit_code == 0
    assert call("convert", folder, path, "--to", "native").exit_code == 0
    found, expected = load_checkpoint(path), load_checkpoint(source)
    assert same(found.encoder, expected.encoder)
    assert same(found.ctc_head, expected.ctc_head)


@pytest.mark.parametrize("name", FILES[:2])
def test_fairseqs_form_holds_all_that_a_pretrained_source_holds(
    reference, tmp_path, name
):
    source, path = reference / f"{name}.pt", tmp_path / "a.pt"
    result = call("convert", source, path, "--to", "fairseq")
    assert result.exit_code == 0 and f"{source} -> {path}" in result.output
    assert "fine-tune" not in result.output
    found, expected = load_checkpoint(path), load_checkpoint(source)
    for part in PARTS:
        assert same(getattr(found, part), getattr(expected, part)), part
    assert found.config == expected.config
    assert list(tmp_path.iterdir()) == [path]


def test_fairseq_is_told_what_it_can_not_do_with_an_encoder_alone(
    reference, tmp_path
):
    source, folder = reference / "fairseq_v1_tiny.pt", tmp_path / "folder"
    call("convert", source, folder, "--to", "hf")
    path = tmp_path / "a.pt"
    result = call("convert", folder, path, "--to", "fairseq")
    assert result.exit_code == 0
    assert "no predictor and no teacher: fairseq can fine-" in result.output
    found, expected = load_checkpoint(path), load_checkpoint(source)
    assert same(found.encoder, expected.encoder)


def test_a_ctc_model_is_not_written_in_fairseqs_form(reference, tmp_path):
    source, path = reference / "fairseq_v1_tiny_ctc.pt", tmp_path / "a.pt"
    said = refused("convert", source, path, "--to", "fairseq")
    assert "CTC head" in said and "--to native" in said
    assert not path.exists()


@pytest.mark.parametrize("target", ["hf", "native", "fairseq"])
def test_the_encoder_written_is_the_one_chosen(reference, tmp_path, target):
    """And the other parts that the target has are there as before."""
    source = reference / "fairseq_v1_tiny.pt"
    ending = {"native": ".safetensors", "fairseq": ".pt"}.get(target, "")
    expected = load_checkpoint(source)
    for weights in ("student", "teacher"):
        path = tmp_path / f"{weights}{ending}"
        words = ("convert", source, path, "--to", target, "--weights", weights)
        result = call(*words)
        assert result.exit_code == 0
        found = load_checkpoint(path)
        assert same(found.encoder, expected.choose(weights).encoder)
        if target == "hf":
            left_out = "left out: the teacher" in result.output
            assert left_out == (weights == "student")
        else:
            assert same(found.teacher, expected.teacher)
            assert same(found.predictor, expected.predictor)


def test_a_teacher_that_is_not_there_is_not_converted(reference, tmp_path):
    source, path = reference / "fairseq_v1_tiny_ctc.pt", tmp_path / "folder"
    said = refused(
        *("convert", source, path, "--to", "hf", "--weights", "teacher")
    )
    assert str(source) in said and "holds no teacher" in said
    assert not path.exists()


def test_half_precision_is_of_native_files(reference, tmp_path):
    source = reference / "fairseq_v1_tiny.pt"
    full, half = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    call("convert", source, full, "--to", "native")
    assert call("convert", source, half, "--to", "native", "--half").output
    assert half.stat().st_size < 0.6 * full.stat().st_size
    found, expected = load_checkpoint(half), load_checkpoint(full)
    rounded = {k: v.half().float() for k, v in expected.encoder.items()}
    assert same(found.encoder, rounded)
    for target in ("hf", "fairseq"):
        path = tmp_path / "other.pt"
        said = refused("convert", source, path, "--to", target, "--half")
        assert f"not of --to {target}" in said and not path.exists()


@pytest.mark.parametrize("target", ["hf", "native", "fairseq"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_there_already_is_not_touched(
    reference, tmp_path, target, kind
):
    path = tmp_path / "a.safetensors"
    inside = path
    if kind == "folder":
        path.mkdir()
        inside = path / "file"
    inside.write_text("mine")
    source = reference / "fairseq_v1_tiny.pt"
    said = refused("convert", source, path, "--to", target)
    assert f"{path} is there already" in said
    assert inside.read_text() == "mine" and list(tmp_path.iterdir()) == [path]


def test_a_ctc_model_needs_its_dictionary_for_transformers(reference, tmp_path):
    """Beside it, or named; our own format can do without."""
    source = tmp_path / "a" / "model.pt"
    source.parent.mkdir()
    shutil.copy(reference / "fairseq_v1_tiny_ctc.pt", source)
    folder, path = tmp_path / "folder", tmp_path / "a.safetensors"
    said = refused("convert", source, folder, "--to", "hf")
    assert "dict.ltr.txt" in said and "--dict" in said
    assert not folder.exists()
    letters = reference / "dict.ltr.txt"
    call("convert", source, folder, "--to", "hf", "--dict", letters)
    expected = load_checkpoint(reference / "fairseq_v1_tiny_ctc.pt")
    found = json.loads((folder / "vocab.json").read_text())
    assert sorted(found, key=found.get)[4:] == expected.vocabulary[4:]
    assert call("convert", source, path, "--to", "native").exit_code == 0
    assert load_checkpoint(path).vocabulary is None


def test_a_dictionary_of_another_model_is_refused(reference, tmp_path):
    letters = tmp_path / "dict.ltr.txt"
    letters.write_text("A 1\nB 1\n")
    source = reference / "fairseq_v1_tiny_ctc.pt"
    folder = tmp_path / "folder"
    said = refused("convert", source, folder, "--to", "hf", "--dict", letters)
    assert "vocabulary has 6 tokens" in said and not folder.exists()


@pytest.mark.parametrize("name", FILES)
def test_inspect_says_in_json_what_the_encoder_has(reference, name):
    source = reference / f"{name}.pt"
    result = call("inspect", source, "--json")
    assert result.exit_code == 0
    found = json.loads(result.output)
    encoder = Data2VecAudio(str(source))
    count = sum(p.numel() for p in encoder.parameters())
    assert found["parameters"] == count
    assert found["config"]["encoder_embed_dim"] == 64
    assert found["has_teacher"] == found["has_predictor"]
    assert found["has_teacher"] == (found["ctc_head"] is None)
    assert found["training_config"]
    text = call("inspect", source).output
    assert f"{count:,} parameters" in text
    assert "encoder_embed_dim: 64" in text
    assert ("vocabulary: '<s>' '<pad>'" in text) == name.endswith("ctc")


def test_inspect_knows_presets_and_its_own_files(reference, tmp_path):
    assert json.loads(call("inspect", "tiny", "--json").output)[
        "parameters"
    ] == sum(p.numel() for p in Data2VecAudio("tiny").parameters())
    path = tmp_path / "a.safetensors"
    source = reference / "fairseq_v1_tiny.pt"
    call("convert", source, path, "--to", "native")
    before = json.loads(call("inspect", source, "--json").output)
    after = json.loads(call("inspect", path, "--json").output)
    assert after.pop("kind") == "d2v_sb" and after.pop("path") == str(path)
    assert after == {k: before[k] for k in after}


def damaged(folder):
    """Files that are no checkpoints, and what is to be said of each."""
    (folder / "empty.pt").touch()
    (folder / "text.pt").write_text("a text\n")
    (folder / "empty.safetensors").touch()
    torch.save({"weight": torch.ones(1)}, folder / "other.pt")
    torch.save([1, 2], folder / "list.pt")
    torch.save({"model": 3, "cfg": None}, folder / "hollow.pt")
    (folder / "folder").mkdir()
    (folder / "text_hf").mkdir()
    config = '{"model_type": "data2vec-audio"}'
    (folder / "text_hf" / "config.json").write_text(config)
    (folder / "text_hf" / "pytorch_model.bin").write_text("a text\n")
    return sorted(folder.iterdir())


def test_what_is_no_checkpoint_is_refused_by_name(tmp_path):
    for path in [*damaged(tmp_path), tmp_path / "missing.pt", "unknown"]:
        said = refused("inspect", path)
        assert str(path) in said
        assert refused("convert", path, tmp_path / "x", "--to", "hf") == said
        assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused_by_name(reference, tmp_path, cut):
    path = tmp_path / "a.safetensors"
    call("convert", reference / "fairseq_v1_tiny.pt", path, "--to", "native")
    for source in (reference / "fairseq_v1_tiny.pt", path):
        short = tmp_path / f"short{source.suffix}"
        data = source.read_bytes()
        short.write_bytes(data[: int(cut * len(data))])
        assert str(short) in refused("inspect", short)


def test_random_weights_and_wrong_endings_are_not_converted(
    reference, tmp_path
):
    path = tmp_path / "a.safetensors"
    said = refused("convert", "tiny", path, "--to", "native")
    assert "tiny names an architecture without weights" in said
    source = reference / "fairseq_v1_tiny.pt"
    said = refused("convert", source, tmp_path / "a.pt", "--to", "native")
    assert "ends in .safetensors" in said
    said = refused("convert", source, tmp_path / "a.bin", "--to", "fairseq")
    assert "a.bin: a fairseq file ends in .pt" in said
    said = refused("convert", "tiny", tmp_path / "a.pt", "--to", "fairseq")
    assert "tiny names an architecture without weights" in said
    assert not list(tmp_path.iterdir())


def test_a_place_that_can_not_be_written_is_explained(reference, tmp_path):
    (tmp_path / "file").touch()
    source = reference / "fairseq_v1_tiny.pt"
    for target in ("native", "hf", "fairseq"):
        ending = "pt" if target == "fairseq" else "safetensors"
        path = tmp_path / "file" / f"a.{ending}"
        said = refused("convert", source, path, "--to", target)
        assert f"{path} was not written" in said


HELP = """
import sys
from d2v_sb.__main__ import main
try:
    main(sys.argv[1:])
finally:
    slow = {"torch", "speechbrain", "transformers"} & set(sys.modules)
    print("IMPORTED", sorted(slow))
"""


def test_help_imports_nothing_slow():
    for words in (["--help"], ["convert", "--help"], ["--version"]):
        result = subprocess.run(
            [sys.executable, "-c", HELP, *words],
            text=True,
            stdout=subprocess.PIPE,
        )
        assert "IMPORTED []" in result.stdout and result.returncode == 0
    result = subprocess.run(
        [sys.executable, "-m", "d2v_sb", "--help"],
        text=True,
        stdout=subprocess.PIPE,
    )
    assert "Usage: d2v-sb" in result.stdout and "inspect" in result.stdout
