"""A probing run: states are made once, a head learns on them and is tested.

Authors
 * The d2v_sb developers 2026
"""

import logging
import time
from pathlib import Path

import torch
from speechbrain.utils.distributed import (
    if_main_process,
    infer_device,
    run_on_main,
)

from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.finetuning.run_options import check_run_options
from d2v_sb.manifest import as_list
from d2v_sb.probing.about import about_run
from d2v_sb.probing.brain import ProbingBrain
from d2v_sb.probing.data import TRIALS, ProbingData
from d2v_sb.scoring.trials import read_trials
from d2v_sb.scoring.verification import verify

logger = logging.getLogger(__name__)


class ProbingRun:
    """Training and tests of one probe.

    Arguments
    ---------
    hparams : dict
        As ``load_hyperpyyaml`` gives it.
    run_opts : dict
        As ``speechbrain.parse_arguments`` gives it.
    csv_folder : str or pathlib.Path
        See ``ProbingData``.

    Raises
    ------
    DataError
        As of ``ProbingData``.
    """

    def __init__(self, hparams, run_opts, csv_folder):
        self.hparams, self.run_opts = hparams, run_opts
        self.frozen, self.task = hparams["frozen"], hparams["task"]
        # As SpeechBrain guesses where none is given.
        self.frozen.to(run_opts.get("device") or infer_device())
        self.seconds = {"encoding": 0.0, "training": 0.0, "testing": 0.0}
        self.num_processes = _num_processes()
        self.data = ProbingData(hparams, csv_folder, self.num_processes)
        self.trials = {
            name: read_trials(_find(name, hparams["data_folder"]))
            for name in as_list(hparams.get("trials"))
        }

    def train(self):
        """Trains, or goes on with it, and loads the weights to test.

        Returns
        -------
        ProbingBrain
        """
        hparams = self.hparams
        checkpointer = hparams["checkpointer"]
        record = Path(hparams["save_folder"]) / "options.json"
        begun = checkpointer.find_checkpoint() is not None
        run_on_main(check_run_options, args=[record, hparams, begun])
        self.datasets = self.data.datasets()
        self.seconds["encoding"] = self.data.encoding_seconds
        self._plan()
        brain = ProbingBrain(
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts=self.run_opts,
            checkpointer=checkpointer,
        )
        loader = brain.train_loader(self.datasets["train"])
        begin = time.monotonic()
        dev = brain.eval_loader(self.datasets["dev"])
        brain.fit(brain.epochs(), loader, dev)
        self.seconds["training"] = time.monotonic() - begin
        self.of_dev = brain.recover()
        return brain

    def _plan(self):
        """A pass over the data is what an epoch is, unless the hparams say it
        in updates."""
        hparams = self.hparams
        batches = len(self.datasets["train"].batches)
        total = hparams["batch_size"] * hparams["accumulate"]
        per_update = total // self.data.micro_batch
        interval, updates = hparams["duration"].plan(-(-batches // per_update))
        hparams["validate_interval_updates"] = interval
        hparams["number_of_updates"] = updates

    def test(self, brain):
        """Tests on all test sets and trials.

        Arguments
        ---------
        brain : ProbingBrain
            With the weights to test.

        Returns
        -------
        Result
        """
        hparams, measures = self.hparams, []
        begin = time.monotonic()
        for split in self.data.tests:
            measures += brain.test(split, self.datasets[split])
        if self.trials:
            embeddings = brain.embeddings(self.datasets[TRIALS])
            if if_main_process():
                for name, trials in self.trials.items():
                    measures += self._verify(name, trials, embeddings)
        self.seconds["testing"] = time.monotonic() - begin
        return Result(
            task=str(hparams["task_name"]),
            head=str(hparams["head"]),
            encoder=str(hparams["encoder"]),
            mode=self.frozen.mode,
            seed=hparams["seed"],
            dev=Measure("dev", self.task.name, self.of_dev),
            measures=measures,
            lr=float(hparams["lr"]),
            fold=None if hparams["fold"] == "." else hparams["fold"],
            seconds={k: round(v, 2) for k, v in self.seconds.items()},
            about=about_run(hparams, self.frozen, self.data.stores),
        )

    def _verify(self, name, trials, embeddings):
        name, folder = Path(name).stem, self.hparams["output_folder"]
        found = verify(name, trials, embeddings, folder)
        logger.info("%s", found)
        eer, cost = found.eer, found.min_dcf_001
        percent = [100 * x for x in (eer.value, eer.low, eer.high)]
        costs = (cost.value, cost.low, cost.high)
        counts = found.num_trials, found.num_speakers
        return [
            Measure(name, "EER", *percent, *counts),
            Measure(name, "minDCF", *costs, *counts),
        ]


def _find(name, data_folder):
    """A list of trials: a path, or a name in the data folder, as the
    preparation looks for it."""
    return name if Path(name).is_file() else Path(data_folder) / name


def _num_processes():
    if torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1
