"""Writes fairseq's form of a pretrained data2vec audio checkpoint.

fairseq fine-tunes from every such file. To load one as a pretraining model it
wants the predictor and the teacher too, and what the source does not hold is
not made up.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses

import torch

from d2v_sb.atomic import replacing
from d2v_sb.checkpoints.fairseq import MODEL_NAMES, REQUIRED, parse_layers
from d2v_sb.checkpoints.keys import FAIRSEQ, OURS, rename
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import SAMPLE_RATE

# fairseq's base_librispeech.yaml, for a model that fairseq did not train. All
# that its fine-tuning may change is named: an option that a checkpoint does
# not name stays at fairseq's default, whatever the user asks for (fairseq:
# overwrite_args_by_name).
MODEL = {
    "dropout_features": 0.0,
    "feature_grad_mult": 1.0,
    "checkpoint_activations": False,
    "mask_prob": 0.65,
    "mask_length": 10,
    "mask_selection": "static",
    "mask_other": 0.0,
    "mask_min_space": 1,
    "mask_dropout": 0.0,
    "no_mask_overlap": False,
    "require_same_masks": True,
    "mask_channel_prob": 0.0,
    "mask_channel_length": 10,
    "mask_channel_selection": "static",
    "mask_channel_other": 0.0,
    "mask_channel_min_space": 1,
    "mask_channel_before": False,
    "no_mask_channel_overlap": False,
    "loss_beta": 0.0,
    "loss_scale": None,
    "average_top_k_layers": 8,
    "instance_norm_target_layer": True,
    "ema_decay": 0.999,
    "ema_end_decay": 0.9999,
    "ema_anneal_end_step": 30000,
    "ema_transformer_only": True,
    "ema_layers_only": True,
    "max_update": 400000,
    "min_target_var": 0.1,
    "min_pred_var": 0.01,
}
TASK = {
    "_name": "audio_pretraining",
    # A folder that fine-tuning names; fairseq must find a text here.
    "data": "",
    "sample_rate": SAMPLE_RATE,
}
# Fine-tuning sets the last two to None and may not add them.
CFG = {
    "common": {"seed": 1, "tpu": False},
    "criterion": None,
    "lr_scheduler": None,
}


def save_fairseq(checkpoint, path):
    """Writes a ``.pt`` of plain data, which fairseq and we read.

    The optimiser's state is not part of a ``Checkpoint``, so fairseq counts
    updates from 0 where it trains on.

    Arguments
    ---------
    checkpoint : Checkpoint
        What to write. Options are those found inside, of a run of fairseq's
        all of them, of others those at the top under fairseq's names; the
        encoder's own are its config's.
    path : str or pathlib.Path
        The file; one that is there already is replaced once all is written.

    Raises
    ------
    CheckpointError
        If it has random weights or a CTC head.

    Example
    -------
    >>> from d2v_sb.checkpoints import Checkpoint, load_checkpoint
    >>> from d2v_sb.lobes import Data2VecAudio
    >>> from d2v_sb.presets import PRESETS
    >>> weights = dict(Data2VecAudio("tiny").named_parameters())
    >>> tiny = Checkpoint("tiny", "example", PRESETS["tiny"], weights)
    >>> path = getfixture("tmp_path") / "tiny.pt"
    >>> save_fairseq(tiny, path)
    >>> load_checkpoint(path).kind
    'fairseq data2vec audio, pretrained'
    """
    if checkpoint.encoder is None:
        raise CheckpointError(
            f"{checkpoint.path} names an architecture without weights"
        )
    if checkpoint.ctc_head is not None:
        raise CheckpointError(
            f"{checkpoint.path} has a CTC head, and fairseq's form of a "
            "fine-tuned model is not written: use --to hf or --to native, "
            "which keep the head, or convert the pretrained checkpoint that "
            "it was fine-tuned from"
        )
    content = {
        "args": None,
        "cfg": _cfg(checkpoint),
        "model": _model(checkpoint),
        "criterion": {},
        "optimizer_history": [
            {
                "criterion_name": "ModelCriterion",
                "optimizer_name": "FairseqAdam",
                "lr_scheduler_state": {"best": None},
                "num_updates": 0,
            }
        ],
        "task_state": {},
        "extra_state": {
            "train_iterator": {"epoch": 1},
            "previous_training_time": 0.0,
        },
        "last_optimizer_state": None,
    }
    with replacing(path) as beside:
        torch.save(content, beside)


def _model(checkpoint):
    """All weights under fairseq's names."""
    weights = _fairseq_names(checkpoint.encoder)
    for name, value in _plain(checkpoint.predictor or {}).items():
        weights[f"final_proj.{name}"] = value
    if checkpoint.teacher is not None:
        # _ema starts at the transformer, the table at the model.
        teacher = {f"encoder.{k}": v for k, v in checkpoint.teacher.items()}
        weights["_ema"] = {
            name.removeprefix("encoder."): value
            for name, value in _fairseq_names(teacher).items()
        }
    return weights


def _fairseq_names(weights):
    # A Checkpoint's names were checked: the table knows all of them.
    return _plain(rename(weights, OURS, FAIRSEQ)[0])


def _plain(weights):
    """Tensors without what a running model gives to them."""
    return {k: v.detach().cpu().contiguous() for k, v in weights.items()}


def _cfg(checkpoint):
    """fairseq's options: those of the training, and the encoder's own."""
    config, found = checkpoint.config, checkpoint.training_config
    if _is_data2vec(found.get("model")):
        cfg, model = found, found["model"]
    elif _is_data2vec(found.get("args")):
        cfg, model = {}, found["args"]
    else:
        cfg, model = {}, {**MODEL, **_known(found)}
    fields = dataclasses.asdict(config)
    normalize = fields.pop("normalize")
    layers = fields.pop("conv_feature_layers")
    return {
        **CFG,
        **cfg,
        "task": {**TASK, **(cfg.get("task") or {}), "normalize": normalize},
        "model": {
            **model,
            **REQUIRED,
            **fields,
            "_name": MODEL_NAMES[0],
            # As _ema is written; fairseq ignores names that it does not know.
            "ema_transformer_only": True,
            "conv_feature_layers": _layers_text(layers, model),
        },
    }


def _is_data2vec(options):
    """Whether they are fairseq's options of this model."""
    return isinstance(options, dict) and (
        (options.get("_name") or options.get("arch")) in MODEL_NAMES
    )


def _known(options):
    """Those that fairseq's pretraining has under the same name."""
    return {
        name: options[name]
        for name in MODEL
        if name in options and not isinstance(options[name], (dict, list))
    }


def _layers_text(layers, model):
    """The layers as fairseq's text; the training's own where it says so."""
    text = model.get("conv_feature_layers")
    if isinstance(text, str) and parse_layers("", text) == list(layers):
        return text
    return str(list(layers))
