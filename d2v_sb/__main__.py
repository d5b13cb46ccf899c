"""The command ``d2v-sb``: convert, inspect, plot, swap, sweep.

Authors
 * The d2v_sb developers 2026
"""

import json
import math
from pathlib import Path

import click

from d2v_sb import __version__
from d2v_sb.errors import UserError


class Commands(click.Group):
    """Shows errors that a user can mend without a traceback."""

    def invoke(self, ctx):
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
@click.version_option(__version__)
def main():
    """data2vec for SpeechBrain."""


SOURCE_HELP = (
    "SRC is a fairseq .pt, a Transformers folder, a .safetensors or .ckpt of "
    "d2v_sb, the output folder of a pretraining run, a checkpoint or inference "
    "folder of a recipe, or a hub name."
)
# Beside the encoder, in a pretrained checkpoint.
PRETRAINING = ("predictor", "teacher")
ENDINGS = {"native": ".safetensors", "fairseq": ".pt"}


@main.command(epilog=SOURCE_HELP)
@click.argument("src")
@click.argument("dst", type=click.Path())
@click.option(
    "--to",
    "target",
    type=click.Choice(["hf", "native", "fairseq"]),
    required=True,
    help="hf: a Transformers folder. native: one .safetensors of ours. "
    "fairseq: a pretrained .pt of its form.",
)
@click.option(
    "--weights",
    type=click.Choice(["student", "teacher"]),
    default="student",
    show_default=True,
    help="Whose transformer a pretrained model's encoder gets.",
)
@click.option(
    "--half", is_flag=True, help="native: write the weights as float16."
)
@click.option(
    "--dict",
    "dictionary",
    type=click.Path(exists=True, dir_okay=False),
    help="fairseq's dict.ltr.txt, if it does not lie beside SRC.",
)
def convert(src, dst, target, weights, half, dictionary):
    """Converts the checkpoint SRC to DST, which must not be there yet."""
    # Imported here: torch takes seconds, and help should not.
    import torch

    from d2v_sb.checkpoints import (
        load_checkpoint,
        save_fairseq,
        save_hf,
        save_native,
    )

    if Path(dst).exists():
        raise UserError(f"{dst} is there already: remove it, or name another")
    if half and target != "native":
        raise UserError(f"--half is of --to native, not of --to {target}")
    checkpoint = load_checkpoint(src, dictionary=dictionary)
    if checkpoint.encoder is None:
        raise UserError(f"{src} names an architecture without weights")
    ending = ENDINGS.get(target, "")
    if not dst.endswith(ending):
        raise UserError(f"{dst}: a {target} file ends in {ending}")
    checkpoint = checkpoint.choose(weights)
    if target == "native":
        save_native(checkpoint, dst, torch.float16 if half else None)
    elif target == "fairseq":
        save_fairseq(checkpoint, dst)
    else:
        save_hf(checkpoint, dst)
    for line in _lacks(checkpoint, target, weights):
        click.echo(line)
    click.echo(f"{checkpoint.kind}: {src} -> {dst}")


def _lacks(checkpoint, target, weights):
    """What is not in the file that was written, and what that means."""
    parts = {name: getattr(checkpoint, name) for name in PRETRAINING}
    if target == "hf":
        for name in parts:
            if parts[name] and name != weights:
                yield f"left out: the {name}; Transformers has none"
    if target == "fairseq":
        missing = " and no ".join(n for n in parts if not parts[n])
        if missing:
            yield (
                f"it has no {missing}: fairseq can fine-tune from it, but not "
                "load it as a pretraining model"
            )


@main.command(epilog=SOURCE_HELP)
@click.argument("src")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
@click.option("--dict", "dictionary", type=click.Path(exists=True))
def inspect(src, as_json, dictionary):
    """Shows what the checkpoint SRC is and what it was trained with."""
    from d2v_sb.checkpoints import load_checkpoint
    from d2v_sb.checkpoints.report import as_text, describe

    description = describe(load_checkpoint(src, dictionary=dictionary))
    if as_json:
        click.echo(json.dumps(description, indent=2, default=str))
    else:
        click.echo(as_text(description))


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    default="curves.svg",
    show_default=True,
    help="The picture: .svg, .png or .pdf.",
)
def plot(runs, output):
    """Draws the curves of pretraining: output folders or their curves.csv."""
    from d2v_sb.pretraining.plot import plot_curves

    plot_curves({run: run for run in runs}, output)
    click.echo(output)


@main.command()
@click.argument("recipe", type=click.Path(dir_okay=False))
@click.option(
    "--encoder",
    default="facebook/data2vec-audio-large",
    show_default=True,
    help="Any source of an encoder: hub name, file, folder, architecture.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="The YAML to write; RECIPE_d2v.yaml beside it if not given.",
)
def swap(recipe, encoder, output):
    """Puts data2vec in the place of the encoder of a SpeechBrain RECIPE.yaml.

    Writes another YAML and shows the difference.
    """
    from d2v_sb.atomic import replacing
    from d2v_sb.swap import encoder_width, swap_encoder

    source = Path(recipe)
    target = Path(output or source.with_name(f"{source.stem}_d2v.yaml"))
    if target.exists():
        raise UserError(
            f"{target} is there already: remove it, or name another with -o"
        )
    swapped = swap_encoder(source, encoder, encoder_width(encoder))
    with replacing(target) as beside:
        beside.write_text("".join(swapped.after), encoding="utf-8")
    click.echo(swapped.diff(source, target), nl=False)
    for note in swapped.notes:
        click.echo(f"note: {note}", err=True)


class Values(click.ParamType):
    """Numbers with commas between them, none below the least."""

    def __init__(self, kind, least=-math.inf):
        self.kind, self.least = kind, least
        self.name = f"{kind.__name__},…"

    def convert(self, value, param, ctx):
        """A text to a list of numbers."""
        if isinstance(value, list):
            return value
        try:
            numbers = [self.kind(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r}: numbers with commas between them", param)
        for number in numbers:
            if not (math.isfinite(number) and number >= self.least):
                self.fail(f"{number}: a number of {self.least} or more", param)
        return numbers


@main.command()
@click.argument("run", type=click.Path(file_okay=False))
@click.option(
    "--lm_path",
    required=True,
    type=click.Path(dir_okay=False),
    help="The language model, an ARPA or KenLM binary file.",
)
@click.option(
    "--alpha",
    "alphas",
    type=Values(float, least=0),
    default="0.25,0.5,0.75,1,1.5,2",
    show_default=True,
    help="Weights of the language model.",
)
@click.option(
    "--beta",
    "betas",
    type=Values(float),
    default="0,1,2,3,4",
    show_default=True,
    help="What each word counts.",
)
@click.option(
    "--beam_size",
    "beam_sizes",
    type=Values(int, least=1),
    default="50,100,200",
    show_default=True,
    help="Beams: all weights are tried with the first, the best with the rest.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that decode. Each holds an ARPA file for itself; a binary "
    "file they share.",
)
@click.option("--device", default="cpu", show_default=True)
def sweep(run, lm_path, alphas, betas, beam_sizes, jobs, device):
    """Searches values for beam search with a language model.

    RUN is the output folder of a CTC recipe that has ended. Its dev split is
    heard once and decoded with each choice; the best is written where tests of
    RUN take it from and to RUN/inference_lm, which EncoderASR loads. Give the
    command again with other values to search on.
    """
    from d2v_sb.sweeping import Sweep, plot_surface

    sweep = Sweep(run, lm_path, jobs=jobs, device=device)
    try:
        best = sweep.search(alphas, betas, beam_sizes)
    except KeyboardInterrupt:
        click.echo("\nStopped. The same command goes on from here.", err=True)
        raise
    chosen, folder = sweep.write(best)
    for point in sweep.points.ranked()[:5]:
        click.echo(
            f"alpha {point.alpha:g}  beta {point.beta:g}  "
            f"beam {point.beam_size}  WER {point.WER:.2f}  CER {point.CER:.2f}"
        )
    click.echo(f"the first of these is in {chosen} and {folder}")
    for name in ("alpha", "beta"):
        tried = [getattr(point, name) for point in sweep.points]
        at_end = getattr(best, name) in (min(tried), max(tried))
        if at_end and min(tried) < max(tried) and getattr(best, name) != 0:
            click.echo(f"it lies at the end of --{name}: try values beyond")
    try:
        plot_surface(sweep.points, sweep.folder / "surface.svg")
        click.echo(sweep.folder / "surface.svg")
    except UserError as error:
        click.echo(f"no picture: {error}", err=True)


if __name__ == "__main__":
    main(prog_name="d2v-sb")
