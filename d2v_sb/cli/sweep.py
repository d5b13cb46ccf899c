"""``d2v-sb sweep``.

Authors
 * The d2v_sb developers 2026
"""

import math

import click


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


@click.command()
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
    plot_surface(sweep.points, sweep.folder / "surface.svg")
    click.echo(sweep.folder / "surface.svg")
