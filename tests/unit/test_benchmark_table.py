"""The table of a benchmark: what is refused, and the jobs that it stands for.

Authors
 * The d2v_sb developers 2026
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML
from speechbrain import parse_arguments
from speechbrain.utils.run_opts import RunOptions

from d2v_sb.benchmark import table_file as module
from d2v_sb.benchmark.folder import JobFolder
from d2v_sb.benchmark.groups import outside
from d2v_sb.benchmark.job import as_yaml, safe_name
from d2v_sb.benchmark.options import FLAGS, RUN_OPTIONS
from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.benchmark.run import without_corpus
from d2v_sb.benchmark.selection import Selection
from d2v_sb.benchmark.summary import summarise
from d2v_sb.benchmark.table_file import ROOT, find_table, read_table
from d2v_sb.errors import DataError, UserError
from d2v_sb.hparams import read_plain

TABLE = """
title: Mine
script: train.py
encoders: {Base: hub/base, My Own: /models/own}
modes: [clean, published]
seeds: [1, 2]
data: {small: corpus}
tasks:
    asr:
        title: Recognition
        hparams: asr.yaml
        data: small
        options: {corpus: small, layers: [1, 2]}
        measure: {name: WER, split: test-clean}
        heads:
            BiLSTM: {head: bilstm}
            Linear:
    emotion:
        hparams: asr.yaml
        data: small
        measure: {name: accuracy, split: test}
        takes: [seed]
        folds: [session1, session2]
        lrs: [1e-3, 1.0e-4]
        default_lr: 1e-4
        heads: {pool: {}}
"""
# What tests give as options.
KEYS = (
    *("layers", "new", "text", "meet", "patience", "cache_folder"),
    *("number_of_updates", "gpu_batch_seconds"),
)
HPARAMS = "".join(f"{key}: null\n" for key in KEYS)


def make_table(folder, text=TABLE, script=""):
    """The file of a table, and what it names beside it."""
    (folder / "corpus").mkdir(exist_ok=True)
    (folder / "train.py").write_text(script)
    (folder / "asr.yaml").write_text(HPARAMS)
    path = folder / "table.yaml"
    path.write_text(text)
    return path


def changed(folder, before, after):
    """A table with one change."""
    assert before in TABLE
    return make_table(folder, TABLE.replace(before, after, 1))


def refused(path):
    """What is said of a table."""
    with pytest.raises(DataError) as info:
        read_table(path)
    assert str(path) in str(info.value)
    return str(info.value)


# Jobs


def test_a_jobs_command_is_that_of_its_place_in_the_table(tmp_path):
    table = read_table(make_table(tmp_path))
    first = table.jobs()[0]
    assert first.command("/out")[1:] == [
        *(str(tmp_path / "train.py"), str(tmp_path / "asr.yaml")),
        *("--data_folder", str(tmp_path / "corpus")),
        *("--output_folder", "/out", "--encoder", "hub/base"),
        *("--mode", "clean", "--seed", "1"),
        *("--corpus", "small", "--layers", "[1, 2]", "--head", "bilstm"),
    ]
    last = table.jobs()[-1]
    assert last.command("/out")[-6:] == [
        *("--seed", "2", "--lr", "0.0001", "--fold", "session2"),
    ]
    assert "--encoder" not in last.command("/out")
    assert "--mode" not in last.command("/out")


def test_more_processes_are_started_by_torchrun(tmp_path):
    job = read_table(make_table(tmp_path)).jobs()[0]
    one, two = job.command("/out"), job.command("/out", 2)
    torchrun = ["-m", "torch.distributed.run", "--standalone"]
    assert two == [one[0], *torchrun, "--nproc_per_node=2", *one[1:]]


def test_there_is_a_job_for_each_choice_that_a_script_takes(tmp_path):
    jobs = read_table(make_table(tmp_path)).jobs()
    asr = [job for job in jobs if job.task.name == "asr"]
    assert len(asr) == 2 * 2 * 2 * 2  # heads, encoders, modes, seeds
    assert len(jobs) - len(asr) == 2 * 2 * 2  # seeds, rates, folds
    names = [job.name for job in jobs]
    assert names[0] == "asr/BiLSTM/Base/clean/1"
    assert names[-1] == "emotion/pool/2-lr0.0001-session2"
    assert len({name.casefold() for name in names}) == len(jobs)


def test_a_result_gets_the_names_of_the_table(tmp_path):
    job = read_table(make_table(tmp_path)).jobs()[0]
    dev = Measure("dev", "WER", 9.0)
    found = Result("corpus", "bilstm", "path", "clean", 1, dev, [], fold="s1")
    signed = job.sign(found)
    names = signed.task, signed.head, signed.encoder, signed.dev, signed.fold
    assert names == ("asr", "BiLSTM", "hub/base", dev, None)


def test_speechbrain_reads_options_as_the_table_has_them(tmp_path):
    """SpeechBrain's own loader, and ours, which takes newer YAML."""
    options = {
        "small": 1e-5,
        "word": "no",
        "number": "12",
        "nothing": None,
        "spaces": "a: b #c",
        "nested": {"a": [1e-7, None, "x, y"], "b": {"c": True}},
    }
    text = TABLE.replace("{corpus: small, layers: [1, 2]}", json.dumps(options))
    job = read_table(make_table(tmp_path, text)).jobs()[0]
    *_, overrides = parse_arguments(job.command("/out")[2:])
    for read in (yaml.safe_load, YAML(typ="safe").load):
        found = read(overrides)
        assert {key: found[key] for key in options} == options
        assert found["seed"] == 1 and found["encoder"] == "hub/base"
    as_json = json.dumps(options["small"])
    assert yaml.safe_load(as_json) != options["small"] != as_yaml("x")


def test_relative_paths_are_beside_the_table_or_in_the_repository(tmp_path):
    path = changed(tmp_path, "script: train.py", "script: setup.py")
    table = read_table(path)
    assert table.tasks[0].script == ROOT / "setup.py"
    assert table.tasks[0].hparams == tmp_path / "asr.yaml"
    assert table.jobs()[0].data == str(tmp_path / "corpus")


def test_names_are_safe_for_file_systems():
    assert safe_name("a/../b c") == "a-..-b-c"
    assert safe_name("..") == "-" and safe_name("été:1") == "été-1"


# What is refused


def test_all_faults_of_a_table_are_told_at_once(tmp_path):
    text = TABLE.replace("title: Mine", "titles: Mine")
    text = text.replace("hparams: asr.yaml", "hparams: none.yaml", 1)
    text = text.replace("name: WER", "name: wer")
    text = text.replace("seeds: [1, 2]", "seeds: [1, one]")
    text = text.replace("takes: [seed]", "takes: [sead]")
    said = refused(make_table(tmp_path, text))
    for part in (
        "table: unknown key 'titles' (did you mean title?); known are title,",
        "table: title is missing",
        "table: seeds: whole numbers in [] are expected, not [1, 'one']",
        "task asr: hparams: no file none.yaml",
        "task asr: measure: name: one of WER, CER, EER, minDCF, accuracy is",
        "task emotion: takes: some of encoder, mode, seed",
    ):
        assert part in said


@pytest.mark.parametrize(
    "before, after, said",
    [
        ("data: small", "data: large", "task asr: data: one of small"),
        ("heads:\n", "haeds:\n", "unknown key 'haeds' (did you mean heads?)"),
        ("heads: {pool: {}}", "heads: {}", "task emotion: it has no heads"),
        ("default_lr: 1e-4", "default_lr: 1", "default_lr must be one of"),
        ("lrs: [1e-3, 1.0e-4]", "", "default_lr is given without lrs"),
        ("lrs: [1e-3", "lrs: [0", "lrs: numbers above 0"),
        ("head: bilstm", "seed: 3", "seed can not be among the options"),
        ("{pool: {}}", "{pool: {lr: 1}}", "lr can not be among the options"),
        ("My Own", "base", "'Base' and 'base' would share the folder base"),
        ("modes: [clean, published]", "", "no modes, which are given to asr"),
        ("{Base: hub/base, My Own: /models/own}", "{}", "no encoders, which"),
        ("hub/base,", "/models/own,", "'Base' and 'My Own' are both /models"),
        ("title: Mine", "title: A\npublished: mp3s", "one of MP3S, SUPERB"),
        ("seeds: [1, 2]", "seeds: [1, 1]", "none twice"),
        ("published]", "new]", "some of clean, published"),
        ("Linear:", "BiLSTM:", "duplicate key"),
        ("title: Mine", "title: !ref <x>", "can not be read as YAML"),
        ("title: Mine", "- 3", "can not be read as YAML"),
        ("takes: [seed]", "reader: mine", "reader: one of result"),
    ],
)
def test_a_table_is_refused_by_what_is_wrong(tmp_path, before, after, said):
    assert said in refused(changed(tmp_path, before, after))


def places(values, above=()):
    """Where a table has something, as keys from its top."""
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


@pytest.mark.parametrize("wrong", [None, 3, 0.5, True, "x", [], [None], {1: 2}])
def test_whatever_a_table_has_somewhere_is_no_crash(tmp_path, wrong):
    for *above, last in places(yaml.safe_load(TABLE)):
        values = yaml.safe_load(TABLE)
        within = values
        for key in above:
            within = within[key]
        within[last] = wrong
        path = make_table(tmp_path, yaml.safe_dump(values, sort_keys=False))
        try:
            jobs = read_table(path).jobs()
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert all(job.command("/out") for job in jobs)


def test_what_no_script_takes_may_be_left_out(tmp_path):
    data = TABLE[TABLE.index("    asr:") : TABLE.index("    emotion:")]
    text = TABLE.replace(data, "").replace("modes: [clean, published]\n", "")
    text = text.replace("encoders: {Base: hub/base, My Own: /models/own}\n", "")
    assert len(read_table(make_table(tmp_path, text)).jobs()) == 8


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("- a\n")
    assert "a mapping is expected" in refused(path)
    path.write_bytes(b"\xff\xfe\xfa")
    assert "can not be read as YAML" in refused(path)


# Selection


def test_a_selection_takes_what_it_names(tmp_path):
    table = read_table(make_table(tmp_path))
    selection = Selection(
        tasks=("asr",),
        heads=("Linear",),
        encoders={"Mine": "results/mine", "Base": None},
        modes=("clean",),
        seeds=(7, 7),
        data={"small": "/elsewhere"},
        options={"device": "cuda", "layers": "[3]"},
    )
    jobs = table.jobs(selection)
    assert [(job.encoder, job.source) for job in jobs] == [
        ("Mine", "results/mine"),
        ("Base", "hub/base"),
    ]
    given = jobs[0].arguments("/out")
    assert given["data_folder"] == "/elsewhere" and given["seed"] == "7"
    assert given["device"] == "cuda" and given["layers"] == "[3]"


def test_all_that_a_selection_names_in_vain_is_told(tmp_path):
    table = read_table(make_table(tmp_path))
    selection = Selection(
        tasks=("asr", "tts"),
        heads=("pool",),
        encoders={
            **{"Huge": None, "Base": "other", "my own": "another"},
            "mine": "/models/own",
        },
        modes=("noisy",),
        data={"big": "/elsewhere"},
        options={"seed": "3"},
    )
    with pytest.raises(UserError) as info:
        table.jobs(selection)
    for part in (
        "no task 'tts'",
        "known are asr, emotion",
        "no head 'pool'",
        "known are BiLSTM, Linear",
        "no encoder 'Huge'",
        "known are Base, My Own; NAME=SOURCE adds one",
        "--encoder Base=other: the name is that of Base",
        "--encoder my own=another: the name is that of My Own",
        "--encoder mine=/models/own: that is My Own: give --encoder My Own",
        "no mode 'noisy'",
        "no corpus 'big'",
        "--option seed: jobs of asr have their own",
    ):
        assert part in str(info.value)


def test_heads_are_named_where_no_known_task_is_asked_for(tmp_path):
    table = read_table(make_table(tmp_path))
    with pytest.raises(UserError, match="known are BiLSTM, Linear, pool"):
        table.jobs(Selection(tasks=("tts",), heads=("x",)))


def test_what_fits_nothing_is_told(tmp_path):
    table = read_table(make_table(tmp_path))
    assert Selection().fits_nothing(table) == []
    selection = Selection(heads=("pool",), modes=("clean",))
    assert {job.task.name for job in table.jobs(selection)} == {"emotion"}
    assert selection.fits_nothing(table) == [
        "not run: no head pool: asr",
        "--mode is not for emotion: it follows from the hparams file",
    ]


# Options


@pytest.fixture
def two_files(tmp_path):
    """A table whose tasks have hparams files with other keys."""
    text = TABLE.replace("asr.yaml", "other.yaml").replace(
        "other.yaml", "asr.yaml", 1
    )
    (tmp_path / "other.yaml").write_text("layers: 1\nupdates: 9\n")
    return read_table(make_table(tmp_path, text))


def test_an_option_of_one_task_is_given_to_that_alone(two_files):
    options = {"emotion.updates": "3", "layers": "1", "asr.layers": "2"}
    jobs = two_files.jobs(Selection(options=options))
    given = {job.task.name: job.options for job in jobs}
    assert given["asr"] == {"layers": "2"}
    assert given["emotion"] == {"layers": "1", "updates": "3"}


@pytest.mark.parametrize(
    "option, said",
    [
        ("updates", "of asr: give --option emotion.updates=… instead"),
        ("asr.updates", "file of asr, and no option of SpeechBrain's"),
        ("devi", "of asr, emotion, and no option of SpeechBrain's (did you"),
        ("layer", "(did you mean layers?)"),
        ("tts.layers", "no task 'tts' is to be run, but asr, emotion"),
        ("emotion.lr", "jobs of emotion have their own"),
        ("debug", "--option debug=x: it takes nothing but true"),
    ],
)
def test_an_option_that_a_script_does_not_take_is_refused(
    two_files, option, said
):
    with pytest.raises(UserError) as info:
        two_files.jobs(Selection(options={option: "x"}))
    assert said in str(info.value)


def test_options_of_speechbrain_are_known_by_their_full_names(two_files):
    actions = RunOptions._create_parser()._actions
    own = [a for a in actions if a.dest not in ("help", "param_file")]
    assert {a.dest for a in own if a.nargs == 0} == FLAGS
    assert {a.dest for a in own if a.nargs != 0} == RUN_OPTIONS
    selection = Selection(options={"debug": "true", "device": "cuda:1"})
    words = two_files.jobs(selection)[0].command("/out")[2:]
    _, run_options, overrides = parse_arguments(words)
    assert run_options["debug"] and run_options["device"] == "cuda:1"
    assert "debug" not in YAML(typ="safe").load(overrides)


def test_an_hparams_file_that_is_no_yaml_is_named(two_files, tmp_path):
    (tmp_path / "other.yaml").write_text("a: [")
    with pytest.raises(DataError, match="other.yaml can not be read as YAML"):
        two_files.jobs(Selection(options={"layers": "1"}))


# Without a corpus's folder


def test_a_task_on_own_csv_files_needs_no_data(tmp_path):
    text = TABLE.replace("        data: small\n", "")
    text = text.replace("{corpus: small,", "{prepared_folder: lists/mine,")
    job = read_table(make_table(tmp_path, text)).jobs()[0]
    assert job.data is None and "--data_folder" not in job.command("/out")
    assert job.corpus == "lists/mine"
    assert JobFolder(job, tmp_path).origin()["corpus"] == "mine"
    reason = "no folder lists/mine (prepared_folder of asr)"
    assert without_corpus([job]) == {reason: [job]}
    option = {"asr.prepared_folder": str(tmp_path)}
    selection = Selection(options=option, tasks=("asr",))
    text = text.replace("asr.yaml", "csv.yaml")
    (tmp_path / "csv.yaml").write_text("prepared_folder: x\ndata_folder: y\n")
    jobs = read_table(make_table(tmp_path, text)).jobs(selection)
    assert without_corpus(jobs) == {}


# Tables that come with the recipes


def result_of(job):
    """As the job's script would write it, by its hparams file."""
    *_, overrides = parse_arguments(job.command("/out")[2:])
    given = read_plain(str(job.task.hparams), overrides)
    fold = given.get("fold", ".")
    name, split = job.task.measure
    splits = given["trials"] if "trials" in given else given["test_splits"]
    splits = [Path(one).stem for one in splits]
    if given.get("lm_path"):
        splits += [f"{one}_lm" for one in splits]
    assert split in splits
    return Result(
        task=given.get("task_name", "task"),
        head=given.get("head", "CTC"),
        encoder=given["encoder"],
        mode=given.get("mode", "clean"),
        seed=given["seed"],
        lr=given["lr"],
        fold=None if fold == "." else fold,
        dev=Measure("dev", name, 9.0),
        measures=[Measure(split, name, 9.0)],
    )


@pytest.mark.parametrize("name", ["mp3s", "superb", "data2vec", "small"])
def test_what_a_script_writes_lands_in_a_cell(name):
    """And fills it: of each rate and fold there is a job."""
    table = read_table(find_table(name))
    # Of others it is the same.
    encoders = dict(list(table.encoders.items())[:1])
    table = replace(table, encoders=encoders, seeds=table.seeds[:1])
    results = [job.sign(result_of(job)) for job in table.jobs()]
    assert outside(table, results) == []
    cells = summarise(table, results)
    assert all(cell.estimate and not cell.gaps for cell in cells)
    compared = [cell for cell in cells if cell.reference]
    assert bool(compared) == (table.published is not None)


def test_a_table_is_found_by_its_path_and_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    path = make_table(tmp_path)
    assert find_table(str(path)) == path
    with pytest.raises(UserError, match="come with a clone"):
        find_table("table")
    folder = tmp_path / "hparams/benchmarks"
    folder.mkdir(parents=True)
    path = path.rename(folder / "table.yaml")
    assert find_table("table") == path
    with pytest.raises(UserError, match="no such table: x. Known are table"):
        find_table("x")
