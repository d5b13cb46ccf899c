"""The command ``d2v-sb``: one file a command, imported when it is called.

Authors
 * The d2v_sb developers 2026
"""

from importlib import import_module

import click

from d2v_sb import __version__
from d2v_sb.errors import UserError

# In the order of the help.
COMMANDS = (
    "transcribe",
    "embed",
    "verify",
    "classify",
    "serve",
    "inspect",
    "convert",
    "publish",
    "report",
    "benchmark",
    "plot",
    "sweep",
    "swap",
    "completion",
)


class Commands(click.Group):
    """Imports commands late, and shows errors that a user can mend without a
    traceback."""

    def list_commands(self, ctx):
        """Names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx, name):
        """Imports a command."""
        if name not in COMMANDS:
            return None
        return getattr(import_module(f"d2v_sb.cli.{name}"), name)

    def invoke(self, ctx):
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
@click.version_option(__version__)
def main():
    """data2vec for SpeechBrain: models at work, and what they are.

    A MODEL is a folder that a recipe wrote (results/…/inference) or a hub name
    of one. `d2v-sb COMMAND --help` says more and gives examples.
    """
