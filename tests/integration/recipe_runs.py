"""Running the recipes as users do, only smaller.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from d2v_sb.errors import UserError

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
CLASSIFIER = {
    **{k: v for k, v in SMALL.items() if "splits" not in k},
    "num_buckets": 3,
    "channels": 16,
    "attention_channels": 8,
    "embedding_size": 16,
    "crop_seconds": 0.8,
    "head_lr_scale": 3,
}
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

# An utterance alone and in a batch is heard alike.
TRANSCRIBE = """
import socket, sys
def refuse(*args, **kwargs): raise OSError("the network is cut off")
socket.socket.connect = socket.create_connection = refuse
import torch
from speechbrain.dataio.dataio import load_data_csv
from speechbrain.inference import ASR
from d2v_sb.dataio import read_audio
asr = getattr(ASR, sys.argv[1]).from_hparams(source=sys.argv[2])
clips = list(load_data_csv(sys.argv[3]).values())
alone = [asr.transcribe_file(clip["wav"]) for clip in clips]
wavs = [read_audio(clip["wav"]) for clip in clips]
lens = torch.tensor([len(w) / max(map(len, wavs)) for w in wavs])
wavs = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
together, _ = asr.transcribe_batch(wavs, lens)
assert alone == together, (alone, together)
import jiwer
print("WER", 100 * jiwer.wer([clip["wrd"] for clip in clips], alone))
"""


def recipe_command(
    corpus, output, launcher=(), hparams="d2v_ctc.yaml", **options
):
    """The command of the LibriSpeech recipe with small options."""
    argv = _argv("train.py", hparams, corpus, output)
    launcher = launcher or [sys.executable]
    return [*launcher, *argv, *words({**SMALL, **FINE_TUNING, **options})]


def pretrain_argv(corpus, output, **options):
    """The script that pretrains, and small options for it."""
    argv = _argv("pretrain.py", "d2v_pretrain_base.yaml", corpus, output)
    return [*argv, *words({**SMALL, **PRETRAINING, **options})]


def classifier_command(recipe, hparams, folder, output, launcher=(), **options):
    """The command of a recipe that trains a classifier, with small options."""
    argv = _argv(f"../{recipe}/train.py", hparams, folder, output)
    launcher = launcher or [sys.executable]
    return [*launcher, *argv, *words({**CLASSIFIER, **options})]


def _argv(script, hparams, corpus, output):
    return [
        str((ROOT / "recipes/LibriSpeech" / script).resolve()),
        str(ROOT / "hparams" / hparams),
        *words({"data_folder": corpus, "output_folder": output}),
        "--noprogressbar",
    ]


def run_killed(command, output):
    """Runs a command and kills it once it has saved a checkpoint."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 120
    while not list(output.glob("**/save/CKPT*/CKPT.yaml")):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


def final_weights(output):
    """The newest checkpoint's model."""
    newest = max((output / "save").glob("CKPT*"))
    return torch.load(newest / "model.ckpt", weights_only=True)


def wer_of_the_folder(output, interface, cwd, suffix=""):
    """WER of the test split, heard by SpeechBrain's interface in a process of
    its own, with the folder moved and the network cut off."""
    shutil.copytree(output / f"inference{suffix}", cwd / "moved")
    csv = str(output / "test-clean.csv")
    command = [sys.executable, "-c", TRANSCRIBE, interface, "moved", csv]
    result = run(command, cwd=cwd)
    assert result.returncode == 0
    return float(re.search(r"^WER (\S+)", result.stdout, re.M)[1])


def wer_of_the_test(output, suffix=""):
    """WER of the test split as the recipe wrote it."""
    path = output / f"wer_test-clean{suffix}.txt"
    first = path.read_text().splitlines()[0]
    return float(re.match(r"%WER (\S+)", first)[1])


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


def refusal(command):
    """What a recipe's script says of a user's mistake, in this process: the
    start of a new one takes longest."""
    script = Path(command[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(script.parent))
        patch.setattr(sys, "argv", command[1:])  # kept with the results
        script = runpy.run_path(str(script))
        with pytest.raises(UserError) as error:
            script["main"](command[2:])
    return str(error.value)


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
