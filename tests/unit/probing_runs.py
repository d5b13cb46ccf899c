"""Small probing runs on real clips, for tests.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path
from typing import NamedTuple

import soundfile
from hyperpyyaml import load_hyperpyyaml

from d2v_sb.manifest import write_rows
from d2v_sb.probing import ProbingRun
from d2v_sb.probing.brain import ProbingBrain
from d2v_sb.scoring import predictions, verification
from tests.layouts.clips import an4_clips

HPARAMS = Path(__file__).resolve().parents[2] / "hparams"
COLUMNS = ("ID", "duration", "wav", "spk_id", "wrd", "label")
TINY = {
    "corpus": "csv",
    "fold": ".",
    "test_splits": ["test"],
    "encoder": "tiny",
    "number_of_epochs": 2,
    "num_workers": 0,
    "cache_dtype": "float32",
    "cache_gb": 1,
    "gpu_batch_seconds": 8,
    "lr": 0.01,
}
CTC = {
    "head_options": {"hidden_size": 8},
    "batch_size": 3,
    "test_batch_size": 2,
    "beam_search": None,
}
CLASSES = {"head": "bilstm_linear", "batch_size": 3, "test_batch_size": 2}
CLASSES["head_options"] = {"hidden_size": 8}
KINDS = {"ctc": CTC, "class": CLASSES}


class Run(NamedTuple):
    """What is to be compared of a run."""

    result: object
    losses: list  # of each training batch
    weights: dict
    rates: list  # of head and layers' weights in each batch
    predictions: str
    run: ProbingRun


def write_csvs(corpora, folder):
    """Sixteen short clips of several speakers: eight to train on, three and
    five to measure on; of two classes, by the number of their words."""
    rows = []
    for clip in an4_clips(corpora, num_speakers=9, per_speaker=6):
        seconds = soundfile.info(clip.path).duration
        if seconds < 2:
            rows.append(
                {
                    "ID": clip.path.stem,
                    "duration": seconds,
                    "wav": str(clip.path),
                    "spk_id": clip.speaker,
                    "wrd": clip.words,
                    "label": "few" if len(clip.words.split()) < 2 else "many",
                }
            )
    rows = rows[::2] + rows[1::2]
    for name, part in (
        ("train", rows[:8]),
        ("dev", rows[8:11]),
        ("test", rows[11:16]),
    ):
        write_rows(folder / f"{name}.csv", part, COLUMNS)


def options_of(kind, csv_folder, output, **options):
    """Options of a run on what ``write_csvs`` wrote."""
    return {
        **TINY,
        **KINDS.get(kind, {}),
        "prepared_folder": str(csv_folder),
        "output_folder": str(output),
        "cache_folder": None,
        **options,
    }


def make(kind, csv_folder, output, run_opts=None, **options):
    """A run that has not begun."""
    output.mkdir(parents=True, exist_ok=True)
    overrides = options_of(kind, csv_folder, output, **options)
    with open(HPARAMS / f"probe_mp3s_{kind}.yaml", encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)
    run_opts = {"device": "cpu", "noprogressbar": True, **(run_opts or {})}
    return ProbingRun(hparams, run_opts, hparams["csv_folder"])


def finish(run, monkeypatch):
    """Trains and tests it."""
    losses, rates = [], []
    own = ProbingBrain.fit_batch

    def fit_batch(brain, batch):
        loss = own(brain, batch)
        losses.append(float(loss))
        rates.append([g["lr"] for g in brain.optimizer.param_groups])
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(ProbingBrain, "fit_batch", fit_batch)
        # Drawings take as long as such a training.
        patch.setattr(predictions, "plot_confusion", lambda *_: None)
        patch.setattr(verification, "plot_det", lambda *_: None)
        brain = run.train()
        result = run.test(brain)
    output = Path(run.hparams["output_folder"])
    paths = [*output.glob("predictions_*.csv"), *output.glob("wer_*.txt")]
    return Run(
        result,
        losses,
        {k: v.clone() for k, v in run.hparams["model"].state_dict().items()},
        rates,
        "".join(path.read_text() for path in sorted(paths)),
        run,
    )


def difference(weights, others):
    """Largest of any weight."""
    assert weights.keys() == others.keys()
    return max(
        (weights[k].double() - others[k].double()).abs().max().item()
        for k in weights
    )
