"""The table of a benchmark: tasks, encoders and heads, and the jobs of them.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from d2v_sb.benchmark.job import Job
from d2v_sb.benchmark.options import options_of
from d2v_sb.benchmark.selection import Selection


class Column(NamedTuple):
    """What a task's column shows: a measure, and on which split."""

    name: str
    split: str


@dataclass(frozen=True)
class Task:
    """A corpus and what is trained on it.

    Arguments
    ---------
    name, title : str
        In commands and folders, and of its column.
    script, hparams : pathlib.Path
        What is run.
    data : str, optional
        The corpus, by its name among the table's ``data``; None where the
        script is given no folder.
    measure : Column
        What the column shows.
    heads : dict of str to dict
        Further options by the heads' shown names.
    options : dict
        For all heads.
    folds : list of str
        Of corpora that are tested in folds.
    lrs : list of float
        Learning rates to try; empty for the script's own.
    default_lr : float, optional
        One of them.
    takes : list of str
        Of ``encoder``, ``mode`` and ``seed``, those that the script is given.
    reader : str
        One of ``folder.READERS``.
    """

    name: str
    title: str
    script: Path
    hparams: Path
    data: str | None
    measure: Column
    heads: dict
    options: dict
    folds: list[str]
    lrs: list[float]
    default_lr: float | None
    takes: list[str]
    reader: str

    @property
    def reserved(self):
        """The options that its jobs get from their place in the table."""
        names = {"output_folder", *self.takes}
        names |= set() if self.data is None else {"data_folder"}
        names |= {"lr"} if self.lrs else set()
        return names | ({"fold"} if self.folds else set())


@dataclass(frozen=True)
class Table:
    """A benchmark.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    title, about : str
        Of its page.
    encoders : dict of str to str
        What scripts get, by shown name.
    modes, seeds : list
        Of each job, where its script takes them.
    data : dict of str to str
        Folders of corpora, by name.
    tasks : list of Task
        In the order of the columns.
    published : str, optional
        Whose published figures stand beside, one of
        ``published.look_up.BENCHMARKS``.
    """

    path: Path
    title: str
    about: str
    encoders: dict[str, str]
    modes: list[str]
    seeds: list[int]
    data: dict[str, str]
    tasks: list[Task]
    published: str | None = None

    @property
    def name(self):
        """What its rows go by; the title may be reworded."""
        return self.path.stem

    def jobs(self, selection=Selection()):
        """The jobs, in the order of the table.

        Arguments
        ---------
        selection : Selection
            Which, and what is added for all.

        Returns
        -------
        list of Job
            Those without their corpus too.

        Raises
        ------
        UserError
            If something is selected that is not there.
        """
        selection.check(self)
        encoders = selection.encoders_of(self)
        modes = list(dict.fromkeys(selection.modes)) or self.modes
        seeds = list(dict.fromkeys(selection.seeds)) or self.seeds
        jobs = []
        for task in selection.tasks_of(self):
            heads = [h for h in task.heads if h in (selection.heads or [h])]
            choices = itertools.product(
                heads,
                encoders.items() if "encoder" in task.takes else [(None, None)],
                modes if "mode" in task.takes else [None],
                seeds if "seed" in task.takes else [None],
                task.lrs or [None],
                task.folds or [None],
            )
            for head, (encoder, source), *others in choices:
                words = dict(zip(("mode", "seed", "lr", "fold"), others))
                data = selection.folder(self, task.data)
                options = options_of(selection.options, task.name)
                words |= {"encoder": encoder, "source": source}
                jobs.append(Job(task, head, data, options=options, **words))
        return jobs

    def with_encoders(self, encoders):
        """The table with further encoders behind its own.

        Arguments
        ---------
        encoders : dict of str to str
            By shown name.

        Returns
        -------
        Table
        """
        return dataclasses.replace(self, encoders=self.encoders | encoders)
