"""``d2v-sb plot``.

Authors
 * The d2v_sb developers 2026
"""

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    default="curves.svg",
    show_default=True,
    help="The picture: .svg, .png or .pdf.",
)
def plot(runs, output):
    """Draws the curves of pretraining runs.

    RUN is an output folder or its curves.csv; several are drawn together.
    """
    from d2v_sb.pretraining.plot import plot_curves

    plot_curves({run: run for run in runs}, output)
    click.echo(output)
