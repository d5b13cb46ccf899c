"""``d2v-sb benchmark``.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import json
from collections import Counter
from pathlib import Path

import click

from d2v_sb.cli.bulk_options import goes_on
from d2v_sb.errors import UserError


class Pair(click.ParamType):
    """A KEY=VALUE, as a tuple."""

    name = "KEY=VALUE"

    def convert(self, value, param, ctx):
        """A text to its two parts."""
        if isinstance(value, tuple):
            return value
        key, equals, rest = value.partition("=")
        if not (key and equals and rest):
            self.fail(f"{value!r}: KEY=VALUE is expected", param, ctx)
        return key, rest


class Named(Pair):
    """A NAME, or a NAME=SOURCE."""

    name = "NAME[=SOURCE]"

    def convert(self, value, param, ctx):
        """A text to its two parts; None for the second if there is none."""
        if isinstance(value, str) and "=" not in value:
            return value, None
        return super().convert(value, param, ctx)


def several(name, destination, **options):
    """An option that may be given several times."""
    return click.option(name, destination, multiple=True, **options)


@click.command()
@click.argument("table")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Where all is written. The same folder again goes on.",
)
@several("--task", "tasks", help="A task, by its name. [default: all]")
@several(
    "--encoder",
    "encoders",
    type=Named(),
    help="An encoder of the table, or one of your own: the name that is shown, "
    "and a hub name, file or folder. [default: all of the table]",
)
@several("--head", "heads", help="A head, by its name. [default: all]")
@several("--mode", "modes", help="clean or published. [default: the table's]")
@several("--seed", "seeds", type=int, help="[default: the table's]")
@several(
    "--data",
    "data",
    type=Pair(),
    metavar="NAME=FOLDER",
    help="Where a corpus lies, by its name in the table.",
)
@several(
    "--option",
    "options",
    type=Pair(),
    help="What all scripts get too, such as device=cuda or cache_folder=…; "
    "those of one task by TASK.KEY=VALUE.",
)
@click.option(
    "--jobs",
    "num_jobs",
    type=click.IntRange(1),
    help="Jobs at a time. [default: 1, or one for each share of --gpus; all "
    "with --slurm]",
)
@click.option(
    "--gpus",
    default="",
    metavar="0,1,…",
    help="GPUs that are dealt out to the jobs.",
)
@click.option(
    "--nproc_per_node",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes of each job, started by torchrun, with a GPU each.",
)
@several(
    "--slurm",
    "slurm",
    type=Pair(),
    help="Give the jobs to SLURM (the extra `slurm`), with this parameter: "
    "partition=gpu, gpus_per_node=1, timeout_min=600 (a day if not given), …",
)
@click.option(
    "--dry_run", is_flag=True, help="Show the jobs' commands and run none."
)
@goes_on(lambda options: not options["dry_run"])
def benchmark(
    table, output, data, num_jobs, gpus, nproc_per_node, slurm, dry_run, **names
):
    """Trains and tests many tasks, encoders and heads of one table.

    TABLE is a YAML file or the name of one in hparams/benchmarks. Each of its
    jobs is a training with a folder in FOLDER: what is done is not run again,
    what failed or was stopped goes on. Tasks whose corpus is not there are left
    out, and told of.

    \b
    Examples:
      d2v-sb benchmark mp3s -o results/mp3s --data librispeech=/corpora/LS
      d2v-sb benchmark mp3s -o results/mp3s --gpus 0,1 --option device=cuda
      d2v-sb benchmark mp3s -o results/mp3s --encoder mine=results/a/inference
      d2v-sb benchmark mp3s -o results/mp3s --slurm partition=gpu
    """
    from d2v_sb.benchmark.run import run_jobs
    from d2v_sb.benchmark.telling import dry_run_lines, end_lines, figure_lines

    folder = Path(output).absolute()
    with refusing():
        table, jobs, said = _select(table, data=data, **names)
        for line in said:
            _say(line)
        if dry_run:
            for line in dry_run_lines(jobs, folder, nproc_per_node):
                click.echo(line)
            return
        launcher = _launcher(
            folder, gpus, dict(slurm), num_jobs, nproc_per_node
        )
        try:
            outcome = run_jobs(jobs, folder, launcher, _say)
        except KeyboardInterrupt:
            page = _write_page(table, folder, jobs)
            _say(f"The page has what is done: {page}")
            raise
    for line in (*end_lines(outcome), *figure_lines(table, folder)):
        _say(line)
    click.echo(_write_page(table, folder, jobs))
    if outcome.failed or not outcome.done:
        raise SystemExit(1)


class Refused(click.ClickException):
    """Something that was asked for can not be."""

    exit_code = 2  # as of options; 1 is that of jobs that failed


@contextlib.contextmanager
def refusing():
    """Ends the command with status 2 at errors of users."""
    try:
        yield
    except UserError as error:
        raise Refused(str(error)) from error


def _select(table, encoders, data, options, **names):
    """The table and the jobs of a command line, and what of it is in vain."""
    from d2v_sb.benchmark.selection import Selection
    from d2v_sb.benchmark.table_file import find_table, read_table

    table = read_table(find_table(table))
    _check_once({"encoder": encoders, "data": data, "option": options})
    folders = {k: Path(v).expanduser().absolute() for k, v in data}
    selection = Selection(
        encoders=dict(encoders),
        data={name: str(path) for name, path in folders.items()},
        options=dict(options),
        **names,
    )
    return table, table.jobs(selection), selection.fits_nothing(table)


def _check_once(given):
    """Refuses a name that an option has twice: one would go unheard."""
    faults = [
        f"--{option} {name} is given {count} times: once is meant"
        for option, pairs in given.items()
        for name, count in Counter(name for name, _ in pairs).items()
        if count > 1
    ]
    if faults:
        raise UserError("\n".join(faults))


def _launcher(folder, gpus, slurm, num_jobs, num_processes):
    """What runs the jobs."""
    from d2v_sb.benchmark.launch import Local
    from d2v_sb.benchmark.slurm import Slurm

    gpus = [name for name in gpus.split(",") if name]
    if not slurm:
        launcher = Local(num_jobs, gpus, num_processes)
        if launcher.idle:
            _say(
                f"GPU {', '.join(launcher.idle)} of --gpus stays idle: "
                f"{launcher.slots} jobs at a time, {num_processes} GPUs each"
            )
        return launcher
    if gpus:
        raise UserError(
            "--gpus is of this machine: with --slurm give --slurm "
            "gpus_per_node=1"
        )
    parameters = {key: _number_or_text(text) for key, text in slurm.items()}
    return Slurm(folder / "slurm", parameters, num_jobs, num_processes)


def _number_or_text(text):
    """What submitit gets of a parameter."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _say(line):
    """Tells what happens."""
    click.echo(line, err=True)


def _write_page(table, folder, jobs):
    """The page of all that is in the folder."""
    from d2v_sb.benchmark.found import find_results
    from d2v_sb.benchmark.page import write_page
    from d2v_sb.benchmark.run import without_corpus

    left_out = without_corpus(jobs).values()
    missing = {job.task.name for some in left_out for job in some}
    return write_page(*find_results(table, folder), folder, missing)
