"""Probing for classes of utterances: the loss, accuracies.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

import torch

from d2v_sb.benchmark.result import Measure
from d2v_sb.errors import DataError
from d2v_sb.manifest import write_rows
from d2v_sb.scoring.accuracy import confusion, weighted_accuracy
from d2v_sb.scoring.predictions import COLUMNS, report


class ClassificationTask:
    """What ``ProbingBrain`` asks of classes.

    Arguments
    ---------
    labels : Labels
        The classes.
    criterion : callable
        Outputs (B, 1, K) and targets (B, 1) to a loss, as of
        ``d2v_sb.finetuning``.
    column : str
        Where the class is in the CSV files.
    """

    name = "accuracy"  # what the best checkpoint is chosen by

    def __init__(self, labels, criterion, column="label"):
        self.labels = labels
        self.criterion = criterion
        self.column = column

    def encode(self, name):
        """A class to its label, in a list."""
        return [self.labels.encode_label(name)]

    def check(self, utterances, num_frames):
        """Training data has no class but its own.

        Returns
        -------
        list of Utterance
            All.
        """
        del num_frames
        return utterances

    def check_test(self, utterances):
        """All classes of test data must be known.

        Arguments
        ---------
        utterances : list of Utterance
            Of a split.

        Returns
        -------
        list of Utterance
            All.

        Raises
        ------
        DataError
            If a class was not in the training data.
        """
        strange = {
            u.target: u.id
            for u in utterances
            if u.target not in self.labels.lab2ind
        }
        if strange:
            found = ", ".join(f"{k} ({i})" for k, i in sorted(strange.items()))
            raise DataError(
                "utterances are of classes that were not in the training "
                f"data, each with one that is: {found}"
            )
        return utterances

    def loss(self, outputs, num_frames, batch):
        """Outputs (B, 1, K) to the mean loss."""
        return self.criterion(outputs, _targets(batch).to(outputs.device))

    def begin(self, testing):
        """Counts anew."""
        self.rows = []
        self.targets, self.guesses = [], []

    def observe(self, outputs, num_frames, batch):
        """Keeps what was predicted of a batch."""
        posteriors = (self.criterion.scale * outputs[:, 0]).softmax(dim=-1)
        best, guesses = posteriors.max(dim=-1)
        self.targets += _targets(batch).flatten().tolist()
        self.guesses += guesses.tolist()
        for u, posterior, guess in zip(
            batch.utterances, best.tolist(), guesses.tolist(), strict=True
        ):
            self.rows.append(
                {
                    "ID": u.id,
                    "spk_id": u.speaker,
                    "label": u.target,
                    "predicted": self.labels.names[guess],
                    "posterior": round(posterior, 6),
                }
            )

    def stats(self):
        """Accuracy in percent."""
        matrix = confusion(self.targets, self.guesses, len(self.labels))
        return {"accuracy": 100 * weighted_accuracy(matrix)}

    def error(self):
        """What schedules may anneal by."""
        return 100 - self.stats()["accuracy"]

    def report(self, folder, split):
        """Writes ``predictions_<split>.csv`` and what is measured of it.

        Arguments
        ---------
        folder : str or pathlib.Path
            Of the run.
        split : str
            What was tested.

        Returns
        -------
        list of Measure
            "accuracy", with its interval where there are two speakers.
        """
        stem = Path(folder) / f"predictions_{split}"
        rows = sorted(self.rows, key=lambda row: row["ID"])
        write_rows(f"{stem}.csv", rows, COLUMNS)
        found = report(rows, stem)
        bounds = found.get("WA_interval", (None, None))
        counts = len(rows), found["speakers"]
        return [Measure(split, "accuracy", found["WA"], *bounds, *counts)]


def _targets(batch):
    return torch.stack(batch.targets)
