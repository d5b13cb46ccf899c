"""What a card says: figures, licences, and nothing that is not so.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import shutil
from importlib import metadata

import pytest
import torch
from huggingface_hub import ModelCard
from speechbrain.nnet.linear import Linear

from d2v_sb.checkpoints import shipped_weights
from d2v_sb.classification_folder import export_classifier
from d2v_sb.errors import UserError
from d2v_sb.lobes import (
    FilterBank,
    UtteranceClassifier,
    UtteranceEncoder,
    make_head,
)
from d2v_sb.publishing.figures import Figure, Result, Results
from d2v_sb.publishing.licences import licence_text
from d2v_sb.publishing.origin import Origin, find_origin
from d2v_sb.publishing.run_results import old_results, own_results
from d2v_sb.publishing.source import find_source
from d2v_sb.utterances import Labels
from tests.unit.publish_runs import HPARAMS, TABLE, VERSIONS, call, make_run

SMALL = shipped_weights()["d2v_sb/small"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results") / "run")


def card(run, folder, *options):
    """The card's text, and what the command said."""
    result = call(run, folder, *options)
    return (folder / "README.md").read_text(), result.output


def figures(folder):
    """What the hub's table has."""
    data = ModelCard.load(folder / "README.md").data
    return [(r.dataset_type, r.metric_value) for r in data.eval_results or []]


def set_time(path, seconds):
    os.utime(path, (seconds, seconds))


def test_what_it_was_trained_on_is_not_what_it_was_tested_on(run, tmp_path):
    card(run, tmp_path / "a", "--dataset", "openslr/librispeech_asr")
    data = ModelCard.load(tmp_path / "a/README.md").data
    assert data.datasets == ["openslr/librispeech_asr"]
    assert figures(tmp_path / "a") == [
        ("mini-test-clean", 27.04),
        ("mini-test-clean", 12.9),
    ]


def test_rows_of_a_table_are_other_runs_and_the_runs_own_are_not(run, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    rows = ("--results", tmp_path / "t.csv", "--where", "model=small")
    text, _ = card(run, tmp_path / "a", *rows)
    assert [value for _, value in figures(tmp_path / "a")] == [27.04, 12.9]
    own, others = text.split("For comparison, other runs")
    assert "| 27.04 | 12.90 |" in own and "18.37" not in own
    assert "| 25.87 | 12.98 |" in others and "| 18.37 | 10.14 |" in others
    assert "27.04" not in others and "62.61" not in text


def test_only_rows_of_the_same_measurement_are_the_same():
    def result(wer, size, metric="wer"):
        return Result("AN4", "", {metric: Figure(wer)}, size, "")

    own = result(27.0375, "130 utterances of 10 speakers")
    others = [
        result(27.04, "130 utterances"),
        result(27.05, "130 utterances"),
        result(27.04, "131 utterances"),
        result(27.04, "130 utterances", "cer"),
    ]
    assert Results([own], others).others == others[1:]
    assert Results([], others).others == others


def test_figures_are_of_the_weights_that_they_were_measured_on(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    folder = tmp_path / "run/inference"
    for file in folder.iterdir():
        set_time(file, 1000)
    for name in ("wer", "cer"):
        set_time(tmp_path / f"run/{name}_test-clean.txt", 1002)
    set_time(folder / "hyperparams.yaml", 9999)  # edited
    text, said = card(tmp_path / "run", tmp_path / "a")
    assert "27.04" in text and "left out" not in said
    set_time(folder / "model.ckpt", 1003)
    text, said = card(tmp_path / "run", tmp_path / "b")
    assert "older than the model: wer_test-clean.txt" in said
    assert "Its test figures are not known" in text and "27.04" not in text
    assert "It is not known what it was tested on" in text
    assert "figures below" not in text and "the first table" not in text
    set_time(tmp_path / "run/wer_test-clean.txt", 1004)
    card(tmp_path / "run", tmp_path / "c")
    assert [value for _, value in figures(tmp_path / "c")] == [27.04]


def test_a_language_model_that_came_later_has_no_figures_yet(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(run / "inference", tmp_path / "run/inference_lm")
    yaml = tmp_path / "run/inference_lm/hyperparams.yaml"
    yaml.write_text(yaml.read_text() + "language_model: of the test\n")
    source = find_source(tmp_path / "run", "inference_lm")
    assert source.with_lm and old_results(source) == []
    assert len(own_results(source)) == 1
    (tmp_path / "run/inference_lm/language_model.ckpt").touch()
    tested = (tmp_path / "run/wer_test-clean_lm.txt").stat().st_mtime
    set_time(tmp_path / "run/inference_lm/language_model.ckpt", tested + 1)
    assert old_results(source) == ["wer_test-clean_lm.txt"]
    assert own_results(source) == [] and not source.swept
    (tmp_path / "run/beam_search.yaml").touch()
    assert source.swept


def small_run(folder, encoder):
    """The record of a run alone."""
    folder.mkdir(parents=True)
    record = HPARAMS.format(encoder=encoder)
    (folder / "hyperparams.yaml").write_text(record)
    return folder


def test_an_encoder_is_followed_from_run_to_run(tmp_path, monkeypatch):
    shutil.copyfile(SMALL, tmp_path / "copy.safetensors")
    (tmp_path / "link.safetensors").symlink_to(SMALL)
    first = small_run(tmp_path / "results/first", tmp_path / "copy.safetensors")
    linked = small_run(tmp_path / "linked", tmp_path / "link.safetensors")
    (first / "inference").mkdir()
    (first / "save/CKPT+1").mkdir(parents=True)
    (first / "save/CKPT+1/model.ckpt").touch()
    # A path from where the run was started, which is not here.
    second = small_run(tmp_path / "results/second", "results/first/inference")
    monkeypatch.chdir("/")
    for encoder in (
        SMALL,
        first,
        first / "inference",
        first / "save/CKPT+1/model.ckpt",
        linked,
        second,
    ):
        assert find_origin(encoder) == Origin("d2v_sb/small"), encoder
    went_on = small_run(tmp_path / "went_on", "tiny")
    with open(went_on / "hyperparams.yaml", "a") as stream:
        stream.write(f"pretrain_from: {second}\n")
    assert find_origin(went_on) == Origin("d2v_sb/small")
    assert find_origin(small_run(tmp_path / "r", "tiny")).random
    hub = small_run(tmp_path / "hub", "facebook/data2vec-audio-base")
    assert find_origin(hub) == Origin("facebook/data2vec-audio-base")
    gone = small_run(tmp_path / "gone", "/nowhere/start.safetensors")
    assert find_origin(gone) == find_origin(None) == Origin()
    circle = small_run(tmp_path / "circle", tmp_path / "circle")
    assert find_origin(circle) == Origin()


def test_what_is_fine_tuned_from_a_copy_follows_its_licence(tmp_path):
    shutil.copyfile(SMALL, tmp_path / "start.safetensors")
    run = make_run(tmp_path / "run", tmp_path / "start.safetensors")
    text, _ = card(run, tmp_path / "a")
    deed = "https://creativecommons.org/licenses/by-sa/3.0/"
    assert f"are under [cc-by-sa-3.0]({deed})" in text
    assert "They go back to `d2v_sb/small`" in text
    words = (tmp_path / "a/ATTRIBUTION.md").read_text()
    for name in ("Allison Smith", "June Wallack", "Kerstin", "Panayotov", deed):
        assert name in words, name
    assert "trained further" in words and "## How it was made" not in words


def test_an_unknown_origin_is_said(tmp_path):
    run = make_run(tmp_path / "run", "/nowhere/start.safetensors")
    with pytest.raises(UserError, match=r"\(not known\): give --license"):
        call(run, tmp_path / "a")
    text, said = card(run, tmp_path / "a", "--license", "mit")
    assert "Which weights training began from is not known" in text
    assert "make sure that it allows mit" in said
    assert not (tmp_path / "a/ATTRIBUTION.md").exists()
    random = make_run(tmp_path / "random", "tiny")
    text, said = card(random, tmp_path / "b", "--license", "mit")
    assert "began from random ones" in text and "make sure" not in said


def test_another_packages_licence_is_not_taken(monkeypatch, tmp_path):
    (tmp_path / "LICENSE").write_text("MIT License\n")

    class File:
        name = "LICENSE"

        def locate(self):
            return tmp_path / "LICENSE"

    monkeypatch.setattr(metadata, "files", lambda name: [File()])
    module = tmp_path / "site-packages/d2v_sb/publishing/licences.py"
    monkeypatch.setattr("d2v_sb.publishing.licences.__file__", str(module))
    assert licence_text("apache-2.0") is None
    (tmp_path / "LICENSE").write_text("\n   Apache License\n  Version 2.0")
    assert "Version 2.0" in licence_text("apache-2.0")


def test_a_run_without_a_record_of_versions_has_none(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/versions.json").unlink()
    (tmp_path / "run/env.log").write_text("Python version:\n3.11.7 (x)\n")
    text, _ = card(tmp_path / "run", tmp_path / "a")
    assert "| versions | not known |" in text
    assert "| commit of d2v_sb | not known |" in text
    assert "The command is not known." in text and "3.11.7" not in text


def test_a_run_that_went_on_says_both_commands(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    later = {**VERSIONS, "commit": "aaa", "command": "python t.py --seed 8"}
    record = {**VERSIONS, "resumed": [VERSIONS, later]}
    (tmp_path / "run/versions.json").write_text(json.dumps(record))
    text, _ = card(tmp_path / "run", tmp_path / "a")
    assert text.count("recipes/LibriSpeech/train.py") == 1
    assert "It went on with" in text and "--seed 8" in text
    assert "| commit of d2v_sb | c259c3b; then aaa |" in text


def test_what_is_true_of_waveforms_only_is_not_said_of_filter_banks(
    run, tmp_path
):
    torch.manual_seed(0)
    front_end = FilterBank(n_mels=20)
    head = make_head("mean", front_end.output_size, 12, 16, 8)
    model = UtteranceClassifier(
        UtteranceEncoder(front_end, head), Linear(input_size=12, n_neurons=2)
    )
    (tmp_path / "train.csv").write_text("ID,label\na,`\nb,x|y\n")
    labels = Labels(tmp_path / "train.csv", "label")
    bank = tmp_path / "bank"
    export_classifier(bank / "inference", model.eval(), labels, 1.0)
    text = HPARAMS.format(encoder="fbank").replace("lr: 1e-3", "lr: 'a`b|c'")
    (bank / "hyperparams.yaml").write_text(text)
    text, _ = card(bank, tmp_path / "a", "--license", "mit")
    assert "25 ms" not in text and "began from random ones" in text
    # And what files hold is text, whatever it means in Markdown.
    assert "| labels | 2: `` ` `` `x\\|y` |" in text
    assert "| learning rate | a\\`b\\|c |" in text
    assert "shorter than 25 ms" in card(run, tmp_path / "b")[0]


def test_values_and_descriptions_end_no_block_of_code(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    yaml = tmp_path / "run/hyperparams.yaml"
    text = yaml.read_text()
    yaml.write_text(text.replace("lr: 1e-3", 'lr: "```\\n# Not mine"'))
    (tmp_path / "d.md").write_text("Mine.\n\n```sh\nls\n```\n")
    options = ("--description", tmp_path / "d.md")
    text, _ = card(tmp_path / "run", tmp_path / "a", *options)
    assert "\n````json\n" in text and "\n````\n" in text
    assert "\n# Not mine" not in text and "Mine.\n\n```sh\nls\n```" in text
    (tmp_path / "d.md").write_text("Mine.\n\n```sh\nls\n")
    with pytest.raises(UserError, match="--description: a block of code"):
        call(tmp_path / "run", tmp_path / "b", *options)
