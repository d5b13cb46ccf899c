"""From CSV rows to waveforms, or stretches of them, and classes.

Authors
 * The d2v_sb developers 2026
"""

import logging
from collections import Counter
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    register_checkpoint_hooks,
)

from d2v_sb.dataio import read_audio
from d2v_sb.errors import CheckpointError, DataError, UserError
from d2v_sb.presets import SAMPLE_RATE
from d2v_sb.pretraining.audio import read_crop
from d2v_sb.pretraining.crops import Crop

logger = logging.getLogger(__name__)

SHOWN = 20  # utterances that an error message names
BALANCES = ("none", "weights", "sampling")


@register_checkpoint_hooks
class Labels(CategoricalEncoder):
    """The classes of a training CSV, in the order of their names.

    Arguments
    ---------
    train_csv : str or pathlib.Path
        The CSV.
    column : str
        Where the class is.

    Raises
    ------
    DataError
        If there is no such file or column, or only one class.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.csv"
    >>> _ = path.write_text("ID,label\\na,sad\\nb,ang\\nc,sad\\n")
    >>> labels = Labels(path, "label")
    >>> labels.names, labels.encode_label("sad")
    (['ang', 'sad'], 1)
    """

    def __init__(self, train_csv, column):
        super().__init__()
        dataset = read_csv(train_csv)
        try:
            names = {row[column] for row in dataset.data.values()}
        except KeyError as error:
            raise DataError(f"{train_csv} has no column {column}") from error
        if len(names) < 2:
            raise DataError(
                f"{train_csv} has one class, {', '.join(names)}: there is "
                "nothing to tell apart"
            )
        for name in sorted(names):
            self.add_label(name)
        self.expect_len(len(names))

    @property
    def names(self):
        """The classes in their order."""
        return [self.ind2lab[i] for i in range(len(self.ind2lab))]

    @mark_as_loader
    def _load(self, path, end_of_epoch):
        del end_of_epoch
        saved = CategoricalEncoder.from_saved(path)
        if saved.lab2ind != self.lab2ind:
            ours, theirs = set(self.lab2ind), set(saved.lab2ind)
            raise CheckpointError(
                f"{path}: the checkpoint has {len(theirs)} classes, the "
                f"training data {len(ours)}; "
                f"{_some(theirs - ours)} only there, {_some(ours - theirs)} "
                "only here. Begin in another --output_folder"
            )


class UtteranceDataset(DynamicItemDataset):
    """A dataset that is asked for utterances, or for stretches of them.

    ``dataset[3]`` is the whole fourth utterance, and ``dataset[Crop(3, 0,
    48000)]`` its first three seconds at 16 kHz, repeated where it is shorter.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pipeline.add_static_keys(["crop"])

    def __getitem__(self, index):
        crop = index if isinstance(index, Crop) else None
        data_id = self.data_ids[index if crop is None else crop.row]
        item = {"id": data_id, **self.data[data_id], "crop": crop}
        return self.pipeline.compute_outputs(item)


def read_csv(path):
    """The rows of a prepared CSV as a dataset.

    Raises
    ------
    DataError
        If there is no such file.
    """
    if not Path(path).is_file():
        raise DataError(
            f"there is no {path}: it is made from the corpus, leave out "
            "--skip_prep"
        )
    return UtteranceDataset.from_csv(path)


def utterance_dataset(csv, labels, column, convert=False):
    """A dataset of waveforms and classes.

    Arguments
    ---------
    csv : str or pathlib.Path
        With ID, duration (s), wav, spk_id and the class.
    labels : Labels
        The classes.
    column : str
        Where the class is.
    convert : bool
        See ``read_audio``.

    Returns
    -------
    UtteranceDataset
        Items: id, sig (N,), spk_id, encoded (1,).

    Raises
    ------
    DataError
        If an utterance has a class that was not in the training data; it
        lists them.
    """
    dataset = read_csv(csv)
    unknown = {
        name: row[column]
        for name, row in dataset.data.items()
        if row[column] not in labels.lab2ind
    }
    if unknown:
        found = [f"  {name}: {label}" for name, label in unknown.items()]
        more = len(found) - SHOWN
        raise DataError(
            f"{csv}: {len(unknown)} utterances are of classes that were not in "
            f"the training data ({_some(set(unknown.values()))}):\n"
            + "\n".join(found[:SHOWN])
            + (f"\n  ... and {more} more" if more > 0 else "")
        )

    @sb.utils.data_pipeline.takes("wav", "duration", "crop")
    @sb.utils.data_pipeline.provides("sig")
    def audio(wav, duration, crop):
        if crop is None:
            return read_audio(wav, convert)
        return read_repeated(wav, duration, crop.start, crop.num_samples)

    @sb.utils.data_pipeline.takes(column)
    @sb.utils.data_pipeline.provides("encoded")
    def encoded(label):
        return labels.encode_label_torch(label)

    dataset.add_dynamic_item(audio)
    dataset.add_dynamic_item(encoded)
    dataset.set_output_keys(["id", "sig", "spk_id", "encoded"])
    return dataset


def read_repeated(path, duration, start, num_samples):
    """Reads a stretch of a file, and the file again where it is shorter.

    Arguments
    ---------
    path : str
        The file.
    duration : float
        Its seconds.
    start, num_samples : int
        In samples at 16 kHz.

    Returns
    -------
    torch.Tensor
        (num_samples,), float32.

    Example
    -------
    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.25, 0.5], 16000)
    >>> read_repeated(path, 2 / 16000, 0, 5)
    tensor([0.2500, 0.5000, 0.2500, 0.5000, 0.2500])
    """
    there = round(duration * SAMPLE_RATE) - start
    wav = read_crop(path, start, min(there, num_samples))
    times = -(-num_samples // len(wav))
    return wav.repeat(times)[:num_samples]


def class_weights(train_csv, labels, column, balance="weights"):
    """Weights of the classes in a loss: the rarer the class, the higher.

    Arguments
    ---------
    train_csv, labels, column
        As of ``Labels``.
    balance : str
        "weights", or another of ``BALANCES``, for none.

    Returns
    -------
    torch.Tensor or None
        (K,): utterances over K times those of the class, as scikit-learn's
        "balanced".

    Raises
    ------
    UserError
        If there is no such way to balance.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.csv"
    >>> _ = path.write_text("ID,label\\na,sad\\nb,ang\\nc,sad\\nd,sad\\n")
    >>> class_weights(path, Labels(path, "label"), "label")
    tensor([2.0000, 0.6667])
    """
    check_balance(balance)
    if balance != "weights":
        return None
    rows = read_csv(train_csv).data.values()
    counts = Counter(row[column] for row in rows)
    total = sum(counts.values())
    weights = [total / len(counts) / counts[name] for name in labels.names]
    return torch.tensor(weights)


def check_balance(balance):
    """Raises a ``UserError`` for a way to balance that there is not."""
    if balance not in BALANCES:
        raise UserError(
            f"--class_balance {balance}: it is one of {', '.join(BALANCES)}"
        )


def _some(names):
    names = sorted(names)
    more = ", ..." if len(names) > 5 else ""
    return ", ".join(names[:5]) + more or "none"
