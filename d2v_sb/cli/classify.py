"""``d2v-sb classify``.

Authors
 * The d2v_sb developers 2026
"""

import click

from d2v_sb.cli.bulk_options import (
    INPUTS_HELP,
    bulk_options,
    find,
    goes_on,
    hear_files,
    open_model,
)
from d2v_sb.errors import UserError


@click.command(epilog=INPUTS_HELP)
@click.argument("model")
@bulk_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="The file to write (.txt, .tsv, .jsonl). What is in it is not done "
    "again.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "tsv", "jsonl"]),
    help="text: a line a file. tsv: a line a window. jsonl: all. [default: by "
    "the ending of -o]",
)
@click.option(
    "--window_seconds",
    type=click.FloatRange(0.1),
    help="Classes over time, in windows of this length.",
)
@click.option(
    "--hop_seconds",
    type=click.FloatRange(0.01),
    help="From one window's beginning to the next one's. [default: half a "
    "window]",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="jsonl: how many of the likeliest classes are kept.",
)
@goes_on(lambda options: options["output"] is not None)
def classify(
    model,
    inputs,
    output,
    format_,
    window_seconds,
    hop_seconds,
    top,
    device,
    precision,
    compiled,
    batch_seconds,
    num_workers,
):
    """Says what class recordings are of: emotion, speaker, language.

    MODEL is a folder that a recipe for classes wrote, or a hub name of one.
    Recordings of more than 60 s are the mean of stretches of that.

    \b
    Examples:
      d2v-sb classify results/d2v_emotion/1986/session1/inference speech.wav
      d2v-sb classify MODEL calls/ -o emotions.tsv --window_seconds 4
    """
    if hop_seconds is not None and window_seconds is None:
        raise UserError("--hop_seconds is of --window_seconds: give both")
    if window_seconds is not None and hop_seconds is None:
        hop_seconds = window_seconds / 2
    items = find(inputs)

    from d2v_sb.bulk.classes import CLASSES, ClassListener
    from d2v_sb.bulk.models import find_folder, identity
    from d2v_sb.bulk.outputs import OutputFiles

    names = [item.name for item in items]
    files = OutputFiles(CLASSES, output, format_, names)
    classifier = open_model(model, device, compiled, ("SpeakerRecognition",))
    listener = ClassListener(classifier, window_seconds, hop_seconds, top)
    made_by = ""
    if output is not None:
        options = window_seconds, hop_seconds, top, precision
        made_by = identity(find_folder(model), classifier, *options)
    hear_files(
        listener,
        items,
        files,
        made_by,
        "classifying",
        batch_seconds=batch_seconds,
        precision=precision,
        num_workers=num_workers,
    )
