"""Refuses jobs where other ones were begun: figures must not be mixed.

Authors
 * The d2v_sb developers 2026
"""

from collections import defaultdict
from pathlib import Path

from d2v_sb.benchmark.folder import read_noted
from d2v_sb.benchmark.job import safe_name
from d2v_sb.errors import CheckpointError, DataError

SHOWN = 6  # of many faults
WAY_OUT = "choose another -o, or remove"


def check_folders(folders, root):
    """Refuses jobs that others have begun where they would write, and those
    that would stand beside figures of something else.

    Arguments
    ---------
    folders : list of JobFolder
        Of the jobs that are to run.
    root : pathlib.Path
        Of the benchmark.

    Raises
    ------
    DataError
        With all that are refused.
    """
    faults, to_run = [], []
    for folder in folders:
        try:
            done = folder.is_done()
            to_run += [] if done else [folder]
            changes = folder.changes(done)
        except DataError as error:
            faults.append(str(error))
            continue
        except OSError:
            continue  # when its turn comes the job fails, and says so
        if changes:
            faults.append(
                f"{folder.path} was begun with other options: "
                f"{'; '.join(changes)}. Give those again, {WAY_OUT} the folder "
                "to run the job anew"
            )
        for key, value in folder.job.arguments(folder.path).items():
            if "=" in value:  # SpeechBrain's reader would cut it there
                faults.append(f"--{key} {value}: it must not have a =")
    faults += _of_no_encoder(to_run)
    noted = _all_noted(root)
    faults += _of_other_origins(folders, noted, root)
    faults += _of_other_names(folders, noted, root)
    if faults:
        faults = list(dict.fromkeys(faults))
        shown = faults[:SHOWN]
        if len(faults) > SHOWN:
            shown.append(f"... and {len(faults) - SHOWN} more")
        raise DataError("\n".join(shown))


def _of_no_encoder(folders):
    """Sources that are no file, no folder, and no name of the hub.

    Other words are left to the scripts: a table's own may know some.
    """
    faults = []
    sources = {each.job.encoder: each.job.source for each in folders}
    for name, source in sources.items():
        if source is None or Path(source).expanduser().exists():
            continue
        if "/" not in source and not Path(source).suffix:
            continue
        # Imported here: it comes with torch.
        from d2v_sb.checkpoints import check_source

        try:
            check_source(source)
        except CheckpointError as error:
            faults.append(f"encoder {name}: {error}")
    return faults


def _all_noted(root):
    """What all jobs noted that began there, whatever each was asked for."""
    found = []
    for path in sorted(root.rglob("job.json")):
        try:
            found.append(read_noted(path))
        except (DataError, OSError):
            continue  # one of the jobs that are to run says so
    return found


def _of_other_origins(folders, noted, root):
    """Tasks that have jobs of another corpus, or of another hparams file: a
    column would mix them."""
    tasks = {each.job.task.name: each for each in folders}
    faults = []
    for name, folder in tasks.items():
        before = defaultdict(set)
        for one in noted:
            if one.get("task") == name:
                before["corpus"].add(one.get("corpus"))
                before["hparams"].add(one.get("hparams"))
        now, place = folder.origin(), root / safe_name(name)
        others = before["corpus"] - {now["corpus"], None}
        if others:
            data = folder.job.task.data
            given = f"--data {data}" if data else "prepared_folder"
            faults.append(
                f"{place} has jobs on {', '.join(sorted(others))}, and {given}="
                f"{folder.job.corpus} is another corpus, by its name: give "
                f"that again, {WAY_OUT} {place} to run the task anew"
            )
        if before["hparams"] - {now["hparams"], None}:
            faults.append(
                f"{place} has jobs from before {folder.job.task.hparams} was "
                f"changed: change it back, {WAY_OUT} {place} to run the task "
                "anew"
            )
    return faults


def _of_other_names(folders, noted, root):
    """Encoders that have another name there, and names of another encoder."""
    sources = {one.get("encoder"): one.get("source") for one in noted}
    names = {source: name for name, source in sources.items()}
    faults = []
    for job in (each.job for each in folders):
        if job.encoder is None:
            continue
        name, source = names.get(job.source), sources.get(job.encoder)
        if name not in (None, job.encoder):
            faults.append(
                f"{root} has jobs of {job.source} under the name {name}: give "
                f"--encoder '{name}={job.source}', or {WAY_OUT} those"
            )
        elif source not in (None, job.source):
            faults.append(
                f"{root} has jobs of {source} under the name {job.encoder}: "
                f"choose another name for {job.source}, or {WAY_OUT} those"
            )
    return faults
