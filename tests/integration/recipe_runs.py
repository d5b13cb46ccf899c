"""Running the LibriSpeech recipes as users do, only smaller.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run"),
    *("--standalone", "--nproc_per_node=2"),
]
SMALL = {
    "train_splits": "[train-clean-5]",
    "dev_splits": "[dev-clean]",
    "encoder": "tiny",
    "batch_seconds": 6,
    "num_workers": 0,
    "precision": "fp32",
    "device": "cpu",
    "lr": 1e-3,
}
FINE_TUNING = {"test_splits": "[test-clean]", "num_buckets": 3}
PRETRAINING = {
    "gpu_batch_seconds": 6,
    "min_seconds": 0.5,
    "average_top_k_layers": 2,
    "log_interval_updates": 1,
    "eval_precision": "fp32",
    # Random numbers of every kind.
    "dropout": 0.1,
    "activation_dropout": 0.1,
    "encoder_layerdrop": 0.3,
}


def recipe_command(corpus, output, launcher=(), **options):
    """The command of the LibriSpeech recipe with small options."""
    argv = _argv("train.py", "d2v_ctc.yaml", corpus, output)
    launcher = launcher or [sys.executable]
    return [*launcher, *argv, *words({**SMALL, **FINE_TUNING, **options})]


def pretrain_argv(corpus, output, **options):
    """The script that pretrains, and small options for it."""
    argv = _argv("pretrain.py", "d2v_pretrain_base.yaml", corpus, output)
    return [*argv, *words({**SMALL, **PRETRAINING, **options})]


def _argv(script, hparams, corpus, output):
    return [
        str(ROOT / "recipes/LibriSpeech" / script),
        str(ROOT / "hparams" / hparams),
        *words({"data_folder": corpus, "output_folder": output}),
        "--noprogressbar",
    ]


def words(options):
    """Options as a command line has them; those that are None are left out."""
    given = {k: v for k, v in options.items() if v is not None}
    return [str(word) for k, v in given.items() for word in (f"--{k}", v)]


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


def run_scripts(*jobs, launcher=(sys.executable,)):
    """Runs scripts in one process; see ``run_scripts.py`` for jobs."""
    script = str(ROOT / "tests/integration/run_scripts.py")
    # Scripts of the tests find the package where it is not installed.
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [*launcher, script, json.dumps(jobs)]
    return run(command, env=environment)
