#!/usr/bin/env python3
"""Fine-tunes Data2Vec-Audio to recognise emotions, on IEMOCAP and others.

To run this recipe:
> python recipes/IEMOCAP/train.py hparams/d2v_emotion.yaml
> torchrun --nproc_per_node=2 recipes/IEMOCAP/train.py hparams/d2v_emotion.yaml
It trains and tests all folds of the protocol and averages them.
--fold session1 takes one. Any key of the YAML is an option, e.g.
--protocol speaker, --data_folder /corpora/IEMOCAP, or --corpus ravdess.

The output folder then holds `summary.json`, the confusion matrix of all folds
as a picture, `report.html`, and a folder for each fold with its train log,
predictions, `report.html` and `inference`, which SpeechBrain's
EncoderClassifier loads.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import speechbrain as sb
from emotion_fold_files import find_folds
from hyperpyyaml import load_hyperpyyaml
from iemocap_prepare import prepare_emotion
from speechbrain.utils.distributed import ddp_init_group, run_on_main

from d2v_sb.checkpoints import check_source
from d2v_sb.errors import UserError
from d2v_sb.finetuning.classification import split_dataset, train_classifier
from d2v_sb.folders import make_output_folder
from d2v_sb.hparams import given_overrides, read_plain
from d2v_sb.lobes.heads import FILTER_BANK
from d2v_sb.reporting import write_report_or_warn
from d2v_sb.scoring.predictions import summarise_folds
from d2v_sb.training_script import run_training
from d2v_sb.versions import write_versions


def main(arguments):
    """Prepare, train and test fold by fold, average."""
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    ddp_init_group(run_opts)
    plain = read_plain(hparams_file, overrides)
    if plain["encoder"] != FILTER_BANK:
        check_source(plain["encoder"])
    folds = prepare(plain)
    for fold in folds:
        run_fold(hparams_file, run_opts, overrides, fold, plain)
    if plain["fold"] is None:
        folder = Path(plain["output_folder"])
        run_on_main(summarise_folds, args=[folder, folds])
        run_on_main(write_report_or_warn, args=[folder])


def prepare(hparams):
    """Names of the folds to run; the corpus is listed on the main process."""
    # Jobs of single folds that run beside each other do not disturb a
    # preparation that is done.
    wanted = hparams["fold"]
    if wanted is not None and wanted in find_folds(
        Path(hparams["output_folder"])
    ):
        return [wanted]
    classes = hparams["classes"]
    if not isinstance(classes, (dict, type(None))):
        raise UserError(
            f"--classes {classes}: it is a mapping of labels to classes, such "
            "as '{exc: null}', which is merged into that of the YAML, or null "
            "for all labels"
        )
    run_on_main(make_output_folder, args=[hparams["output_folder"]])
    options = {
        "data_folder": hparams["data_folder"],
        "save_folder": hparams["output_folder"],
        "corpus": hparams["corpus"],
        "labels": None if classes is None else dict(classes),
        "protocol": hparams["protocol"],
        "num_folds": hparams["num_folds"],
        "share_speakers": hparams["share_speakers"],
        "seed": hparams["seed"],
        "on_bad_audio": hparams["on_bad_audio"],
        "skip_prep": hparams["skip_prep"],
    }
    run_on_main(prepare_emotion, kwargs=options)
    folds = prepare_emotion(**{**options, "skip_prep": True})
    if wanted is None:
        return folds
    if wanted not in folds:
        raise UserError(f"--fold {wanted}: the protocol has {', '.join(folds)}")
    return [wanted]


def run_fold(hparams_file, run_opts, overrides, fold, plain):
    """Trains on a fold and tests it, in a folder of its own."""
    folder = Path(plain["output_folder"]) / fold
    overrides = {**given_overrides(overrides), "output_folder": str(folder)}
    with open(hparams_file, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    sb.create_experiment_directory(
        experiment_directory=folder,
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    run_on_main(write_versions, args=[folder])
    test = split_dataset(hparams, folder / "test.csv")
    train_classifier(hparams, run_opts, folder).test("test", test)
    # To be seen while the other folds train.
    run_on_main(write_report_or_warn, args=[folder])


if __name__ == "__main__":
    run_training(main)
