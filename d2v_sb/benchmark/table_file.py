"""The YAML file of a table, read and checked.

It is plain YAML, without tags (``hparams/benchmarks`` shows some). Scripts,
hparams files and the corpora's folders that it names are looked for beside it
and then from the root of the repository. Where the script of a task has its
encoder from elsewhere, as fine-tuning regimes have, ``takes: [seed]`` says that
the seed is all it is given.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
from collections import defaultdict
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from d2v_sb.benchmark.folder import READERS
from d2v_sb.benchmark.job import ARGUMENTS, MODES, safe_name
from d2v_sb.benchmark.published.look_up import BENCHMARKS
from d2v_sb.benchmark.result import ERRORS
from d2v_sb.benchmark.schema import (
    Part,
    integers,
    mapping,
    one_of,
    positive,
    positives,
    some_of,
    text,
    texts,
    texts_by_name,
)
from d2v_sb.benchmark.table import Column, Table, Task
from d2v_sb.errors import DataError, UserError

ROOT = Path(__file__).resolve().parents[2]  # of the repository, in a clone
TABLES = "hparams/benchmarks"
MEASURES = (*ERRORS, "accuracy")
KEYS = (
    *("title", "about", "published", "script"),
    *("encoders", "modes", "seeds", "data"),
)
TASK_KEYS = (
    *("title", "script", "hparams", "data", "options", "measure", "heads"),
    *("folds", "lrs", "default_lr", "takes", "reader"),
)
# What a table says for the arguments of all jobs.
NEEDS = {"encoder": "encoders", "mode": "modes", "seed": "seeds"}


def find_table(name):
    """The file of a table.

    Arguments
    ---------
    name : str
        Its path, or its name among those that come with the recipes.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UserError
        If there is none.
    """
    folder = ROOT / TABLES
    for path in (Path(name), folder / f"{name}.yaml"):
        if path.is_file():
            return path
    if not folder.is_dir():
        raise UserError(
            f"no such table: {name}. Tables and the recipes that they run come "
            "with a clone of the repository and not with the package: install "
            "the clone (pip install -e .), or name a file"
        )
    known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
    raise UserError(f"no such table: {name}. Known are {known}; or name a file")


def read_table(path):
    """Reads a table and checks all of it.

    Arguments
    ---------
    path : str or pathlib.Path
        A YAML file without tags.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        With all that is wrong.

    Example
    -------
    >>> path = getfixture("tmp_path") / "table.yaml"
    >>> _ = path.write_text("title: Mine\\ntasks: {}\\nencodres: {}")
    >>> read_table(path)
    Traceback (most recent call last):
    d2v_sb.errors.DataError: ... unknown key 'encodres' (did you mean ...
    """
    path = Path(path)
    try:
        values = YAML(typ="safe", pure=True).load(path)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise DataError(f"{path} can not be read as YAML: {error}") from error
    faults = []
    part = Part(values, "table", (*KEYS, "tasks"), faults)
    tasks = part.get("tasks", mapping) or {}
    data = part.get("data", texts_by_name, {}) or {}
    script = part.get("script", text, None)
    table = Table(
        path=path,
        title=part.get("title", text),
        about=part.get("about", text, ""),
        encoders=part.get("encoders", texts_by_name, {}) or {},
        modes=part.get("modes", some_of(MODES), []) or [],
        seeds=part.get("seeds", integers, []) or [],
        data=data,
        tasks=[
            _task(
                path, Part(v, f"task {k}", TASK_KEYS, faults), k, data, script
            )
            for k, v in tasks.items()
        ],
        published=part.get("published", one_of(BENCHMARKS), None),
    )
    _check_together(table, part)
    if faults:
        lines = "\n  ".join(faults)
        raise DataError(f"{path} is no table of a benchmark:\n  {lines}")
    data = {name: _place(path, where) for name, where in table.data.items()}
    return dataclasses.replace(table, data=data)


def _task(path, part, name, data, script):
    """A task; what is wrong with it is None there, and noted."""
    files = {
        "script": part.get("script", text, script),
        "hparams": part.get("hparams", text),
    }
    if files["script"] is None:
        part.fault("script is missing, here and in the table")
    for key, file in files.items():
        if file and not Path(_place(path, file)).is_file():
            part.fault(f"{key}: no file {file}, beside {path} or in {ROOT}")
    measure = part.get("measure", mapping) or {}
    column = Part(
        measure, f"{part.where}: measure", Column._fields, part.faults
    )
    heads = part.get("heads", mapping) or {}
    for head, options in heads.items():
        if not isinstance(options, dict | None):
            part.fault(f"head {head}: options expected, not {options!r}")
    return Task(
        name=name,
        title=part.get("title", text, name),
        script=Path(_place(path, str(files["script"]))),
        hparams=Path(_place(path, str(files["hparams"]))),
        data=part.get("data", one_of(list(data)), None),
        measure=Column(
            column.get("name", one_of(MEASURES)), column.get("split", text)
        ),
        heads={k: v if isinstance(v, dict) else {} for k, v in heads.items()},
        options=part.get("options", mapping, {}) or {},
        folds=part.get("folds", texts, []) or [],
        lrs=part.get("lrs", positives, []) or [],
        default_lr=part.get("default_lr", positive, None),
        takes=part.get("takes", some_of(ARGUMENTS), list(ARGUMENTS)) or [],
        reader=part.get("reader", one_of(list(READERS)), "result"),
    )


def _check_together(table, part):
    """Notes what is wrong only beside something else."""
    if not table.tasks:
        part.fault("it has no tasks")
    for argument, key in NEEDS.items():
        names = [task.name for task in table.tasks if argument in task.takes]
        if names and not getattr(table, key):
            part.fault(f"no {key}, which are given to {', '.join(names)}")
    _check_names(table.encoders, "encoders", part)
    _check_sources(table.encoders, part)
    _check_names([task.name for task in table.tasks], "tasks", part)
    for task in table.tasks:
        where = f"task {task.name}"
        if not task.heads:
            part.faults.append(f"{where}: it has no heads")
        _check_names(task.heads, f"heads of {task.name}", part)
        _check_names(task.folds, f"folds of {task.name}", part)
        if task.lrs and task.default_lr not in task.lrs:
            part.faults.append(f"{where}: default_lr must be one of its lrs")
        if task.default_lr is not None and not task.lrs:
            part.faults.append(f"{where}: default_lr is given without lrs")
        for options in (task.options, *task.heads.values()):
            for key in task.reserved & set(options):
                part.faults.append(
                    f"{where}: {key} can not be among the options, as each "
                    "job has its own"
                )


def _check_names(names, what, part):
    """Notes names that would share a folder."""
    by_folder = defaultdict(list)
    for name in names:
        # Some file systems take a and A for one.
        by_folder[safe_name(name).casefold()].append(name)
    for folder, same in by_folder.items():
        if len(same) > 1:
            part.fault(
                f"{what}: {' and '.join(map(repr, same))} would share the "
                f"folder {folder}: rename one"
            )


def _check_sources(encoders, part):
    """Notes names of one encoder: its runs would count for both."""
    by_source = defaultdict(list)
    for name, source in encoders.items():
        by_source[source].append(name)
    for source, same in by_source.items():
        if len(same) > 1:
            part.fault(
                f"encoders: {' and '.join(map(repr, same))} are both "
                f"{source}: leave one out"
            )


def _place(path, name):
    """Where something lies that a table names."""
    name = Path(name).expanduser()
    beside = path.absolute().parent / name
    return str(beside if beside.exists() else ROOT / name)
