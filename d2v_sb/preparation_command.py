"""The command line of a corpus's preparation.

Authors
 * The d2v_sb developers 2026
"""

import argparse
import logging
import sys

from d2v_sb.audio_files import ON_BAD_AUDIO
from d2v_sb.errors import UserError


def preparation_parser(docstring, data_folder, on_bad_audio="error"):
    """The arguments that all preparations take; a script adds its own.

    Arguments
    ---------
    docstring : str
        Of the script; its first paragraph is the description.
    data_folder : str
        What the first argument is.
    on_bad_audio : str
        The default of ``--on_bad_audio``.

    Returns
    -------
    argparse.ArgumentParser

    Example
    -------
    >>> parser = preparation_parser("Prepare it.", "the corpus")
    >>> vars(parser.parse_args(["data", "csv"]))
    {'data_folder': 'data', 'save_folder': 'csv', 'on_bad_audio': 'error'}
    """
    parser = argparse.ArgumentParser(
        description=docstring.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("data_folder", help=data_folder)
    parser.add_argument("save_folder", help="for the CSV files")
    parser.add_argument(
        "--on_bad_audio",
        choices=[*ON_BAD_AUDIO],
        default=on_bad_audio,
        help="; ".join(f"{key} {what}" for key, what in ON_BAD_AUDIO.items()),
    )
    return parser


def run_preparation(prepare, parser, argv=None):
    """Prepares what a command line says; errors of users end it plainly.

    Arguments
    ---------
    prepare : callable
        Takes the arguments by their names.
    parser : argparse.ArgumentParser
        As of ``preparation_parser``.
    argv : list of str, optional
        The process's own if not given.

    Example
    -------
    >>> parser = preparation_parser("Prepare it.", "the corpus")
    >>> run_preparation(lambda **given: print(len(given)), parser, ["a", "b"])
    3
    """
    options = vars(parser.parse_args(argv))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        prepare(**options)
    except UserError as error:
        sys.exit(f"\n{error}")
