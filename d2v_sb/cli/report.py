"""``d2v-sb report``.

Authors
 * The d2v_sb developers 2026
"""

import click

from d2v_sb.errors import UserError


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="The page of a single RUN, whose folder is then left as it is; "
    "report.html in that folder if not given.",
)
def report(runs, output):
    """Writes a run as one page of HTML.

    It has curves, results, what was heard and the options. RUN is the output folder of any recipe, of a run that goes on too. The page
    needs nothing beside it, no network either. Recipes write it at their end.

    \b
    Examples:
      d2v-sb report results/d2v_ctc/1986
      d2v-sb report results/d2v_emotion/1986 -o emotion.html
      d2v-sb report results/*/1986
    """
    from d2v_sb.reporting import write_report

    if output is not None and len(runs) > 1:
        raise UserError(
            f"-o {output} is of one page, and {len(runs)} runs are given: "
            "leave it out, and each page goes into its run's folder"
        )
    for run in runs:
        click.echo(write_report(run, output))
