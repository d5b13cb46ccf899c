"""The curves of a pretraining run: means over an interval, in a CSV file.

Authors
 * The d2v_sb developers 2026
"""

import csv
from pathlib import Path

import torch

from d2v_sb.atomic import replacing
from d2v_sb.errors import UserError

COLUMNS = (
    "update",
    "loss",
    "target_std",
    "prediction_std",
    "feature_std",
    "frame_cosine",
    "masked_share",
    "decay",
    "grad_norm",
    "lr",
    "audio_s_per_s",
    "waiting",
    "skipped",
)


class Meter:
    """Sums up what is on a device, and reads it only when asked for means.

    Example
    -------
    >>> meter = Meter()
    >>> meter.add(loss=torch.tensor(1.0), std=0.5)
    >>> meter.add(3, loss=torch.tensor(3.0))
    >>> meter.means()
    {'loss': 2.5, 'std': 0.5}
    """

    def __init__(self):
        self._sums = {}
        self._weights = {}

    def add(self, weight=1, **values):
        """Adds scalars, tensors or numbers, by name. Where each is a mean of
        its own, `weight` is of how many things."""
        for name, value in values.items():
            if torch.is_tensor(value):
                value = value.detach().float()
            self._sums[name] = self._sums.get(name, 0.0) + weight * value
            self._weights[name] = self._weights.get(name, 0) + weight

    def means(self):
        """Means by name, over all processes; starts anew."""
        names = list(self._sums)
        tensors = [v for v in self._sums.values() if torch.is_tensor(v)]
        device = tensors[0].device if tensors else "cpu"
        # One copy to the host for all values.
        totals = torch.stack(
            [
                torch.as_tensor(x[name], dtype=torch.float32).to(device)
                for x in (self._sums, self._weights)
                for name in names
            ]
        )
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(totals)
        sums, weights = totals.view(2, -1)
        self.__init__()
        return dict(zip(names, (sums / weights).tolist(), strict=True))


class Curves:
    """A CSV file of one row an interval.

    Arguments
    ---------
    path : str or pathlib.Path
        The file; made when the first row comes.
    tensorboard : bool
        Log each row for TensorBoard too, in a folder beside the file.

    Raises
    ------
    UserError
        If TensorBoard is asked for and not installed.

    Example
    -------
    >>> path = getfixture("tmp_path") / "curves.csv"
    >>> curves = Curves(path)
    >>> curves.append({"update": 100, "loss": 1.5})
    >>> curves.append({"update": 200, "loss": 1.25})
    >>> curves.resume_at(100)
    >>> path.read_text().splitlines()[1:]
    ['100,1.5,,,,,,,,,,,']
    """

    def __init__(self, path, tensorboard=False):
        self.path = Path(path)
        self.tensorboard = None
        if tensorboard:
            # Its module says on import what else is not installed.
            from speechbrain.utils.train_logger import TensorboardLogger

            try:
                self.tensorboard = TensorboardLogger(
                    str(self.path.with_name("tensorboard"))
                )
            except ImportError as error:
                raise UserError(
                    "TensorBoard is not installed: pip install "
                    '-e ".[tensorboard]", or leave out --tensorboard'
                ) from error

    def append(self, row):
        """Adds a row; values by ``COLUMNS``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            # Empty where a kill came between making it and its first line.
            if stream.tell() == 0:
                writer.writeheader()
            writer.writerow({k: _short(v) for k, v in row.items()})
        if self.tensorboard is not None:
            # Its x axis counts calls, where ours counts updates.
            self.tensorboard.global_step["meta"] = row["update"] - 1
            self.tensorboard.log_stats(
                {k: v for k, v in row.items() if k != "update"}
            )

    def resume_at(self, update):
        """Forgets what a run that was stopped drew after its checkpoint."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [
            line
            for line in lines[1:]
            # A kill may have cut the last line short.
            if line.endswith("\n") and int(line.split(",")[0]) <= update
        ]
        with (
            replacing(self.path) as beside,
            open(beside, "w", newline="", encoding="utf-8") as stream,
        ):
            # Another version may have written other columns.
            writer = csv.DictWriter(
                stream, COLUMNS, extrasaction="ignore", lineterminator="\n"
            )
            writer.writeheader()
            writer.writerows(csv.DictReader([*lines[:1], *kept]))


def _short(value):
    return f"{value:.6g}" if isinstance(value, float) else value
