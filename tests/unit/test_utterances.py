"""Classes and stretches of utterances, from CSV files.

Authors
 * The d2v_sb developers 2026
"""

import numpy as np
import pytest
import soundfile
import torch
from sklearn.utils.class_weight import compute_class_weight
from speechbrain.utils.checkpoints import Checkpointer

from d2v_sb.errors import CheckpointError, DataError, UserError
from d2v_sb.pretraining.crops import Crop
from d2v_sb.utterances import Labels, class_weights, utterance_dataset

COLUMNS = "ID,duration,wav,spk_id,label"


@pytest.fixture
def write(tmp_path):
    """Writes a CSV of clips with these labels; clip i has i + 1 tenths of a
    second of a ramp."""

    def rows(name, labels):
        lines = [COLUMNS]
        for i, label in enumerate(labels):
            wav = tmp_path / f"{i}.wav"
            samples = 1600 * (i + 1)
            soundfile.write(wav, np.arange(samples) / 32768, 16000)
            lines.append(f"{name}{i},{samples / 16000},{wav},s{i},{label}")
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return rows


def test_classes_are_in_the_order_of_their_names(write):
    labels = Labels(write("train", ["sad", "ang", "sad", "hap"]), "label")
    assert labels.names == ["ang", "hap", "sad"] and len(labels) == 3
    assert labels.decode_torch(torch.tensor([2, 0])) == ["sad", "ang"]


def test_one_class_is_an_error(write):
    with pytest.raises(DataError, match="one class, sad"):
        Labels(write("train", ["sad", "sad"]), "label")


def test_a_column_that_is_not_there_is_an_error(write):
    with pytest.raises(DataError, match="no column emotion"):
        Labels(write("train", ["sad", "hap"]), "emotion")


def test_a_missing_csv_says_how_it_is_made(tmp_path):
    with pytest.raises(DataError, match="leave out --skip_prep"):
        Labels(tmp_path / "train.csv", "label")


def test_unknown_classes_are_all_listed_at_once(write):
    labels = Labels(write("train", ["sad", "hap"]), "label")
    path = write("test", ["fru", "sad", "xxx", "fru"])
    with pytest.raises(DataError) as error:
        utterance_dataset(path, labels, "label")
    for part in ("test0: fru", "test2: xxx", "test3: fru", "3 utterances"):
        assert part in str(error.value)
    assert "test1" not in str(error.value)


def test_a_checkpoint_of_other_classes_is_refused_by_name(write, tmp_path):
    folder = tmp_path / "save"
    saved = Labels(write("a", ["sad", "hap"]), "label")
    Checkpointer(folder, {"labels": saved}).save_checkpoint()
    same = Labels(write("b", ["hap", "sad"]), "label")
    Checkpointer(folder, {"labels": same}).recover_if_possible()
    other = Labels(write("c", ["sad", "ang"]), "label")
    with pytest.raises(CheckpointError, match="hap only there, ang only here"):
        Checkpointer(folder, {"labels": other}).recover_if_possible()


def test_a_dataset_gives_whole_clips_and_stretches(write):
    path = write("train", ["sad", "hap", "sad"])
    dataset = utterance_dataset(path, Labels(path, "label"), "label")
    whole = dataset[2]
    assert whole["sig"].shape == (4800,) and whole["spk_id"] == "s2"
    assert whole["encoded"].tolist() == [1]
    part = dataset[Crop(2, 1000, 500)]["sig"]
    assert torch.equal(part, whole["sig"][1000:1500])
    repeated = dataset[Crop(0, 0, 4000)]["sig"]
    clip = dataset[0]["sig"]
    assert torch.equal(repeated, torch.cat([clip, clip, clip[:800]]))


def test_weights_are_scikit_learns_balanced_ones(write):
    names = ["sad", "ang", "sad", "hap", "sad", "hap"]
    path = write("train", names)
    labels = Labels(path, "label")
    expected = compute_class_weight(
        "balanced", classes=np.array(labels.names), y=names
    )
    weights = class_weights(path, labels, "label")
    assert weights.tolist() == pytest.approx(expected.tolist())


def test_other_ways_to_balance_weigh_nothing(write):
    path = write("train", ["sad", "hap"])
    labels = Labels(path, "label")
    for balance in ("none", "sampling"):
        assert class_weights(path, labels, "label", balance) is None
    with pytest.raises(UserError, match="none, weights, sampling"):
        class_weights(path, labels, "label", "weight")
