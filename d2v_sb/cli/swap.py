"""``d2v-sb swap``.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import click

from d2v_sb.errors import UserError


@click.command()
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
    """Puts data2vec into a recipe of SpeechBrain.

    In the place of the encoder of RECIPE.yaml: writes another YAML and shows
    the difference.
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
