"""What of a table is run, and what is added to it.

Authors
 * The d2v_sb developers 2026
"""

from dataclasses import dataclass, field

from d2v_sb.benchmark.job import ARGUMENTS, MODES, safe_name
from d2v_sb.benchmark.options import option_faults
from d2v_sb.errors import UserError


@dataclass(frozen=True)
class Selection:
    """Names of a table; where nothing is named, all are meant.

    Arguments
    ---------
    tasks, heads : sequence of str
        Of the table.
    encoders : dict of str to str or None
        By shown name: None for one of the table, else what scripts get.
    modes : sequence of str
        In place of the table's.
    seeds : sequence of int
        In place of the table's.
    data : dict of str to str
        Folders of corpora, in place of the table's.
    options : dict of str to str
        What all scripts get too, or those of one task, by ``KEY`` or
        ``TASK.KEY``, as YAML; they go before the table's.
    """

    tasks: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    encoders: dict[str, str | None] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    data: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def encoders_of(self, table):
        """What scripts get, by the encoders' shown names."""
        if not self.encoders:
            return table.encoders
        known = table.encoders
        return {k: v or known[k] for k, v in self.encoders.items()}

    def folder(self, table, name):
        """Where a corpus lies."""
        return name and self.data.get(name, table.data[name])

    def tasks_of(self, table):
        """The tasks of which something is run."""
        return [
            task
            for task in table.tasks
            if task.name in (self.tasks or [task.name])
            and set(task.heads) & set(self.heads or task.heads)
        ]

    def fits_nothing(self, table):
        """What was named and has no effect on a task.

        Arguments
        ---------
        table : Table
            What is selected from.

        Returns
        -------
        list of str
            A line each.
        """
        run = self.tasks_of(table)
        out = [
            task.name
            for task in table.tasks
            if task.name in (self.tasks or [task.name]) and task not in run
        ]
        said = []
        if out:
            heads = " or ".join(self.heads)
            said.append(f"not run: no head {heads}: {', '.join(out)}")
        for name in ARGUMENTS:
            without = [task.name for task in run if name not in task.takes]
            if getattr(self, f"{name}s") and without:
                said.append(
                    f"--{name} is not for {', '.join(without)}: it follows "
                    "from the hparams file"
                )
        return said

    def check(self, table):
        """Refuses what a table does not have.

        Arguments
        ---------
        table : Table
            What is selected from.

        Raises
        ------
        UserError
            With all that is wrong.
        """
        faults = []

        def check(what, names, known, more=""):
            unknown = [name for name in names if name not in known]
            if unknown:
                faults.append(
                    f"no {what} {', '.join(map(repr, unknown))} in "
                    f"{table.path}; known are {', '.join(known)}{more}"
                )

        names = [task.name for task in table.tasks]
        check("task", self.tasks, names)
        # Those that are there, should none of the named be.
        asked = set(names).intersection(self.tasks) or names
        tasks = [task for task in table.tasks if task.name in asked]
        heads = dict.fromkeys(head for task in tasks for head in task.heads)
        check("head", self.heads, heads)
        check("mode", self.modes, MODES)
        check("corpus", self.data, table.data)
        own = {k: v for k, v in self.encoders.items() if v is not None}
        more = "; NAME=SOURCE adds one"
        check("encoder", set(self.encoders) - set(own), table.encoders, more)
        folders = {safe_name(name).casefold(): name for name in table.encoders}
        for name, source in own.items():
            other = folders.setdefault(safe_name(name).casefold(), name)
            if table.encoders.get(other, source) != source or other != name:
                faults.append(
                    f"--encoder {name}={source}: the name is that of {other}; "
                    "choose another"
                )
        names = {source: name for name, source in table.encoders.items()}
        for name, source in own.items():
            other = names.setdefault(source, name)
            if other != name:
                faults.append(
                    f"--encoder {name}={source}: that is {other}: give "
                    f"--encoder {other}"
                )
        if self.options:
            faults += option_faults(self.options, self.tasks_of(table) or tasks)
        if faults:
            raise UserError("\n".join(faults))
