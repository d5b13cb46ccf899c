"""Values of an hparams file, and options added to a command line.

Authors
 * The d2v_sb developers 2026
"""

import io
import json
from pathlib import Path

import pytest
import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.errors import UserError
from d2v_sb.hparams import plain_values, read_plain, with_override

HPARAMS = Path(__file__).resolve().parents[2] / "hparams"


@pytest.mark.parametrize("given", ((), ("--seed", "3", "--name", "b c")))
@pytest.mark.parametrize(
    "value",
    (
        "base",
        "runs/of mine: 1#2/it's.pt",
        r"C:\new\table",
        '"quoted"',
        "null",
        "[1, 2]",
        "größe/データ/😀.pt",
    ),
)
def test_an_added_option_is_read_as_the_text_it_was(tmp_path, given, value):
    """Whatever characters a path has, and beside what is there already."""
    path = tmp_path / "a.yaml"
    path.write_text("seed: 1\nname: x\nencoder: tiny\nsource: !ref <encoder>")
    _, _, overrides = sb.parse_arguments([str(path), *given])
    overrides = with_override(overrides, "encoder", value)
    expected = {
        "seed": 3 if given else 1,
        "name": "b c" if given else "x",
        "encoder": value,
        "source": value,
    }
    assert dict(read_plain(path, overrides)) == expected
    assert load_hyperpyyaml(path.read_text(), overrides) == expected
    # What a run keeps of it builds the same again.
    again = with_override("", "encoder", value)
    assert load_hyperpyyaml(io.StringIO(again)) == {"encoder": value}


def test_a_path_may_be_added_as_it_is():
    text = with_override("", "encoder", Path("a") / "b.pt")
    assert text == 'encoder: "a/b.pt"\n'


def test_an_option_that_was_given_is_not_added_again():
    overrides = "seed: 1\nencoder: base\n"
    with pytest.raises(UserError, match="leave out --encoder: .* from run.pt"):
        with_override(overrides, "encoder", "run.pt")
    assert with_override(overrides, "lr", 1).startswith(overrides)


def test_plain_values_leave_objects_out(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "number: 5.e-4\n"
        "switch: !ref <off>\n"
        "off: False\n"
        "nothing: null\n"
        "half: !ref <number> / 2\n"
        "quoted: '1'\n"
        "mixed: [1, two, 0.5]\n"
        "lines: !apply:list [[1]]\n"
        "object: !new:torch.nn.Linear\n    in_features: 1\n"
        "class: !name:torch.nn.ReLU\n"
        "called: !apply:speechbrain.utils.seed_everything [1]\n"
        "folded: {a: 1}\n"
    )
    values = plain_values(path, "off: True")
    assert values == {
        "number": 5e-4,
        "switch": True,
        "off": True,
        "nothing": None,
        "half": 2.5e-4,
        "quoted": "1",
        "mixed": [1, "two", 0.5],
    }
    assert json.loads(json.dumps(values)) == values
    # Of Python's own kinds: ruamel's would not pickle or print as such.
    kinds = {type(v) for v in (*values.values(), *values["mixed"])}
    assert kinds == {float, bool, type(None), str, list, int}


@pytest.mark.parametrize(
    "name", sorted(path.name for path in HPARAMS.glob("*pretrain*.yaml"))
)
def test_a_pretraining_runs_options_fit_into_its_export(name):
    values = plain_values(HPARAMS / name, "seed: 5\ndev_splits: []\n")
    assert json.loads(json.dumps(values)) == values
    assert values["seed"] == 5 and values["dev_splits"] == []
    # References are resolved, and what fairseq's form asks for is there.
    assert values["output_folder"].endswith("/5")
    for key in ("mask_prob", "ema_decay", "average_top_k_layers", "lr"):
        assert isinstance(values[key], (int, float))
    for key in ("data2vec", "teacher", "opt_class", "modules", "__set_seed"):
        assert key not in values


def test_a_mistyped_option_is_said_before_values_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("encoder: base\n")
    with pytest.raises(UserError, match="--encodr .* did you mean encoder"):
        plain_values(path, "encodr: large")
