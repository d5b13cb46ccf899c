"""Reading fairseq's files: all that is in them, and nothing run.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import collections
import copyreg
import enum
import os
import pathlib
import pickle
import struct
import sys
import tarfile
import types

import numpy
import pytest
import torch

from d2v_sb.checkpoints.fairseq_file import read_fairseq
from d2v_sb.checkpoints.inert_pickle import ALLOWED, Call
from d2v_sb.errors import CheckpointError

WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3)}
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])


def save(path, content, zipped=True):
    """Writes as torch did before and after 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.fixture
def foreign(monkeypatch):
    """Classes with the names and the state of omegaconf's and fairseq's,
    there only while the file is written."""

    class Node:
        def __init__(self, **state):
            self.__dict__.update(state)

    class Mode(enum.Enum):
        LAYER_NORM = "layer_norm"

    places = {
        ("omegaconf.dictconfig", "DictConfig"): Node,
        ("omegaconf.listconfig", "ListConfig"): type("L", (Node,), {}),
        ("omegaconf.nodes", "AnyNode"): type("A", (Node,), {}),
        ("fairseq.data.dictionary", "Dictionary"): type("D", (Node,), {}),
        ("fairseq.dataclass.constants", "Mode"): Mode,
    }
    for (module, name), kind in places.items():
        kind.__module__, kind.__qualname__ = module, name
        parts = module.split(".")
        for i in range(1, len(parts) + 1):
            dotted = ".".join(parts[:i])
            if dotted not in sys.modules:
                monkeypatch.setitem(
                    sys.modules, dotted, types.ModuleType(dotted)
                )
        setattr(sys.modules[module], name, kind)
    yield {name: kind for (_, name), kind in places.items()}


@pytest.mark.parametrize(
    "name", ["fairseq_v1_tiny", "fairseq_v1_tiny_args", "fairseq_v1_tiny_ctc"]
)
def test_recorded_tensors_and_options_are_read_as_torch_reads_them(
    reference, name
):
    path = reference / f"{name}.pt"
    ours = read_fairseq(path)
    trusted = torch.load(path, weights_only=False)

    def compare(a, b):
        assert list(a) == list(b)
        for key, value in b.items():
            if isinstance(value, dict):
                compare(a[key], value)
            else:
                assert torch.equal(a[key], value)

    compare(ours["model"], trusted["model"])
    if trusted["args"] is not None:
        assert ours["args"]["arch"] == trusted["args"].arch
        assert ours["cfg"] is None
    else:
        assert ours["cfg"]["task"] == trusted["cfg"]["task"]


@FORMATS
def test_omegaconf_fairseq_numpy_and_namespace_become_plain(
    tmp_path, foreign, zipped
):
    AnyNode, ListConfig = foreign["AnyNode"], foreign["ListConfig"]
    root = foreign["DictConfig"](_metadata=None, _parent=None)
    leaf = AnyNode(_metadata=None, _parent=root, _val=5e-4)
    mode = AnyNode(_val=foreign["Mode"].LAYER_NORM, _parent=root)
    rates = ListConfig(_content=[leaf, AnyNode(_val="${lr}")], _parent=root)
    root._content = {"lr": rates, "mode": mode, "none": None}
    content = {
        "cfg": root,
        "args": argparse.Namespace(arch="data2vec_audio", deep={"x": (1, 2)}),
        "task_state": {"dict": foreign["Dictionary"](symbols=["<s>"])},
        "extra_state": {"best": numpy.float64(12.5), "n": numpy.int64(3)},
        "last_optimizer_state": {"m": torch.ones(9)},
        "model": WEIGHTS,
    }
    path = save(tmp_path / "a.pt", content, zipped)
    for name in [m for m in sys.modules if m.split(".")[0] == "omegaconf"]:
        del sys.modules[name]
    read = read_fairseq(path)
    assert not any(m.startswith("omegaconf") for m in sys.modules)
    assert read["cfg"] == {
        "lr": [5e-4, "${lr}"],
        "mode": "layer_norm",
        "none": None,
    }
    assert read["args"] == {"arch": "data2vec_audio", "deep": {"x": [1, 2]}}
    assert read["task_state"] == {
        "dict": "<fairseq.data.dictionary.Dictionary>"
    }
    assert read["extra_state"] == {"best": 12.5, "n": 3}
    assert "last_optimizer_state" not in read
    assert torch.equal(read["model"]["w"], WEIGHTS["w"])


class Runs:
    """Pickles as a call of any function."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def hostile_calls(marker):
    """What an attacker would have called; all of it touches `marker`."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "system": Runs(os.system, command),
        "eval": Runs(eval, code),
        "exec": Runs(exec, code),
        "chain": Runs(getattr, Runs(__import__, "antigravity"), "open"),
        "open": Runs(open, str(marker), "w"),
        "import": Runs(__import__, "antigravity"),
    }


@FORMATS
@pytest.mark.parametrize(
    "call", ["system", "eval", "exec", "chain", "open", "import"]
)
@pytest.mark.parametrize("place", ["cfg", "model", "top"])
def test_nothing_in_a_hostile_file_runs(tmp_path, call, place, zipped):
    marker = tmp_path / "ran"
    evil = hostile_calls(marker)[call]
    content = {
        "cfg": {"cfg": {"x": evil}, "model": WEIGHTS},
        "model": {"model": {**WEIGHTS, "x": evil}},
        "top": evil,
    }[place]
    path = save(tmp_path / "evil.pt", content, zipped)
    if place == "cfg":
        read_fairseq(path)
    else:
        with pytest.raises(CheckpointError):
            read_fairseq(path)
    assert not marker.exists()
    assert "antigravity" not in sys.modules


def write_old(path, code):
    """A file in the older format, of opcodes that torch.save would not use."""
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    head = magic + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    path.write_bytes(head + code + pickle.dumps([], 2))
    return path


def text(value):
    """The opcode that puts a string on the pickle's stack."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize(
    "code",
    [
        b"(S'touch MARKER'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch MARKER'\no.",  # OBJ
        b"cos\nsystem\n(S'touch MARKER'\ntR.",  # REDUCE
        b"\x82\x01.",  # EXT1: a code of the extension registry
        b"\x80\x04\x8c\x08builtins\x8c\x0a__import__\x93\x8c\x0aantigravity"
        b"\x85R.",
    ],
)
def test_no_opcode_of_any_protocol_runs_anything(tmp_path, code):
    marker = tmp_path / "ran"
    path = tmp_path / "evil.pt"
    write_old(path, code.replace(b"MARKER", str(marker).encode()))
    with pytest.raises(CheckpointError):
        read_fairseq(path)
    assert not marker.exists()
    assert "antigravity" not in sys.modules


def test_a_pickle_can_not_make_torch_write_a_patch_file(tmp_path):
    """torch.load compares the source of an id of "module" and writes what
    differs to a file beside, if the class says so and under its name."""
    target = tmp_path / "written"
    state = b"}" + text("dump_patches") + b"\x88s"
    slots = b"}" + text("__name__") + text(str(target)) + b"s"
    module = text("module") + REBUILD + text("a.py") + text("evil\n")
    ids = {
        "changed": REBUILD + state + slots + b"\x86b0(" + module + b"tQ.",
        "module": b"(" + module + b"tQ.",
    }
    for name, code in ids.items():
        path = write_old(tmp_path / f"{name}.pt", b"\x80\x02" + code)
        with pytest.raises(CheckpointError, match="change|no storage"):
            read_fairseq(path)
    assert not target.with_name("written.patch").exists()


def test_a_pickle_can_not_change_what_it_may_call(tmp_path):
    before = torch._utils._rebuild_tensor_v2.__defaults__
    state = b"N}" + text("__defaults__") + b"K\x07\x85s\x86b."
    path = write_old(tmp_path / "a.pt", b"\x80\x02" + REBUILD + state)
    with pytest.raises(CheckpointError, match="change"):
        read_fairseq(path)
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before
    for function in ALLOWED.values():
        if not isinstance(function, Call):
            with pytest.raises((TypeError, AttributeError)):
                function.attribute = 1


def test_an_extension_code_is_refused_though_the_process_knows_it(tmp_path):
    marker = tmp_path / "ran"
    call = text(f"touch {marker}") + b"\x85R."
    path = write_old(tmp_path / "a.pt", b"\x82\xc8" + call)
    copyreg.add_extension("os", "system", 200)
    try:
        pickle.loads(b"\x82\xc8.")  # now it is in the registry's cache
        with pytest.raises(CheckpointError, match="extension"):
            read_fairseq(path)
    finally:
        copyreg.remove_extension("os", "system", 200)
    assert not marker.exists()


def test_a_tar_file_is_not_unpacked(tmp_path):
    other = tmp_path / "other"
    other.touch(mode=0o600)
    link = tarfile.TarInfo("storages")
    link.type, link.linkname, link.mode = tarfile.LNKTYPE, str(other), 0o666
    with tarfile.open(tmp_path / "a.pt", "w") as tar:
        tar.addfile(link)
    with pytest.raises(CheckpointError, match="tar file"):
        read_fairseq(tmp_path / "a.pt")
    assert other.stat().st_mode & 0o777 == 0o600


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_program_is_not_loaded(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), path)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("ran"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_fairseq(path)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_reading_imports_no_module_and_drops_hooks(tmp_path):
    rebuild = torch._utils._rebuild_tensor_v2
    hooks = collections.OrderedDict({1: Runs(os.system, "true")})
    weight = Runs(rebuild, torch.ones(2).storage(), 0, (2,), (1,), True, hooks)
    content = {"model": {"w": weight}, "cfg": Runs(os.system, "true")}
    path = save(tmp_path / "a.pt", content)
    before = set(sys.modules)
    read = read_fairseq(path)
    assert set(sys.modules) == before
    assert not read["model"]["w"].requires_grad
    assert not read["model"]["w"]._backward_hooks
    assert read["cfg"] == "<posix.system>"


def test_a_model_that_holds_itself_or_lacks_names_is_an_error(tmp_path):
    loop = dict(WEIGHTS)
    loop["_ema"] = loop
    for model in [loop, {1: WEIGHTS["w"]}, {"w": "text"}]:
        with pytest.raises(CheckpointError, match="where a tensor"):
            read_fairseq(save(tmp_path / "a.pt", {"model": model}))


@FORMATS
def test_containers_numbers_and_paths_become_plain(tmp_path, zipped):
    attributed = collections.OrderedDict(a=1)
    attributed._metadata = {"version": 1}
    values = {
        "attributed": (attributed, {"a": 1}),
        "default": (collections.defaultdict(int, a=1), {"a": 1}),
        "big_endian": (numpy.array([258], ">i4")[0], 258),
        "half": (numpy.float16(0.5), 0.5),
        "flag": (numpy.bool_(True), True),
        "path": (pathlib.PurePosixPath("/a/b"), "/a/b"),
        "class": (argparse.Namespace, "<argparse.Namespace>"),
        "set": ({1}, [1]),
    }
    cfg = {name: value for name, (value, _) in values.items()}
    path = save(tmp_path / "a.pt", {"model": WEIGHTS, "cfg": cfg}, zipped)
    expected = {name: plain for name, (_, plain) in values.items()}
    assert read_fairseq(path)["cfg"] == expected


def test_the_hostile_files_would_run_without_the_restriction(tmp_path):
    marker = tmp_path / "ran"
    evil = {"cfg": hostile_calls(marker)["system"], "model": WEIGHTS}
    torch.load(save(tmp_path / "evil.pt", evil), weights_only=False)
    assert marker.exists()


@FORMATS
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, share, zipped):
    content = {"cfg": {"a": 1}, "model": {"w": torch.rand(500)}}
    path = save(tmp_path / "cut.pt", content, zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="cut.pt"):
        read_fairseq(path)


def test_what_is_no_checkpoint_is_an_error_that_says_what_it_is(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_fairseq(tmp_path / "none.pt")
    page = tmp_path / "page.pt"
    page.write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(CheckpointError, match="DOCTYPE"):
        read_fairseq(page)
    with pytest.raises(CheckpointError, match="no 'model'.*weights"):
        read_fairseq(save(tmp_path / "other.pt", {"weights": WEIGHTS}))
    with pytest.raises(CheckpointError, match="Tensor"):
        read_fairseq(save(tmp_path / "tensor.pt", torch.ones(3)))
