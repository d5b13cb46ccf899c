"""Makes torchaudio importable beside a torch without CUDA.

torchaudio's wheel is linked against CUDA, and SpeechBrain imports torchaudio
as it is imported, so on a CPU-only torch ``import speechbrain`` dies over a
missing ``libcudart`` or ``libtorch_cuda``. torchaudio does without its native
libraries where they are absent, so those that can not be loaded are renamed.
What is lost is ``forced_align``, ``rnnt_loss`` and the CUDA beam search.

    python -m d2v_sb.cpu_torchaudio

To undo it, as before a move to a CUDA build of torch, reinstall torchaudio:
``pip install --force-reinstall --no-deps torchaudio==<version>``.

Authors
 * The d2v_sb developers 2026
"""

import ctypes
import importlib.util
import sys
from pathlib import Path

from d2v_sb.errors import UserError

DISABLED_SUFFIX = ".disabled"


def torchaudio_lib():
    """Finds torchaudio's native libraries without importing torchaudio.

    Returns
    -------
    Path or None
        The folder ``torchaudio/lib``, None where torchaudio is not installed.
    """
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "lib"


def loads(library):
    """Whether the dynamic linker accepts a library in this process.

    Arguments
    ---------
    library : Path
        A shared library. What it needs of torch is found only once torch has
        been imported.

    Returns
    -------
    bool
    """
    try:
        ctypes.CDLL(str(library))
    except OSError:
        return False
    return True


def disable_unloadable(lib, torch_version):
    """Renames the libraries of torchaudio that a CPU-only torch can not load.

    Arguments
    ---------
    lib : Path
        The folder ``torchaudio/lib``; it may be absent.
    torch_version : module or object
        ``torch.version``. Where its ``cuda`` or ``hip`` is set nothing is
        touched: there, a library that does not load is a broken driver or
        installation, and hiding it would cost the user its functions.

    Returns
    -------
    list of Path
        The new names, empty when there was nothing to do.

    Raises
    ------
    UserError
        When a library has to be renamed and may not be.

    Example
    -------
    >>> import tempfile
    >>> from types import SimpleNamespace
    >>> lib = Path(tempfile.mkdtemp())
    >>> _ = (lib / "libtorchaudio.so").write_text("not a library")
    >>> cpu = SimpleNamespace(cuda=None, hip=None)
    >>> [path.name for path in disable_unloadable(lib, cpu)]
    ['libtorchaudio.so.disabled']
    >>> disable_unloadable(lib, cpu)
    []
    """
    if torch_version.cuda is not None:
        return []
    if getattr(torch_version, "hip", None) is not None:
        return []
    renamed = []
    for library in sorted(lib.glob("*.so")):
        if loads(library):
            continue
        target = library.with_name(library.name + DISABLED_SUFFIX)
        try:
            # replace, as an upgrade of torchaudio leaves the old one behind
            library.replace(target)
        except OSError as error:
            raise UserError(
                f"{library} does not load on this CPU-only torch and could "
                f"not be renamed ({error.strerror}). Run this as the owner "
                "of the environment, or install into a virtual environment "
                "of your own."
            ) from error
        renamed.append(target)
    return renamed


def main():
    """Mends the torchaudio of the running interpreter and says what it did.

    Returns
    -------
    int
        The exit status: 0, or 1 where a library could not be renamed.
    """
    lib = torchaudio_lib()
    if lib is None:
        print("torchaudio is not installed: nothing to do")
        return 0

    # Before any CDLL, so that libtorch's symbols are there to be found:
    # without them every library would look broken.
    import torch

    try:
        renamed = disable_unloadable(lib, torch.version)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    for path in renamed:
        print(f"disabled {path.stem}: it does not load on a CPU-only torch")
    if not renamed:
        print("torchaudio needs no change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
