#!/usr/bin/env python3
"""Fine-tunes Data2Vec-Audio to tell speakers apart, on VoxCeleb.

To run this recipe:
> python recipes/VoxCeleb/train.py hparams/d2v_speaker_id.yaml
> python recipes/VoxCeleb/train.py hparams/d2v_speaker_verification.yaml
> torchrun --nproc_per_node=8 recipes/VoxCeleb/train.py \
      hparams/d2v_speaker_verification.yaml
Any key of the YAML is an option, e.g. --data_folder /corpora/VoxCeleb.

The output folder then holds the train log, the predictions of the test split
(identification), scores and error rates of the trial lists (verification),
`report.html`, and `inference`, which SpeechBrain's SpeakerRecognition and
EncoderClassifier load.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    run_on_main,
)
from verify import main as verify
from voxceleb_prepare import prepare_voxceleb

from d2v_sb.checkpoints import check_source
from d2v_sb.finetuning.classification import split_dataset, train_classifier
from d2v_sb.folders import make_output_folder
from d2v_sb.hparams import read_plain
from d2v_sb.lobes.heads import FILTER_BANK
from d2v_sb.manifest import as_list
from d2v_sb.reporting import write_report_or_warn
from d2v_sb.training_script import run_training
from d2v_sb.versions import write_versions

# What some of the YAML files leave to the preparation's defaults.
OPTIONAL = ("train_folders", "valid_percent")


def main(arguments):
    """Prepare, train, export, test."""
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    ddp_init_group(run_opts)
    # The corpus comes before the model: a missing corpus is then known before
    # gigabytes of weights are fetched.
    plain = read_plain(hparams_file, overrides)
    if plain["encoder"] != FILTER_BANK:
        check_source(plain["encoder"])
    run_on_main(prepare, args=[plain])
    with open(hparams_file, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    run_on_main(write_versions, args=[hparams["output_folder"]])
    folder = Path(hparams["output_folder"])
    test = None
    if hparams["split_file"]:
        test = split_dataset(hparams, folder / "test.csv")
    brain = train_classifier(hparams, run_opts, folder)
    if test is not None:
        brain.test("test", test)
    # No process waits for it: of large lists it may take longer than they do
    # before they give up.
    if if_main_process():
        if as_list(hparams["trials"]):
            test_trials(hparams, brain.device)
        write_report_or_warn(folder)


def prepare(hparams):
    """Lists the clips as CSV."""
    make_output_folder(hparams["output_folder"])
    prepare_voxceleb(
        hparams["data_folder"],
        hparams["output_folder"],
        split_file=hparams["split_file"],
        trials=as_list(hparams["trials"]),
        converted_folder=hparams["converted_folder"],
        on_bad_audio=hparams["on_bad_audio"],
        skip_prep=hparams["skip_prep"],
        **{name: hparams[name] for name in OPTIONAL if name in hparams},
    )


def test_trials(hparams, device):
    """Error rates of the trial lists, scores normalised and not."""
    folder = Path(hparams["output_folder"])
    command = [
        hparams["inference_folder"],
        *("--data_folder", hparams["data_folder"]),
        *("--trials", *as_list(hparams["trials"])),
        *("--output_folder", str(folder / "trials")),
        *("--device", str(device)),
        *("--batch_seconds", str(hparams["gpu_batch_seconds"])),
        *("--clips", str(folder / "trials.csv")),
    ]
    if hparams["snorm_top"]:
        command += [
            *("--cohort", str(folder / "train.csv")),
            *("--cohort_clips", str(hparams["snorm_clips"])),
            *("--top", str(hparams["snorm_top"])),
        ]
    verify(command)


if __name__ == "__main__":
    run_training(main)
