"""The sweep: each point what a searcher of its values gives, kept, chosen.

Authors
 * The d2v_sb developers 2026
"""

import csv
import math
import os

import jiwer
import pytest
import soundfile
import torch
from click.testing import CliRunner
from speechbrain.inference.ASR import EncoderASR
from speechbrain.nnet.linear import Linear

from d2v_sb.__main__ import main
from d2v_sb.beam_search import LMBeamSearcher, chosen_options
from d2v_sb.dataio import read_audio
from d2v_sb.errors import DataError, UserError
from d2v_sb.inference import export_ctc
from d2v_sb.lm_folders import LanguageModelFile
from d2v_sb.lobes import CTCModel, Data2VecAudio
from d2v_sb.sweeping import (
    Point,
    Points,
    Sweep,
    cached_log_probs,
    plot_surface,
    sweep as module,
)
from d2v_sb.tokens import Letters
from tests.arpa import write_arpa

LETTERS = Letters(" AB")
FIXED = {"beam_prune_logp": -12.0, "token_prune_min_logp": -1.5}
HPARAMS = """\
on_bad_audio: error
beam_search:
    beam_size: 100
    alpha: 0.8
    beta: 1.2
    beam_prune_logp: -12.0
    token_prune_min_logp: -1.5
"""


def export(folder, seed=0):
    """The inference folder of a random model."""
    torch.manual_seed(seed)
    head = Linear(input_size=128, n_neurons=len(LETTERS))
    encoder = Data2VecAudio("tiny", encoder_layers=1)
    with torch.no_grad():
        head.w.weight.mul_(4)
    export_ctc(folder, CTCModel(encoder, head), LETTERS)


@pytest.fixture
def run(tmp_path):
    """The output folder of a run: what a sweep needs of it."""
    folder = tmp_path / "run"
    export(folder / "inference")
    (folder / "hyperparams.yaml").write_text(HPARAMS)
    generator = torch.Generator().manual_seed(2)
    lines = ["ID,duration,wav,wrd"]
    for i, text in enumerate(["AB", "BAB AB", "AB AB", "BAB"]):
        wav = 0.1 * torch.randn(5000 + 1000 * i, generator=generator)
        soundfile.write(folder / f"{i}.wav", wav, 16000)
        lines.append(f"u{i},{len(wav) / 16000},{folder / f'{i}.wav'},{text}")
    (folder / "dev.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def lm(tmp_path):
    pytest.importorskip("kenlm", reason="no extra `lm`: no compiler")
    return write_arpa(tmp_path / "lm.arpa", ["AB", "BAB"], ["AB BAB"])


# What the network heard


def audio_of(run):
    with open(run / "dev.csv", newline="") as stream:
        return {row["ID"]: row["wav"] for row in csv.DictReader(stream)}


def cache(run, utterances=None):
    return cached_log_probs(
        run / "sweep",
        run / "inference",
        utterances or audio_of(run),
        convert=False,
        device="cpu",
    )


def test_cached_log_probabilities_are_the_models(run):
    found = cache(run)
    asr = EncoderASR.from_hparams(source=str(run / "inference"))
    for name, path in audio_of(run).items():
        expected = asr.mods.encoder(read_audio(path)[None], None)
        assert torch.equal(found[name], expected)
    assert found.labels == LETTERS.labels and found.blank_index == 0


def test_dev_is_heard_again_only_when_something_changed(run):
    frames = run / "sweep/frames.f32"

    def made():
        cache(run)
        return os.stat(frames).st_ino

    first = made()
    assert made() == first
    export(run / "inference", seed=1)
    second = made()
    assert second != first
    utterances = audio_of(run)
    del utterances["u0"]
    shorter = cache(run, utterances)
    assert os.stat(frames).st_ino != second
    with pytest.raises(KeyError):
        shorter["u0"]


# Points


def test_the_best_has_the_lowest_wer_then_the_smallest_beam(tmp_path):
    points = Points(tmp_path / "a.csv", "a")
    for values in ((1, 1, 50, 9, 3), (2, 1, 99, 8, 2), (2, 1, 50, 8, 2)):
        points.add(Point(*values))
    points.add(Point(3, 1, 50, 8, 2.5))
    assert [point.alpha for point in points.ranked()] == [2, 2, 3, 1]
    assert points.best() == Point(2, 1, 50, 8, 2)
    assert list(Points(tmp_path / "a.csv", "a")) == list(points)


def test_points_of_another_model_are_kept_apart(tmp_path):
    Points(tmp_path / "a.csv", "a").add(Point(1.0, 1.0, 50, 9.0, 3.0))
    others = Points(tmp_path / "a.csv", "b")
    others.add(Point(2.0, 2.0, 50, 1.0, 1.0))
    assert list(others) == [Point(2.0, 2.0, 50, 1.0, 1.0)]
    assert len(Points(tmp_path / "a.csv", "a")) == 1


def test_two_sweeps_at_once_lose_none_of_each_others_points(tmp_path):
    first, second = (Points(tmp_path / "a.csv", "a") for _ in range(2))
    first.add(Point(1.0, 1.0, 50, 9.0, 3.0))
    second.add(Point(2.0, 2.0, 50, 1.0, 1.0))
    assert len(Points(tmp_path / "a.csv", "a")) == 2


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "source,alpha\nx,y\n"])
def test_a_file_of_something_else_is_named(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=r"a\.csv holds something else"):
        Points(tmp_path / "a.csv", "a")


# The sweep


def rates_of(run, lm, options):
    """WER and CER on dev by a searcher made for these options alone."""
    file = LanguageModelFile(str(lm))
    searcher = LMBeamSearcher(LETTERS.labels, 0, file, **FIXED, **options)
    asr = EncoderASR.from_hparams(source=str(run / "inference"))
    texts = []
    with open(run / "dev.csv", newline="") as stream:
        for row in csv.DictReader(stream):
            heard = asr.mods.encoder(read_audio(row["wav"])[None], None)
            texts.append((row["wrd"], searcher(heard)[0][0].text))
    references, hypotheses = (list(column) for column in zip(*texts))
    return [
        100 * rate(references, hypotheses) for rate in (jiwer.wer, jiwer.cer)
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_point_is_what_a_searcher_of_its_values_gives(run, lm, jobs):
    sweep = Sweep(run, lm, jobs=jobs)
    best = sweep.search([0.0, 0.3, 4.0], [-3.0, 0.0, 3.0], [2, 50])
    points = list(sweep.points)
    assert len(points) == 10  # the grid, and its best by the other beam
    assert [point.beam_size for point in points] == [2] * 9 + [50]
    of_grid = min(points[:9], key=lambda point: (point.WER, point.CER))
    assert points[9].alpha == of_grid.alpha and points[9].beta == of_grid.beta
    assert best.WER == min(point.WER for point in points)
    assert len({point.CER for point in points}) > 3
    for point in points:
        expected = rates_of(run, lm, point.options)
        assert [point.WER, point.CER] == pytest.approx(expected)


def test_a_stopped_sweep_goes_on(run, lm, monkeypatch):
    first = Sweep(run, lm)
    decoded = []
    original = first._measured

    def stop_at_third(point, heard):
        if len(decoded) == 2:
            raise KeyboardInterrupt
        decoded.append(point)
        return original(point, heard)

    monkeypatch.setattr(first, "_measured", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        first.search([0.0, 1.0], [0.0, 1.0], [5])
    second = Sweep(run, lm)
    assert [point.options for point in second.points] == [
        point.options for point in decoded
    ]
    second.search([0.0, 1.0], [0.0, 1.0], [5])
    assert len(second.points) == 4
    monkeypatch.setattr(module, "_decode", None)  # nothing is left to do
    third = Sweep(run, lm)
    assert third.search([0.0, 1.0], [0.0, 1.0], [5]) == second.points.best()


def test_what_is_not_swept_is_of_the_run_and_keeps_points_apart(run, lm):
    Sweep(run, lm).search([1.0], [1.0], [5])
    path = run / "hyperparams.yaml"
    path.write_text(path.read_text().replace("-12.0", "-0.1"))
    sweep = Sweep(run, lm)
    assert len(sweep.points) == 0 and sweep.options["beam_prune_logp"] == -0.1


def test_another_language_model_has_points_of_its_own(run, lm):
    Sweep(run, lm).search([1.0], [1.0], [5])
    write_arpa(lm, ["AB", "BAB"], ["AB  AB"])  # of the same size
    assert len(Sweep(run, lm).points) == 0


def test_audio_is_converted_where_the_run_did(run, lm):
    soundfile.write(run / "0.wav", 0.1 * torch.randn(2000), 8000)
    with pytest.raises(DataError, match="0.wav has 8000 Hz"):
        Sweep(run, lm)
    path = run / "hyperparams.yaml"
    path.write_text(path.read_text().replace("audio: error", "audio: convert"))
    Sweep(run, lm)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_torn_language_model_is_named_whatever_the_jobs(run, lm, jobs):
    lm.write_text(lm.read_text()[:-30])
    with pytest.raises(UserError, match=r"lm\.arpa can not be read as a lang"):
        Sweep(run, lm, jobs=jobs).search([1.0], [1.0], [5])


def die(*_):
    os._exit(9)


def test_a_killed_process_is_explained(run, lm, monkeypatch):
    sweep = Sweep(run, lm, jobs=2)
    monkeypatch.setattr(module, "_decode", die)
    with pytest.raises(UserError, match="was killed.*fewer --jobs"):
        sweep.search([1.0], [1.0], [5])


def test_the_choice_is_where_tests_and_the_interface_take_it_from(run, lm):
    sweep = Sweep(run, lm)
    best = sweep.search([0.0, 4.0], [3.0], [5])
    chosen, folder = sweep.write(best)
    assert f"{best.WER:.2f} % WER on the 4 utterances" in chosen.read_text()
    options = chosen_options(run, lm, {"alpha": -1, "beam_size": -1})
    assert options == {**FIXED, **best.options}
    asr = EncoderASR.from_hparams(source=str(folder))
    searcher = asr.decoding_function
    assert (searcher.lm.alpha, searcher.lm.beta) == (best.alpha, best.beta)
    assert searcher.beam_size == best.beam_size
    assert searcher.beam_prune_logp == FIXED["beam_prune_logp"]


# The command


def call(*words):
    runner = CliRunner(catch_exceptions=False)
    return runner.invoke(main, ["sweep", *(str(word) for word in words)])


def test_the_command_searches_writes_and_draws(run, lm):
    values = ("--alpha", "0.5,1", "--beta", "1", "--beam_size", "5")
    result = call(run, "--lm_path", lm, *values)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    shown = [line for line in lines if line.startswith("alpha ")]
    assert len(shown) == 2 and "beam 5  WER" in shown[0]
    assert "at the end of --alpha" in result.output
    assert "--beta" not in result.output
    for name in ("beam_search.yaml", "inference_lm/language_model.ckpt"):
        assert (run / name).is_file()
    assert "<svg" in (run / "sweep/surface.svg").read_text()


@pytest.mark.parametrize(
    "missing", ["inference/model.ckpt", "dev.csv", "hyperparams.yaml"]
)
def test_a_folder_of_no_finished_run_is_an_error(run, lm, missing):
    (run / missing).unlink()
    with pytest.raises(UserError, match=f"there is no .*{missing}: a sweep"):
        Sweep(run, lm)


def test_a_run_without_ctc_beam_search_is_an_error(run, lm):
    (run / "hyperparams.yaml").write_text("on_bad_audio: error\n")
    with pytest.raises(UserError, match="has no beam_search"):
        Sweep(run, lm)


def test_a_language_model_of_other_words_is_refused(run, lm):
    write_arpa(lm, ["ab", "bab"])
    with pytest.raises(DataError, match="has them in lower case"):
        Sweep(run, lm)


@pytest.mark.parametrize(
    "option, value, reason",
    [
        ("--alpha", "0.5;1", "numbers with commas"),
        ("--alpha", "0.5,-1", "a number of 0 or more"),
        ("--beta", "nan", "a number of"),
        ("--beam_size", "5,0", "a number of 1 or more"),
        ("--jobs", "0", "x>=1"),
    ],
)
def test_values_that_make_no_sense_are_refused(run, lm, option, value, reason):
    result = call(run, "--lm_path", lm, option, value)
    assert result.exit_code == 2 and reason in result.output


def test_beyond_the_end_is_beyond_all_that_was_tried(run, lm):
    words = ("--beta", "1", "--beam_size", "5")
    call(run, "--lm_path", lm, "--alpha", "0.5,1,2", *words)
    best = Sweep(run, lm).points.best().alpha
    result = call(run, "--lm_path", lm, "--alpha", f"{best}", *words)
    at_end = "at the end of --alpha" in result.output
    assert at_end == (best in (0.5, 2))


def test_a_surface_with_gaps_is_drawn(tmp_path):
    points = [
        Point(0.5, 1.0, 50, 9.0, 3.0),
        Point(1.0, 2.0, 50, 8.0, 3.0),
        Point(1.0, 2.0, 100, math.nan, 3.0),
    ]
    plot_surface(points, tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text()
