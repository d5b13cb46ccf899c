"""How a model was trained, as its card says it.

Authors
 * The d2v_sb developers 2026
"""

import json

from d2v_sb.publishing.markdown import code, table

UNKNOWN = "not known"
# Of the hparams: how the card says it.
REGIME = {
    "data_folder": "corpus (name of its folder)",
    "corpus": "corpus's layout",
    "encoder": "encoder it began from",
    "pretrain_from": "pretraining went on from",
    "weights": "weights of it",
    "regime": "published regime",
    "train_splits": "trained on",
    "train_folders": "trained on",
    "protocol": "protocol",
    "fold": "fold",
    "classes": "classes",
    "dev_splits": "chosen on",
    "number_of_updates": "updates",
    "batch_seconds": "seconds of audio an update",
    "lr": "learning rate",
    "head_lr_scale": "learning rate of the head over it",
    "precision": "precision",
    "freeze": "encoder frozen",
    "freeze_feature_extractor": "convolutions frozen",
    "freeze_finetune_updates": "updates with the encoder frozen",
    "token_type": "labels",
    "head": "head",
    "seed": "seed",
}


def training(run):
    """The regime, versions, and the command."""
    if not run.values:
        return f"How it was trained is {UNKNOWN}: no record came with it."
    rows = {
        label: run.values[key]
        for key, label in REGIME.items()
        if run.values.get(key) not in (None, [], "")
    }
    rows["hparams file"] = run.yaml or UNKNOWN
    rows["date"] = run.date or UNKNOWN
    rows["versions"] = (
        ", ".join(f"{k} {v}" for k, v in run.versions.items()) or UNKNOWN
    )
    text = table(rows)
    if command := run.command():
        text += f"\n\n{code(command, 'sh')}\n"
        text += (
            "Options are what is not as the hparams file has it. Folders and "
            "files are given by their names."
        )
    values = json.dumps(run.values, indent=2, ensure_ascii=False)
    return (
        f"{text}\n\n<details><summary>All values</summary>\n\n"
        f"{code(values, 'json')}\n</details>"
    )
