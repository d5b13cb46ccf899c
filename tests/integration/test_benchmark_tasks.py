"""Each task of MP3S and of SUPERB, as the tables have them, on a few real clips
in the layout of its corpus.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import json

import pytest

from d2v_sb.benchmark.result import read_result
from d2v_sb.benchmark.selection import Selection
from d2v_sb.benchmark.table_file import find_table, read_table
from tests.integration.recipe_runs import run_scripts
from tests.layouts.buckeye import make_buckeye
from tests.layouts.clips import an4_clips
from tests.layouts.commonvoice import make_common_voice
from tests.layouts.fluent_commands import make_fluent_commands
from tests.layouts.parts import (
    part_of_iemocap,
    part_of_librispeech,
    part_of_voxceleb,
)
from tests.layouts.slurp import make_slurp
from tests.layouts.speech_commands import make_speech_commands

# Heads as the tables have them, but for their sizes.
SIZES = {
    "bilstm": {"hidden_size": 8},
    "contextnet": {"num_blocks": 2, "out_channels": 8},
    "xvector": {"channels": 128, "embedding_size": 8},
    "ecapa": {"channels": 16, "embedding_size": 8},
    "bilstm_linear": {"hidden_size": 8},
    "linear": {},
    "mean": {},
    "superb": {"projection_size": 8},
}
EVERYWHERE = {
    "device": "cpu",
    "num_workers": "0",
    "ckpt_interval_minutes": "0",
}
LENGTHS = {
    "probe_mp3s": {"number_of_epochs": 1},
    "probe_superb": {"total_updates": 3, "validate_every": 2},
}
# Both of Common Voice's languages, all of MP3S's corpora, SUPERB's five tasks.
MP3S = ("librispeech100", "buckeye", "welsh", "basque")
MP3S += ("voxceleb1", "iemocap", "slurp")
SUPERB = ("sid", "er", "asr", "ks", "ic")

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def data(corpora, tmp_path_factory):
    """Folders of all corpora, by the tables' names."""
    root = tmp_path_factory.mktemp("data")
    clips = an4_clips(corpora, num_speakers=4, per_speaker=4)
    make_buckeye(root / "buckeye", clips)
    release = make_common_voice(root / "common_voice", clips, "cy").parent
    make_common_voice(root / "common_voice", clips, "eu")
    make_slurp(root / "slurp", clips)
    commands, tested = make_speech_commands(root / "commands", clips)
    make_fluent_commands(root / "fluent", clips)
    return {
        "librispeech": part_of_librispeech(root / "librispeech", corpora),
        "buckeye": root / "buckeye",
        "common_voice": release,
        "voxceleb": part_of_voxceleb(root / "voxceleb", corpora),
        "iemocap": part_of_iemocap(root / "iemocap", corpora),
        "slurp": root / "slurp",
        "speech_commands": commands,
        "speech_commands_test": tested,
        "fluent_commands": root / "fluent",
    }


def small(task, data, root):
    """A task with small heads and short training."""
    heads = {}
    for shown, options in task.heads.items():
        sizes = SIZES[options["head"]]
        if task.name == "asr":
            sizes = {"projection_size": 8, "hidden_size": 8}
        length = next(
            v for k, v in LENGTHS.items() if task.hparams.stem.startswith(k)
        )
        more = {"head_options": sizes, **length}
        more["prepared_folder"] = str(root / "prepared" / task.name)
        if task.name == "ks":
            folder = str(data["speech_commands_test"])
            more["corpus_options"] = {"test_folder": folder}
        heads[shown] = {**options, **more}
    return dataclasses.replace(task, heads=heads)


def jobs_of(name, data, root, mode, cache):
    """The jobs of a table for a random tiny encoder."""
    table = read_table(find_table(name))
    tasks = [small(task, data, root) for task in table.tasks]
    table = dataclasses.replace(table, tasks=tasks)
    # In half precision batches of two, normalised, drift apart.
    cached = {"cache_folder": str(root / "states") if cache else "null"}
    cached["cache_dtype"] = "float32"
    selection = Selection(
        modes=[mode],
        encoders={"tiny": "d2v_sb/small"},
        data={k: str(data[k]) for k in {task.data for task in tasks}},
        options={**EVERYWHERE, **cached},
    )
    jobs = table.jobs(selection)
    # One fold, and one rate: others are the same with another number.
    return [
        job
        for job in jobs
        if job.fold in (None, "session1", "Ses01F") and job.lr in (None, 1e-3)
    ]


def run_all(jobs, root):
    """Results by task and head, all run in one process."""
    scripts, folders = [], {}
    for job in jobs:
        folder = root / job.name
        argv = job.command(folder)[1:]
        scripts.append({"argv": [*argv, "--noprogressbar"]})
        folders[job.task.name, job.head] = folder
    result = run_scripts(*scripts)
    assert result.returncode == 0
    return {
        key: read_result(folder) for key, folder in folders.items()
    }, folders


def figures(result):
    """What a run found, without how long it took."""
    return [dataclasses.astuple(m) for m in (result.dev, *result.measures)]


def losses(folder):
    """Losses of training, validation and tests in a train log."""
    lines = (folder / "train_log.txt").read_text().splitlines()
    found = []
    for line in lines:
        parts = line.replace(" - ", ", ").split(", ")
        found += [p.split(": ")[1] for p in parts if "loss" in p]
    return [float(value) for value in found]


@pytest.mark.parametrize("mode", ["clean", "published"])
def test_all_columns_of_mp3s_run_and_the_cache_changes_nothing(
    data, tmp_path, mode
):
    """Clean, both heads of each; their first ones also without the cache, and
    in the published mode these alone."""
    ran = {}
    for cache in (True, False):
        root = tmp_path / str(cache)
        jobs = jobs_of("mp3s", data, root, mode, cache)
        first = {job.task.name: job.head for job in reversed(jobs)}
        if mode == "published" or not cache:
            jobs = [job for job in jobs if job.head == first[job.task.name]]
        ran[cache] = run_all(jobs, root)
    cached, uncached = ran[True][0], ran[False][0]
    assert {task for task, _ in uncached} == set(MP3S)
    assert len(cached) == (14 if mode == "clean" else 7)
    for key, result in cached.items():
        assert result.measures, key
        assert result.mode == mode
        if key not in uncached:
            continue
        ours, theirs = (losses(folders[key]) for _, folders in ran.values())
        # Three digits are logged.
        assert ours == pytest.approx(theirs, rel=0.011), key
        for own, other in zip(result.measures, uncached[key].measures):
            assert own.count == other.count > 0
    assert (tmp_path / "True/states").is_dir()
    assert not (tmp_path / "False/states").exists()


def test_all_tasks_of_superb_run(data, tmp_path):
    jobs = jobs_of("superb", data, tmp_path, "clean", cache=True)
    found, folders = run_all(jobs, tmp_path)
    assert {task for task, _ in found} == set(SUPERB)
    for key, result in found.items():
        assert result.lr == 1e-3
        assert 0 <= result.measures[0].value <= 200
        text = (folders[key] / "result.json").read_text()
        assert json.loads(text)["seconds"]["encoding"] > 0, key
