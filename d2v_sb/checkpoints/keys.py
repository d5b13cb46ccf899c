"""One table of weight names, read in both directions.

Each row names the same weights in our modules, in fairseq and in
Transformers. ``{}`` stands for one part of a name (a number, q/k/v/out,
weight/bias) and is carried over.

Authors
 * The d2v_sb developers 2026
"""

import re

OURS, FAIRSEQ, HF = 0, 1, 2

KEYS = (
    ("mask_emb", "mask_emb", "masked_spec_embed"),
    (
        "feature_extractor.layers.{}.conv.{}",
        "feature_extractor.conv_layers.{}.0.{}",
        "feature_extractor.conv_layers.{}.conv.{}",
    ),
    (
        "feature_extractor.layers.{}.norm.{}",
        "feature_extractor.conv_layers.{}.2.1.{}",
        "feature_extractor.conv_layers.{}.layer_norm.{}",
    ),
    ("projection.norm.{}", "layer_norm.{}", "feature_projection.layer_norm.{}"),
    (
        "projection.linear.{}",
        "post_extract_proj.{}",
        "feature_projection.projection.{}",
    ),
    (
        "encoder.positions.layers.{}.conv.{}",
        "encoder.pos_conv.{}.0.{}",
        "encoder.pos_conv_embed.layers.{}.conv.{}",
    ),
    ("encoder.layer_norm.{}", "encoder.layer_norm.{}", "encoder.layer_norm.{}"),
    (
        "encoder.layers.{}.self_attn.{}.{}",
        "encoder.layers.{}.self_attn.{}.{}",
        "encoder.layers.{}.attention.{}.{}",
    ),
    (
        "encoder.layers.{}.self_attn_layer_norm.{}",
        "encoder.layers.{}.self_attn_layer_norm.{}",
        "encoder.layers.{}.layer_norm.{}",
    ),
    (
        "encoder.layers.{}.fc1.{}",
        "encoder.layers.{}.fc1.{}",
        "encoder.layers.{}.feed_forward.intermediate_dense.{}",
    ),
    (
        "encoder.layers.{}.fc2.{}",
        "encoder.layers.{}.fc2.{}",
        "encoder.layers.{}.feed_forward.output_dense.{}",
    ),
    (
        "encoder.layers.{}.final_layer_norm.{}",
        "encoder.layers.{}.final_layer_norm.{}",
        "encoder.layers.{}.final_layer_norm.{}",
    ),
)


def rename(state_dict, source, target):
    """Renames weights from one column of the table to another.

    Arguments
    ---------
    state_dict : dict
        Weights by name.
    source, target : int
        OURS, FAIRSEQ or HF.

    Returns
    -------
    dict
        Weights by their names in `target`.
    list of str
        Names that the table does not know, in the order found.

    Example
    -------
    >>> rename({"layer_norm.bias": 1, "x": 2}, FAIRSEQ, HF)
    ({'feature_projection.layer_norm.bias': 1}, ['x'])
    """
    rules = [(_pattern(row[source]), row[target]) for row in KEYS]
    renamed, unknown = {}, []
    for name, value in state_dict.items():
        for pattern, new in rules:
            match = pattern.fullmatch(name)
            if match:
                renamed[new.format(*match.groups())] = value
                break
        else:
            unknown.append(name)
    return renamed, unknown


def _pattern(template):
    return re.compile(re.escape(template).replace(r"\{\}", r"([^.]+)"))
