"""One training of a benchmark: its name, its folder and its command.

Authors
 * The d2v_sb developers 2026
"""

import io
import re
import sys
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML

from d2v_sb.benchmark.options import FLAGS

# What a job may give its script beside the folders, in this order.
ARGUMENTS = ("encoder", "mode", "seed")
MODES = ("clean", "published")


@dataclass(frozen=True)
class Job:
    """A task with one head, encoder, mode, seed, learning rate and fold.

    Arguments
    ---------
    task : Task
        Of the table.
    head : str
        Its shown name.
    data : str, optional
        The corpus's folder; None where the script is given none.
    encoder, source : str, optional
        The encoder's shown name and what the script gets; None where the
        script takes none.
    mode : str, optional
        None where the script takes none.
    seed : int, optional
        None where the script takes none.
    lr : float, optional
        None where the script's own is taken.
    fold : str, optional
        None where the corpus has none.
    options : dict of str to str
        What the user adds; it goes before the table's.
    """

    task: Any
    head: str
    data: str | None
    encoder: str | None = None
    source: str | None = None
    mode: str | None = None
    seed: int | None = None
    lr: float | None = None
    fold: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def title(self):
        """Its name for people."""
        return ", ".join([self.task.name, self.head, *self._parts()])

    @property
    def name(self):
        """Its folder below that of the benchmark, different for each job."""
        last = [str(self.seed)] if self.seed is not None else []
        last += [f"lr{self.lr!r}"] if self.lr is not None else []
        last += [self.fold] if self.fold is not None else []
        above = [self.task.name, self.head, self.encoder, self.mode]
        parts = [*(p for p in above if p is not None), "-".join(last)]
        return "/".join(safe_name(part) for part in parts if part)

    @property
    def corpus(self):
        """The folder that its data come from, or that of its own CSVs; None
        where the table says neither."""
        options = self.task.options | self.task.heads[self.head] | self.options
        return self.data or options.get("prepared_folder")

    def arguments(self, folder):
        """What the script gets, as texts that YAML reads.

        Arguments
        ---------
        folder : str or pathlib.Path
            Where the job writes.

        Returns
        -------
        dict of str to str
            In the order of the command line.
        """
        values = {
            "data_folder": self.data and str(self.data),
            "output_folder": str(folder),
            "encoder": self.source,
            "mode": self.mode,
            "seed": self.seed,
            "lr": self.lr,
            "fold": self.fold,
        }
        values = {k: v for k, v in values.items() if v is not None}
        values |= self.task.options | self.task.heads[self.head]
        return {k: as_yaml(v) for k, v in values.items()} | self.options

    def command(self, folder, num_processes=1):
        """The command line.

        Arguments
        ---------
        folder : str or pathlib.Path
            Where the job writes.
        num_processes : int
            More than one are started by torchrun.

        Returns
        -------
        list of str
        """
        words = [sys.executable]
        if num_processes > 1:
            words += ["-m", "torch.distributed.run", "--standalone"]
            words += [f"--nproc_per_node={num_processes}"]
        words += [str(self.task.script), str(self.task.hparams)]
        for key, value in self.arguments(folder).items():
            words += [f"--{key}"] if key in FLAGS else [f"--{key}", value]
        return words

    def sign(self, result):
        """A result under the names that the table has for it.

        A script knows its head and its encoder by other names than are shown,
        and may know nothing of tasks.

        Arguments
        ---------
        result : Result
            As the script wrote it.

        Returns
        -------
        Result
        """
        known = {
            "encoder": self.source,
            "mode": self.mode,
            "seed": self.seed,
            "lr": self.lr,
        }
        known = {k: v for k, v in known.items() if v is not None}
        # A script may name a fold of its own where the table has none.
        known |= {"task": self.task.name, "head": self.head, "fold": self.fold}
        return replace(result, **known)

    def _parts(self):
        parts = [self.encoder, self.mode, self.seed]
        parts += [None if self.lr is None else f"lr {self.lr:g}", self.fold]
        return [str(part) for part in parts if part is not None]


def safe_name(name):
    """A name that every file system takes, without a space.

    Two names may become one: tables that hold such two are refused.

    Example
    -------
    >>> safe_name("wav2vec 2.0 / Base")
    'wav2vec-2.0-Base'
    """
    return re.sub(r"[^\w.+]+", "-", name).strip("-.") or "-"


def as_yaml(value):
    """A value on one line, as YAML reads it back.

    JSON would not do: SpeechBrain's reader takes its ``1e-05`` for a text.

    Example
    -------
    >>> as_yaml("asr"), as_yaml("no"), as_yaml(1e-5), as_yaml({"a": [1, None]})
    ('asr', "'no'", '1.0e-05', '{a: [1, null]}')
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # SpeechBrain's: there "no" must be in quotes
    yaml.default_flow_style = yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = sys.maxsize
    stream = io.StringIO()
    yaml.dump(value, stream)
    text = stream.getvalue().removeprefix("%YAML 1.1\n---")
    return text.removesuffix("...\n").strip()
