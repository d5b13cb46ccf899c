"""``d2v-sb verify``.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import click

from d2v_sb.cli.bulk_options import (
    bulk_options,
    goes_on,
    make_engine,
    open_model,
    tell,
)
from d2v_sb.errors import UserError


@click.command(
    epilog="A list has a pair a line: two paths, or 1 or 0 before them for one "
    "speaker or two; error rates are then told. For intervals, s-norm and "
    "calibration see recipes/VoxCeleb/verify.py."
)
@click.argument("model")
@bulk_options
@click.option(
    "--audio",
    "folder",
    type=click.Path(exists=True, file_okay=False),
    help="The folder that a list's paths are in. [default: the working one]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="The file to write (.txt, .tsv, .jsonl). Embeddings are kept beside "
    "it and not computed again.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "tsv", "jsonl"]),
    help="[default: by the ending of -o]",
)
@click.option(
    "--threshold",
    type=float,
    default=0.25,
    show_default=True,
    help="The cosine above which a pair is one speaker. 0.25 is SpeechBrain's; "
    "yours depends on model and recordings.",
)
@click.option(
    "--chunk_seconds",
    type=click.FloatRange(1),
    default=40.0,
    show_default=True,
    help="A longer recording is the mean of pieces cut at pauses.",
)
@goes_on(lambda options: options["output"] is not None)
def verify(
    model,
    inputs,
    folder,
    output,
    format_,
    threshold,
    chunk_seconds,
    device,
    precision,
    compiled,
    batch_seconds,
    num_workers,
):
    """Says whether two recordings are of one speaker.

    MODEL is a folder that the VoxCeleb recipe wrote, or a hub name of one.
    INPUT is two recordings, or a list of pairs.

    \b
    Examples:
      d2v-sb verify MODEL one.wav another.mp3
      d2v-sb verify MODEL pairs.txt --audio recordings/ -o scores.tsv
    """
    from d2v_sb.audio_folder import ENDINGS
    from d2v_sb.bulk.pairs import (
        PAIRS,
        CachedEmbeddings,
        Pair,
        error_rates,
        items_of,
        read_pairs,
    )

    if len(inputs) > 2:
        raise UserError("verify takes two recordings, or one list of pairs")
    if len(inputs) == 1 and Path(inputs[0]).suffix.lower() in ENDINGS:
        raise UserError(f"{inputs[0]} with what? Name another recording")
    pairs = [Pair(*inputs)] if len(inputs) == 2 else read_pairs(inputs[0])
    items = items_of(pairs, folder)

    from d2v_sb.bulk.extraction import MeanCollector
    from d2v_sb.bulk.features import Embeddings, Mean
    from d2v_sb.bulk.lock import only_run
    from d2v_sb.bulk.models import find_folder, identity
    from d2v_sb.bulk.outputs import OutputFiles, write_lines
    from d2v_sb.bulk.run import run_all

    files = OutputFiles(
        PAIRS, output, format_, [], beside=".embeddings.safetensors"
    )
    cache = files.results_path
    speakers = open_model(model, device, compiled, ("SpeakerRecognition",))
    made_by = ""
    if output is not None:
        options = chunk_seconds, precision
        made_by = identity(find_folder(model), speakers, *options)
    with only_run(cache):
        embeddings = CachedEmbeddings(cache, made_by)
        listener = Embeddings(speakers, chunk_seconds)
        engine = make_engine(
            listener, listener.cut, batch_seconds, precision, num_workers
        )
        try:
            summary = run_all(
                engine,
                items,
                embeddings,
                lambda _: MeanCollector(Mean()),
                "embedding",
                embeddings.keep,
            )
        finally:
            embeddings.save()
    records = embeddings.score(pairs, threshold)
    if output is None:
        files.write(records)
    else:
        write_lines(output, files.lines(records))
    rates = error_rates(records)
    if rates:
        click.echo(
            f"EER {rates['EER']:.2f} %, minDCF {rates['minDCF']:.3f}, "
            f"{rates['pairs']:,} pairs",
            err=True,
        )
    tell(summary, output)
