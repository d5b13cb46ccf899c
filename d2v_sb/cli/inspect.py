"""``d2v-sb inspect``.

Authors
 * The d2v_sb developers 2026
"""

import json

import click

from d2v_sb.cli.sources import SOURCE_HELP


@click.command(epilog=SOURCE_HELP)
@click.argument("src")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
@click.option(
    "--dict",
    "dictionary",
    type=click.Path(exists=True, dir_okay=False),
    help="fairseq's dict.ltr.txt, if it does not lie beside SRC.",
)
def inspect(src, as_json, dictionary):
    """Shows what the checkpoint SRC is and what it was trained with."""
    from d2v_sb.checkpoints import load_checkpoint
    from d2v_sb.checkpoints.report import as_text, describe

    description = describe(load_checkpoint(src, dictionary=dictionary))
    if as_json:
        click.echo(json.dumps(description, indent=2, default=str))
    else:
        click.echo(as_text(description))
