"""From what a user names to the model that is published.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from speechbrain.dataio.encoder import CategoricalEncoder

from d2v_sb.beam_search import CHOSEN
from d2v_sb.checkpoints import (
    PRETRAINED,
    STUDENT_CKPT,
    Checkpoint,
    load_checkpoint,
    shipped_weights,
)
from d2v_sb.checkpoints.source import ENCODER_CKPT, SAVE
from d2v_sb.errors import CheckpointError, UserError
from d2v_sb.hparams import read_plain
from d2v_sb.publishing.kinds import (
    ATTENTION,
    CLASSIFICATION,
    CTC,
    ENCODER,
    VERIFICATION,
    Kind,
)
from d2v_sb.publishing.origin import Origin, find_origin, shipped_name
from d2v_sb.publishing.private import public
from d2v_sb.publishing.run import HPARAMS, Run, began_from, read_run

INFERENCE = "inference"
LABELS = "label_encoder.ckpt"  # classes
WAYS = (
    "name the output folder of a run that has ended, its inference folder, the "
    "output folder of a pretraining run, or a .safetensors of d2v_sb"
)
COSINES = "ECAPA_TDNN.Classifier"
SUBWORDS = "SentencePieceProcessor"


@dataclass(frozen=True)
class Source:
    """A model to publish.

    Arguments
    ---------
    kind : Kind
        What it does.
    path : pathlib.Path
        Its inference folder; of an encoder its file or folder.
    run : Run
        What is known of its training.
    yaml : dict
        Of the inference folder; empty for an encoder.
    checkpoint : Checkpoint or None
        The encoder and its CTC head; None for filter banks.
    """

    kind: Kind
    path: Path
    run: Run
    yaml: dict
    checkpoint: Checkpoint | None

    @property
    def shipped(self):
        """Whether it came with this package."""
        return self.kind is ENCODER and shipped_name(self.path) is not None

    @cached_property
    def origin(self):
        """What the weights go back to, and whose licence they may follow."""
        if self.shipped:
            return Origin(shipped_name(self.path))
        return find_origin(self.run.began_from, self.run.folder)

    @property
    def swept(self):
        """Whether the search's values were chosen by ``d2v-sb sweep``."""
        if self.run.folder is None or self.kind is not CTC:
            return False
        return self.with_lm and (self.run.folder / CHOSEN).is_file()

    @property
    def subwords(self):
        """Whether its labels are SentencePiece's."""
        return SUBWORDS in _tag(self.yaml.get("tokenizer"))

    @property
    def labels(self):
        """Letters or classes; none of subwords, and none of those by which
        speakers were learned: nobody needs them."""
        if self.kind is CTC and not self.subwords:
            return self.checkpoint.vocabulary
        if self.kind is CLASSIFICATION:
            encoder = CategoricalEncoder()
            encoder.load(self.path / LABELS)
            return [encoder.ind2lab[i] for i in sorted(encoder.ind2lab)]
        return []

    @property
    def with_lm(self):
        """Whether a language model is in the folder."""
        return "language_model" in self.yaml

    @property
    def exact(self):
        """Whether padding changes nothing."""
        for part in ("data2vec", "front_end"):
            if part in self.yaml:
                return self.yaml[part].get("padding", "exact") == "exact"
        return True

    @property
    def transformers(self):
        """Whether Transformers has such a model: not with subwords, and its
        CTC model does not normalise the encoder's output."""
        if self.kind is ENCODER:
            return True
        normed = self.yaml.get("data2vec", {}).get("output_norm", False)
        return self.kind is CTC and not self.subwords and not normed


def find_source(src, inference=None):
    """Finds out what is to be published.

    Arguments
    ---------
    src : str or pathlib.Path
        See ``WAYS``; also the name of weights that come with this package.
    inference : str, optional
        Which folder of a run, such as "inference_lm"; "inference" if not
        given.

    Returns
    -------
    Source

    Raises
    ------
    UserError
        If it is none of these.

    Example
    -------
    >>> find_source("d2v_sb/small").kind.name
    'Speech representations by data2vec'
    """
    path = shipped_weights().get(str(src)) or Path(src).expanduser()
    if not path.exists():
        raise UserError(f"no such file or folder: {path}; {WAYS}")
    if path.is_file():
        return _encoder(path, inference)
    chosen = path / (inference or INFERENCE)
    if chosen.is_dir():
        return _model(chosen, path)
    if inference is not None:
        there = sorted(p.name for p in path.glob(f"{INFERENCE}*"))
        raise UserError(
            f"{path} has no folder {inference}; it has "
            f"{', '.join(there) or 'none of that kind'}"
        )
    if (path / ENCODER_CKPT).is_file() and (path / HPARAMS).is_file():
        above = path.parent
        return _model(path, above if (above / HPARAMS).is_file() else None)
    names = (PRETRAINED, STUDENT_CKPT, SAVE)
    folds = sorted(p.parent for p in path.glob(f"*/{INFERENCE}"))
    if folds:
        raise UserError(
            f"{path} has a model for each fold: name one of "
            f"{', '.join(map(str, folds))}"
        )
    if any((path / name).exists() for name in names):
        return _encoder(path, inference)
    raise UserError(f"{path} holds no model: {WAYS}")


def _model(folder, run_folder):
    """What SpeechBrain's interfaces load."""
    yaml = read_plain(folder / HPARAMS)
    run = read_run(run_folder)
    has = set(yaml)
    if {"ctc_lin", "seq_lin"} <= has:
        kind = ATTENTION
    elif "ctc_lin" in has:
        kind = CTC
    elif {"embedding_model", "output_layer"} <= has:
        cosines = COSINES in _tag(yaml["output_layer"])
        kind = VERIFICATION if cosines else CLASSIFICATION
    else:
        raise UserError(
            f"{folder} is no inference folder of these recipes: its {HPARAMS} "
            "has neither ctc_lin nor embedding_model"
        )
    checkpoint = None
    if "n_mels" not in yaml.get("front_end", {}):
        checkpoint = load_checkpoint(folder)
    return Source(kind, folder, run, yaml, checkpoint)


def _encoder(path, inference):
    """An encoder, with the teacher and predictor that it may have."""
    if inference is not None:
        raise UserError(f"{path} is an encoder, it has no folder {inference}")
    run_folder = path if path.is_dir() else path.parent
    run = read_run(run_folder if path.name != ENCODER_CKPT else None)
    checkpoint = load_checkpoint(path)
    if checkpoint.encoder is None:
        raise CheckpointError(f"{path} names an architecture without weights")
    if not run.values:
        record = checkpoint.training_config
        run = Run(values=public(record), began_from=began_from(record))
    checkpoint = dataclasses.replace(checkpoint, ctc_head=None, vocabulary=None)
    return Source(ENCODER, path, run, {}, checkpoint)


def _tag(node):
    """The class that a part of a YAML file is made of."""
    tag = getattr(node, "tag", None)
    return str(getattr(tag, "value", None) or "")
