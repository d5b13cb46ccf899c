"""What all runs in a folder found, whatever each was asked for.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.benchmark.folder import JobFolder, read_noted
from d2v_sb.benchmark.job import Job
from d2v_sb.errors import DataError


def find_results(table, folder):
    """Results of a table's tasks, those of encoders that users added too.

    Arguments
    ---------
    table : Table
        Of which they are.
    folder : pathlib.Path
        Of the benchmark.

    Returns
    -------
    Table
        With all encoders that have results.
    list of Result
        In the order of the table's tasks and heads.
    """
    tasks = {task.name: task for task in table.tasks}
    found, encoders = [], {}
    for path in sorted(folder.rglob("job.json")):
        try:
            noted = read_noted(path)
            task = tasks.get(noted["task"])
            if task is None or noted["head"] not in task.heads:
                continue
            names = ("encoder", "source", "mode", "seed", "lr", "fold")
            words = {name: noted[name] for name in names}
            job = Job(task, noted["head"], data="", **words)
            result = JobFolder(job, path.parent).result()
        except (DataError, KeyError):
            continue  # a later run of the job says so
        if result is not None:
            found.append((job, result))
            if job.encoder is not None:
                encoders[job.encoder] = job.source
    order = list(tasks)
    found.sort(
        key=lambda pair: (
            order.index(pair[0].task.name),
            list(pair[0].task.heads).index(pair[0].head),
        )
    )
    return table.with_encoders(encoders), [result for _, result in found]
