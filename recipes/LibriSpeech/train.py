#!/usr/bin/env python3
"""Fine-tunes Data2Vec-Audio for speech recognition on LibriSpeech.

To run this recipe:
> python recipes/LibriSpeech/train.py hparams/d2v_ctc.yaml
> python recipes/LibriSpeech/train.py hparams/d2v_attention.yaml
> torchrun --nproc_per_node=8 recipes/LibriSpeech/train.py hparams/d2v_ctc.yaml
Any key of the YAML is an option, e.g. --data_folder /corpora/LibriSpeech.
--download true fetches the splits that are not there.

The output folder then holds the train log, WER and CER files of each test
split, `report.html`, and `inference`, which SpeechBrain's EncoderASR
(attention: EncoderDecoderASR) loads.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from librispeech_download import download_librispeech
from librispeech_prepare import COLUMNS, prepare_librispeech, split_csv
from speechbrain.utils.distributed import ddp_init_group, run_on_main

from d2v_sb.checkpoints import check_source
from d2v_sb.dataio import asr_dataset, drop_unalignable
from d2v_sb.errors import UserError
from d2v_sb.finetuning import with_regime
from d2v_sb.hparams import read_plain
from d2v_sb.manifest import as_list
from d2v_sb.reporting import write_report_or_warn
from d2v_sb.train_rows import join_neighbours, keep_listed
from d2v_sb.training_script import run_training
from d2v_sb.versions import write_versions


def main(arguments):
    """Prepare, train, export, test."""
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    overrides = with_regime(hparams_file, overrides)
    ddp_init_group(run_opts)
    # The corpus comes before the model: a missing corpus is then known before
    # gigabytes of weights are fetched.
    plain = read_plain(hparams_file, overrides)
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
    train, dev, tests = datasets(hparams)
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.fit(brain.epochs(), brain.train_loader(train), brain.eval_loader(dev))
    hparams["checkpointer"].recover_if_possible(min_key="WER")
    run_on_main(brain.export)
    for suffix in brain.decoders():
        for name, dataset in tests.items():
            brain.test(name, dataset, suffix)
    run_on_main(write_report_or_warn, args=[hparams["output_folder"]])


def prepare(hparams):
    """Fetches the splits if asked to, and lists them as CSV."""
    names = ("train_splits", "dev_splits", "test_splits")
    splits = {name: as_list(hparams[name]) for name in names}
    for name in ("train_splits", "dev_splits"):
        if not splits[name]:
            raise UserError(f"{name} is empty: the recipe needs at least one")
    if hparams["download"]:
        wanted = [split for part in splits.values() for split in part]
        download_librispeech(hparams["data_folder"], wanted)
    prepare_librispeech(
        hparams["data_folder"],
        hparams["output_folder"],
        on_bad_audio=hparams["on_bad_audio"],
        skip_prep=hparams["skip_prep"],
        **splits,
    )
    # Before anything is learned from the transcripts.
    if hparams["skip_prep"]:
        return
    train = Path(hparams["output_folder"]) / "train.csv"
    if hparams["train_ids"]:
        keep_listed(train, hparams["train_ids"], COLUMNS)
    if hparams["join_seconds"]:
        join_neighbours(train, hparams["join_seconds"], COLUMNS)


def datasets(hparams):
    """Train and dev data, and test data by split."""
    folder = Path(hparams["output_folder"])

    def dataset(name):
        return asr_dataset(
            split_csv(folder, name),
            hparams["tokenizer"],
            convert=hparams["on_bad_audio"] == "convert",
        )

    train = drop_unalignable(
        dataset("train"),
        hparams["tokenizer"],
        hparams["data2vec"].config.conv_feature_layers,
        folder / "unalignable.txt",
    )
    tests = {name: dataset(name) for name in as_list(hparams["test_splits"])}
    return train, dataset("dev"), tests


if __name__ == "__main__":
    run_training(main)
