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
from d2v_sb.benchmark.markdown import compared_table, own_table, published_table
from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.benchmark.rows import COLUMNS, read_results, result_rows
from d2v_sb.benchmark.summary import BEST, DEFAULT, summarise
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
    title: str = "MP3S"
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


def test_folds_are_put_together_as_independent_and_not_as_one():
    results = [
        result(60.0, FOLDED, 57.0, 64.0, fold="s1"),
        result(70.0, FOLDED, 66.0, 73.0, fold="s2"),
    ]
    low, high, over = only(Table([FOLDED]), results).estimate.interval
    assert (low, high) == pytest.approx((65 - 2.5, 65 + 2.5))
    # The mean of half widths would take folds for one set of speakers.
    assert low != pytest.approx(65 - 3.5)
    assert over == FOLDS


def test_folds_together_cover_the_truth_nineteen_times_in_twenty():
    """Of five folds with known deviations; halved widths do not."""
    deviations, truth = [1.0, 2.0, 0.5, 1.5, 3.0], 50.0
    generator = random.Random(0)
    covered = halved = 0
    for _ in range(2000):
        runs = {}
        for fold, deviation in enumerate(deviations):
            value = generator.gauss(truth, deviation)
            reach = 1.96 * deviation
            runs[1, fold] = Measure(
                "t", "WER", value, value - reach, value + reach
            )
        found = estimate(runs, list(runs))
        low, high, _ = found.interval
        covered += low <= truth <= high
        halved += abs(found.value - truth) <= (high - low) / 4
    assert 0.93 < covered / 2000 < 0.97
    assert halved / 2000 < 0.8


def test_of_two_seeds_the_widest_interval_is_said_to_be_of_one():
    results = [
        result(5.0, low=4.5, high=5.5, seed=1),
        result(6.0, low=5.0, high=7.5, seed=2),
    ]
    cell = only(Table([ASR], seeds=[1, 2]), results)
    assert cell.estimate.value == 5.5
    assert cell.estimate.std == pytest.approx(stdev([5.0, 6.0]))
    assert cell.estimate.interval == (5.0, 7.5, ONE_SEED)


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
    results = [
        result(v, FOLDED, seed=s, fold=f)
        for s, v in enumerate((99.9, 99.0, 97.0))
        for f in FOLDED.folds
    ]
    found = only(Table([FOLDED], seeds=[0, 1, 2]), results).estimate
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
    table = Table([task], title="data2vec", encoders={}, modes=[])
    (group,) = groups_of(table, [])
    assert group.encoder == BASE
    cell = only(table, [])
    assert cell.estimate is None and cell.reference.value == 12.3
    cell = only(table, [result(13.0, task, head="CTC")])
    assert cell.difference[0] == pytest.approx(0.7)


# Rows and Markdown


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
    rows = result_rows(measured(), "MP3S")
    assert len(rows) == 9
    text = repr(rows)
    assert "enc.pt" in text and "LibriSpeech" in text
    assert not re.search("/home|/corpora|my encoder|abcdefghi", text)


def test_rows_are_read_back_from_a_csv(tmp_path):
    results = measured()
    path = tmp_path / "rows.csv"
    write_rows(path, result_rows(results, "MP3S"), COLUMNS)
    with open(path, newline="", encoding="utf-8") as stream:
        found = read_results(csv.DictReader(stream))
    assert list(found) == [("MP3S", "LibriSpeech")]
    back = found["MP3S", "LibriSpeech"]
    for one, other in zip(results, back, strict=True):
        assert other.measures == one.measures
        assert other.dev == one.dev
        for name in ("task", "head", "mode", "seed", "lr", "fold"):
            assert getattr(other, name) == getattr(one, name)
    assert back[0].seconds == {"encoding": 12.0, "training": 100.0}
    assert back[1].seconds == {}


def test_all_rows_that_can_not_be_read_are_named():
    rows = result_rows(measured(), "MP3S")
    rows[1]["value"], rows[4]["seed"] = "x", ""
    with pytest.raises(DataError, match="2 rows.*row 3: .*row 6: "):
        read_results(rows)


def test_markdown_has_ours_and_theirs_in_rows_of_their_own():
    table = compared_table(result_rows(measured()[:1], "MP3S"), "MP3S")
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
    assert "published" not in own_table(
        result_rows(measured()[:1], "MP3S"), "MP3S"
    )


def test_markdown_says_which_learning_rate_was_the_best_on_dev():
    table = own_table(result_rows(swept(), "MP3S"), "MP3S")
    assert "9.90, lr 0.01" in table
    assert "5.00" not in table


def test_markdown_keeps_corpora_apart():
    other = replace(measured()[0], about={"corpus": "AN4"})
    table = own_table(result_rows([measured()[0], other], "MP3S"), "MP3S")
    head = table.splitlines()[0]
    assert "| AN4, librispeech100" in head
    assert "| LibriSpeech, librispeech100" in head


def test_the_published_tables_show_each_figure_once():
    table = published_table("data2vec", "test-other_lm")
    cells = re.findall(r"\| (\d+\.\d+) ", table)
    assert len(cells) == 35 + 4  # table 2, and table 6 again
