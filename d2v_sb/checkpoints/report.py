"""What a checkpoint is, for people and for programs.

Authors
 * The d2v_sb developers 2026
"""

import dataclasses
import json
import math

from d2v_sb.checkpoints.record import encoder_shapes


def describe(checkpoint):
    """Collects what is to be known about a checkpoint.

    Arguments
    ---------
    checkpoint : Checkpoint
        As ``load_checkpoint`` gives it.

    Returns
    -------
    dict
        Plain values: kind, path, parameters (encoder), config, ctc_head,
        has_predictor, has_teacher, training_config.

    Example
    -------
    >>> from d2v_sb.checkpoints import load_checkpoint
    >>> describe(load_checkpoint("large"))["parameters"]
    313276416
    """
    shapes = encoder_shapes(checkpoint.config)
    head = None
    if checkpoint.ctc_head:
        head = {
            "num_labels": len(checkpoint.ctc_head["bias"]),
            "vocabulary": checkpoint.vocabulary,
        }
    return {
        "kind": checkpoint.kind,
        "path": checkpoint.path,
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "config": dataclasses.asdict(checkpoint.config),
        "ctc_head": head,
        "has_predictor": checkpoint.predictor is not None,
        "has_teacher": checkpoint.teacher is not None,
        "training_config": checkpoint.training_config,
    }


def as_text(description):
    """The description as lines to read.

    Example
    -------
    >>> from d2v_sb.checkpoints import load_checkpoint
    >>> print(as_text(describe(load_checkpoint("tiny"))).splitlines()[0])
    random weights: tiny
    """
    head = description["ctc_head"]
    lines = [
        f"{description['kind']}: {description['path']}",
        f"encoder       {description['parameters']:,} parameters",
        *_indented(description["config"]),
        "CTC head      " + (f"{head['num_labels']} labels" if head else "none"),
    ]
    if head:
        vocabulary = head["vocabulary"]
        known = " ".join(map(repr, vocabulary)) if vocabulary else "unknown"
        lines.append(f"  vocabulary: {known}")
    for part in ("predictor", "teacher"):
        here = "there" if description[f"has_{part}"] else "none"
        lines.append(f"{part:<14}{here}")
    if description["training_config"]:
        lines.append("training configuration found inside:")
        lines += _indented(description["training_config"])
    return "\n".join(lines)


def _indented(value, depth=1):
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines.append(f"{'  ' * depth}{key}:")
            lines += _indented(item, depth + 1)
        else:
            text = json.dumps(item, ensure_ascii=False, default=str)
            lines.append(f"{'  ' * depth}{key}: {text}")
    return lines
