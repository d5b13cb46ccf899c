"""Reads fairseq's checkpoint files without running anything that is in them.

Such files are pickles that hold, besides tensors, ``argparse.Namespace``,
omegaconf nodes, and classes of fairseq. All but the tensors come as records
from ``inert_pickle`` and are made plain. Neither fairseq nor omegaconf is
needed.

Authors
 * The d2v_sb developers 2026
"""

import sys
import tarfile
from pathlib import Path, PurePosixPath

import numpy
import torch

from d2v_sb.checkpoints.inert_pickle import Record, inert_pickle
from d2v_sb.errors import CheckpointError

MAX_DEPTH = 64  # of options within options; deeper is a loop
DROPPED = ("last_optimizer_state",)  # large, and of no use here
NUMBERS = "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split()


def read_fairseq(path):
    """Reads a fairseq checkpoint.

    Arguments
    ---------
    path : str or pathlib.Path
        A ``.pt`` in torch's zip format or in the older one.

    Returns
    -------
    dict
        The file's contents: "model" with its tensors (and dicts of tensors)
        by name, all else as plain values: Namespace and omegaconf become
        dicts and lists, other objects a string that names their class, and
        the text of an interpolation ("${lr}") stays. The optimiser's state
        is left out. Tensors of a zip file stay in it until they are used:
        do not overwrite the file before.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or no checkpoint of fairseq's.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.pt"
    >>> torch.save({"model": {"w": torch.ones(2)}, "cfg": {"x": 1}}, path)
    >>> read_fairseq(path)["cfg"]
    {'x': 1}
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no such file: {path}")
    # A damaged or hostile file can fail in any way at all.
    try:
        return _read(path)
    except CheckpointError:
        raise
    except Exception as error:
        with open(path, "rb") as stream:
            begin = stream.read(24)
        raise CheckpointError(
            f"{path} can not be read as a checkpoint ({type(error).__name__}: "
            f"{error}); it starts with {begin!r}. If it was downloaded, it may "
            "be cut short or a web page: fetch it again"
        ) from error


def _read(path):
    zipped = _is_zip(path)
    content = torch.load(
        path,
        map_location="cpu",
        pickle_module=inert_pickle,
        weights_only=False,
        mmap=zipped,
    )
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, not a checkpoint"
        )
    model = content.pop("model", None)
    if not isinstance(model, dict) or not model:
        raise CheckpointError(
            f"{path} has no 'model', so it is no checkpoint of fairseq's; it "
            f"has {', '.join(map(str, list(content)[:10])) or 'nothing'}"
        )
    for name in DROPPED:
        content.pop(name, None)
    return {**plain(content), "model": _tensors(path, model)}


def _is_zip(path):
    """Whether it is a zip file; refuses formats that torch.load would run or
    unpack."""
    with open(path, "rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        # torch's reader: another may see other names in a contrived file.
        if zipped and "constants.pkl" in (
            torch._C.PyTorchFileReader(stream).get_all_records()
        ):
            raise CheckpointError(
                f"{path} is a TorchScript program, not a checkpoint of "
                "fairseq's"
            )
    if not zipped and tarfile.is_tarfile(path):
        # torch unpacks it, with the links and permissions it asks for.
        raise CheckpointError(
            f"{path} is a tar file, as torch wrote before 0.1.10; load it with "
            "torch where you trust it, and save it again"
        )
    return zipped


def _tensors(path, weights, depth=0):
    """Tensors by name, and dicts of them such as `_ema`."""
    tensors = {}
    for name, value in weights.items():
        if isinstance(value, dict) and depth < MAX_DEPTH:
            tensors[name] = _tensors(path, value, depth + 1)
        elif isinstance(value, torch.Tensor) and isinstance(name, str):
            tensors[name] = value.detach()
        else:
            raise CheckpointError(
                f"{path}: {name!r} is a {type(value).__name__} where a tensor "
                "with a name should be"
            )
    return tensors


def plain(value, depth=0):
    """Options as plain dicts, lists and values.

    Arguments
    ---------
    value : object
        From the unpickler.
    depth : int
        How deep within the options it lies.

    Returns
    -------
    dict, list, str, int, float, bool or None
        An object without a plain form is a string such as
        "<fairseq.data.dictionary.Dictionary>".

    Example
    -------
    >>> plain({"a": (1, 2.0)})
    {'a': [1, 2.0]}
    """
    if depth > MAX_DEPTH:
        return "<…>"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {
            str(plain(k, depth + 1)): plain(v, depth + 1)
            for k, v in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, Record):
        return _plain_record(value, depth)
    if isinstance(value, type) and issubclass(value, Record):
        return f"<{value.module}.{value.name}>"
    return f"<{type(value).__name__}>"


def _plain_record(record, depth):
    state = record.state
    if isinstance(state, tuple):  # (attributes, slots)
        state = next((part for part in state if isinstance(part, dict)), None)
    if record.module.startswith("omegaconf") and isinstance(state, dict):
        # Containers hold _content, leaves _val; _parent leads back up.
        inner = state["_content"] if "_content" in state else state.get("_val")
        return plain(inner, depth + 1)
    if record.module == "argparse" and isinstance(state, dict):
        return plain(state, depth + 1)
    if record.name == "scalar" and record.module.startswith("numpy"):
        return _numpy_scalar(record)
    if record.module.startswith("pathlib") and record.args:
        return str(PurePosixPath(*record.args))
    # An Enum is called with its value. Calls of Python's own functions are
    # none, and what they would have been given is nobody's option.
    foreign = record.module.split(".")[0] not in sys.stdlib_module_names
    if foreign and len(record.args) == 1:
        if isinstance(record.args[0], (str, int)):
            return record.args[0]
    if record.module.startswith("fairseq.dataclass") and state:
        return plain(state, depth + 1)
    return f"<{record.module}.{record.name}>"


def _numpy_scalar(record):
    """numpy.core.multiarray.scalar(dtype, bytes) -> a number."""
    dtype, data = (*record.args, None, None)[:2]
    code = dtype.args[0] if isinstance(dtype, Record) and dtype.args else ""
    if code in NUMBERS and isinstance(data, bytes):
        # The state is (version, byte order, …).
        order = dtype.state[1] if isinstance(dtype.state, tuple) else "="
        kind = numpy.dtype(code).newbyteorder(">" if order == ">" else "<")
        if len(data) == kind.itemsize:
            return numpy.frombuffer(data, kind)[0].item()
    return f"<{record.module}.{record.name}>"
