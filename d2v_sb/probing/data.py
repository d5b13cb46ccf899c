"""The data of a probing run: all read and checked first, then encoded.

Authors
 * The d2v_sb developers 2026
"""

import time
from pathlib import Path

from d2v_sb.errors import UserError
from d2v_sb.manifest import as_list
from d2v_sb.probing.batches import UtteranceBatches, in_order, share_batch
from d2v_sb.probing.caching import CachedStates, fill
from d2v_sb.probing.dataset import ProbeDataset
from d2v_sb.probing.rows import Whole, read_utterances
from d2v_sb.probing.state_store import StateStore

TRIALS = "trials"


class ProbingData:
    """Utterances by split, and datasets of them.

    Arguments
    ---------
    hparams : dict
        As ``load_hyperpyyaml`` gives it.
    csv_folder : str or pathlib.Path
        Holds ``train.csv``, ``dev.csv``, a CSV for each test set, and
        ``trials.csv`` where there are trials.
    num_processes : int
        That train together.

    Raises
    ------
    DataError
        If one of these is not there, or has what can not be trained on or
        tested: before hours of training, not after them.
    """

    def __init__(self, hparams, csv_folder, num_processes=1):
        self.hparams = hparams
        self.frozen, self.task = hparams["frozen"], hparams["task"]
        self.folder = Path(csv_folder)
        self.encoding_seconds = 0.0
        self.stores = {}
        self.micro_batch, _ = share_batch(
            hparams["batch_size"], hparams["accumulate"], num_processes
        )
        self.tests = as_list(hparams["test_splits"])
        heard, column = hparams["heard"], self.task.column
        train = heard(read_utterances(self.folder / "train.csv", column))
        train = self.task.check(train, self.frozen.num_frames)
        self.utterances = {"train": train}
        for split in ("dev", *self.tests):
            limit = heard if split == "dev" else Whole()
            name = split.strip("/").replace("/", "-")
            found = read_utterances(self.folder / f"{name}.csv", column)
            self.utterances[split] = limit(self.task.check_test(found))
        if hparams.get("trials"):
            path = self.folder / f"{TRIALS}.csv"
            self.utterances[TRIALS] = read_utterances(path)
        self.chunk = self._chunk()

    def datasets(self):
        """Datasets of all splits, their states made where they are not kept.

        Those to test on come first: they are small, and all heads need them.

        Returns
        -------
        dict of str to ProbeDataset
        """
        names = [name for name in self.utterances if name != "train"]
        found = {name: self._test_dataset(name) for name in names}
        return {**found, "train": self._training_dataset()}

    def _training_dataset(self):
        hparams, heard = self.hparams, self.utterances["train"]
        batches = UtteranceBatches(
            heard,
            self.micro_batch,
            hparams["sorting"],
            hparams["seed"],
            hparams["balance"],
            self.chunk,
        )
        cached = None
        if self.chunk is None:
            own = [u.num_samples for u in heard]
            cached = self._cached("train", own, self.frozen.training_view)
        return ProbeDataset(heard, self.task.encode, cached, batches)

    def _chunk(self):
        """Samples that are heard of an utterance, from anywhere in it, anew
        each time; None where it is always heard alike, and can be kept."""
        hparams = self.hparams
        if not (hparams["random_chunks"] and self.frozen.draws_chunks):
            return None
        length = getattr(hparams["heard"], "length", None)
        if length is None:
            raise UserError(
                "--random_chunks True: chunks are of the length of pieces "
                "(piece_seconds), and here utterances are heard whole"
            )
        return length

    def _test_dataset(self, name):
        """Its batches never change: what an utterance gets in mode published
        depends on them."""
        hparams, utterances = self.hparams, self.utterances[name]
        size = hparams["batch_size" if name == "dev" else "test_batch_size"]
        batches = in_order(utterances, size)
        longest = [u.num_samples for u in utterances]
        view = self.frozen.test_view
        if view.by_batch:
            for batch in batches:
                most = max(longest[i] for i in batch)
                for i in batch:
                    longest[i] = most
        cached = self._cached(name, longest, view)
        encode = self.task.encode if name != TRIALS else _nothing
        return ProbeDataset(utterances, encode, cached, batches)

    def _cached(self, name, longest, view):
        hparams, utterances = self.hparams, self.utterances[name]
        if not hparams["cache_folder"]:
            return None
        begin = time.monotonic()
        if view not in self.stores:
            self.stores[view] = StateStore(
                hparams["cache_folder"],
                view.settings(),
                hparams["cache_dtype"],
                _bytes(hparams["cache_gb"]),
            )
        cached = CachedStates(self.stores[view], utterances, longest)
        # In each process, not in the main one while others stand at a barrier,
        # which SpeechBrain gives up after two hours: the first to come fills
        # it, the others wait for its lock and find it full.
        fill(
            cached,
            utterances,
            view,
            hparams["gpu_batch_seconds"],
            name,
            hparams["num_workers"],
        )
        self.encoding_seconds += time.monotonic() - begin
        return cached


def _nothing(target):
    """Labels of a clip of trials."""
    del target
    return [0]


def _bytes(gigabytes):
    """None is no limit but the disk's."""
    return None if gigabytes is None else int(float(gigabytes) * 1e9)
