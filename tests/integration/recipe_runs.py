"""Running the LibriSpeech recipe as users do, only smaller.

Authors
 * The d2v_sb developers 2026
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "train_splits": "[train-clean-5]",
    "dev_splits": "[dev-clean]",
    "test_splits": "[test-clean]",
    "encoder": "tiny",
    "batch_seconds": 6,
    "num_buckets": 3,
    "num_workers": 0,
    "precision": "fp32",
    "device": "cpu",
    "lr": 1e-3,
}


def recipe_command(corpus, output, launcher=(), **options):
    """The command of the LibriSpeech recipe with small options."""
    options = {
        "data_folder": corpus,
        "output_folder": output,
        **SMALL,
        **options,
    }
    words = [str(w) for k, v in options.items() for w in (f"--{k}", v)]
    return [
        *(launcher or [sys.executable]),
        str(ROOT / "recipes/LibriSpeech/train.py"),
        str(ROOT / "hparams/d2v_ctc.yaml"),
        *words,
        "--noprogressbar",
    ]


def run(command, cwd=ROOT, **kwargs):
    """Runs a command to its end; its output goes into the test's report."""
    result = subprocess.run(
        command,
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        **kwargs,
    )
    print(result.stdout[-6000:])
    return result
