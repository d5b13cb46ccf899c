#!/usr/bin/env python3
"""Fine-tunes a small data2vec on real speech in minutes, and lets you read it.

Run by `make demo`, or with your own LibriSpeech by
`make demo DATA=/path/to/LibriSpeech`:
> python recipes/LibriSpeech/demo.py [--data_folder /path/to/LibriSpeech]

Twice, with the same labels and the same number of updates: from the pretrained
weights that come with d2v_sb, and from random ones. One voice and a small model:
it shows that the recipe works and learns, not how good data2vec can be.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import logging
import shlex
import subprocess
import sys
import time
from pathlib import Path

import jiwer
from demo_corpus import make_demo_corpus

from d2v_sb.errors import DataError, UserError

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path("data/demo")
OUTPUT = Path("results/demo")
SHOWN = 10  # clips to print
# What is not the same: pretrained weights wait until the output layer has
# learned (LOG.md), random ones must learn at once.
RUNS = {
    "pretrained": {
        "encoder": "d2v_sb/small",
        "freeze_finetune_updates": 300,
        "head_lr_scale": 3,
    },
    "random": {"encoder": "small", "freeze_finetune_updates": 0},
}
# Far from the published regime, which is for Large and GPUs.
OPTIONS = {
    "number_of_updates": 3500,
    "batch_seconds": 8,
    "validate_interval_updates": 500,
    "num_buckets": 10,
    "num_workers": 0,
    "lr": 1e-3,
    "max_grad_norm": 1.0,
    "precision": "fp32",
    "freeze_feature_extractor": False,
    "mask_prob": 0.0,
    "mask_channel_prob": 0.0,
    "dropout": 0.1,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
}


def main():
    """Corpus, training, transcription."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_folder", help="a LibriSpeech of your own")
    parser.add_argument("--output_folder", default=str(OUTPUT))
    parser.add_argument(
        "--number_of_updates", type=int, default=OPTIONS["number_of_updates"]
    )
    arguments = parser.parse_args()
    start = time.time()
    if arguments.data_folder:
        data = Path(arguments.data_folder).expanduser().absolute()
    else:
        make_demo_corpus(ROOT / CORPUS)
        data = CORPUS  # the recipe is run from the project's folder
    splits = choose_splits(ROOT / data)
    options = {
        "data_folder": data,
        **{f"{kind}_splits": f"[{name}]" for kind, name in splits.items()},
        **OPTIONS,
        "number_of_updates": arguments.number_of_updates,
    }
    output = Path(arguments.output_folder)
    heard = {}
    for name, own in RUNS.items():
        folder = output / name
        print(f"\n== {name} weights: --encoder {own['encoder']}", flush=True)
        train({**options, "output_folder": folder, **own})
        heard[name] = transcribe(
            folder / "inference", folder / f"{splits['test']}.csv"
        )
    compare(heard)
    best = output / "pretrained"
    print(
        "\nYours to try:\n"
        f"  .venv/bin/d2v-sb transcribe {best}/inference {best}/"
        f"{splits['test']}.csv -o heard.tsv\n"
        f"  {best}/report.html  the run as a page\n"
    )
    print(f"The demo took {(time.time() - start) / 60:.1f} minutes.")


def choose_splits(data_folder):
    """The smallest split of each kind that is there.

    Arguments
    ---------
    data_folder : pathlib.Path
        In LibriSpeech's layout.

    Returns
    -------
    dict
        Names of the "train", "dev" and "test" split.

    Raises
    ------
    DataError
        If a kind is missing.
    """
    if not data_folder.is_dir():
        raise DataError(f"no such folder: {data_folder}")
    splits = {}
    for kind in ("train", "dev", "test"):
        found = [p for p in data_folder.glob(f"{kind}-*") if p.is_dir()]
        if not found:
            raise DataError(
                f"{data_folder} has no folder {kind}-*: it must hold splits of"
                " LibriSpeech, such as train-clean-100, dev-clean, test-clean"
            )
        sizes = {p.name: sum(1 for _ in p.glob("*/*/*")) for p in found}
        splits[kind] = min(sizes, key=lambda name: (sizes[name], name))
    return splits


def train(options):
    """Runs the recipe's own command."""
    command = [
        sys.executable,
        "recipes/LibriSpeech/train.py",
        "hparams/d2v_ctc.yaml",
        *(str(word) for k, v in options.items() for word in (f"--{k}", v)),
    ]
    if not sys.stderr.isatty():
        command.append("--noprogressbar")
    print(f"About 4 minutes on two idle cores.\n\n$ {shlex.join(command)}\n")
    sys.stdout.flush()
    result = subprocess.run(command, cwd=ROOT)
    if result.returncode:
        sys.exit(result.returncode)


def transcribe(folder, csv):
    """Reads held-out clips through SpeechBrain's own interface.

    Arguments
    ---------
    folder : pathlib.Path
        The inference folder that the recipe wrote.
    csv : pathlib.Path
        The clips.

    Returns
    -------
    list of (str, str)
        What was said and what was heard.
    """
    from speechbrain.dataio.dataio import load_data_csv
    from speechbrain.inference.ASR import EncoderASR

    logging.getLogger("speechbrain").setLevel(logging.ERROR)
    folder, csv = ROOT / folder, ROOT / csv
    print(f'\nEncoderASR.from_hparams(source="{folder}") on held-out clips')
    asr = EncoderASR.from_hparams(source=str(folder))
    clips = load_data_csv(csv).values()
    return [(clip["wrd"], asr.transcribe_file(clip["wav"])) for clip in clips]


def compare(heard):
    """Shows clips and error rates of all runs beside each other.

    Arguments
    ---------
    heard : dict
        By the name of the run, as ``transcribe`` gives it.
    """
    first, *_ = heard.values()
    # From the best to the worst, evenly: neither cherries nor lemons only.
    order = sorted(range(len(first)), key=lambda i: jiwer.cer(*first[i]))
    width = max(map(len, heard))
    print()
    for i in order[:: max(1, len(order) // SHOWN)]:
        print(f"  {'said':<{width}}  {first[i][0]}")
        for name, pairs in heard.items():
            print(f"  {name:<{width}}  {pairs[i][1]}")
        print()
    print(
        f"{len(first)} clips that no run trained or was pretrained on, without "
        "a language model:"
    )
    for name, pairs in heard.items():
        references, hypotheses = map(list, zip(*pairs, strict=True))
        print(
            f"  {name:<{width}}  "
            f"CER {100 * jiwer.cer(references, hypotheses):5.1f} %  "
            f"WER {100 * jiwer.wer(references, hypotheses):5.1f} %"
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. The same command goes on.")
