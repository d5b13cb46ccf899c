"""The command ``d2v-sb``: convert and inspect checkpoints.

Authors
 * The d2v_sb developers 2026
"""

import json
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
    "d2v_sb, a checkpoint or inference folder of a recipe, or a hub name."
)


@main.command(epilog=SOURCE_HELP)
@click.argument("src")
@click.argument("dst", type=click.Path())
@click.option(
    "--to",
    "target",
    type=click.Choice(["hf", "native"]),
    required=True,
    help="hf: a Transformers folder. native: one .safetensors of ours.",
)
@click.option(
    "--dict",
    "dictionary",
    type=click.Path(exists=True, dir_okay=False),
    help="fairseq's dict.ltr.txt, if it does not lie beside SRC.",
)
def convert(src, dst, target, dictionary):
    """Converts the checkpoint SRC to DST, which must not be there yet."""
    # Imported here: torch takes seconds, and help should not.
    from d2v_sb.checkpoints import load_checkpoint, save_hf, save_native

    if Path(dst).exists():
        raise UserError(f"{dst} is there already: remove it, or name another")
    checkpoint = load_checkpoint(src, dictionary=dictionary)
    if checkpoint.encoder is None:
        raise UserError(f"{src} names an architecture without weights")
    if target == "native":
        if not dst.endswith(".safetensors"):
            raise UserError(f"{dst}: a native file ends in .safetensors")
        save_native(checkpoint, dst)
    else:
        save_hf(checkpoint, dst)
        for part in ("predictor", "teacher"):
            if getattr(checkpoint, part):
                click.echo(f"left out: the {part}; Transformers has none")
    click.echo(f"{checkpoint.kind}: {src} -> {dst}")


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


if __name__ == "__main__":
    main(prog_name="d2v-sb")
