"""Times two ways to compute the same in turn, and keeps a row of the ratio.

On a CPU it is CPU seconds of this process, on one thread unless asked for more;
on a GPU seconds on the clock, with the device waited for.

Authors
 * The d2v_sb developers 2026
"""

import csv
import ctypes
import datetime
import platform
import shlex
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch

from d2v_sb.atomic import replacing
from d2v_sb.versions import PACKAGE, commit_of

COLUMNS = (
    "date commit case encoder audio precision device ours ours_low ours_high "
    "peer_name peer peer_low peer_high ratio ratio_low ratio_high rounds "
    "difference options hardware versions command"
).split()


PROFILED = 15  # operators
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def add_options(parser):
    """Options of all scripts here.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        Of a script.
    """
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", help="a CSV to which a row is added")
    parser.add_argument("--note", default="", help="what else the row says")
    parser.add_argument(
        "--profile", help="a file for where the time of one more round goes"
    )


def set_up(arguments):
    """Threads and the seed, before models are made.

    Arguments
    ---------
    arguments : argparse.Namespace
        With what ``add_options`` added.
    """
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)


def keep_freed_memory():
    """Stops glibc from giving memory back to the system.

    It does so whenever a side has freed its gradients, and what it costs to
    get a gigabyte again depends on the other side, which was there between:
    over a quarter of an update of Large, where alone it is 2 %.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def in_turn(ours, theirs, rounds, device):
    """Calls two functions in turn, each first in every other round.

    Arguments
    ---------
    ours, theirs : callable
        Without arguments; called once before they are timed.
    rounds : int
        How often.
    device : str
        Where they compute.

    Returns
    -------
    dict
        Seconds of both ("ours", "peer") and their ratios, each with the
        smallest ("_low") and largest ("_high") beside the median.
    """
    seconds = {"ours": [], "peer": []}
    calls = [("ours", ours), ("peer", theirs)]
    for _, call in calls:
        call()
    for _ in range(rounds):
        for name, call in calls:
            seconds[name].append(timed(call, device))
        calls.reverse()
    pairs = zip(seconds["ours"], seconds["peer"], strict=True)
    seconds["ratio"] = [peer / mine for mine, peer in pairs]
    found = {"rounds": rounds}
    for name, values in seconds.items():
        found[name] = statistics.median(values)
        found[f"{name}_low"], found[f"{name}_high"] = min(values), max(values)
    return found


def timed(call, device):
    """Seconds of one call, see above of which kind."""
    if device == "cpu":
        begin = time.process_time()
        call()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def profile(ours, theirs, arguments):
    """Writes which operators take the time of both, where asked to.

    Arguments
    ---------
    ours, theirs : callable
        As of ``in_turn``.
    arguments : argparse.Namespace
        With what ``add_options`` added.
    """
    if not arguments.profile:
        return
    device = "cpu" if arguments.device == "cpu" else "device"
    tables = []
    for name, call in (("d2v_sb", ours), ("peer", theirs)):
        with torch.profiler.profile() as seen:
            call()
        table = seen.key_averages().table(
            sort_by=f"self_{device}_time_total", row_limit=PROFILED
        )
        tables.append(f"{name}\n{table}")
    with replacing(arguments.profile) as beside:
        beside.write_text("\n".join(tables), encoding="utf-8")


def report(found, arguments, **about):
    """Prints both times and, last, the ratio; adds a row where asked to.

    Arguments
    ---------
    found : dict
        Of ``in_turn``.
    arguments : argparse.Namespace
        With what ``add_options`` added.
    **about
        Further columns: case, encoder, audio, precision, peer_name,
        difference, options.
    """
    for name, said in (("ours", "d2v_sb"), ("peer", about["peer_name"])):
        print(
            f"{said}: {found[name]:.3f} s "
            f"({found[name + '_low']:.3f} to {found[name + '_high']:.3f})"
        )
    if arguments.results:
        row = {**about, **found, "device": arguments.device}
        row["hardware"] = hardware(arguments)
        if arguments.note:
            row["hardware"] += f"; {arguments.note}"
        add_row(arguments.results, COLUMNS, row, about["peer_name"])
    print(f"ratio: {found['ratio']:.2f}")


def add_row(path, columns, row, *peers):
    """Adds a row to a CSV of results, with when, by what and by which command.

    Arguments
    ---------
    path : str
        The CSV, which need not be there.
    columns : list of str
        Its columns.
    row : dict
        Values; the date, commit, versions and command are added.
    *peers : str
        Packages whose versions are named too, where they are installed.
    """
    path = Path(path)
    rows = []
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    rows.append(
        {
            "date": datetime.date.today().isoformat(),
            "commit": commit_of(PACKAGE),
            "versions": versions(*peers),
            # sys.argv[0] with its folder, whoever's that is.
            "command": shlex.join(
                ["python", f"benchmarks/{Path(sys.argv[0]).name}"]
                + without(sys.argv[1:], "--results", "--note", "--profile")
            ),
            **{k: rounded(v) for k, v in row.items() if k in columns},
        }
    )
    with (
        replacing(path) as beside,
        open(beside, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def without(words, *options):
    """The command line without options that do not change what is measured."""
    kept, skip = [], False
    for word in words:
        if not skip and word not in options:
            kept.append(word)
        skip = not skip and word in options
    return kept


def rounded(value):
    """Four digits of a number that has many."""
    return f"{value:.4g}" if isinstance(value, float) else value


def versions(*peers):
    """Python's and the packages'."""
    names = ["torch", "speechbrain", *[p.split()[0].lower() for p in peers]]
    found = [f"python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except ModuleNotFoundError:
            continue  # it runs from a clone, and says its commit itself
    return ", ".join(found)


def hardware(arguments):
    """The processor or the GPU, and how much of it is used."""
    if arguments.device != "cpu":
        return torch.cuda.get_device_name(arguments.device)
    model = platform.processor() or "unknown"
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        facts = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
        facts = {name.strip(): value for name, value in facts.items()}
        model = facts.get("model name", model)
        family = [facts.get("cpu family"), facts.get("model")]
        if all(family):
            model += f" family {family[0]} model {family[1]}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{model}, {capability}, {arguments.threads} thread(s)"
