"""Verification from end to end: measures, files, and what is refused.

Authors
 * The d2v_sb developers 2026
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.errors import DataError, UserError
from d2v_sb.scoring import (
    Calibration,
    cllr,
    equal_error_rate,
    min_dcf,
    plot_det,
    verification,
    verify,
)
from d2v_sb.scoring.disjoint import check_calibration_trials, check_cohort
from d2v_sb.scoring.normalisation import adaptive_s_norm
from d2v_sb.scoring.trials import Trial, keys_of, read_scores
from d2v_sb.scoring.verification import labels_of, score_trials

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "VoxCeleb"
WIDTH = 16

MODEL = """\
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 20
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: 20
    tdnn_blocks: 1
    tdnn_channels: [16]
    tdnn_kernel_sizes: [3]
    tdnn_dilations: [1]
    lin_neurons: 16
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
"""


def draw(seed, prefix="s", num_speakers=12):
    """Trials of made-up speakers, and embeddings by key."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = {}
    for speaker in range(num_speakers):
        own = torch.randn(WIDTH, generator=generator) + 0.5
        for clip in range(4):
            noise = torch.randn(WIDTH, generator=generator)
            embeddings[f"{prefix}{speaker}/v/{clip}"] = own + 1.3 * noise
    names = [f"{key}.wav" for key in embeddings]
    trials = []
    for i in range(len(names)):
        for j in range(i + 1, len(names), 3):
            same = names[i].split("/")[0] == names[j].split("/")[0]
            trials.append(Trial(same, names[i], names[j]))
    return trials, embeddings


def test_result_is_that_of_the_scores_and_is_written(tmp_path):
    """Scores in their file, measures in the JSON, a picture."""
    trials, embeddings = draw(0)
    result = verify("list", trials, embeddings, tmp_path, num_resamples=50)
    read, scores = read_scores(tmp_path / "list.scores.tsv")
    assert read == trials
    labels = labels_of(trials)
    assert result.eer.value == equal_error_rate(scores, labels)
    assert result.min_dcf_001.value == min_dcf(scores, labels)
    assert result.min_dcf_005.value == min_dcf(scores, labels, 0.05)
    assert 0 < result.eer.value < 0.5
    assert result.min_dcf_001.value > result.min_dcf_005.value
    for measure in (result.eer, result.min_dcf_001, result.min_dcf_005):
        assert measure.low < measure.high
    assert result.eer.low <= result.eer.value <= result.eer.high
    assert result.cllr is None
    assert (result.num_trials, result.num_speakers) == (len(trials), 12)
    assert result.num_targets == labels.sum()
    summary = json.loads((tmp_path / "list.json").read_text())
    assert summary["eer"]["value"] == result.eer.value
    assert summary["scores"] == "cosine" and summary["cllr"] is None
    assert (tmp_path / "list.det.png").stat().st_size > 1000
    assert f"EER {100 * result.eer.value:.2f} %" in str(result)
    again = verify("list", trials, embeddings, tmp_path, num_resamples=50)
    assert again == result


def test_scores_are_cosines_and_the_sides_of_a_trial_may_be_exchanged():
    """Blocks of trials are put together in order."""
    trials, embeddings = draw(1)
    scores = score_trials(trials, embeddings)
    for trial, score in list(zip(trials, scores))[::50]:
        a, b = (embeddings[name[:-4]].double() for name in trial[1:])
        assert score == pytest.approx(float(a @ b / a.norm() / b.norm()))
    exchanged = [Trial(t.target, t.test, t.enrol) for t in trials]
    np.testing.assert_allclose(score_trials(exchanged, embeddings), scores)


def test_blocks_of_trials_change_nothing(monkeypatch):
    """Seven at a time."""
    trials, embeddings = draw(1)
    scores = score_trials(trials, embeddings)
    monkeypatch.setattr(verification, "BLOCK", 7)
    np.testing.assert_array_equal(score_trials(trials, embeddings), scores)


def test_cohort_normalises(tmp_path):
    """As the function does that the loops check."""
    trials, embeddings = draw(2)
    cohort = torch.stack(list(draw(3, "c")[1].values()))
    options = {"cohort": cohort, "top": 10, "num_resamples": 5}
    result = verify("list", trials, embeddings, tmp_path, **options)
    assert result.scores == "cosine, adaptive s-norm"
    _, scores = read_scores(tmp_path / "list.scores.tsv")
    keys = keys_of(trials)
    sides = [
        torch.tensor([keys.index(name[:-4]) for name in names])
        for names in list(zip(*trials))[1:]
    ]
    rows = torch.stack([embeddings[key] for key in keys])
    raw = torch.from_numpy(score_trials(trials, embeddings))
    theirs = adaptive_s_norm(raw, *sides, rows, cohort, 10)
    np.testing.assert_allclose(scores, theirs)


def test_calibrated_scores_are_ratios(tmp_path):
    """Cllr is reported of them, the rates stay."""
    trials, embeddings = draw(4, num_speakers=30)
    others, of_others = draw(5, "o", num_speakers=30)
    calibration = Calibration.fit(
        score_trials(others, of_others), labels_of(others)
    )
    options = {"num_resamples": 50}
    plain = verify("a", trials, embeddings, tmp_path, **options)
    options["calibration"] = calibration
    result = verify("b", trials, embeddings, tmp_path, **options)
    _, llrs = read_scores(tmp_path / "b.scores.tsv")
    labels = labels_of(trials)
    assert result.cllr.value == pytest.approx(cllr(llrs, labels))
    assert result.cllr.low < result.cllr.value < result.cllr.high
    assert result.cllr.value < 1 < cllr(10 * llrs, labels)
    assert result.eer == plain.eer
    assert result.scores == "log-likelihood ratio of cosine"
    assert "Cllr" in str(result) and "Cllr" not in str(plain)


def test_picture_of_a_large_list_is_small(tmp_path):
    """Thresholds that lie within a pixel are not drawn."""
    misses = np.linspace(0, 1, 500_000)
    plot_det({"large": (misses, misses[::-1])}, tmp_path / "det.svg")
    assert (tmp_path / "det.svg").stat().st_size < 200_000
    with pytest.raises(UserError, match="det.txt"):
        plot_det({"a": (misses, misses[::-1])}, tmp_path / "det.txt")


def test_cohort_and_calibration_must_be_others():
    """Speakers of the cohort, and trials to calibrate on."""
    trials, _ = draw(0)
    check_cohort("c.csv", ["other"], trials)
    with pytest.raises(DataError, match="c.csv(?s:.*)These are 2: s1, s3"):
        check_cohort("c.csv", ["s3", "s1", "other"], trials)
    others, _ = draw(0, "o")
    check_calibration_trials("l.txt", others, trials)
    # Other clips of a speaker are no other speaker.
    again = [Trial(True, "s0/v/7.wav", "s0/w/8.wav")]
    with pytest.raises(DataError, match="These are 1: s0"):
        check_calibration_trials("l.txt", others + again, trials)


# The command line.


@pytest.fixture
def script(monkeypatch):
    """The recipe's script as a module."""
    monkeypatch.syspath_prepend(str(RECIPE))
    import verify

    return verify


@pytest.fixture
def model(tmp_path):
    """A model folder: a small x-vector of random weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(0)
    (folder / "hyperparams.yaml").write_text(MODEL)
    weights = load_hyperpyyaml(MODEL)["embedding_model"].state_dict()
    torch.save(weights, folder / "embedding_model.ckpt")
    return folder


@pytest.fixture
def run(script, model, tmp_path):
    """Runs it on the model."""

    def run(data_folder, *options, source=model):
        arguments = ["--data_folder", data_folder, *options]
        arguments += ["--output_folder", tmp_path / "out"]
        arguments += ["--num_resamples", 20, source]
        script.main([str(argument) for argument in arguments])

    return run


def other_speakers(corpus, folder):
    """A cohort's CSV, and a list of trials of yet other speakers."""
    listed = (corpus / "veri_test.txt").read_text()
    clips = {}
    for path in sorted(corpus.glob("wav/*/*/*.wav")):
        speaker = path.parts[-3]
        if speaker not in listed:
            clips.setdefault(speaker, []).append(path)
    speakers = list(clips)
    with open(folder / "cohort.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ID", "duration", "wav", "spk_id"])
        for speaker in speakers[:8]:
            for path in clips[speaker][:2]:
                key = "/".join(path.with_suffix("").parts[-3:])
                seconds = sf.info(path).duration
                writer.writerow([key, seconds, path, speaker])
    lines = []
    for a, b in zip(speakers[8:20], speakers[9:21]):
        names = ["/".join(p.parts[-3:]) for p in clips[a][:4] + clips[b][:1]]
        lines += [f"1 {names[0]} {names[i]}" for i in (1, 2, 3)]
        lines += [f"0 {names[i]} {names[4]}" for i in (0, 1, 2)]
    (folder / "held_out.txt").write_text("\n".join(lines) + "\n")


def test_command_line_verifies_a_real_list(corpora, run, tmp_path, capsys):
    """Normalised and calibrated; again, from the cache."""
    corpus = corpora / "voxceleb_mini"
    other_speakers(corpus, tmp_path)
    run(corpus, "--trials", "veri_test.txt")
    plain = capsys.readouterr().out
    assert plain.startswith("veri_test: EER") and "180 trials of 10" in plain
    options = ["--cohort", tmp_path / "cohort.csv", "--top", 5]
    options += ["--calibration_trials", tmp_path / "held_out.txt"]
    run(corpus, "--trials", "veri_test.txt", *options)
    both = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in both] == [
        "veri_test",
        "veri_test_snorm",
    ]
    assert all("Cllr" in line for line in both)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "calibration.json",
        "calibration_snorm.json",
        "embeddings.safetensors",
        *(f"veri_test{x}" for x in (".det.png", ".json", ".scores.tsv")),
        *(f"veri_test_snorm{x}" for x in (".det.png", ".json", ".scores.tsv")),
    ]
    run(corpus, "--trials", corpus / "veri_test.txt")
    assert capsys.readouterr().out == plain


def test_command_line_refuses_before_it_computes(
    corpora, run, tmp_path, monkeypatch
):
    """Each mistake has its own message."""
    corpus = corpora / "voxceleb_mini"
    trials = corpus / "veri_test.txt"
    (tmp_path / "veri_test.txt").write_text(trials.read_text())
    other = trials.read_text().replace("id10270", "id19999")
    (tmp_path / "other.txt").write_text(other)

    def expect(text, *options, **kwargs):
        with pytest.raises(UserError, match=text):
            run(corpus, *options, **kwargs)

    ours = ("--trials", "veri_test.txt")
    expect("no model folder", *ours, source=tmp_path / "absent")
    expect("no list absent.txt", "--trials", "absent.txt")
    expect("two lists are called", *ours, tmp_path / "veri_test.txt")
    expect("other: 6 of its", "--trials", tmp_path / "other.txt")
    expect("are in those that", *ours, "--calibration_trials", "veri_test.txt")
    expect("is no CSV of ID", *ours, "--cohort", tmp_path / "absent.csv")
    cohort = tmp_path / "cohort.csv"
    cohort.write_text("ID,duration,wav,spk_id\na,1.0,a.wav,id10270\n")
    expect("speakers of the cohort", *ours, "--cohort", cohort)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    expect("finds no GPU", *ours, "--device", "cuda:0")
    assert not (tmp_path / "out" / "embeddings.safetensors").exists()
