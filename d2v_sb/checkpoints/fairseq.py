"""fairseq's data2vec audio checkpoints: pretrained, CTC fine-tuned, old `args`.

Authors
 * The d2v_sb developers 2026
"""

import ast
import dataclasses
import operator
from pathlib import Path

from d2v_sb.checkpoints.fairseq_file import read_fairseq
from d2v_sb.checkpoints.keys import FAIRSEQ, OURS, rename
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import EncoderConfig

MODEL_NAMES = ("data2vec_audio",)
# What fairseq puts before the letters of dict.ltr.txt; <s> is CTC's blank.
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
CTC_ENCODER = "w2v_encoder.w2v_model."
CTC_HEAD = "w2v_encoder.proj."
# What our encoder has no choice of, and data2vec audio neither.
REQUIRED = {
    "extractor_mode": "layer_norm",
    "layer_norm_first": False,
    "activation_fn": "gelu",
    "layer_type": "transformer",
}


def load_fairseq(path, dictionary=None):
    """Reads a fairseq ``.pt``; nothing in it is executed.

    Arguments
    ---------
    path : str or pathlib.Path
        The checkpoint.
    dictionary : str or pathlib.Path, optional
        dict.ltr.txt of a CTC model; looked for beside the checkpoint if not
        given.

    Returns
    -------
    Checkpoint
        Encoder, and where they are there CTC head and vocabulary, or
        predictor and teacher.

    Raises
    ------
    CheckpointError
        If it is no data2vec audio model of fairseq or is damaged.
    """
    file = read_fairseq(path)
    weights = dict(file["model"])
    model, normalize = _model_options(path, file)
    config = _encoder_config(path, model, normalize)
    training_config = file.get("cfg") or {"args": file.get("args")}

    if any(name.startswith(CTC_ENCODER) for name in weights):
        head = _take(weights, CTC_HEAD)
        encoder = _take(weights, CTC_ENCODER)
        encoder = _renamed(encoder, list(weights))
        dictionary = _find_dictionary(path, dictionary)
        return Checkpoint(
            str(path),
            "fairseq data2vec audio, fine-tuned with CTC",
            config,
            encoder,
            ctc_head=head,
            vocabulary=dictionary and _read_dictionary(dictionary),
            training_config=training_config,
        )

    teacher = weights.pop("_ema", None)
    predictor = _take(weights, "final_proj.0.") or _take(weights, "final_proj.")
    return Checkpoint(
        str(path),
        "fairseq data2vec audio, pretrained",
        config,
        _renamed(weights, []),
        predictor=predictor or None,
        teacher=None if teacher is None else _teacher(teacher),
        training_config=training_config,
    )


def _take(weights, prefix):
    """Moves the weights under a prefix out of `weights`."""
    names = [name for name in weights if name.startswith(prefix)]
    return {name[len(prefix) :]: weights.pop(name) for name in names}


def _renamed(weights, left_over):
    """Under our names; what the table does not know keeps fairseq's, and is
    then reported as unexpected."""
    ours, unknown = rename(weights, FAIRSEQ, OURS)
    ours.update({name: weights[name] for name in unknown})
    ours.update(dict.fromkeys(left_over))
    return ours


def _teacher(ema):
    """Names of the teacher's transformer. fairseq's `_ema` starts at the
    transformer, or at the whole model where ema_transformer_only is off."""
    if not any(name.startswith("encoder.") for name in ema):
        ema = {f"encoder.{name}": value for name, value in ema.items()}
    ours = _renamed(ema, [])
    return {
        name.removeprefix("encoder."): value
        for name, value in ours.items()
        if name.startswith("encoder.")
    }


def _model_options(path, file):
    """The pretrained model's options and whether waveforms are normalised."""
    cfg, args = file.get("cfg"), file.get("args")
    if cfg:
        model = cfg.get("model") or {}
        # A fine-tuned model holds the pretrained one's whole configuration.
        pretrained = model.get("w2v_args")
        task = cfg.get("task") or {}
        normalize = task.get("normalize", model.get("normalize", False))
        if pretrained:
            model = pretrained.get("model") or pretrained
    elif args:
        normalize = args.get("normalize", False)
        model = args
        pretrained = args.get("w2v_args")
        if pretrained:
            model = pretrained.get("model") or pretrained
    else:
        raise CheckpointError(
            f"{path}: neither 'cfg' nor 'args' holds the model's options, so "
            "its architecture is unknown; use the file as its training wrote it"
        )
    name = model.get("_name") or model.get("arch")
    if name not in MODEL_NAMES:
        raise CheckpointError(
            f"{path} holds a fairseq model of type {name!r}, not "
            f"{' or '.join(MODEL_NAMES)}"
        )
    return model, bool(normalize)


def _encoder_config(path, model, normalize):
    """fairseq's options are our fields; the rest must be what we build."""
    for name, value in REQUIRED.items():
        if model.get(name, value) != value:
            raise CheckpointError(
                f"{path}: {name}={model[name]!r} is not an architecture of "
                f"data2vec audio, which has {name}={value!r}"
            )
    if int(model.get("pos_conv_depth", 1)) < 2:
        raise CheckpointError(
            f"{path}: pos_conv_depth={model.get('pos_conv_depth', 1)}; "
            "data2vec audio has several positional convolutions (5)"
        )
    names = [f.name for f in dataclasses.fields(EncoderConfig)]
    fields = {name: model[name] for name in names if name in model}
    layers = fields.get("conv_feature_layers")
    if isinstance(layers, str):
        fields["conv_feature_layers"] = parse_layers(path, layers)
    fields["normalize"] = normalize
    return EncoderConfig(**fields)


def parse_layers(path, text):
    """fairseq's "[(512, 10, 5)] + [(512, 3, 2)] * 4" as a list, not by eval.

    Example
    -------
    >>> parse_layers("x.pt", "[(8, 10, 5)] + [(8, 3, 2)] * 2")
    [(8, 10, 5), (8, 3, 2), (8, 3, 2)]
    """
    operators = {ast.Add: operator.add, ast.Mult: operator.mul}

    def value(node):
        if isinstance(node, ast.List):
            return [value(item) for item in node.elts]
        if isinstance(node, ast.Tuple):
            return tuple(value(item) for item in node.elts)
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            left, right = value(node.left), value(node.right)
            if isinstance(right, int) and right > 100:
                raise ValueError
            return operators[type(node.op)](left, right)
        raise ValueError

    try:
        return value(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, TypeError) as error:
        raise CheckpointError(
            f"{path}: conv_feature_layers={text!r} is not a list of layers"
        ) from error


def _find_dictionary(path, dictionary):
    if dictionary is not None:
        if not Path(dictionary).is_file():
            raise CheckpointError(f"no such dictionary: {dictionary}")
        return Path(dictionary)
    beside = Path(path).parent / "dict.ltr.txt"
    return beside if beside.is_file() else None


def _read_dictionary(path):
    """Letters of a fairseq dictionary, one `letter count` a line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    letters = [line.rsplit(" ", 1)[0] for line in lines if line.strip()]
    return [*SPECIAL_TOKENS, *letters]
