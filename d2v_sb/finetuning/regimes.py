"""The published CTC fine-tuning regimes, by name.

data2vec follows wav2vec 2.0's (arXiv 2202.03555, section 4.2), which fairseq
keeps as one YAML for each size and amount of labels
(examples/wav2vec/config/finetuning, ``base_10m`` to ``vox_960h``). What they
share is in ``hparams/d2v_ctc.yaml``; what differs is this table.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import json

from d2v_sb.errors import UserError
from d2v_sb.hparams import given_overrides, read_plain

# Libri-light's limited supervision, unpacked in the data folder.
LIMITED = "librispeech_finetuning"
LIMITED_URL = f"https://dl.fbaipublicfiles.com/librilight/data/{LIMITED}.tgz"
ONE_HOUR = tuple(
    f"{LIMITED}/1h/{part}/{kind}"
    for part in range(6)
    for kind in ("clean", "other")
)
SPLITS = {
    "10min": ONE_HOUR[:2],
    "1h": ONE_HOUR,
    "10h": (*ONE_HOUR, f"{LIMITED}/9h/clean", f"{LIMITED}/9h/other"),
    "100h": ("train-clean-100",),
    "960h": ("train-clean-100", "train-clean-360", "train-other-500"),
}


@dataclasses.dataclass(frozen=True)
class Regime:
    """What differs between the regimes, in the recipe's names.

    Arguments
    ---------
    lr : float
        The highest learning rate.
    number_of_updates : int
        Optimiser updates.
    batch_seconds : int
        Audio of an update, over all GPUs.
    mask_prob, mask_channel_prob : float
        Masking of features.
    encoder_layerdrop : float
        Probability with which a block is skipped.
    freeze_finetune_updates : int
        Updates for which the encoder is fixed.
    """

    lr: float
    number_of_updates: int
    batch_seconds: int
    mask_prob: float
    mask_channel_prob: float
    encoder_layerdrop: float
    freeze_finetune_updates: int


REGIMES = {
    "base_10min": Regime(5e-5, 13000, 1600, 0.65, 0.25, 0.1, 10000),
    "base_1h": Regime(5e-5, 13000, 1600, 0.65, 0.25, 0.1, 10000),
    "base_10h": Regime(5e-5, 20000, 1600, 0.65, 0.5, 0.05, 10000),
    "base_100h": Regime(3e-5, 80000, 1600, 0.65, 0.5, 0.1, 0),
    "base_960h": Regime(1e-4, 320000, 1600, 0.5, 0.1, 0.1, 0),
    "large_10min": Regime(1e-4, 13000, 1600, 0.65, 0.25, 0.1, 10000),
    "large_1h": Regime(3e-4, 13000, 1600, 0.75, 0.25, 0.1, 10000),
    "large_10h": Regime(1e-4, 20000, 1600, 0.75, 0.25, 0.1, 10000),
    "large_100h": Regime(3e-5, 80000, 1600, 0.5, 0.5, 0.1, 10000),
    "large_960h": Regime(3e-5, 320000, 1920, 0.5, 0.25, 0.1, 10000),
}


def with_regime(hparams_file, overrides):
    """Adds what a regime sets to the options of a command line.

    Only a regime of the command line sets anything, and an option that was
    given counts for more. The frozen phase keeps its share of the run where
    `number_of_updates` was given.

    Arguments
    ---------
    hparams_file : str
        An hparams file with the key `regime`.
    overrides : str
        YAML, as ``speechbrain.parse_arguments`` makes it.

    Returns
    -------
    str
        YAML.

    Raises
    ------
    UserError
        If there is no such regime, or one that is written in the file is not
        what the file says.

    Example
    -------
    >>> yaml = "hparams/d2v_ctc.yaml"
    >>> text = with_regime(yaml, "regime: base_10h\\nnumber_of_updates: 200")
    >>> plain = read_plain(yaml, text)
    >>> plain["encoder"], plain["freeze_finetune_updates"], plain["mask_prob"]
    ('facebook/data2vec-audio-base', 100, 0.65)
    """
    given, known = given_overrides(overrides), read_plain(hparams_file)
    name = str(given.get("regime", known.get("regime")))
    if name == "None":
        return overrides
    if name not in REGIMES:
        raise UserError(
            f"--regime {name}: the regimes are {', '.join(REGIMES)}"
        )
    size, labels = name.split("_")
    regime = dataclasses.asdict(REGIMES[name])
    updates = given.get("number_of_updates", REGIMES[name].number_of_updates)
    if not isinstance(updates, int):
        raise UserError(f"--number_of_updates {updates} is no whole number")
    share = REGIMES[name].freeze_finetune_updates * updates
    regime["freeze_finetune_updates"] = share // REGIMES[name].number_of_updates
    values = {
        "encoder": f"facebook/data2vec-audio-{size}",
        "train_splits": list(SPLITS[labels]),
        **regime,
    }
    if "regime" not in given:
        _check_file(hparams_file, known, values)
    added = [
        f"{key}: {json.dumps(value)}"
        for key, value in values.items()
        if key in known and key not in given
    ]
    return "\n".join([overrides.rstrip("\n"), *added, ""])


def _check_file(path, known, values):
    """A regime that is written in a file must be what the file says."""
    other = [
        f"{key} {known[key]}, not {value}"
        for key, value in values.items()
        if key in known and known[key] != value
    ]
    if other:
        raise UserError(
            f"{path} names the regime {known['regime']}, but its values are "
            f"others: {'; '.join(other)}. Give --regime on the command line, "
            "which sets them, or write `regime: null`"
        )
