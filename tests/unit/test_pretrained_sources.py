"""What a pretraining run leaves is a source; so is what the package ships.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import os

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from d2v_sb.checkpoints import (
    PRETRAINED,
    STUDENT_CKPT,
    TEACHER_CKPT,
    Checkpoint,
    check_source,
    load_checkpoint,
    save_fairseq,
    save_native,
    shipped_weights,
    source,
)
from d2v_sb.errors import CheckpointError
from d2v_sb.lobes import Data2VecAudio, WeightedData2Vec
from d2v_sb.presets import PRESETS
from d2v_sb.pretraining.student import LinearPredictor, Student
from d2v_sb.pretraining.teacher import LinearDecay, Teacher

PARTS = ("encoder", "predictor", "teacher")


def some_run():
    """A student, and a teacher that is not its copy."""
    encoder = Data2VecAudio("tiny")
    teacher = Teacher(Data2VecAudio("tiny").encoder, LinearDecay(0.9, 1, 9), 2)
    return Student(encoder, LinearPredictor(128)), teacher


def parts_of(student, teacher):
    """What is to be found in their checkpoint."""
    encoder = student.encoder.state_dict()
    encoder.pop("_extra_state")
    return {
        "encoder": encoder,
        "predictor": student.predictor.linear.state_dict(),
        "teacher": teacher.transformer.state_dict(),
    }


@pytest.fixture(scope="module")
def pretrained():
    """Everything that a run has at its end."""
    torch.manual_seed(1)
    options = {"mask_prob": 0.5, "optimizer": {"lr": 1e-3}}
    return Checkpoint(
        "run",
        "example",
        PRESETS["tiny"],
        training_config=options,
        **parts_of(*some_run()),
    )


def save_run(folder, student, teacher, unixtime=None):
    """A checkpoint as SpeechBrain's checkpointer makes it; its folder."""
    parts = {"student": student, "teacher": teacher}
    saved = Checkpointer(folder, parts).save_checkpoint()
    if unixtime is not None:
        text = f"end-of-epoch: true\nunixtime: {unixtime}\n"
        (saved.path / "CKPT.yaml").write_text(text)
    return saved.path


def assert_holds(checkpoint, parts):
    for part in PARTS:
        found, expected = getattr(checkpoint, part), parts[part]
        assert found.keys() == expected.keys(), part
        assert all(torch.equal(found[k], expected[k]) for k in expected), part


def parts(checkpoint):
    return {part: getattr(checkpoint, part) for part in PARTS}


# Whose weights


def test_teacher_is_its_transformer_on_the_students_conv_stack(pretrained):
    chosen = pretrained.choose("teacher").encoder
    assert chosen.keys() == pretrained.encoder.keys()
    for name, value in chosen.items():
        of_teacher = pretrained.teacher.get(name.removeprefix("encoder."))
        if name.startswith("encoder."):
            assert torch.equal(value, of_teacher), name
        else:
            assert torch.equal(value, pretrained.encoder[name]), name
    assert not torch.equal(
        chosen["encoder.layers.0.fc1.weight"],
        pretrained.encoder["encoder.layers.0.fc1.weight"],
    )
    assert pretrained.choose("student") is pretrained


def test_encoders_get_the_weights_that_were_chosen(pretrained, tmp_path):
    path = str(tmp_path / PRETRAINED)
    save_native(pretrained, path)
    name = "encoder.layers.1.fc2.weight"
    for weights in ("student", "teacher"):
        expected = pretrained.choose(weights).encoder[name]
        lobe = Data2VecAudio(path, weights=weights)
        probe = WeightedData2Vec(path, weights=weights)
        assert torch.equal(lobe.state_dict()[name], expected)
        assert torch.equal(probe.encoder.state_dict()[name], expected)
    by_default = Data2VecAudio(path).state_dict()[name]
    assert torch.equal(by_default, pretrained.encoder[name])


def test_no_teacher_is_an_error_that_names_the_source(pretrained, tmp_path):
    path = str(tmp_path / "alone.safetensors")
    save_native(dataclasses.replace(pretrained, teacher=None), path)
    for name in (path, "tiny"):
        with pytest.raises(CheckpointError) as caught:
            Data2VecAudio(name, weights="teacher")
        said = str(caught.value)
        assert said.startswith(name) and "holds no teacher" in said
        assert "take the student's" in said


def test_other_weights_are_answered_with_the_choices():
    with pytest.raises(ValueError, match="weights='ema'.*student, teacher"):
        Data2VecAudio("tiny", weights="ema")


# A run's folder


def test_checkpoint_of_a_run_is_a_source(tmp_path):
    student, teacher = some_run()
    folder = save_run(tmp_path, student, teacher)
    for path in (folder, folder / STUDENT_CKPT):
        found = load_checkpoint(path)
        assert_holds(found, parts_of(student, teacher))
        assert found.config == PRESETS["tiny"]
    lobe = Data2VecAudio(str(folder), weights="teacher")
    expected = teacher.transformer.layers[0].fc1.weight
    assert torch.equal(lobe.encoder.layers[0].fc1.weight, expected)


def test_student_loads_without_its_teacher(tmp_path):
    folder = save_run(tmp_path, *some_run())
    (folder / TEACHER_CKPT).unlink()
    found = load_checkpoint(folder)
    assert found.teacher is None and found.predictor is not None


def test_damaged_teacher_is_refused_by_name(tmp_path):
    folder = save_run(tmp_path, *some_run())
    data = (folder / TEACHER_CKPT).read_bytes()
    (folder / TEACHER_CKPT).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="teacher.ckpt can not be read"):
        load_checkpoint(folder)


def test_teacher_of_another_size_is_refused(tmp_path):
    folder = save_run(tmp_path, *some_run())
    state = torch.load(folder / TEACHER_CKPT)
    state.pop("transformer.layers.1.fc1.bias")
    torch.save(state, folder / TEACHER_CKPT)
    with pytest.raises(CheckpointError, match="teacher.*layers.1.fc1.bias"):
        load_checkpoint(folder)


def test_run_that_goes_on_is_its_newest_checkpoint(tmp_path):
    """The newest by SpeechBrain's clock, not by name or file time."""
    student, teacher = some_run()
    newest = save_run(tmp_path / "save", student, teacher, unixtime=300.0)
    for unixtime in (100.0, 200.0):
        other = save_run(tmp_path / "save", *some_run(), unixtime=unixtime)
        assert other.name > newest.name
        os.utime(other)
    assert_holds(load_checkpoint(tmp_path), parts_of(student, teacher))


def test_finished_run_is_what_it_wrote_at_its_end(tmp_path, pretrained):
    save_run(tmp_path / "save", *some_run())
    save_native(pretrained, tmp_path / PRETRAINED)
    found = load_checkpoint(tmp_path)
    assert_holds(found, parts(pretrained))
    assert found.training_config == pretrained.training_config


def test_folder_of_another_run_is_answered_with_what_was_looked_for(tmp_path):
    (tmp_path / "save").mkdir()
    model = {"model": Data2VecAudio("tiny")}
    Checkpointer(tmp_path / "save", model).save_checkpoint()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path)
    for name in (
        *(str(tmp_path), "config.json", PRETRAINED, "model.ckpt"),
        *(STUDENT_CKPT, "save/CKPT+*/student.ckpt", "inference folder"),
    ):
        assert name in str(caught.value)


@pytest.mark.parametrize("text", ["", "unixtime: [", "end-of-epoch: true"])
def test_damaged_description_of_a_checkpoint_is_explained(tmp_path, text):
    folder = save_run(tmp_path / "save", *some_run())
    (folder / "CKPT.yaml").write_text(text)
    with pytest.raises(
        CheckpointError, match="(?s)save can not be read.*name one"
    ):
        load_checkpoint(tmp_path)
    assert load_checkpoint(folder).teacher is not None


# What the package ships


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A package with a folder of weights, away from any network."""
    folder = tmp_path / "weights"
    monkeypatch.setattr(source, "SHIPPED_FOLDER", folder)
    monkeypatch.setattr(
        source, "fetch_from_hub", lambda *_: pytest.fail("asked the hub")
    )
    return folder


def test_shipped_weights_are_found_by_name(shipped, pretrained, monkeypatch):
    save_native(pretrained, shipped / "small.safetensors", torch.float16)
    assert list(shipped_weights()) == ["d2v_sb/small"]
    check_source("d2v_sb/small")
    # Whatever lies where the program was started.
    monkeypatch.chdir(shipped.parent)
    (shipped.parent / "d2v_sb" / "small").mkdir(parents=True)
    lobe = Data2VecAudio("d2v_sb/small")
    value = lobe.state_dict()["encoder.layers.0.fc1.weight"]
    expected = pretrained.encoder["encoder.layers.0.fc1.weight"]
    assert value.dtype == torch.float32
    assert torch.equal(value, expected.half().float())


@pytest.mark.parametrize("name", ["other", "small.safetensors", "a/b", "../x"])
def test_unknown_shipped_weights_are_never_the_hubs(shipped, pretrained, name):
    save_native(pretrained, shipped / "small.safetensors")
    for ask in (check_source, load_checkpoint):
        with pytest.raises(CheckpointError, match=f"d2v_sb/{name}"):
            ask(f"d2v_sb/{name}")
    with pytest.raises(CheckpointError, match="it has d2v_sb/small"):
        load_checkpoint("d2v_sb/smaller")


def test_no_shipped_weights_are_no_error_of_others(shipped):
    assert shipped_weights() == {}
    check_source("tiny")
    with pytest.raises(CheckpointError, match="it has none"):
        check_source("d2v_sb/small")


# Formats


def test_half_precision_rounds_and_halves(pretrained, tmp_path):
    full, half = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_native(pretrained, full)
    save_native(pretrained, half, dtype=torch.float16)
    assert half.stat().st_size < 0.51 * full.stat().st_size
    found = load_checkpoint(half)
    for part in PARTS:
        expected = getattr(pretrained, part)
        for name, value in getattr(found, part).items():
            assert torch.equal(value, expected[name].half().float()), name


def test_weight_that_half_precision_does_not_hold_is_refused(
    pretrained, tmp_path
):
    encoder = dict(pretrained.encoder)
    encoder["mask_emb"] = torch.full_like(encoder["mask_emb"], 1e5)
    large = dataclasses.replace(pretrained, encoder=encoder)
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match="run: mask_emb.*float16"):
        save_native(large, path, torch.float16)
    assert not path.exists()
    save_native(large, path)


@pytest.mark.parametrize("weights", ["student", "teacher"])
def test_native_to_fairseq_to_native_changes_nothing(
    pretrained, tmp_path, weights
):
    chosen = pretrained.choose(weights)
    first, last = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_native(chosen, first)
    save_fairseq(load_checkpoint(first), tmp_path / "a.pt")
    save_native(load_checkpoint(tmp_path / "a.pt"), last)
    found = load_checkpoint(last)
    assert_holds(found, parts(chosen))
    assert found.config == chosen.config
    # A second time fairseq's options come from the file itself.
    save_fairseq(found, tmp_path / "b.pt")
    again = load_checkpoint(tmp_path / "b.pt")
    assert again.training_config == found.training_config


def test_options_are_the_encoders_and_the_runs(pretrained, tmp_path):
    config = dataclasses.replace(
        pretrained.config, dropout=0.3, normalize=False
    )
    changed = dataclasses.replace(pretrained, config=config)
    save_fairseq(changed, tmp_path / "a.pt")
    cfg = torch.load(tmp_path / "a.pt", weights_only=True)["cfg"]
    assert cfg["model"]["mask_prob"] == 0.5  # the run's
    assert cfg["model"]["mask_length"] == 10  # fairseq's
    assert cfg["model"]["dropout"] == 0.3  # the encoder's
    assert cfg["model"]["extractor_mode"] == "layer_norm"
    assert "optimizer" not in cfg["model"]
    assert cfg["task"]["normalize"] is False
    assert load_checkpoint(tmp_path / "a.pt").config == config
    # Changed since fairseq trained; and a teacher that was the whole model.
    fairseqs = load_checkpoint(tmp_path / "a.pt")
    fairseqs.training_config["model"]["ema_transformer_only"] = False
    fairseqs.config = dataclasses.replace(config, dropout=0.2)
    save_fairseq(fairseqs, tmp_path / "b.pt")
    again = load_checkpoint(tmp_path / "b.pt")
    assert again.config == fairseqs.config
    assert again.training_config["model"]["ema_transformer_only"] is True
    assert_holds(again, parts(pretrained))


def test_encoder_alone_makes_up_no_predictor_and_no_teacher(
    pretrained, tmp_path
):
    alone = dataclasses.replace(pretrained, predictor=None, teacher=None)
    save_fairseq(alone, tmp_path / "a.pt")
    model = torch.load(tmp_path / "a.pt", weights_only=True)["model"]
    assert not [k for k in model if k.startswith(("_ema", "final_proj"))]
    found = load_checkpoint(tmp_path / "a.pt")
    assert found.teacher is None and found.predictor is None


def test_random_weights_and_ctc_heads_are_not_written(pretrained, tmp_path):
    head = {"weight": torch.ones(5, 128), "bias": torch.ones(5)}
    tuned = dataclasses.replace(pretrained, ctc_head=head)
    for checkpoint, said in (
        (load_checkpoint("tiny"), "tiny names an architecture without weights"),
        (tuned, "run has a CTC head.*--to hf or --to native"),
    ):
        with pytest.raises(CheckpointError, match=said):
            save_fairseq(checkpoint, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())
