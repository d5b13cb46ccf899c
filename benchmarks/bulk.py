#!/usr/bin/env python3
"""Files a second: d2v-sb transcribe and embed beside a loop over Transformers.

> python benchmarks/bulk.py CLIPS_FOLDER --encoder base
The same weights, the same files, in one run, in turn: the command's own code
in this process, and the loop that people write: read a file, give it to the
model, keep what it gives. Outputs are compared before anything is timed. The
ratio of audio seconds per second is printed last.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from click.testing import CliRunner
from speechbrain.nnet.linear import Linear

from d2v_sb.checkpoints import load_checkpoint, save_hf
from d2v_sb.cli import main as d2v_sb
from d2v_sb.inference import export_ctc
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.tokens import Letters

ALPHABET = " ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
DIFFERENCE = 1e-3  # of states: both are float32, over a dozen blocks and more


def main():
    """Makes the models, compares what they give, times them in turn."""
    arguments = parse()
    torch.manual_seed(0)
    files = sorted(map(str, Path(arguments.clips).rglob("*.flac")))
    files = files[:: arguments.every]
    if not files:
        sys.exit(f"{arguments.clips} holds no .flac")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if arguments.join_seconds:
            files = join(files, arguments.join_seconds, folder / "joined")
        seconds = sum(soundfile.info(file).duration for file in files)
        print(f"{len(files)} files, {seconds:.0f} s of audio")
        write_models(folder, arguments.encoder)
        tasks = [Transcribe(folder, files, arguments)]
        tasks.append(Embed(folder, files, arguments))
        for task in tasks:
            task.check()
            rates = {"d2v-sb": [], "Transformers": []}
            for number in range(arguments.rounds):
                for name, run in (
                    ("d2v-sb", task.ours),
                    ("Transformers", task.theirs),
                ):
                    begin = time.perf_counter()
                    run(f"{name}-{number}")
                    rates[name].append(seconds / (time.perf_counter() - begin))
            report(type(task).__name__.lower(), rates)


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("clips", help="a folder of .flac, 16 kHz mono")
    parser.add_argument("--encoder", default="base", help="any source")
    parser.add_argument("--every", type=int, default=1, help="take each nth")
    parser.add_argument(
        "--join_seconds",
        type=float,
        help="join clips to recordings; those that are heard in chunks give "
        "something else than the loop, which hears them whole",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch_seconds", type=float)
    return parser.parse_args()


def join(files, seconds, folder):
    """Clips one after the other, as recordings of some seconds."""
    folder.mkdir()
    wav = np.concatenate([soundfile.read(file)[0] for file in files])
    joined = []
    for number, part in enumerate(
        np.array_split(wav, max(1, round(len(wav) / 16000 / seconds)))
    ):
        joined.append(str(folder / f"{number:04d}.flac"))
        soundfile.write(joined[-1], part, 16000)
    return joined


def write_models(folder, source):
    """An inference folder of ours and a Transformers folder of its weights."""
    encoder = Data2VecAudio(source)
    head = Linear(input_size=encoder.output_size, n_neurons=len(ALPHABET) + 1)
    model = CTCModel(encoder, head).eval()
    export_ctc(folder / "ours", model, Letters(ALPHABET))
    save_hf(load_checkpoint(str(folder / "ours")), folder / "theirs")


class Task:
    """A command, and the loop beside it."""

    def __init__(self, folder, files, arguments):
        self.folder, self.files, self.arguments = folder, files, arguments
        self.device = torch.device(arguments.device)
        dtypes = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
        self.dtype = dtypes[arguments.precision]
        # Half precision rounds, and chunks hear less than the whole.
        self.exact = self.dtype is None and not arguments.join_seconds

    def command(self, name, *words):
        """Runs d2v-sb in this process."""
        options = ["--device", self.arguments.device]
        options += ["--precision", self.arguments.precision]
        if self.arguments.batch_seconds:
            options += ["--batch_seconds", str(self.arguments.batch_seconds)]
        runner = CliRunner(catch_exceptions=False)
        words = [name, str(self.folder / "ours"), *self.files, *words]
        result = runner.invoke(d2v_sb, [*map(str, words), *options])
        assert result.exit_code == 0, result.output

    def states_of(self, model, file):
        """What the loop does with a file. Transformers' feature extractor
        normalises with another epsilon than fairseq, which made these weights
        (states differ by 5e-3 then); so here it is fairseq's."""
        wav, _ = soundfile.read(file, dtype="float32")
        values = torch.from_numpy(wav)[None].to(self.device)
        values = torch.nn.functional.layer_norm(values, values.shape)
        with (
            torch.inference_mode(),
            torch.autocast(
                self.device.type, self.dtype, enabled=self.dtype is not None
            ),
        ):
            return model(values)


class Transcribe(Task):
    """Greedy CTC."""

    def ours(self, name):
        """d2v-sb transcribe, with times of words."""
        output = self.folder / f"{name}.jsonl"
        self.command("transcribe", "-o", output)
        return output

    def theirs(self, name):
        """AutoModelForCTC and AutoProcessor."""
        from transformers import AutoModelForCTC, AutoProcessor

        source = self.folder / "theirs"
        model = AutoModelForCTC.from_pretrained(source).to(self.device).eval()
        processor = AutoProcessor.from_pretrained(source)
        texts = []
        for file in self.files:
            logits = self.states_of(model, file).logits
            texts += processor.batch_decode(logits.argmax(-1).cpu())
        (self.folder / f"{name}.txt").write_text("\n".join(texts))
        return texts

    def check(self):
        """Random weights say little: the share of equal texts is printed."""
        lines = self.ours("check").read_text().splitlines()
        ours = [json.loads(line)["text"] for line in lines]
        theirs = [" ".join(text.split()) for text in self.theirs("check")]
        same = sum(a == b for a, b in zip(ours, theirs, strict=True))
        print(f"transcribe: {same} of {len(ours)} texts are equal")
        assert same >= 0.98 * len(ours) or not self.exact


class Embed(Task):
    """The last layer's frames, a .npy a file."""

    def ours(self, name):
        """d2v-sb embed."""
        output = self.folder / name
        self.command("embed", "-o", output, "--format", "npy")
        return output

    def theirs(self, name):
        """AutoModel."""
        from transformers import AutoModel

        source = self.folder / "theirs"
        model = AutoModel.from_pretrained(source).to(self.device).eval()
        output = self.folder / f"{name}-loop"
        output.mkdir()
        for number, file in enumerate(self.files):
            states = self.states_of(model, file).last_hidden_state
            np.save(output / f"{number}.npy", states[0].float().cpu().numpy())
        return output

    def check(self):
        """All states are equal, but for rounding."""
        ours, theirs = self.ours("check"), self.theirs("check")
        lines = (ours / "_index.jsonl").read_text().splitlines()
        worst = 0.0
        for number, line in enumerate(lines):
            found = np.load(ours / json.loads(line)["file"])
            expected = np.load(theirs / f"{number}.npy")
            worst = max(worst, float(np.abs(found - expected).max()))
        print(f"embed: states differ by {worst:.1e} at most")
        assert worst < DIFFERENCE or not self.exact


def report(task, rates):
    """Medians, and their ratio last."""
    for name, values in rates.items():
        print(
            f"{task} {name}: {statistics.median(values):.1f} s of audio per s "
            f"({min(values):.1f} to {max(values):.1f})"
        )
    medians = [statistics.median(values) for values in rates.values()]
    print(f"{task} ratio: {medians[0] / medians[1]:.2f}")


if __name__ == "__main__":
    main()
