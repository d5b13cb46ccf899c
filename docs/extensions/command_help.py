"""A Sphinx directive: the help of each command, asked of click.

Authors
 * The d2v_sb developers 2026
"""

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from d2v_sb.cli import main

PROGRAM = "d2v-sb"
WIDTH = 78


class CommandHelp(SphinxDirective):
    """A section a command, with what its ``--help`` prints."""

    def run(self):
        """Makes the sections."""
        return [
            self._section(f"{PROGRAM} {name}", command)
            for name, command in commands(main)
        ]

    def _section(self, title, command):
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        section += nodes.title(title, title)
        text = help_of(title, command)
        section += nodes.literal_block(text, text, language="text")
        return section


def commands(group):
    """Names and commands of a group, those imported by name included."""
    context = click.Context(group, info_name=PROGRAM)
    for name in group.list_commands(context):
        yield name, group.get_command(context, name)


def help_of(title, command):
    """What ``--help`` prints of a command, at a width that does not vary."""
    context = click.Context(
        command,
        info_name=title,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    return command.get_help(context)


def setup(app):
    """Registers the directive."""
    app.add_directive("command-help", CommandHelp)
    # What it shows is no file that Sphinx watches.
    app.connect("env-get-outdated", lambda *_: ["commands"])
    return {"parallel_read_safe": True}
