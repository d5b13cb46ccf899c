#!/usr/bin/env python3
"""Pretrains Data2Vec-Audio on LibriSpeech, or on any folder tree of audio.

To run this recipe:
> python recipes/LibriSpeech/pretrain.py hparams/d2v_pretrain_base.yaml
> torchrun --nproc_per_node=8 recipes/LibriSpeech/pretrain.py \
      hparams/d2v_pretrain_base.yaml
On audio of your own, 1 % of it held out to validate:
> python recipes/LibriSpeech/pretrain.py hparams/d2v_pretrain_base.yaml \
      --data_folder /my/audio --train_splits '[.]' --dev_splits '[]'
Any key of the YAML is an option. --pretrain_from goes on from a checkpoint.

The output folder then holds curves.csv, the train log, `report.html`,
checkpoints in `save`, and `pretrained.safetensors`; the folder is an --encoder
of every recipe.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from librispeech_download import download_librispeech
from speechbrain.utils.distributed import ddp_init_group, run_on_main

from d2v_sb.audio_folder import prepare_audio_folder
from d2v_sb.checkpoints import PRETRAINED, check_source
from d2v_sb.errors import UserError
from d2v_sb.hparams import plain_values, read_plain, with_override
from d2v_sb.manifest import as_list
from d2v_sb.pretraining import CropDataset, export_pretrained, start_from
from d2v_sb.reporting import write_report_or_warn
from d2v_sb.training_script import run_training
from d2v_sb.versions import write_versions


def main(arguments):
    """Prepare, train, export."""
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    ddp_init_group(run_opts)
    plain = read_plain(hparams_file, overrides)
    source = plain["pretrain_from"]
    if source:
        overrides = with_override(overrides, "encoder", source)
    elif plain["freeze_feature_extractor"]:
        raise UserError(
            "--freeze_feature_extractor needs a conv stack that has learned: "
            "give --pretrain_from, e.g. what filterbank_start.py writes"
        )
    check_source(source or plain["encoder"])
    run_on_main(prepare, args=[plain])
    with open(hparams_file, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    run_on_main(write_versions, args=[hparams["output_folder"]])
    if source:
        parts = hparams["student"], hparams["teacher"]
        start_from(source, *parts, Path(hparams["save_folder"]) / "hub")
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    folder = Path(hparams["output_folder"])
    train = brain.train_loader(CropDataset(folder / "train.csv"))
    dev = brain.eval_loader(CropDataset(folder / "dev.csv"))
    run_on_main(forget_export, args=[brain, folder / PRETRAINED])
    brain.fit(brain.epochs(), train, dev)
    options = plain_values(hparams_file, overrides)
    # SpeechBrain's own options are no part of the overrides.
    given = set(run_opts.overridden_args) & set(options)
    options.update({name: getattr(run_opts, name) for name in given})
    export = [folder / PRETRAINED, brain.student, brain.teacher, options]
    run_on_main(export_pretrained, args=export)
    run_on_main(write_report_or_warn, args=[folder])


def forget_export(brain, path):
    """Removes the export of a run that is made longer: it would be taken for
    the newest of its weights."""
    newest = brain.checkpointer.find_checkpoint()
    done = newest.meta["update"] if newest else 0
    if done < brain.optimizer_step_limit:
        path.unlink(missing_ok=True)


def prepare(hparams):
    """Fetches the splits if asked to, and lists their audio."""
    splits = [as_list(hparams[f"{kind}_splits"]) for kind in ("train", "dev")]
    if hparams["download"]:
        download_librispeech(hparams["data_folder"], sum(splits, []))
    prepare_audio_folder(
        hparams["data_folder"],
        hparams["output_folder"],
        *splits,
        valid_percent=hparams["valid_percent"],
        min_seconds=hparams["min_seconds"],
        on_bad_audio=hparams["on_bad_audio"],
        skip_prep=hparams["skip_prep"],
    )


if __name__ == "__main__":
    run_training(main)
