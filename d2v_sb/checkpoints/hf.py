"""Transformers folders: ``Data2VecAudioModel`` and ``Data2VecAudioForCTC``.

Authors
 * The d2v_sb developers 2026
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from d2v_sb.atomic import replacing
from d2v_sb.checkpoints.keys import HF, OURS, rename
from d2v_sb.checkpoints.record import Checkpoint
from d2v_sb.errors import CheckpointError
from d2v_sb.presets import SAMPLE_RATE, EncoderConfig

MODEL_TYPE = "data2vec-audio"
PREFIX = "data2vec_audio."
# Without it AutoProcessor finds the tokenizer only.
PROCESSOR = {"processor_class": "Wav2Vec2Processor"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# (ours, Transformers', Transformers' default)
FIELDS = (
    ("encoder_layers", "num_hidden_layers", 12),
    ("encoder_embed_dim", "hidden_size", 768),
    ("encoder_ffn_embed_dim", "intermediate_size", 3072),
    ("encoder_attention_heads", "num_attention_heads", 12),
    ("conv_bias", "conv_bias", False),
    ("conv_pos_groups", "num_conv_pos_embedding_groups", 16),
    ("pos_conv_depth", "num_conv_pos_embeddings", 5),
    ("dropout", "hidden_dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("activation_dropout", "activation_dropout", 0.1),
    ("dropout_input", "feat_proj_dropout", 0.0),
    ("encoder_layerdrop", "layerdrop", 0.1),
)
# What our encoder has no choice of; the values are Transformers' defaults.
REQUIRED = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
}


def load_hf(folder):
    """Reads a Transformers folder.

    Where there is no preprocessor_config.json, waveforms are normalised:
    Transformers' own default, and true of all published data2vec models.

    Arguments
    ---------
    folder : str or pathlib.Path
        Holds config.json and model.safetensors or pytorch_model.bin.

    Returns
    -------
    Checkpoint
        Encoder, and of a CTC model its head and vocabulary.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, or it is another model.
    """
    folder = Path(folder)
    options = _read_json(folder / "config.json")
    model_type = options.get("model_type")
    if model_type != MODEL_TYPE:
        raise CheckpointError(
            f"{folder} holds a model of type {model_type!r}, not "
            f"{MODEL_TYPE!r}; its weights would not fit this encoder"
        )
    config = _encoder_config(folder, options)
    weights = _read_weights(folder)
    head = {
        name: weights.pop(f"lm_head.{name}")
        for name in ("weight", "bias")
        if f"lm_head.{name}" in weights
    }
    weights = {k.removeprefix(PREFIX): v for k, v in weights.items()}
    encoder, unknown = rename(weights, HF, OURS)
    encoder.update({name: weights[name] for name in unknown})
    masks = options.get("mask_time_prob", 0.05) or options.get(
        "mask_feature_prob", 0.0
    )
    if "mask_emb" not in encoder and not masks:
        # Transformers has no such weight where it never masks.
        encoder["mask_emb"] = torch.rand(config.encoder_embed_dim)
    vocabulary = folder / "vocab.json"
    return Checkpoint(
        str(folder),
        "Transformers " + ("Data2VecAudioForCTC" if head else "Data2VecAudio"),
        config,
        encoder,
        ctc_head=head or None,
        vocabulary=(
            _vocabulary(vocabulary) if head and vocabulary.is_file() else None
        ),
        training_config=options,
    )


def save_hf(checkpoint, folder):
    """Writes a folder that loads strictly in Transformers.

    Arguments
    ---------
    checkpoint : Checkpoint
        What to write; predictor and teacher have no place there.
    folder : str or pathlib.Path
        The folder to make; one that is there already is replaced.

    Raises
    ------
    CheckpointError
        If a CTC head comes without its vocabulary, or with subwords.
    """
    head, vocabulary = checkpoint.ctc_head, checkpoint.vocabulary
    if head and vocabulary is None:
        raise CheckpointError(
            f"{checkpoint.path} has a CTC head but no vocabulary: put fairseq's"
            " dict.ltr.txt beside it, or name it with --dict"
        )
    if head and any(token.startswith("\u2581") for token in vocabulary):
        raise CheckpointError(
            f"{checkpoint.path} has a CTC head of subwords, and Transformers' "
            "CTC tokenizer knows letters only. SpeechBrain's EncoderASR loads "
            "the inference folder; Data2VecAudio takes its encoder alone"
        )
    weights, _ = rename(checkpoint.encoder, OURS, HF)
    if head:
        weights = {PREFIX + name: value for name, value in weights.items()}
        weights.update({f"lm_head.{k}": v for k, v in head.items()})
    weights = {k: v.contiguous() for k, v in weights.items()}
    preprocessor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE,
        "padding_value": 0.0,
        "do_normalize": checkpoint.config.normalize,
        "return_attention_mask": True,
    }
    with replacing(folder) as beside:
        beside.mkdir()
        options = _hf_config(checkpoint.config, vocabulary if head else None)
        _write_json(beside / "config.json", options)
        save_file(weights, beside / WEIGHTS[0], metadata={"format": "pt"})
        if head:
            _write_tokenizer(beside, vocabulary)
            preprocessor.update(PROCESSOR)
        _write_json(beside / "preprocessor_config.json", preprocessor)


def _encoder_config(folder, options):
    for name, value in REQUIRED.items():
        if options.get(name, value) != value:
            raise CheckpointError(
                f"{folder}/config.json: {name}={options[name]!r} is not "
                f"supported, only {value!r}"
            )
    fields = {
        ours: options.get(theirs, default) for ours, theirs, default in FIELDS
    }
    fields["conv_feature_layers"] = zip(
        options.get("conv_dim", [512] * 7),
        options.get("conv_kernel", [10, 3, 3, 3, 3, 2, 2]),
        options.get("conv_stride", [5, 2, 2, 2, 2, 2, 2]),
        strict=True,
    )
    kernel = options.get("conv_pos_kernel_size", 19)
    fields["conv_pos"] = kernel * fields["pos_conv_depth"]
    preprocessor = folder / "preprocessor_config.json"
    if preprocessor.is_file():
        fields["normalize"] = _read_json(preprocessor).get("do_normalize", True)
    return EncoderConfig(**fields)


def _hf_config(config, vocabulary):
    dims, kernels, strides = zip(*config.conv_feature_layers, strict=True)
    options = {
        "model_type": MODEL_TYPE,
        "architectures": [
            "Data2VecAudioForCTC" if vocabulary else "Data2VecAudioModel"
        ],
        **{theirs: getattr(config, ours) for ours, theirs, _ in FIELDS},
        **REQUIRED,
        "conv_dim": dims,
        "conv_kernel": kernels,
        "conv_stride": strides,
        "conv_pos_kernel_size": config.pos_conv_kernel,
        "num_feat_extract_layers": len(dims),
        # Where it is 0 Transformers refuses the mask embedding.
        "mask_time_prob": 0.05,
    }
    if vocabulary:
        options["vocab_size"] = len(vocabulary)
        options["pad_token_id"] = 0  # CTC's blank
        options["ctc_zero_infinity"] = True
    return options


def _vocabulary(path):
    ids = _read_json(path)
    if sorted(ids.values()) != list(range(len(ids))):
        raise CheckpointError(
            f"{path}: its {len(ids)} tokens do not have the numbers 0 to "
            f"{len(ids) - 1}"
        )
    return sorted(ids, key=ids.get)


def _write_tokenizer(folder, vocabulary):
    """Transformers calls the blank <pad> and the space |."""
    names = ["|" if token == " " else token for token in vocabulary]
    if names[0] != "<pad>" and "<pad>" in names:
        names[names.index("<pad>")] = names[0]
    names[0] = "<pad>"
    special = {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    # A token that the head does not have would shift the tokenizer's size.
    special = {k: v if v in names else None for k, v in special.items()}
    _write_json(
        folder / "vocab.json", {name: i for i, name in enumerate(names)}
    )
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Wav2Vec2CTCTokenizer",
            **PROCESSOR,
            "word_delimiter_token": "|",
            "do_lower_case": False,
            "replace_word_delimiter_char": " ",
            **special,
        },
    )


def _read_weights(folder):
    safe, pickled = (folder / name for name in WEIGHTS)
    index = folder / f"{WEIGHTS[0]}.index.json"
    try:
        if safe.is_file():
            return load_file(safe)
        if index.is_file():
            shards = set(_read_json(index)["weight_map"].values())
            weights = {}
            for shard in sorted(shards):
                weights.update(load_file(folder / shard))
            return weights
        if pickled.is_file():
            return torch.load(pickled, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise CheckpointError(
            f"the weights in {folder} can not be read ({error}); the file is "
            "damaged or cut short, fetch it again"
        ) from error
    raise CheckpointError(
        f"{folder} has a config.json but none of {', '.join(WEIGHTS)}"
    )


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} can not be read: {error}") from error


def _write_json(path, value):
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
