#!/usr/bin/env python3
"""Probes a frozen Data2Vec-Audio encoder: a head learns on its states.

To run this recipe:
> python recipes/Probing/train.py hparams/probe_mp3s_ctc.yaml
> python recipes/Probing/train.py hparams/probe_mp3s_class.yaml
> python recipes/Probing/train.py hparams/probe_mp3s_speaker.yaml
Any key of the YAML is an option, e.g. --data_folder /corpora/LibriSpeech,
--encoder facebook/data2vec-audio-base, --head contextnet, --mode published.

States of each utterance are made once and kept in --cache_folder, where all
runs find them. The output folder then holds the train log, what was predicted
of the test sets, `report.html` and `result.json`. `d2v-sb benchmark` runs many
of these.

Authors
 * The d2v_sb developers 2026
"""

import time

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from probing_corpora import prepare
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    run_on_main,
)

from d2v_sb.checkpoints import check_source
from d2v_sb.folders import make_output_folder
from d2v_sb.hparams import read_plain
from d2v_sb.probing import ProbingRun
from d2v_sb.reporting import write_report_or_warn
from d2v_sb.training_script import run_training
from d2v_sb.versions import write_versions


def main(arguments):
    """Prepare, encode, train, test."""
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    ddp_init_group(run_opts)
    # The corpus comes before the model: a missing corpus is then known before
    # gigabytes of weights are fetched.
    plain = read_plain(hparams_file, overrides)
    check_source(plain["encoder"])
    begin = time.monotonic()
    run_on_main(make_output_folder, args=[plain["output_folder"]])
    run_on_main(prepare_corpus, args=[plain])
    preparation = time.monotonic() - begin
    with open(hparams_file, encoding="utf-8") as stream:
        hparams = load_hyperpyyaml(stream, overrides)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    run_on_main(write_versions, args=[hparams["output_folder"]])
    run = ProbingRun(hparams, run_opts, hparams["csv_folder"])
    run.seconds["preparation"] = round(preparation, 2)
    result = run.test(run.train())
    if if_main_process():
        result.write(hparams["output_folder"])
        for measure in result.measures:
            print(measure)
        write_report_or_warn(hparams["output_folder"])


def prepare_corpus(hparams):
    """Lists the corpus as CSV."""
    prepare(
        hparams["corpus"],
        hparams["data_folder"],
        hparams["prepared_folder"],
        hparams["corpus_options"],
        hparams["fold"],
    )


if __name__ == "__main__":
    run_training(main)
