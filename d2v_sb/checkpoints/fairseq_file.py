"""Reads fairseq's checkpoint files without running anything that is in them.

Such files are pickles that hold, besides tensors, ``argparse.Namespace``,
omegaconf nodes, and classes of fairseq. A pickle may name any function to be
called; here only the few that build tensors and plain containers are, and
every other name becomes an inert record. Neither fairseq nor omegaconf is
needed.

Authors
 * The d2v_sb developers 2026
"""

import collections
import pickle
import types
import zipfile
from pathlib import Path

import numpy
import torch

from d2v_sb.errors import CheckpointError

MAX_DEPTH = 64  # of options within options; deeper is a loop
DROPPED = ("last_optimizer_state",)  # large, and of no use here


class Record:
    """Stands for an object of a class that is not loaded.

    It keeps what the pickle wanted to give to it, and does nothing with it.
    """

    module = name = ""

    def __new__(cls, *args, **kwargs):
        """Keeps the arguments of the class or function."""
        record = object.__new__(cls)
        record.args = args
        record.state = None
        record.items = {}
        record.values = []
        return record

    def __init__(self, *args, **kwargs):
        """Nothing more."""

    def __setstate__(self, state):
        """Keeps the object's attributes."""
        self.state = state

    def __setitem__(self, key, value):
        """Keeps an item of a dict-like object."""
        self.items[key] = value

    def append(self, value):
        """Keeps an item of a list-like object."""
        self.values.append(value)

    add = append

    def extend(self, values):
        """Keeps items of a list-like object."""
        self.values.extend(values)

    def __call__(self, *args, **kwargs):
        """A method of such an object does nothing."""
        return self


def _record_class(module, name):
    """A class of records that remembers what it stands for."""
    return type(name, (Record,), {"module": module, "name": name})


def _reconstructor(cls, base, state):
    """copyreg's function, for records only (pickle protocols 0 and 1)."""
    if not (isinstance(cls, type) and issubclass(cls, Record)):
        raise pickle.UnpicklingError(f"will not build {cls!r}")
    return cls()


def _encode(text, encoding="latin1"):
    """How protocol 2 writes bytes."""
    return text.encode("latin1")


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("_codecs", "encode"): _encode,
}


class RestrictedUnpickler(pickle.Unpickler):
    """Calls what is in ``ALLOWED``, and makes records of all else."""

    def find_class(self, module, name):
        """The class or function of a name; nothing is imported for it."""
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(
            module, module
        )
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module == "torch":
            # Not getattr, which would import torch's lazy submodules.
            kind = torch.__dict__.get(name)
            if isinstance(kind, torch.dtype):
                return kind
            # Old files name their storages' classes.
            if name.endswith("Storage") and hasattr(kind, "dtype"):
                return kind
        return _record_class(module, name)


def _load(file, **kwargs):
    return RestrictedUnpickler(file, **kwargs).load()


# What torch.load asks of its pickle_module.
_restricted_pickle = types.SimpleNamespace(
    __name__="restricted", Unpickler=RestrictedUnpickler, load=_load
)


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
        dicts and lists, other objects a string that names their class. The
        optimiser's state is left out.

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
    try:
        content = torch.load(
            path,
            map_location="cpu",
            pickle_module=_restricted_pickle,
            weights_only=False,
            mmap=zipfile.is_zipfile(path),
        )
    # A damaged or hostile pickle can fail in any way at all.
    except Exception as error:
        with open(path, "rb") as stream:
            begin = stream.read(24)
        raise CheckpointError(
            f"{path} can not be read as a checkpoint ({type(error).__name__}: "
            f"{error}); it starts with {begin!r}. If it was downloaded, it may "
            "be cut short or a web page: fetch it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, not a checkpoint"
        )
    model = content.get("model")
    if not isinstance(model, dict) or not model:
        raise CheckpointError(
            f"{path} has no 'model', so it is no checkpoint of fairseq's; it "
            f"has {', '.join(map(str, list(content)[:10])) or 'nothing'}"
        )
    _check_tensors(path, model)
    rest = {
        key: plain(value)
        for key, value in content.items()
        if key != "model" and key not in DROPPED
    }
    return {**rest, "model": model}


def _check_tensors(path, weights):
    for name, value in weights.items():
        if isinstance(value, dict):
            _check_tensors(path, value)
        elif not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path}: {name!r} is a {type(value).__name__} where a tensor "
                "should be"
            )


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
        return {str(k): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, Record):
        return _plain_record(value, depth)
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
    # An Enum is called with its value.
    if len(record.args) == 1 and isinstance(record.args[0], (str, int)):
        return record.args[0]
    if record.module.startswith("fairseq.dataclass") and state:
        return plain(state, depth + 1)
    return f"<{record.module}.{record.name}>"


def _numpy_scalar(record):
    """numpy.core.multiarray.scalar(dtype, bytes) -> a number."""
    dtype, data = (*record.args, None, None)[:2]
    code = dtype.args[0] if isinstance(dtype, Record) and dtype.args else ""
    known = code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
    if known and isinstance(data, bytes):
        kind = numpy.dtype(code)
        if len(data) == kind.itemsize:
            return numpy.frombuffer(data, kind)[0].item()
    return f"<{record.module}.{record.name}>"
