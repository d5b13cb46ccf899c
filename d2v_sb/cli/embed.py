"""``d2v-sb embed``.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import click

from d2v_sb.cli.bulk_options import (
    INPUTS_HELP,
    bulk_options,
    find,
    goes_on,
    make_engine,
    quiet,
    tell,
)
from d2v_sb.cli.sources import SOURCE_HELP


@click.command(epilog=f"{SOURCE_HELP}\n\n{INPUTS_HELP}")
@click.argument("src")
@bulk_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False),
    help="The folder to fill. What is in it is not done again.",
)
@click.option(
    "--layers",
    help="last, all, numbers with commas between them (0 is what enters the "
    "first block), or weighted: a trained model's own weighted sum. "
    "[default: last]",
)
@click.option(
    "--pool",
    type=click.Choice(["none", "mean", "mean_std", "model"]),
    help="One vector a file: mean (and deviation) of its frames, or what the "
    "model itself gives. [default: model for a model folder of speakers or "
    "classes, else none]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["safetensors", "npy", "parquet"]),
    default="safetensors",
    show_default=True,
    help="Frames are a file each, or rows of Parquet; vectors are rows of "
    "part-00000 and so on. _index.jsonl says where each file is.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Of frames; vectors are float32.",
)
@click.option(
    "--chunk_seconds",
    type=click.FloatRange(1),
    default=40.0,
    show_default=True,
    help="A longer file is heard in chunks.",
)
@click.option(
    "--context_seconds",
    type=click.FloatRange(0),
    default=4.0,
    show_default=True,
    help="What is heard besides on either side of a chunk.",
)
@goes_on(lambda options: True)
def embed(
    src,
    inputs,
    output,
    layers,
    pool,
    format_,
    dtype,
    chunk_seconds,
    context_seconds,
    device,
    precision,
    compiled,
    batch_seconds,
    num_workers,
):
    """Extracts features: frames of any layer, or one vector a file.

    \b
    Examples:
      d2v-sb embed facebook/data2vec-audio-base corpus/ -o feats --layers 6
      d2v-sb embed large.pt corpus/ -o feats --layers all --format npy
      d2v-sb embed MODEL corpus/ -o vectors --format parquet
    """
    items = find(inputs)
    quiet()

    from d2v_sb.bulk.devices import compile_encoders, find_device
    from d2v_sb.bulk.extraction import INDEX, FeatureFolder, describe
    from d2v_sb.bulk.features import load_features, model_folder
    from d2v_sb.bulk.lock import only_run
    from d2v_sb.bulk.models import identity
    from d2v_sb.bulk.run import run_all

    model, pool = load_features(
        src,
        layers,
        pool,
        find_device(device),
        dtype,
        chunk_seconds,
        context_seconds,
    )
    settings = describe(model, pool, src, dtype)
    settings["precision"] = precision
    settings["chunk_seconds"] = chunk_seconds
    settings["context_seconds"] = context_seconds
    options = {k: v for k, v in settings.items() if k != "source"}
    settings["made_by"] = identity(
        model_folder(src), model.module, *options.values()
    )
    if compiled:
        compile_encoders(model.module)
    with only_run(Path(output) / INDEX):
        folder = FeatureFolder(output, items, model, pool, format_, settings)
        engine = make_engine(
            model, model.cut, batch_seconds, precision, num_workers
        )
        try:
            summary = run_all(
                engine,
                items,
                folder.results,
                folder.begin,
                "embedding",
                folder.keep,
            )
        finally:
            folder.close()
    tell(summary, output)
