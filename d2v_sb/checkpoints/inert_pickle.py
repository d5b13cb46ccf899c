"""Unpickles torch files without running anything that is in them.

A pickle may name any function to be called. Here the few that build tensors
and plain containers are known; every other name becomes a record, which keeps
what the pickle gives to it and does nothing. Nothing is imported by name.

Authors
 * The d2v_sb developers 2026
"""

import pickle
import types

import torch


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


def record_class(module, name):
    """A class of records that remembers what it stands for."""
    return type(name, (Record,), {"module": module, "name": name})


class Items(dict):
    """OrderedDict or defaultdict; neither attributes nor a factory are kept.

    An OrderedDict takes attributes from a pickle, such as ``items``, and they
    hide its methods.
    """

    __slots__ = ()

    def __setstate__(self, state):
        """A state_dict's ``_metadata`` is not needed."""


class Call:
    """A function that a pickle may call and not change.

    A pickle may give attributes to any object, a function too. Those of
    torch's own functions would stay after reading.
    """

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        """What the pickle asks for."""
        return self.function(*args)

    def __setstate__(self, state):
        """Refuses."""
        raise pickle.UnpicklingError("will not change a function")


def _ordered(pairs=()):
    return Items(pairs)


def _default(factory=None, pairs=()):
    return Items(pairs)


def _tensor(storage, offset, size, stride, *requires_grad_and_hooks):
    # Gradients are for the caller to ask for, hooks would be called later.
    return torch._utils._rebuild_tensor(storage, offset, size, stride)


def _parameter(data, *requires_grad_and_hooks):
    return data


def _reconstructor(cls, base, state):
    """copyreg's function, for records only (pickle protocols 0 and 1)."""
    if not (isinstance(cls, type) and issubclass(cls, Record)):
        raise pickle.UnpicklingError(f"will not build {cls!r}")
    return cls()


def _encode(text, encoding="latin1"):
    """How protocol 2 writes bytes."""
    return text.encode("latin1")


# Only a Call, or a class written in C: a pickle can not change these.
ALLOWED = {
    ("collections", "OrderedDict"): Call(_ordered),
    ("collections", "defaultdict"): Call(_default),
    ("torch._utils", "_rebuild_tensor"): Call(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Call(_tensor),
    ("torch._utils", "_rebuild_parameter"): Call(_parameter),
    ("torch", "Size"): torch.Size,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("copyreg", "_reconstructor"): Call(_reconstructor),
    ("_codecs", "encode"): Call(_encode),
}
PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


# Not pickle.Unpickler: C's takes objects of the extension registry's cache
# without asking find_class.
class InertUnpickler(pickle._Unpickler):
    """Calls what is in ``ALLOWED``, and makes records of all else.

    torch.load makes a subclass of it, which answers names of storages itself,
    and sets ``persistent_load``.

    Example
    -------
    >>> import io
    >>> file = io.BytesIO(b"cos\\nsystem\\n(S'rm everything'\\ntR.")
    >>> record = InertUnpickler(file).load()
    >>> record.module, record.name, record.args
    ('os', 'system', ('rm everything',))
    """

    def find_class(self, module, name):
        """The class or function of a name; nothing is imported for it."""
        module = PYTHON_2.get(module, module)
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        # Not getattr, which would import torch's lazy submodules.
        kind = torch.__dict__.get(name) if module == "torch" else None
        if isinstance(kind, torch.dtype):
            return kind
        return record_class(module, name)

    def get_extension(self, code):
        """Refuses: the process's registry decides what a code is."""
        raise pickle.UnpicklingError(f"has an extension code, {code}")

    @property
    def persistent_load(self):
        """Gives the storages that a file's tensors lie in."""
        return self._storage

    @persistent_load.setter
    def persistent_load(self, load):
        self._load_storage = load

    def _storage(self, saved_id):
        # Ids of "module" make torch compare source code and write a patch
        # file, both as the pickle says.
        kind = saved_id[0] if isinstance(saved_id, tuple) and saved_id else None
        if kind not in ("storage", b"storage"):
            raise pickle.UnpicklingError("refers to what is no storage")
        return self._load_storage(saved_id)


def _load(file, **kwargs):
    return InertUnpickler(file, **kwargs).load()


# What torch.load asks of its pickle_module.
inert_pickle = types.SimpleNamespace(
    __name__="inert_pickle", Unpickler=InertUnpickler, load=_load
)
