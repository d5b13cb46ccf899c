"""``d2v-sb transcribe``.

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


@click.command(epilog=INPUTS_HELP)
@click.argument("model")
@bulk_options
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="The file to write (.txt, .tsv, .jsonl), or for srt and vtt a folder. "
    "What is in it is not done again.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "tsv", "jsonl", "srt", "vtt"]),
    help="text: a line a file. tsv: a line a word, with times. jsonl: all. "
    "srt, vtt: subtitles, a file each. [default: by the ending of -o]",
)
@click.option(
    "--chunk_seconds",
    type=click.FloatRange(1),
    default=40.0,
    show_default=True,
    help="A longer file is heard in chunks. Best about as long as what the "
    "model was trained on.",
)
@click.option(
    "--context_seconds",
    type=click.FloatRange(0),
    default=4.0,
    show_default=True,
    help="What is heard besides on either side of a chunk (greedy CTC; other "
    "models' files are cut at pauses).",
)
@goes_on(lambda options: options["output"] is not None)
def transcribe(
    model,
    inputs,
    output,
    format_,
    chunk_seconds,
    context_seconds,
    device,
    precision,
    compiled,
    batch_seconds,
    num_workers,
):
    """Writes down what is said in audio files, with times of words.

    MODEL is a folder that a recipe for speech recognition wrote, or a hub name
    of one.

    \b
    Examples:
      d2v-sb transcribe results/d2v_ctc/1986/inference speech.wav
      d2v-sb transcribe MODEL recordings/ -o words.tsv
      d2v-sb transcribe MODEL recordings/ -o subtitles --format srt
    """
    items = find(inputs)

    from d2v_sb.bulk.outputs import OutputFiles
    from d2v_sb.bulk.transcripts import TRANSCRIPTS

    names = [item.name for item in items]
    files = OutputFiles(TRANSCRIPTS, output, format_, names)

    from d2v_sb.bulk.hearing import make_listener
    from d2v_sb.bulk.models import find_folder, identity

    asr = open_model(
        model, device, compiled, ("EncoderASR", "EncoderDecoderASR")
    )
    listener = make_listener(asr, chunk_seconds, context_seconds)
    made_by = ""
    if output is not None:
        options = chunk_seconds, context_seconds, precision
        made_by = identity(find_folder(model), asr, *options)
    hear_files(
        listener,
        items,
        files,
        made_by,
        "transcribing",
        batch_seconds=batch_seconds,
        precision=precision,
        num_workers=num_workers,
    )
