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
from d2v_sb.probing.batches import UtteranceBatches, in_order, share_batch
from d2v_sb.probing.brain import ProbingBrain
from d2v_sb.probing.caching import CachedStates, fill
from d2v_sb.probing.dataset import ProbeDataset
from d2v_sb.probing.rows import Whole, read_utterances
from d2v_sb.probing.state_store import StateStore
from d2v_sb.scoring.trials import read_trials
from d2v_sb.scoring.verification import verify

logger = logging.getLogger(__name__)


class ProbingRun:
    """Data, training and tests of one probe.

    Arguments
    ---------
    hparams : dict
        As ``load_hyperpyyaml`` gives it.
    run_opts : dict
        As ``speechbrain.parse_arguments`` gives it.
    csv_folder : str or pathlib.Path
        Holds ``train.csv``, ``dev.csv``, and a CSV for each test set.
    """

    def __init__(self, hparams, run_opts, csv_folder):
        self.hparams, self.run_opts = hparams, run_opts
        self.csv_folder = Path(csv_folder)
        self.frozen, self.task = hparams["frozen"], hparams["task"]
        # As SpeechBrain guesses where none is given.
        self.frozen.to(run_opts.get("device") or infer_device())
        self.seconds = {"encoding": 0.0, "training": 0.0, "testing": 0.0}
        self.stores = {}

    def train(self):
        """Trains, or goes on with it, and loads the best.

        Returns
        -------
        ProbingBrain
        """
        hparams = self.hparams
        checkpointer = hparams["checkpointer"]
        record = Path(hparams["save_folder"]) / "options.json"
        begun = checkpointer.find_checkpoint() is not None
        run_on_main(check_run_options, args=[record, hparams, begun])
        train, dev = self._training_data(), self.evaluation_data("dev")
        brain = ProbingBrain(
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts=self.run_opts,
            checkpointer=checkpointer,
        )
        loader = brain.train_loader(train)
        begin = time.monotonic()
        brain.fit(brain.epochs(), loader, brain.eval_loader(dev))
        self.seconds["training"] = time.monotonic() - begin
        self.best = brain.recover_best()
        return brain

    def test(self, brain):
        """Tests on all test sets and trials.

        Arguments
        ---------
        brain : ProbingBrain
            With the best weights.

        Returns
        -------
        Result
        """
        hparams = self.hparams
        begin, measures = time.monotonic(), []
        encoding = self.seconds["encoding"]
        for split in as_list(hparams["test_splits"]):
            measures += brain.test(split, self.evaluation_data(split))
        for trials in as_list(hparams.get("trials")):
            measures += self._verify(brain, trials)
        encoding = self.seconds["encoding"] - encoding
        self.seconds["testing"] = time.monotonic() - begin - encoding
        return Result(
            task=str(hparams["task_name"]),
            head=str(hparams["head"]),
            encoder=str(hparams["encoder"]),
            mode=self.frozen.mode,
            seed=hparams["seed"],
            dev=Measure("dev", self.task.name, self.best),
            measures=measures,
            lr=float(hparams["lr"]),
            fold=None if hparams["fold"] == "." else hparams["fold"],
            seconds={k: round(v, 2) for k, v in self.seconds.items()},
            about=about_run(hparams, self.frozen, self.stores),
        )

    # Data

    def _training_data(self):
        hparams = self.hparams
        heard = hparams["heard"](self._read("train"))
        heard = self.task.check(heard, self.frozen.num_frames)
        processes = _num_processes()
        size, hparams["accumulation"] = share_batch(
            hparams["batch_size"], hparams["accumulate"], processes
        )
        chunk = None
        # What MP3S draws anew each time can not be kept.
        if self.frozen.mode == "published" and hparams["random_chunks"]:
            chunk = hparams["heard"].length
        hparams["batches"] = UtteranceBatches(
            heard,
            size,
            hparams["sorting"],
            hparams["seed"],
            hparams["balance"],
            chunk,
        )
        per_update = hparams["accumulation"] * processes
        interval = max(1, -(-len(hparams["batches"]) // per_update))
        hparams["validate_interval_updates"], hparams["number_of_updates"] = (
            hparams["length"].plan(interval)
        )
        cached = None
        if chunk is None:
            own = [u.num_samples for u in heard]
            cached = self._cached(heard, own, self.frozen.train, "train")
        return ProbeDataset(heard, self.task.encode, cached)

    def evaluation_data(self, split):
        """A dataset that is heard in batches which never change.

        Arguments
        ---------
        split : str
            Name of a CSV.

        Returns
        -------
        ProbeDataset
        """
        hparams = self.hparams
        limit = hparams["heard"] if split == "dev" else Whole()
        size = hparams["batch_size" if split == "dev" else "test_batch_size"]
        utterances = limit(self._read(split))
        if hasattr(self.task, "labels"):
            self.task.check(utterances, self.frozen.num_frames)
        return self._evaluated(utterances, self.task.encode, size, split)

    def _evaluated(self, utterances, encode, size, name):
        batches = in_order(utterances, size)
        longest = [u.num_samples for u in utterances]
        if self.frozen.test.by_batch:
            for batch in batches:
                most = max(longest[i] for i in batch)
                for i in batch:
                    longest[i] = most
        cached = self._cached(utterances, longest, self.frozen.test, name)
        dataset = ProbeDataset(utterances, encode, cached)
        dataset.batches = batches
        return dataset

    def _read(self, split):
        name = split.strip("/").replace("/", "-")
        return read_utterances(
            self.csv_folder / f"{name}.csv", self.task.column
        )

    def _cached(self, utterances, longest, view, name):
        hparams = self.hparams
        if not hparams["cache_folder"]:
            return None
        if view not in self.stores:
            self.stores[view] = StateStore(
                hparams["cache_folder"],
                view.settings(),
                hparams["cache_dtype"],
                int(hparams["cache_gb"] * 1e9),
            )
        cached = CachedStates(self.stores[view], utterances, longest)
        seconds = hparams["gpu_batch_seconds"]
        begin = time.monotonic()
        run_on_main(fill, args=[cached, utterances, view, seconds, name])
        self.stores[view].refresh()
        self.seconds["encoding"] += time.monotonic() - begin
        return cached

    # Trials

    def _verify(self, brain, name):
        clips = read_utterances(self.csv_folder / "trials.csv")
        size = self.hparams["test_batch_size"]
        dataset = self._evaluated(clips, lambda _: [0], size, "trials")
        embeddings = brain.embeddings(dataset)
        if not if_main_process():
            return []
        path = Path(self.hparams["data_folder"]) / name
        found = verify(
            Path(name).stem,
            read_trials(path if path.is_file() else name),
            embeddings,
            self.hparams["output_folder"],
        )
        logger.info("%s", found)
        split, count = found.name, found.num_trials
        eer, cost = found.eer, found.min_dcf_001
        return [
            Measure(
                split,
                "EER",
                *(100 * x for x in (eer.value, eer.low, eer.high)),
                count,
            ),
            Measure(split, "minDCF", cost.value, cost.low, cost.high, count),
        ]


class Epochs:
    """Training lasts so many passes, with a validation after each.

    Arguments
    ---------
    number : int
        How many.

    Example
    -------
    >>> Epochs(3).plan(100)
    (100, 300)
    """

    def __init__(self, number):
        self.number = int(number)

    def plan(self, updates_a_pass):
        """(Updates between validations, updates in all)."""
        return updates_a_pass, self.number * updates_a_pass


class Updates:
    """Training lasts so many updates, with a validation now and then.

    Arguments
    ---------
    number : int
        How many.
    validate_every : int
        Updates between validations.

    Example
    -------
    >>> Updates(5000, 1000).plan(70)
    (1000, 5000)
    """

    def __init__(self, number, validate_every):
        self.number, self.validate_every = int(number), int(validate_every)

    def plan(self, updates_a_pass):
        """(Updates between validations, updates in all)."""
        return min(self.validate_every, self.number), self.number


def _num_processes():
    if torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1
