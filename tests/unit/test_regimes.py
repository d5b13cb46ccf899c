"""The published regimes, in the resolved hparams.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import pytest
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.errors import UserError
from d2v_sb.finetuning import REGIMES, with_regime
from d2v_sb.hparams import read_plain

YAML = Path(__file__).resolve().parents[2] / "hparams/d2v_ctc.yaml"

# Typed in from fairseq's examples/wav2vec/config/finetuning, apart from the
# package: lr, thousands of updates, minutes of audio per update, mask_prob,
# mask_channel_prob, layerdrop, thousands of frozen updates.
PUBLISHED = """
base_10min   5e-5   13  26.7  .65  .25  .1   10
base_1h      5e-5   13  26.7  .65  .25  .1   10
base_10h     5e-5   20  26.7  .65  .5   .05  10
base_100h    3e-5   80  26.7  .65  .5   .1   0
base_960h    1e-4  320  26.7  .5   .1   .1   0
large_10min  1e-4   13  26.7  .65  .25  .1   10
large_1h     3e-4   13  26.7  .75  .25  .1   10
large_10h    1e-4   20  26.7  .75  .25  .1   10
large_100h   3e-5   80  26.7  .5   .5   .1   10
large_960h   3e-5  320  32    .5   .25  .1   10
"""
ROWS = [line.split() for line in PUBLISHED.split("\n") if line]


def test_each_regime_is_tested():
    assert [name for name, *_ in ROWS] == list(REGIMES)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_regime_yields_its_published_values(row, tmp_path):
    name, lr, updates, minutes, mask, channels, layerdrop, frozen = row
    # As the recipe does; the model is small, for nothing else depends on it.
    given = f"regime: {name}\noutput_folder: {tmp_path}\n"
    assert f"data2vec-audio-{name.split('_')[0]}" in with_regime(YAML, given)
    with open(YAML, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(
            stream, with_regime(YAML, given + "encoder: tiny\n")
        )
    updates = 1000 * int(updates)
    assert hparams["lr"] == float(lr)
    assert hparams["number_of_updates"] == updates
    assert hparams["batch_seconds"] / 60 == pytest.approx(
        float(minutes), abs=0.05
    )
    # The objects that are trained with got the values too.
    assert hparams["masking"].mask_prob == float(mask)
    assert hparams["masking"].mask_channel_prob == float(channels)
    encoder = hparams["data2vec"]
    assert encoder.config.encoder_layerdrop == float(layerdrop)
    assert encoder.freeze_finetune_updates == 1000 * int(frozen)
    assert hparams["lr_schedule"].peak_lr == float(lr)
    assert hparams["lr_schedule"].total_steps == updates


def test_the_file_itself_is_its_default_regime():
    plain, regime = read_plain(YAML), REGIMES["large_100h"]
    for key, value in vars(regime).items():
        assert plain[key] == value
    asked = read_plain(YAML, with_regime(YAML, "regime: large_100h"))
    for key in ("encoder", "train_splits"):
        assert plain[key] == asked[key]


def test_the_splits_are_those_of_librispeech_and_libri_light():
    def splits(name):
        text = with_regime(YAML, f"regime: {name}")
        return read_plain(YAML, text)["train_splits"]

    fine = "librispeech_finetuning/"
    assert splits("base_10min") == [fine + "1h/0/clean", fine + "1h/0/other"]
    assert len(splits("base_1h")) == 12
    assert fine + "1h/5/other" in splits("large_1h")
    nine = [fine + "9h/clean", fine + "9h/other"]
    assert splits("base_10h") == splits("base_1h") + nine
    assert splits("large_100h") == ["train-clean-100"]
    assert len(splits("large_960h")) == 3


def test_what_was_given_counts_for_more():
    given = "regime: base_1h\nlr: 0.001\nencoder: tiny\nnumber_of_updates: 130"
    plain = read_plain(YAML, with_regime(YAML, given))
    assert (plain["lr"], plain["encoder"]) == (0.001, "tiny")
    # Not the published 10,000, after which the encoder would never learn.
    assert plain["freeze_finetune_updates"] == 100
    assert with_regime(YAML, "lr: 0.001") == "lr: 0.001"


@pytest.mark.parametrize("name", ("base", "large_100", "huge_1h"))
def test_an_unknown_regime_names_the_known_ones(name):
    with pytest.raises(UserError, match=f"{name}: the regimes are base_10min"):
        with_regime(YAML, f"regime: {name}")


def test_a_regime_that_a_file_names_must_be_what_it_says(tmp_path):
    text = YAML.read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("regime: null", "regime: large_100h"))
    assert read_plain(path, with_regime(path, ""))["lr"] == 3e-5
    path.write_text(text.replace("regime: null", "regime: base_10h"))
    with pytest.raises(UserError, match="mine.yaml .* base_10h.*lr 3e-05, not"):
        with_regime(path, "")
    # From the command line it is another matter.
    plain = read_plain(path, with_regime(path, "regime: base_10h"))
    assert plain["lr"] == 5e-5
    assert with_regime(path, "regime: null") == "regime: null"


def test_a_number_that_is_none_is_said():
    with pytest.raises(UserError, match="many is no whole number"):
        with_regime(YAML, "regime: base_1h\nnumber_of_updates: many")
