"""What does not leave the machine with a model: places, secrets, other files.

Authors
 * The d2v_sb developers 2026
"""

import json
import shutil

import pytest
import torch
from sentencepiece import SentencePieceProcessor
from speechbrain.nnet.linear import Linear
from speechbrain.tokenizers.SentencePiece import SentencePiece

from d2v_sb.checkpoints import load_checkpoint, save_native
from d2v_sb.classification_folder import export_classifier
from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.lobes import (
    Data2VecAudio,
    UtteranceClassifier,
    UtteranceEncoder,
    WeightedData2Vec,
    make_head,
)
from d2v_sb.publishing.private import public, public_command
from d2v_sb.publishing.subword_file import without_places
from d2v_sb.tokens import Subwords
from d2v_sb.utterances import Labels
from tests.unit.bulk_models import joint_folder
from tests.unit.publish_runs import HPARAMS, VERSIONS, call, contents, make_run

TEXTS = ["ONE TWO THREE", "TOO TREE NOT"] * 9
NO_SECRET = "hf_nobody_knows"


def give_record(folder):
    """A record of a run that is full of this folder's path."""
    text = HPARAMS.format(encoder="tiny").replace("/home/me", str(folder))
    text += f"hub_token: {NO_SECRET}\nmy_note: see {folder}/x\n"
    (folder / "hyperparams.yaml").write_text(text)
    command = VERSIONS["command"].replace("/home/me", str(folder))
    command += f" --hub_token {NO_SECRET} --api-key={NO_SECRET}"
    record = {**VERSIONS, "command": command}
    (folder / "versions.json").write_text(json.dumps(record))
    return folder


def texts_csv(folder):
    """Texts to learn subwords from."""
    rows = [f'{i},"{text}"' for i, text in enumerate(TEXTS)]
    (folder / "said.csv").write_text("\n".join(["ID,wrd", *rows, ""]))
    return folder / "said.csv"


def learn_as_speechbrain(folder, kind="bpe"):
    """SpeechBrain's own training, from a file to a file."""
    where = folder / f"learned_{kind}"
    csv = str(texts_csv(folder))
    options = {"bos_id": 1, "eos_id": 2}
    SentencePiece(str(where), 14, csv, "wrd", kind, **options)
    return next(where.glob("*.model"))


def letters(folder):
    make_run(folder)


def subwords(folder):
    joint_folder(folder / "inference")
    old = learn_as_speechbrain(folder)
    assert str(folder).encode() in old.read_bytes()  # of an older run
    shutil.copyfile(old, folder / "inference/tokenizer.ckpt")


def classifier(folder):
    torch.manual_seed(0)
    front_end = WeightedData2Vec("tiny")
    head = make_head("mean", front_end.output_size, 12, 16, 8)
    model = UtteranceClassifier(
        UtteranceEncoder(front_end, head), Linear(input_size=12, n_neurons=2)
    )
    (folder / "train.csv").write_text("ID,label\na,ang\nb,sad\n")
    labels = Labels(folder / "train.csv", "label")
    export_classifier(folder / "inference", model.eval(), labels, 1.0)


def encoder(folder):
    weights = Data2VecAudio("tiny", encoder_layers=1).state_dict()
    torch.save(weights, folder.with_name("model.ckpt"))
    checkpoint = load_checkpoint(folder.with_name("model.ckpt"))
    checkpoint.training_config = {
        "data_folder": f"{folder}/audio",
        "seed": 3,
        "hub_token": NO_SECRET,
        "encoder": f"see {folder}/x",
    }
    save_native(checkpoint, folder / "pretrained.safetensors")


@pytest.mark.parametrize("make", [letters, subwords, classifier, encoder])
def test_no_byte_tells_where_the_run_is_or_its_secrets(tmp_path, make):
    run = tmp_path / "run_of_me"
    run.mkdir()
    make(run)
    give_record(run)
    call(run, tmp_path / "made", "--license", "mit")
    found = contents(tmp_path / "made")
    assert b"| seed | " in found["README.md"]
    for name, content in found.items():
        for hidden in (str(tmp_path), "run_of_me", NO_SECRET, "/home/me"):
            assert hidden.encode() not in content, (name, hidden)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
def test_a_subword_model_without_places_is_the_same_model(tmp_path, kind):
    old = learn_as_speechbrain(tmp_path, kind).read_bytes()
    new = Subwords(texts_csv(tmp_path), tmp_path / "new", 14, kind, 1, 2)
    assert str(tmp_path).encode() not in new.path.read_bytes()
    cleared = without_places(old)
    assert 0 < len(old) - len(cleared) < 400
    assert without_places(cleared) == cleared
    models = [
        SentencePieceProcessor(model_proto=content)
        for content in (old, cleared, new.path.read_bytes())
    ]
    said = [
        (
            [(m.id_to_piece(i), m.get_score(i)) for i in range(len(m))],
            [m.encode(text) for text in TEXTS[:2]],
            (m.unk_id(), m.bos_id(), m.eos_id(), m.pad_id()),
        )
        for m in models
    ]
    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize("content", [b"\x12\x7fabc", b"\x0b", b"\xff" * 20])
def test_what_is_no_subword_model_is_said(content):
    with pytest.raises(CheckpointError, match="no SentencePiece model"):
        without_places(content)


def test_only_what_the_model_is_loaded_from_is_copied(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "inference/optimizer.ckpt").write_text("x")
    (run / "inference/notes").mkdir()
    (run / "inference/notes/private.txt").write_text("x")
    (run / "inference/audio").symlink_to(tmp_path)
    call(run, tmp_path / "a")
    names = {n for n in contents(tmp_path / "a") if "transformers/" not in n}
    assert names == {
        "hyperparams.yaml",
        "model.ckpt",
        "tokenizer.ckpt",
        "README.md",
        "ATTRIBUTION.md",
    }


def test_a_link_to_elsewhere_is_not_followed(tmp_path):
    run = make_run(tmp_path / "run")
    labels = run / "inference/tokenizer.ckpt"
    labels.rename(tmp_path / "labels")
    labels.symlink_to(tmp_path / "labels")
    with pytest.raises(CheckpointError, match="tokenizer.ckpt is a link"):
        call(run, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_missing_file_is_named(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "inference/tokenizer.ckpt").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.ckpt"):
        call(run, tmp_path / "a")


def test_a_push_refuses_files_that_are_not_of_the_model(tmp_path):
    run = make_run(tmp_path / "run")
    call(run, tmp_path / "a")
    (tmp_path / "a/LICENSE").write_text("mine")
    push = (run, tmp_path / "a", "--push", "me/a")
    assert "MB  LICENSE" in call(*push).output
    (tmp_path / "a/notes.txt").write_text("private")
    with pytest.raises(UserError, match="not of the model: notes.txt"):
        call(*push)


def test_without_hparams_at_hand_what_is_named_like_a_secret_is_left_out():
    values = {"seed": 1, "token_type": "bpe", "my": 2}
    hidden = {"wandb_KEY": "a", "Token": "b", "a_password": "c"}
    assert public({**values, **hidden}, set()) == values
    assert public({**values, **hidden}, {"seed"}) == {"seed": 1}
    nested = {"common": {"key": "x", "path": "/home/me/y"}}
    assert public(nested, {"seed"}) == {"common": {"path": "y"}}


def test_an_option_of_the_command_is_left_out_with_all_of_its_values():
    command = "python t.py --api-key a --seed 1 --hub_token=b --regime c"
    shown = public_command(command).replace(" \\\n    ", " ")
    assert shown == "python t.py --seed 1 --regime c"
