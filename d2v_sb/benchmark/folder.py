"""The folder of a job: its command, its log and its result.

Authors
 * The d2v_sb developers 2026
"""

import json
from dataclasses import dataclass
from pathlib import Path

from d2v_sb.atomic import replacing
from d2v_sb.benchmark.job import Job
from d2v_sb.benchmark.result import read_result
from d2v_sb.benchmark.wer_files import read_wer_files
from d2v_sb.errors import DataError

# How a task's script leaves what it found: the folder to a Result, None where
# there is nothing yet.
READERS = {"result": read_result, "wer_files": read_wer_files}
# Options that say where and how fast something is done, and not what.
FREE = (
    *("data_folder", "output_folder", "prepared_folder", "cache_folder"),
    *("device", "cache_gb", "num_workers"),
)
HEADER = "=== begun "  # of a line in the log
SHOWN = 6  # last lines of a log
TAIL = 1 << 14  # bytes that hold them


@dataclass(frozen=True)
class JobFolder:
    """Where a job writes.

    Arguments
    ---------
    job : Job
        Of a table.
    path : pathlib.Path
        Its folder.

    Example
    -------
    >>> folder = JobFolder(None, getfixture("tmp_path"))
    >>> folder.log.name, folder.last_lines()
    ('output.txt', [])
    """

    job: Job
    path: Path

    @property
    def log(self):
        """All that its script printed, at each start.

        ``log.txt`` is the name of SpeechBrain's own.
        """
        return self.path / "output.txt"

    def result(self):
        """What it found under the names of the table, None if nothing yet.

        Raises
        ------
        DataError
            If what is there is no result.
        """
        found = READERS[self.job.task.reader](self.path)
        return None if found is None else self.job.sign(found)

    def begin(self):
        """Notes its command."""
        job, task = self.job, self.job.task
        noted = {
            "task": task.name,
            "head": job.head,
            "encoder": job.encoder,
            "source": job.source,
            "mode": job.mode,
            "seed": job.seed,
            "lr": job.lr,
            "fold": job.fold,
            "options": self._options(),
        }
        with replacing(self.path / "job.json") as beside:
            beside.write_text(json.dumps(noted, indent=2) + "\n", "utf-8")

    def noted(self):
        """What ``begin`` noted, None if it did not begin.

        Raises
        ------
        DataError
            If that is damaged.
        """
        return read_noted(self.path / "job.json")

    def changes(self):
        """In what its command is another one than that it began with.

        Returns
        -------
        list of str
            An option each, with both values.
        """
        noted = self.noted()
        if noted is None:
            return []
        before, now = noted["options"], self._options()
        return [
            f"{key}: {before.get(key, 'not given')} -> "
            f"{now.get(key, 'not given')}"
            for key in {**before, **now}
            if key not in FREE and before.get(key) != now.get(key)
        ]

    def last_lines(self):
        """The end of what its script printed at its last start."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        lines = text.replace("\r", "\n").splitlines()
        for number in reversed(range(len(lines))):
            if lines[number].startswith(HEADER):
                lines = lines[number + 1 :]
                break
        return [line.rstrip() for line in lines if line.strip()][-SHOWN:]

    def _options(self):
        files = {k: getattr(self.job.task, k) for k in ("script", "hparams")}
        # Less where the clone lies.
        names = {k: "/".join(path.parts[-2:]) for k, path in files.items()}
        return names | self.job.arguments(self.path)


def read_noted(path):
    """What a job's ``job.json`` holds, None if there is none.

    Arguments
    ---------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict or None

    Raises
    ------
    DataError
        If it is damaged.
    """
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(noted["options"], dict):
            return noted
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        pass
    raise DataError(
        f"{path} is damaged: remove its folder to run the job from the start"
    )


def check_folders(folders):
    """Refuses jobs that others have begun where they would write.

    Arguments
    ---------
    folders : list of JobFolder
        Of the jobs that are to run.

    Raises
    ------
    DataError
        With all that are refused.
    """
    faults = []
    for folder in folders:
        try:
            folder.result()
            changes = folder.changes()
        except DataError as error:
            faults.append(str(error))
            continue
        if changes:
            faults.append(
                f"{folder.path} was begun with other options: "
                f"{'; '.join(changes)}. Give those again, choose another -o, "
                "or remove the folder to run the job anew"
            )
        for key, value in folder.job.arguments(folder.path).items():
            if "=" in value:  # SpeechBrain's reader would cut it there
                faults.append(f"--{key} {value}: it must not have a =")
    if faults:
        faults = list(dict.fromkeys(faults))
        shown = faults[:SHOWN]
        if len(faults) > SHOWN:
            shown.append(f"... and {len(faults) - SHOWN} more")
        raise DataError("\n".join(shown))
