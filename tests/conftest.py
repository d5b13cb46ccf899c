"""What all tests share: where the recorded references and corpora are.

Authors
 * The d2v_sb developers 2026
"""

import os
from pathlib import Path

import pytest

# Before anything imports huggingface_hub, which reads these once: a test that
# would download fails at once instead of depending on the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
# Threads that wait for each other on busy cores made a file of tests six times
# slower than one thread; and the models here are too small to gain by more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"


def _folder_or_skip(variable, default, content):
    folder = Path(os.environ.get(variable) or default)
    if not folder.is_dir():
        pytest.skip(
            f"{content} not found in {folder}; set {variable} to their folder"
        )
    return folder


@pytest.fixture(scope="session")
def reference():
    """Folder of checkpoints and tensors recorded from fairseq's own code."""
    return _folder_or_skip(
        "D2V_REFERENCE", SHARED / "reference", "recordings of fairseq"
    )


@pytest.fixture(scope="session")
def corpora():
    """Folder of small corpora in the layouts of LibriSpeech and others."""
    return _folder_or_skip("D2V_CORPORA", SHARED / "corpora", "small corpora")
