"""torchaudio's libraries are disabled where, and only where, they must be.

Authors
 * The d2v_sb developers 2026
"""

import _ctypes
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from d2v_sb import cpu_torchaudio
from d2v_sb.cpu_torchaudio import disable_unloadable
from d2v_sb.errors import UserError

CPU = SimpleNamespace(cuda=None, hip=None)
CUDA = SimpleNamespace(cuda="13.0", hip=None)
ROCM = SimpleNamespace(cuda=None, hip="6.4")


@pytest.fixture
def lib(tmp_path):
    """A torchaudio/lib with one broken library and files to leave alone."""
    folder = tmp_path / "torchaudio" / "lib"
    folder.mkdir(parents=True)
    (folder / "_torchaudio.abi3.so").write_bytes(b"\x7fELF, but not really")
    (folder / "__init__.py").touch()
    (folder / "notes.txt").touch()
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_broken_library_is_renamed_on_a_cpu_torch(lib):
    renamed = disable_unloadable(lib, CPU)
    assert renamed == [lib / "_torchaudio.abi3.so.disabled"]
    assert names(lib) == [
        "__init__.py",
        "_torchaudio.abi3.so.disabled",
        "notes.txt",
    ]


def test_second_run_changes_nothing(lib):
    disable_unloadable(lib, CPU)
    before = names(lib)
    assert disable_unloadable(lib, CPU) == []
    assert names(lib) == before


@pytest.mark.parametrize("version", [CUDA, ROCM], ids=["cuda", "rocm"])
def test_gpu_torch_is_left_untouched(lib, version):
    before = names(lib)
    assert disable_unloadable(lib, version) == []
    assert names(lib) == before


def test_library_that_loads_is_kept(lib):
    loadable = getattr(_ctypes, "__file__", None)
    if loadable is None:
        pytest.skip("_ctypes is built into this Python: no library to copy")
    shutil.copy(loadable, lib / "libgood.so")
    disable_unloadable(lib, CPU)
    assert (lib / "libgood.so").exists()


def test_upgrade_over_an_old_disabled_library_is_mended(lib):
    disable_unloadable(lib, CPU)
    (lib / "_torchaudio.abi3.so").write_text("of a newer torchaudio")
    (target,) = disable_unloadable(lib, CPU)
    assert target.read_text() == "of a newer torchaudio"
    assert not (lib / "_torchaudio.abi3.so").exists()


def test_absent_folder_is_nothing_to_do(tmp_path):
    assert disable_unloadable(tmp_path / "lib", CPU) == []


def test_read_only_installation_is_explained(lib, monkeypatch):
    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(UserError, match="_torchaudio.abi3.so.*Permission"):
        disable_unloadable(lib, CPU)


def test_absent_torchaudio_is_said(monkeypatch, capsys):
    monkeypatch.setattr(
        cpu_torchaudio.importlib.util, "find_spec", lambda name: None
    )
    assert cpu_torchaudio.main() == 0
    assert "not installed" in capsys.readouterr().out


def test_finding_torchaudio_does_not_import_it():
    code = (
        "import sys; from d2v_sb import cpu_torchaudio as c; "
        "print(c.torchaudio_lib()); "
        "assert not {'torch', 'torchaudio', 'speechbrain'} & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith("lib")
