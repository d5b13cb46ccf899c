"""``d2v-sb completion``.

Authors
 * The d2v_sb developers 2026
"""

import click
from click.shell_completion import get_completion_class

# What a shell reads at its start, and the line that goes there.
SHELLS = {
    "bash": '~/.bashrc:  eval "$(d2v-sb completion bash)"',
    "zsh": '~/.zshrc:  eval "$(d2v-sb completion zsh)"',
    "fish": "~/.config/fish/config.fish:  d2v-sb completion fish | source",
}


@click.command(epilog="\b\n" + "\n".join(SHELLS.values()))
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell):
    """Prints what makes a shell complete commands.

    Options and values too. Put the line of your shell into its start-up file:
    """
    from d2v_sb.cli import main

    script = get_completion_class(shell)
    # bash's asks bash for its version at once; the script alone does not.
    made = script(main, {}, "d2v-sb", "_D2V_SB_COMPLETE")
    click.echo(made.source_template % made.source_vars())
