"""Jobs of a benchmark through submitit, whose queue is this machine here.

Authors
 * The d2v_sb developers 2026
"""

import json
import sys
import threading

import pytest

from d2v_sb.benchmark.run import job_folders, run_jobs
from d2v_sb.benchmark.slurm import Slurm
from d2v_sb.errors import UserError
from tests.unit.test_benchmark_run import jobs_of, starts, wait_until


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def local(out, monkeypatch):
    """Makes launchers whose jobs are processes of this machine."""
    pytest.importorskip("submitit", reason="no extra `slurm`")
    monkeypatch.setattr(Slurm, "pause", 0.05)

    def make(**parameters):
        parameters = {"cluster": "local", "timeout_min": 1, **parameters}
        return Slurm(out / "slurm", parameters)

    return make


def test_jobs_of_a_queue_are_run_and_told_of_as_those_here(
    tmp_path, out, local
):
    jobs = jobs_of(tmp_path, {"bad": {"fail": "/none"}, "good": {}})
    said = []
    outcome = run_jobs(jobs, out, local(), said.append)
    (done,), ((failed, how),) = outcome.done, outcome.failed
    assert done.job.head == "good" and failed.job.head == "bad"
    assert how == "ended with status 3"
    assert failed.last_lines() == ["seed 1 begins", "no more memory"]
    assert "begins: asr, bad, A, clean, 1 (job " in said[1]
    assert not list(out.rglob("slurm.json"))
    again = run_jobs(jobs, out, local(), said.append)
    assert len(starts(done)) == 1 and len(starts(failed)) == 2
    assert [folder for folder, _ in again.failed] == [failed]


def test_a_second_run_does_not_start_a_job_of_the_queue_again(
    tmp_path, out, local
):
    """The first is stopped, and its job stays."""
    go = tmp_path / "go"
    jobs = jobs_of(tmp_path, {"a": {"wait": str(go)}})
    (folder,) = job_folders(jobs, out)

    said = []

    def stopped(line):
        said.append(line)
        if "begins" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, out, local(), stopped)
    number = json.loads((folder.path / "slurm.json").read_text())["job_id"]
    assert said[-1].endswith(f"(scancel ends them): {number}")
    wait_until(lambda: starts(folder))
    timer = threading.Timer(0.5, go.touch)
    timer.start()
    outcome = run_jobs(jobs, out, local(), list().append)
    timer.join()
    assert len(outcome.done) == 1 and len(starts(folder)) == 1


class Remembered:
    """A job of a cluster that tells what became of it."""

    at_work = True

    def __init__(self, folder, job_id):
        self.job_id = job_id

    def done(self, force_check=False):
        return not self.at_work


@pytest.mark.parametrize("at_work", [True, False])
def test_a_job_that_the_cluster_still_has_is_not_submitted(
    tmp_path, out, local, monkeypatch, at_work
):
    launcher = local()
    monkeypatch.setattr(Remembered, "at_work", at_work)
    monkeypatch.setattr(launcher, "_job_class", Remembered)
    (folder,) = job_folders(jobs_of(tmp_path, {"a": {}}), out)
    folder.path.mkdir(parents=True)
    noted = json.dumps({"job_id": "77", "cluster": "local"})
    (folder.path / "slurm.json").write_text(noted)
    handle = launcher.start(folder)
    assert (handle.job.job_id == "77") == at_work
    told = "in the queue since an earlier run" in launcher.said(handle)
    assert told == at_work
    if not at_work:
        wait_until(lambda: launcher.look(handle) is not None)


def test_slurms_own_parameters_need_no_prefix(out, local, monkeypatch):
    import submitit

    given = {}
    monkeypatch.setattr(
        submitit.AutoExecutor,
        "update_parameters",
        lambda self, **parameters: given.update(parameters),
    )
    local(partition="gpu", gpus_per_node=1, slurm_qos="high", timeout_min=9)
    assert given == {
        "slurm_partition": "gpu",
        "gpus_per_node": 1,
        "slurm_qos": "high",
        "timeout_min": 9,
    }


def test_parameters_that_submitit_does_not_know_are_refused(out, local):
    with pytest.raises(UserError, match="partitoin"):
        local(partitoin="gpu")
    with pytest.raises(UserError, match="known are slurm, local"):
        local(cluster="debug")


def test_without_submitit_the_extra_is_named(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'd2v_sb\[slurm\]'"):
        Slurm(out / "slurm", {})
