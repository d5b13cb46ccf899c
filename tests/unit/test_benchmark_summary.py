"""What a benchmark's results say, in cells, rows and tables of Markdown."""

import csv
import math
import random
import re
from dataclasses import dataclass, field, replace
from statistics import mean, stdev

import pytest
from scipy import stats

from d2v_sb.benchmark.estimates import estimate
from d2v_sb.benchmark.groups import groups_of, outside
from d2v_sb.benchmark.intervals import BOTH, FOLDS, ONE_SEED, SEEDS, SPEAKERS
from d2v_sb.benchmark.markdown import compared_table, own_table
from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.benchmark.rows import COLUMNS, read_results, result_rows
from d2v_sb.benchmark.summary import BEST, DEFAULT, summarise
from d2v_sb.benchmark.table_file import ROOT
from d2v_sb.benchmark.texts import difference, ours
from d2v_sb.errors import DataError
from d2v_sb.manifest import write_rows

BASE = "facebook/data2vec-audio-base"
OWN = "/home/me/my encoder/enc.pt"


@dataclass
class Task:
    """As of d2v_sb.benchmark.table, as far as a summary looks."""

    name: str
    measure: tuple
    heads: dict
    folds: list = field(default_factory=list)
    lrs: list = field(default_factory=list)
    default_lr: float | None = None
    takes: tuple = ("encoder", "mode", "seed")


@dataclass
class Table:
    tasks: list
    name: str = "mp3s"
    title: str = "MP3S, all of it"
    published: str | None = "MP3S"
    encoders: dict = field(default_factory=lambda: {"data2vec Base": BASE})
    modes: list = field(default_factory=lambda: ["clean"])
    seeds: list = field(default_factory=lambda: [1])


ASR = Task("librispeech100", ("WER", "test-clean"), {"BiLSTM": {}})
SWEPT = replace(ASR, lrs=[1e-2, 1e-3, 1e-4], default_lr=1e-3)
FOLDED = Task(
    "iemocap", ("accuracy", "test"), {"linear": {}}, folds=["s1", "s2"]
)


def result(value, task=ASR, low=None, high=None, dev=None, **others):
    """A result of a task's first head; what is measured beside is no figure
    of the column."""
    name, split = task.measure
    measures = [
        Measure("test-other", name, 77.0),
        Measure(split, name, value, low, high, 130),
        Measure(split, "CER", 88.0),
    ]
    known = {
        "task": task.name,
        "head": next(iter(task.heads)),
        "encoder": BASE,
        "mode": "clean",
        "seed": 1,
        "dev": Measure("dev", name, value if dev is None else dev),
        "measures": measures,
    }
    return Result(**{**known, **others})


def only(table, results):
    (cell,) = summarise(table, results)
    return cell


def test_one_run_keeps_its_own_interval():
    cell = only(Table([ASR]), [result(5.5, low=5.1, high=6.3)])
    assert cell.estimate.value == 5.5
    assert cell.estimate.interval == (5.1, 6.3, SPEAKERS)
    assert cell.estimate.std is None
    assert ours(cell) == "5.50 [5.10, 6.30]"


def test_the_difference_is_ours_less_theirs_and_its_limits_ours_shifted():
    cell = only(Table([ASR]), [result(5.5, low=5.1, high=6.3)])
    assert cell.reference.value == 5.3
    assert cell.difference == pytest.approx((0.2, -0.2, 1.0))
    assert difference(cell) == "+0.20 [−0.20, +1.00]"
    alone = only(Table([ASR]), [result(5.0)])
    assert difference(alone) == "−0.30"


def test_what_was_not_run_or_not_published_says_so():
    table = Table([ASR], encoders={"mine": OWN, "data2vec Base": BASE})
    mine, base = summarise(table, [result(9.0, encoder=OWN)])
    assert (mine.estimate.value, mine.reference) == (9.0, None)
    assert mine.difference is None
    assert base.estimate is None and base.reference.value == 5.3
    assert ours(base) == "not run"
    assert difference(base) == "–"


def test_folds_are_averaged_within_a_seed_before_seeds_are():
    """The mean of all would give seed 2 less weight."""
    runs = {
        (1, "s1"): 10.0,
        (1, "s2"): 20.0,
        (2, "s1"): 40.0,
    }
    results = [
        result(value, FOLDED, value - 1, value + 1, seed=seed, fold=fold)
        for (seed, fold), value in runs.items()
    ]
    cell = only(Table([FOLDED], seeds=[1, 2]), results)
    assert cell.estimate.value == mean([15.0, 40.0])
    assert cell.estimate.value != mean(runs.values())
    assert cell.gaps == "3 of 4 runs"
    assert cell.estimate.interval is None
    assert cell.estimate.std is None  # of one whole seed


def test_of_two_folds_there_is_no_interval():
    """Their own are of too few speakers, and Student's t of two says nothing."""
    results = [
        result(60.0, FOLDED, 57.0, 64.0, seed=seed, fold=fold)
        for seed in (1, 2, 3)
        for fold in FOLDED.folds
    ]
    assert only(Table([FOLDED]), results).estimate.interval is None


def test_folds_are_the_units_whatever_the_number_of_seeds():
    values = [60.0, 66.0, 75.0]
    task = replace(FOLDED, folds=["s1", "s2", "s3"])
    results = [
        result(value + 2 * seed, task, value - 1, value + 1, seed=seed, fold=f)
        for seed in (-1, 0, 1)
        for f, value in zip(task.folds, values)
    ]
    table = Table([task], seeds=[-1, 0, 1])
    low, high, over = only(table, results).estimate.interval
    wanted = stats.t.interval(0.95, 2, 67.0, stdev(values) / math.sqrt(3))
    assert (low, high) == pytest.approx(wanted) and over == FOLDS
    # All nine as if they were of other speakers each.
    alone = [one.measures[1].value for one in results]
    error = stdev(alone) / 3
    assert high - low > 1.5 * 2 * error * stats.t.ppf(0.975, 8)


def test_folds_of_two_speakers_cover_the_truth_nineteen_times_in_twenty():
    """Their own intervals put together do so two times in three."""
    truth, generator = 50.0, random.Random(0)
    covered = by_own = 0
    for _ in range(1000):
        runs = {}
        for fold in range(5):
            pair = [generator.gauss(truth, 8.0) for _ in range(2)]
            # What drawing two speakers again and again gives.
            runs[1, fold] = Measure(
                "t", "accuracy", mean(pair), min(pair), max(pair), 60, 2
            )
        found = estimate(runs, list(runs))
        low, high, _ = found.interval
        covered += low <= truth <= high
        reach = math.hypot(*(m.high - m.value for m in runs.values())) / 5
        by_own += abs(found.value - truth) <= reach
    assert 930 < covered < 970
    assert by_own < 800


@pytest.mark.parametrize(("speakers", "shown"), [(4, False), (5, True)])
def test_of_fewer_than_five_speakers_no_interval_is_shown(speakers, shown):
    known = Measure("t", "WER", 9.0, 8.0, 10.0, 130, speakers)
    found = estimate({(1, None): known}, [(1, None)])
    assert (found.interval is not None) == shown


def test_of_two_seeds_the_widest_interval_is_said_to_be_of_one():
    results = [
        result(5.0, low=4.5, high=5.5, seed=1),
        result(6.0, low=5.0, high=7.5, seed=2),
    ]
    cell = only(Table([ASR], seeds=[1, 2]), results)
    assert cell.estimate.value == 5.5
    assert cell.estimate.std == pytest.approx(stdev([5.0, 6.0]))
    assert cell.estimate.interval == (4.5, 7.0, ONE_SEED)


def test_the_mean_of_two_seeds_lies_in_its_interval():
    """That of the seed with the widest one may not hold it."""
    results = [
        result(5.0, low=4.9, high=5.1, seed=1),
        result(9.0, low=8.5, high=9.5, seed=2),
    ]
    found = only(Table([ASR], seeds=[1, 2]), results).estimate
    assert found.interval[:2] == pytest.approx((6.5, 7.5))


def test_of_three_seeds_both_parts_of_the_interval_add_up_as_squares():
    values = [5.0, 5.2, 5.7]
    results = [
        result(value, low=value - 0.3, high=value + 0.4, seed=seed)
        for seed, value in enumerate(values)
    ]
    found = only(Table([ASR], seeds=[0, 1, 2]), results).estimate
    middle, error = mean(values), stdev(values) / math.sqrt(3)
    low, high = stats.t.interval(0.95, 2, middle, error)
    assert found.interval.over == BOTH
    assert found.interval.low == pytest.approx(
        middle - math.hypot(middle - low, 0.3)
    )
    assert found.interval.high == pytest.approx(
        middle + math.hypot(high - middle, 0.4)
    )


def test_seeds_alone_make_the_interval_where_results_have_none():
    values = [5.0, 5.2, 5.7]
    results = [result(v, seed=seed) for seed, v in enumerate(values)]
    found = only(Table([ASR], seeds=[0, 1, 2]), results).estimate
    low, high = stats.t.interval(
        0.95, 2, mean(values), stdev(values) / math.sqrt(3)
    )
    assert found.interval[:2] == pytest.approx((low, high))
    assert found.interval.over == SEEDS


def test_no_limit_lies_where_the_measure_can_not_be():
    task = replace(FOLDED, folds=["s1", "s2", "s3"])
    results = [
        result(v, task, fold=f) for f, v in zip(task.folds, (99.9, 99.0, 97.0))
    ]
    found = only(Table([task]), results).estimate
    assert found.interval.high == 100.0
    results = [result(v, seed=s) for s, v in enumerate((0.1, 0.9, 3.0))]
    found = only(Table([ASR], seeds=[0, 1, 2]), results).estimate
    assert found.interval.low == 0.0


def swept(**others):
    """The best rate on dev is the worst on test."""
    dev = {1e-2: 7.0, 1e-3: 8.0, 1e-4: 9.0}
    test = {1e-2: 9.9, 1e-3: 8.8, 1e-4: 5.0}
    return [result(test[lr], dev=dev[lr], lr=lr, **others) for lr in dev]


def test_the_best_learning_rate_is_chosen_on_dev_and_never_on_test():
    default, best = summarise(Table([SWEPT]), swept())
    assert (default.chosen, default.lr) == (DEFAULT, 1e-3)
    assert default.estimate.value == 8.8
    assert (best.chosen, best.lr, best.estimate.value) == (BEST, 1e-2, 9.9)
    assert best.gaps == default.gaps == ""


def test_more_is_better_where_the_measure_is_no_error():
    task = replace(SWEPT, measure=("accuracy", "test-clean"))
    results = [
        replace(one, dev=replace(one.dev, name="accuracy")) for one in swept()
    ]
    results = [
        replace(
            one,
            measures=[replace(m, name="accuracy") for m in one.measures[:2]],
        )
        for one in results
    ]
    _, best = summarise(Table([task]), results)
    assert best.lr == 1e-4


def test_rates_that_were_run_less_are_no_candidates():
    """Seed 2 lacks the rate that is best in seed 1."""
    results = swept(seed=1) + swept(seed=2)[1:]
    default, best = summarise(Table([SWEPT], seeds=[1, 2]), results)
    assert best.lr == 1e-3
    assert default.estimate.runs == 2
    only_default = [one for one in results if one.lr == 1e-3]
    _, best = summarise(Table([SWEPT], seeds=[1, 2]), only_default)
    assert best.gaps == "best of 1 of 3 learning rates"


def test_a_seed_beyond_the_table_counts():
    results = [result(5.0, seed=1), result(6.0, seed=7)]
    cell = only(Table([ASR]), results)
    assert (cell.estimate.runs, cell.estimate.expected) == (2, 2)


def test_results_of_no_cell_are_named_and_not_counted():
    others = [
        result(1.0, task=replace(ASR, name="buckeye")),
        result(1.0, head="linear"),
        result(1.0, fold="s9"),
    ]
    table, good = Table([ASR]), result(5.0)
    assert outside(table, [*others, good]) == others
    assert only(table, [*others, good]).estimate.runs == 1


def test_a_task_that_knows_its_encoder_shows_it_before_it_is_run():
    task = Task(
        "base_10min", ("WER", "test-other_lm"), {"CTC": {}}, takes=("seed",)
    )
    table = Table([task], published="data2vec", encoders={}, modes=[])
    (group,) = groups_of(table, [])
    assert group.encoder == BASE
    cell = only(table, [])
    assert cell.estimate is None and cell.reference.value == 12.3
    cell = only(table, [result(13.0, task, head="CTC")])
    assert cell.difference[0] == pytest.approx(0.7)


def test_a_task_that_decides_on_its_encoder_is_shown_where_none_is_known():
    """Or a table of one's own would hide what failed."""
    task = Task("calls", ("WER", "test"), {"CTC": {}}, takes=("seed",))
    table = Table([task], published=None, encoders={}, modes=[])
    assert ours(only(table, [])) == "not run"
    assert only(table, [result(9.0, task, encoder=OWN)]).encoder == OWN


# Rows and Markdown

MP3S = Table([])


def test_rows_keep_encoders_apart_whose_sources_end_alike():
    sources = {"first": "/home/me/a/1986", "second": "/home/me/b/1986"}
    results = [
        result(value, encoder=source)
        for value, source in zip((5.0, 7.0), sources.values())
    ]
    rows = result_rows(results, replace(MP3S, encoders=sources))
    assert {(row["encoder"], row["source"]) for row in rows} == {
        ("first", "1986"),
        ("second", "1986"),
    }
    table = own_table(rows, "mp3s")
    assert "| first | clean | 77.0 | 5.00 |" in table
    assert "| second | clean | 77.0 | 7.00 |" in table


def test_commands_keep_their_paths_from_the_repositorys_root(
    tmp_path, monkeypatch
):
    """Wherever they were called."""
    monkeypatch.chdir(tmp_path)
    for root in (ROOT, "/other/clone"):
        command = f"python {root}/recipes/a/train.py {root}/hparams/b.yaml"
        command += " --data_folder /corpora/mini"
        (row, *_) = result_rows([result(5.0, about={"command": command})], MP3S)
        assert row["command"] == (
            "python recipes/a/train.py hparams/b.yaml --data_folder mini"
        )


def measured():
    about = {
        "date": "2026-11-26",
        "commit": "abc",
        "corpus": "LibriSpeech",
        "hardware": "one GPU",
        "versions": "torch 2.13.0",
        "command": "python train.py --data_folder /corpora/LibriSpeech "
        "--encoder '/home/me/my encoder/enc.pt' --hf_token abcdefghi",
    }
    seconds = {"encoding": 12.04, "training": 100.0}
    return [
        result(5.51, low=5.1, high=6.3, about=about, seconds=seconds),
        result(5.91, seed=2, about=about),
        result(9.0, encoder=OWN, lr=1e-4, fold="s1", about=about),
    ]


def test_rows_hold_no_folder_of_the_machine_and_no_secret():
    rows = result_rows(measured(), MP3S)
    assert len(rows) == 9
    text = repr(rows)
    assert "enc.pt" in text and "LibriSpeech" in text
    assert not re.search("/home|/corpora|my encoder|abcdefghi", text)


def test_rows_are_read_back_from_a_csv(tmp_path):
    results = measured()
    path = tmp_path / "rows.csv"
    write_rows(path, result_rows(results, MP3S), COLUMNS)
    with open(path, newline="", encoding="utf-8") as stream:
        found = read_results(csv.DictReader(stream))
    assert list(found) == [("mp3s", "LibriSpeech")]
    back = found["mp3s", "LibriSpeech"]
    for one, other in zip(results, back, strict=True):
        assert other.measures == one.measures
        assert other.dev == one.dev
        for name in ("task", "head", "mode", "seed", "lr", "fold"):
            assert getattr(other, name) == getattr(one, name)
    assert back[0].seconds == {"encoding": 12.0, "training": 100.0}
    assert back[1].seconds == {}


def test_all_rows_that_can_not_be_read_are_named():
    rows = result_rows(measured(), MP3S)
    rows[1]["value"], rows[4]["seed"] = "x", ""
    with pytest.raises(DataError, match="2 rows.*row 3: .*row 6: "):
        read_results(rows)


def test_markdown_has_ours_and_theirs_in_rows_of_their_own():
    rows = result_rows(measured()[:1], MP3S)
    table = compared_table(rows, "mp3s", "MP3S")
    head, _, *body = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in table.splitlines()
    ]
    place = head.index("LibriSpeech, librispeech100, BiLSTM: WER %, test-clean")
    assert [line[:2] + [line[place]] for line in body] == [
        ["data2vec Base", "clean", "5.51 [5.10, 6.30]"],
        ["data2vec Base", "published", "5.3"],
        ["data2vec Large", "published", "3.1"],
    ]
    assert "published" not in own_table(rows, "mp3s")


def test_markdown_says_which_learning_rate_was_the_best_on_dev():
    table = own_table(result_rows(swept(), MP3S), "mp3s")
    assert "9.90, lr 0.01" in table
    assert "5.00" not in table


def test_markdown_keeps_corpora_apart():
    other = replace(measured()[0], about={"corpus": "AN4"})
    table = own_table(result_rows([measured()[0], other], MP3S), "mp3s")
    head = table.splitlines()[0]
    assert "| AN4, librispeech100" in head
    assert "| LibriSpeech, librispeech100" in head
