"""What all commands on many audio files have in common.

Authors
 * The d2v_sb developers 2026
"""

import functools

import click

from d2v_sb.errors import UserError

SHOWN = 50  # failed files that are told in full
INPUTS_HELP = (
    "INPUT is an audio file, a folder (everything in it that is audio), or a "
    "list: a text file with a path, or a name and a path, a line, or a CSV "
    "with the columns ID and wav. Any format that libsndfile or FFmpeg (PyAV, "
    "the extra `av`) reads, any sample rate, any number of channels."
)
OPTIONS = (
    click.argument("inputs", nargs=-1, required=True, metavar="INPUT..."),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="cpu, cuda, cuda:1; auto is a GPU where there is one.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16"]),
        default="fp32",
        show_default=True,
        help="bf16 and fp16 are faster on GPUs, and less exact.",
    ),
    click.option(
        "--compile",
        "compiled",
        is_flag=True,
        help="Compile the encoder first (minutes): pays for many files.",
    ),
    click.option(
        "--batch_seconds",
        type=click.FloatRange(0, min_open=True),
        help="Most audio in a batch. [default: 640 on a GPU, 6 on a CPU]",
    ),
    click.option(
        "--num_workers",
        type=click.IntRange(1),
        default=4,
        show_default=True,
        help="Threads that read files.",
    ),
)


def bulk_options(command):
    """Adds INPUTS and the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def open_model(model, device, compiled, expected):
    """Loads a model folder to a device, compiled if asked to.

    Arguments
    ---------
    model, device : str
        As on the command line.
    compiled : bool
        Whether to compile its encoder.
    expected : sequence of str
        Names of the interfaces that the command can use.

    Returns
    -------
    speechbrain.inference.interfaces.Pretrained
    """
    from d2v_sb.bulk.devices import compile_encoders, find_device
    from d2v_sb.bulk.models import load_interface

    quiet()
    loaded = load_interface(model, find_device(device), expected)
    if compiled:
        compile_encoders(loaded)
    return loaded


def make_engine(model, cut, batch_seconds, precision, num_workers):
    """An ``Engine`` of the options."""
    from d2v_sb.bulk.devices import default_batch_seconds
    from d2v_sb.bulk.engine import Engine

    return Engine(
        model,
        cut,
        batch_seconds or default_batch_seconds(model.device),
        precision,
        num_workers,
    )


def hear_files(listener, items, files, made_by, name, **options):
    """Hears files, keeps their results, and tells what became of them.

    Arguments
    ---------
    listener : object
        A model for ``Engine`` that has `cut` and `begin`.
    items : list of Item
        The files.
    files : OutputFiles
        Where results go.
    made_by : str
        Of ``identity``.
    name : str
        What is being done.
    **options : object
        Of ``make_engine``.
    """
    from d2v_sb.bulk.lock import only_run
    from d2v_sb.bulk.outputs import kept
    from d2v_sb.bulk.results import Results
    from d2v_sb.bulk.run import run_all

    engine = make_engine(listener, listener.cut, **options)
    with only_run(files.results_path):
        results = Results(files.results_path, made_by)
        with kept(files, results, items):
            summary = run_all(
                engine, items, results, lambda _: listener.begin(), name
            )
    tell(summary, files.output)


def quiet():
    """SpeechBrain tells of each file that it loads; errors are enough here."""
    import logging

    for name in ("speechbrain", "d2v_sb"):
        logging.getLogger(name).setLevel(logging.WARNING)


def goes_on(resumable):
    """Tells, of a command that is stopped, whether it goes on from there.

    Arguments
    ---------
    resumable : callable
        Of the command's options: whether what is done is kept.
    """

    def decorate(command):
        @functools.wraps(command)
        def stoppable(**options):
            try:
                return command(**options)
            except KeyboardInterrupt:
                message = "\nStopped."
                if resumable(options):
                    message += " The same command goes on from here."
                click.echo(message, err=True)
                raise SystemExit(130) from None

        return stoppable

    return decorate


def tell(summary, output=None):
    """Says what became of the files; some that failed end the command so.

    Arguments
    ---------
    summary : Summary
        Of ``run_all``.
    output : str, optional
        Where the results are.
    """
    where = f" -> {output}" if output else ""
    click.echo(f"{summary}{where}", err=True)
    failed = summary.failed
    if not failed:
        return
    click.echo(f"{len(failed):,} could not be used:", err=True)
    for item, reason in failed[:SHOWN]:
        click.echo(f"  {item.path}: {reason}", err=True)
    if len(failed) > SHOWN:
        click.echo(f"  ... and {len(failed) - SHOWN:,} more", err=True)
    raise SystemExit(1)


def find(inputs):
    """``find_items``, with a word on nothing."""
    from d2v_sb.bulk.inputs import find_items

    items = find_items(inputs)
    if not items:
        raise UserError("there is no audio file in what was named")
    return items
