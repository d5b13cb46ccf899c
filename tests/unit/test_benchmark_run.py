"""Jobs of a benchmark: side by side, failing, stopped, killed, gone on with.

Their script is a small one that does what it is told.

Authors
 * The d2v_sb developers 2026
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from d2v_sb.benchmark.folder import JobFolder
from d2v_sb.benchmark.found import find_results
from d2v_sb.benchmark.launch import Local
from d2v_sb.benchmark.loop import AtWork, Loop
from d2v_sb.benchmark.process import how_it_ended
from d2v_sb.benchmark.run import job_folders, run_jobs
from d2v_sb.benchmark.selection import Selection
from d2v_sb.benchmark.table_file import read_table
from d2v_sb.benchmark.times import Times, in_words
from d2v_sb.errors import DataError, UserError
from tests.unit.test_benchmark_table import make_table

SECONDS = 20.0  # more than anything here takes
SCRIPT = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

words = sys.argv[2:]
given = {k[2:]: v for k, v in zip(words[::2], words[1::2])}
folder = Path(given["output_folder"])
with open(folder / "starts.txt", "a") as file:
    file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
print("seed", given["seed"], "begins")
if "stubborn" in given:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "child" in given:
    idle = "import time; time.sleep(40)"
    alone = "alone" in given  # as torchrun's workers
    child = subprocess.Popen(
        [sys.executable, "-c", idle], start_new_session=alone
    )
    (folder / "child.txt").write_text(str(child.pid))
if "meet" in given:
    meeting = Path(given["meet"])
    (meeting / str(os.getpid())).touch()
    until = time.monotonic() + float(given["patience"])
    while len(list(meeting.iterdir())) < 2:
        if time.monotonic() > until:
            sys.exit("I am alone")
        time.sleep(0.01)
if "fail" in given and not Path(given["fail"]).exists():
    print("no more memory")
    sys.exit(3)
until = time.monotonic() + 40  # should the test be killed
while "wait" in given and not Path(given["wait"]).exists():
    if time.monotonic() > until:
        sys.exit("nobody came")
    time.sleep(0.01)
if "silent" in given:
    sys.exit()
dev = {"split": "dev", "name": "WER", "value": 9.0}
test = {"split": "test", "name": "WER", "value": 10.0 + int(given["seed"])}
values = dict(task="t", head="h", encoder="e", mode="m", seed=0, dev=dev)
text = json.dumps({**values, "measures": [test]})
(folder / "result.json.new").write_text(text)
os.replace(folder / "result.json.new", folder / "result.json")
"""
TABLE = """
title: Small
script: train.py
encoders: {{A: a, B: b}}
modes: [clean]
seeds: {seeds}
data: {{small: corpus}}
tasks:
    asr:
        hparams: asr.yaml
        data: small
        measure: {{name: WER, split: test}}
        heads: {heads}
    other:
        hparams: asr.yaml
        data: small
        measure: {{name: WER, split: test}}
        heads: {{ctc: {{}}}}
"""


def small_table(folder, heads, seeds=(1,)):
    """A table whose heads say what the script does."""
    folder.mkdir(exist_ok=True)
    heads, seeds = json.dumps(heads), json.dumps(list(seeds))
    text = TABLE.format(heads=heads, seeds=seeds)
    return read_table(make_table(folder, text, SCRIPT))


def jobs_of(
    folder, heads, seeds=(1,), encoders=("A",), options=(), tasks=("asr",)
):
    """Jobs of such a table."""
    selection = Selection(
        tasks=tasks, encoders=dict.fromkeys(encoders), options=dict(options)
    )
    return small_table(folder, heads, seeds).jobs(selection)


def starts(folder):
    """Of a job: pid and GPUs of each start of its script."""
    path = folder.path / "starts.txt"
    text = path.read_text() if path.exists() else ""
    return [line.split() for line in text.splitlines()]


def wait_until(claim):
    """Waits for what is to come."""
    until = time.monotonic() + SECONDS
    while not claim():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def is_alive(pid):
    """Whether a process is at work; a zombie is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(Local, "pause", 0.01)


# To the end


def test_jobs_run_once_and_are_told_of(tmp_path, out):
    jobs, said = jobs_of(tmp_path, {"ctc": {}}, (1, 2)), []
    outcome = run_jobs(jobs, out, Local(), said.append)
    assert [each.job for each in outcome.done] == jobs
    assert said[0] == "jobs: 2, done: 0"
    log = out / jobs[0].name / "output.txt"
    begins = "[1 of 2] begins: asr, ctc, A, clean, 1"
    assert said[1] == f"{begins}; it writes to {log}"
    assert said[2].startswith(
        "[1 of 2] done: asr, ctc, A, clean, 1: WER 11.00 on test, 0 s; about"
    )
    assert len(said) == 5 and "left" not in said[4]
    result = outcome.done[1].result()
    assert (result.task, result.head, result.encoder) == ("asr", "ctc", "a")
    assert result.seed == 2
    log = outcome.done[0].log.read_text()
    assert log.startswith("=== begun ") and "seed 1 begins" in log
    said.clear()
    again = run_jobs(jobs, out, Local(), said.append)
    assert said == ["jobs: 2, done: 2"] and again == outcome
    assert [len(starts(each)) for each in outcome.done] == [1, 1]


def test_two_at_a_time_meet_and_one_at_a_time_do_not(tmp_path, out):
    (tmp_path / "meeting").mkdir()
    options = {"meet": str(tmp_path / "meeting"), "patience": "20"}
    jobs = jobs_of(tmp_path, {"ctc": {}}, (1, 2), options=options)
    assert not run_jobs(jobs, out, Local(2), list().append).failed

    (tmp_path / "alone").mkdir()
    options = {"meet": str(tmp_path / "alone"), "patience": "0.2"}
    jobs = jobs_of(tmp_path, {"ctc": {}}, (1, 2), options=options)
    outcome = run_jobs(jobs, tmp_path / "other", Local(1), list().append)
    assert len(outcome.failed) == 1  # the second finds the trace of the first


def test_parallel_jobs_begin_with_different_encoders(tmp_path, out):
    jobs = jobs_of(tmp_path, {"ctc": {}}, (1, 2, 3), ("A", "B"))

    def order(num_jobs, folder):
        said = []
        run_jobs(jobs, folder, Local(num_jobs), said.append)
        lines = [line for line in said if "begins" in line]
        return [line.split(", ")[2] for line in lines]

    assert order(1, out) == ["A", "A", "A", "B", "B", "B"]
    assert order(2, tmp_path / "two")[:2] == ["A", "B"]


def test_parallel_jobs_do_not_wait_for_each_others_states(tmp_path, out):
    """They are kept by encoder and mode, whatever the task."""
    table = small_table(tmp_path, {"ctc": {}})
    selection = Selection(modes=("clean", "published"), encoders={"A": None})
    jobs = table.jobs(selection)
    loop = Loop(job_folders(jobs, out), [], Local(2), None, print)
    first = loop.waiting.pop(0)
    assert first.job.title == "asr, ctc, A, clean, 1"
    loop.running.append(AtWork(first, None, 0.0))
    assert loop._next().job.title == "asr, ctc, A, published, 1"
    loop.waiting.pop(0)
    assert loop._next().job.title == "other, ctc, A, published, 1"
    loop.waiting.pop()
    assert loop._next().job.title == "other, ctc, A, clean, 1"  # no other


def test_a_job_whose_folder_can_not_be_written_leaves_the_others(tmp_path, out):
    jobs, said = jobs_of(tmp_path, {"a": {}, "b": {}}), []
    (out / "asr").mkdir(parents=True)
    (out / "asr/a").touch()
    (out / "jobs.jsonl").mkdir()  # durations can not be kept
    outcome = run_jobs(jobs, out, Local(), said.append)
    ((failed, how),) = outcome.failed
    assert failed.job.head == "a" and "something else is in its place" in how
    assert failed.last_lines() == []
    assert [each.job.head for each in outcome.done] == ["b"]
    assert sum(line.startswith("warning: ") for line in said) == 2


def test_a_job_that_fails_leaves_the_others_and_is_tried_again(tmp_path, out):
    mended = tmp_path / "mended"
    heads = {"bad": {"fail": str(mended)}, "mute": {"silent": 1}, "good": {}}
    jobs, said = jobs_of(tmp_path, heads), []
    outcome = run_jobs(jobs, out, Local(), said.append)
    assert [each.job.head for each in outcome.done] == ["good"]
    assert [(each.job.head, how) for each, how in outcome.failed] == [
        ("bad", "ended with status 3"),
        ("mute", "ended without a result"),
    ]
    assert outcome.failed[0][0].last_lines() == [
        "seed 1 begins",
        "no more memory",
    ]
    assert any("failed: asr, bad, A, clean, 1: ended with" in x for x in said)
    mended.touch()
    outcome = run_jobs(jobs, out, Local(), said.append)
    assert [each.job.head for each, _ in outcome.failed] == ["mute"]
    assert outcome.failed[0][0].last_lines() == ["seed 1 begins"]
    bad, _, good = job_folders(jobs, out)
    assert len(starts(bad)) == 2 and len(starts(good)) == 1
    assert bad.log.read_text().count("=== begun") == 2


def test_gpus_are_dealt_out_and_given_back(tmp_path, out):
    (tmp_path / "meeting").mkdir()
    options = {"meet": str(tmp_path / "meeting"), "patience": "20"}
    jobs = jobs_of(tmp_path, {"ctc": {}}, (1, 2, 3, 4), options=options)
    launcher = Local(gpus=["2", "5"])
    assert launcher.slots == 2
    run_jobs(jobs, out, launcher, list().append)
    used = [starts(each)[0][1] for each in job_folders(jobs, out)]
    assert used[:2] == ["2", "5"] and set(used[2:]) <= {"2", "5"}
    assert set(launcher._taken.values()) == {0}
    four = Local(gpus=["0", "1", "2", "3"], num_processes=2)
    assert four.slots == 2 and four.idle == []
    assert Local(gpus=["0", "1", "2"], num_processes=2).idle == ["2"]
    assert Local(1, gpus=["0", "1"]).idle == ["1"]
    with pytest.raises(UserError, match="--nproc_per_node 2 is more than"):
        Local(gpus=["0"], num_processes=2)


def test_jobs_without_their_corpus_are_named_and_left_out(tmp_path, out):
    jobs = jobs_of(tmp_path, {"ctc": {}})
    (tmp_path / "corpus").rmdir()
    outcome = run_jobs(jobs, out, Local(), list().append)
    reason = f"no folder {tmp_path / 'corpus'} (--data small=FOLDER)"
    assert outcome.missing == {reason: jobs}
    assert not outcome.done and not outcome.failed
    assert not (out / "asr").exists()


# What is refused


def test_a_job_begun_with_other_options_is_refused(tmp_path, out):
    heads = {"ctc": {"layers": 2}}
    run_jobs(jobs_of(tmp_path, heads), out, Local(), list().append)
    others = {"layers": "3", "device": "cuda", "new": "x"}
    jobs = jobs_of(tmp_path, heads, options=others)
    with pytest.raises(DataError) as info:
        run_jobs(jobs, out, Local(), list().append)
    said = str(info.value)
    assert str(out / jobs[0].name) in said
    assert "layers: 2 -> 3; new: not given -> x." in said
    assert "device" not in said
    places = {"device": "cuda", "cache_folder": "/elsewhere"}
    jobs = jobs_of(tmp_path, heads, options=places)
    assert run_jobs(jobs, out, Local(), list().append).done


def test_done_jobs_are_compared_by_what_changes_results(tmp_path, out):
    """A job that goes on may have more updates."""
    mended = tmp_path / "mended"
    heads = {"a": {}, "b": {"fail": str(mended)}}
    jobs = jobs_of(tmp_path, heads, options={"number_of_updates": "9"})
    run_jobs(jobs, out, Local(), list().append)
    options = {"number_of_updates": "9", "gpu_batch_seconds": "20"}
    jobs = jobs_of(tmp_path, heads, options=options)
    run_jobs(jobs, out, Local(), list().append)
    jobs = jobs_of(tmp_path, heads, options={"number_of_updates": "20"})
    with pytest.raises(DataError) as info:
        run_jobs(jobs, out, Local(), list().append)
    assert "number_of_updates: 9 -> 20" in str(info.value)
    assert "/b/" not in str(info.value)


def test_a_task_is_of_one_corpus_and_of_one_hparams_file(tmp_path, out):
    """Jobs of other seeds too, or a mean would be of both."""
    table = small_table(tmp_path, {"a": {}})
    (tmp_path / "asr.yaml").write_text("lr: 1 # a comment\nnum_workers: 4")
    run_jobs(table.jobs(Selection(seeds=(1,))), out, Local(), list().append)

    def refusal(**others):
        with pytest.raises(DataError) as info:
            jobs = table.jobs(Selection(seeds=(2,), **others))
            run_jobs(jobs, out, Local(), list().append)
        return str(info.value)

    (tmp_path / "corpus_mini").mkdir()
    mini = {"small": str(tmp_path / "corpus_mini")}
    said = refusal(data=mini)
    assert f"{out / 'asr'} has jobs on corpus, and --data small=" in said
    (tmp_path / "asr.yaml").write_text("lr: 2\nnum_workers: 4")
    assert "asr has jobs from before" in refusal()
    (tmp_path / "asr.yaml").write_text("lr: 1\nnum_workers: 0")
    more = table.jobs(Selection(tasks=("asr",), seeds=(2,)))
    assert run_jobs(more, out, Local(), list().append).done
    moved = tmp_path / "elsewhere/corpus"
    moved.mkdir(parents=True)
    selection = Selection(tasks=("asr",), data={"small": str(moved)})
    assert run_jobs(table.jobs(selection), out, Local(), list().append).done


def test_an_encoder_keeps_its_name_and_a_name_its_encoder(tmp_path, out):
    table = small_table(tmp_path, {"a": {}})
    own = Selection(tasks=("asr",), encoders={"Mine": "mine"})
    run_jobs(table.jobs(own), out, Local(), list().append)
    for name, source, said in (
        ("Other", "mine", "of mine under the name Mine: give --encoder 'Mine"),
        ("Mine", "new", "of mine under the name Mine: choose another name for"),
    ):
        own = Selection(tasks=("asr",), encoders={name: source}, seeds=(2,))
        with pytest.raises(DataError, match=said):
            run_jobs(table.jobs(own), out, Local(), list().append)


def test_nothing_is_run_where_one_job_is_refused(tmp_path, out):
    jobs = jobs_of(tmp_path, {"a": {}, "b": {}})
    folder = job_folders(jobs, out)[1]
    folder.path.mkdir(parents=True)
    (folder.path / "result.json").write_text("{")
    with pytest.raises(DataError, match="holds no result"):
        run_jobs(jobs, out, Local(), list().append)
    (folder.path / "result.json").unlink()
    (folder.path / "job.json").write_text("[]")
    with pytest.raises(DataError, match="job.json is damaged"):
        run_jobs(jobs, out, Local(), list().append)
    assert not (out / "asr/a").exists()


def test_an_encoder_that_is_not_there_is_refused(tmp_path, out):
    """Not a single word, which a script may know, nor a name of the hub."""
    (tmp_path / "encoder.pt").touch()
    encoders = {
        "Gone": str(tmp_path / "gone"),
        "File": "gone.pt",
        "There": str(tmp_path / "encoder.pt"),
        "Hub": "hub/name",
        "Word": "word",
    }
    jobs = small_table(tmp_path, {"a": {}}).jobs(
        Selection(tasks=("asr",), encoders=encoders)
    )
    with pytest.raises(DataError) as info:
        run_jobs(jobs, out, Local(), list().append)
    assert str(info.value).splitlines() == [
        f"encoder Gone: no such file or folder: {tmp_path / 'gone'}",
        "encoder File: no such file or folder: gone.pt",
    ]
    assert not (out / "asr").exists()
    # The result of one that has gone since stays.
    (there,) = [job for job in jobs if job.encoder == "There"]
    assert run_jobs([there], out, Local(), list().append).done
    (tmp_path / "encoder.pt").unlink()
    assert run_jobs([there], out, Local(), list().append).done


def test_what_speechbrain_would_cut_is_refused(tmp_path, out):
    jobs = jobs_of(tmp_path, {"a": {}}, options={"text": "a=b"})
    with pytest.raises(DataError, match="--text a=b: it must not have a ="):
        run_jobs(jobs, out, Local(), list().append)


# Stopped, killed

RUNNER = """
import signal
import sys
from d2v_sb.benchmark import launch
from d2v_sb.benchmark.run import run_jobs
from d2v_sb.benchmark.selection import Selection
from d2v_sb.benchmark.table_file import read_table

signal.alarm(60)  # should the test be killed
launch.PATIENCE = 0.3
table = read_table(sys.argv[1])
try:
    run_jobs(table.jobs(Selection(tasks=("asr",))), sys.argv[2], launch.Local(int(sys.argv[3])))
except KeyboardInterrupt:
    sys.exit(130)
"""


def begin_run(folder, out, num_jobs=1):
    """A run in a process of its own."""
    words = [folder / "table.yaml", out, num_jobs]
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, *map(str, words)],
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "number, more", [(signal.SIGINT, {}), (signal.SIGTERM, {"alone": 1})]
)
def test_a_run_that_is_stopped_ends_its_jobs_and_goes_on(
    tmp_path, out, number, more
):
    """Those that do not listen too, and what they started, in whatever
    session."""
    go = tmp_path / "go"
    heads = {"a": {"wait": str(go), "child": 1, "stubborn": 1, **more}}
    jobs = jobs_of(tmp_path, heads, (1,), ("A", "B"))
    folders = job_folders(jobs, out)
    run = begin_run(tmp_path, out, 2)
    wait_until(lambda: all((f.path / "child.txt").exists() for f in folders))
    run.send_signal(number)
    assert run.wait(SECONDS) == 130
    pids = [starts(folder)[0][0] for folder in folders]
    pids += [(folder.path / "child.txt").read_text() for folder in folders]
    wait_until(lambda: not any(map(is_alive, pids)))
    lines = (out / "jobs.jsonl").read_text().split("\n")[1:]
    assert [json.loads(line)["state"] for line in lines] == ["stopped"] * 2
    if more:
        return
    go.touch()
    assert len(run_jobs(jobs, out, Local(2), list().append).done) == 2
    # What a job leaves at its own end goes too.
    pids = [(folder.path / "child.txt").read_text() for folder in folders]
    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_job_that_a_killed_run_left_is_waited_for(tmp_path, out):
    """It is not started beside itself."""
    go = tmp_path / "go"
    jobs = jobs_of(tmp_path, {"a": {}, "b": {"wait": str(go)}}, (1,), ("A",))
    first, second = job_folders(jobs, out)
    # The runner takes all of the table, and so begins with these two.
    run = begin_run(tmp_path, out)
    wait_until(lambda: starts(second))
    run.kill()
    run.wait()
    assert is_alive(starts(second)[0][0])
    said = []

    def let_it_end():
        wait_until(lambda: any("left it at work" in line for line in said))
        go.touch()

    thread = threading.Thread(target=let_it_end)
    thread.start()
    outcome = run_jobs(jobs, out, Local(), said.append)
    thread.join()
    assert len(outcome.done) == 2 and said[0] == "jobs: 2, done: 1"
    assert len(starts(first)) == len(starts(second)) == 1


def test_a_job_that_was_killed_with_its_run_goes_on(tmp_path, out):
    go = tmp_path / "go"
    jobs = jobs_of(tmp_path, {"a": {"wait": str(go)}})
    (folder,) = job_folders(jobs, out)
    run = begin_run(tmp_path, out)
    wait_until(lambda: starts(folder))
    run.kill()
    run.wait()
    os.kill(int(starts(folder)[0][0]), signal.SIGKILL)
    go.touch()
    outcome = run_jobs(jobs, out, Local(), list().append)
    assert len(outcome.done) == 1 and len(starts(folder)) == 2


def test_a_second_run_in_the_same_folder_is_refused(tmp_path, out):
    go = tmp_path / "go"
    jobs = jobs_of(tmp_path, {"a": {"wait": str(go)}})
    run = begin_run(tmp_path, out)
    wait_until(lambda: starts(job_folders(jobs, out)[0]))
    with pytest.raises(UserError, match="another run is at work"):
        run_jobs(jobs, out, Local(), list().append)
    run.terminate()
    assert run.wait(SECONDS) == 130


# How long


def done_in(times, jobs, **seconds):
    """Notes durations by the index of a job."""
    for index, value in seconds.items():
        times.add(jobs[int(index[1:])], "done", value)


def test_the_estimate_takes_the_most_alike_that_are_done(tmp_path):
    heads = {"a": {}, "b": {}}
    jobs = jobs_of(tmp_path, heads, (1, 2, 3))
    a, b = jobs[:3], jobs[3:]
    times = Times(tmp_path / "jobs.jsonl")
    assert times.left(jobs, [], 1) is None
    done_in(times, a, _0=10.0, _1=30.0)
    assert times.expected(a[2]) == times.expected(b[0]) == 20.0
    done_in(times, b, _0=100.0)
    assert times.expected(a[2]) == 20.0 and times.expected(b[1]) == 100.0
    times = Times(tmp_path / "jobs.jsonl")  # of another run
    assert times.left(b[1:], [(a[2], 5.0)], 1) == 100.0 + 100.0 + 15.0
    assert times.left(b[1:], [(a[2], 25.0)], 2) == 100.0
    assert times.left([], [(a[2], 25.0)], 2) == 0.0


def test_what_stopped_and_went_on_took_all_of_its_starts(tmp_path):
    jobs = jobs_of(tmp_path, {"a": {}}, (1, 2))
    times = Times(tmp_path / "jobs.jsonl")
    times.add(jobs[0], "stopped", 50.0)
    assert times.expected(jobs[1]) is None
    with open(times.path, "a") as file:
        file.write('\n{"job": "torn')
    times.add(jobs[0], "done", 10.0)
    assert Times(times.path).expected(jobs[1]) == 60.0


def test_durations_are_in_words():
    assert in_words(59.6) == "60 s" and in_words(5940) == "99 min"
    assert in_words(6000) == "1 h 40 min"


# All of a folder


def test_results_of_other_calls_are_found_with_their_encoders(tmp_path, out):
    table = small_table(tmp_path, {"b": {}, "a": {}})
    asr = Selection(tasks=("asr",))
    run_jobs(table.jobs(asr), out, Local(), list().append)
    own = Selection(tasks=("asr",), encoders={"Mine": "mine"}, heads=("a",))
    run_jobs(table.jobs(own), out, Local(), list().append)
    found, results = find_results(table, out)
    encoders = [("A", "a"), ("B", "b"), ("Mine", "mine")]
    assert list(found.encoders.items()) == encoders
    assert [(r.head, r.encoder) for r in results] == [
        *(("b", "a"), ("b", "b"), ("a", "a"), ("a", "b"), ("a", "mine")),
    ]


def test_a_log_is_read_from_its_end(tmp_path):
    folder = JobFolder(None, tmp_path)
    folder.log.write_text("=== begun now: x\n" + "a\n" * 50_000 + "50%\r99%\n")
    assert folder.last_lines() == ["a", "a", "a", "a", "50%", "99%"]
    assert how_it_ended(-signal.SIGKILL) == "was ended by SIGKILL"
