"""How a model was trained, as its card says it.

Authors
 * The d2v_sb developers 2026
"""

import json

from d2v_sb.publishing.markdown import code, plain, table

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
SWEPT = (
    "\nFor the search with the language model, `d2v-sb sweep` then chose values "
    "on the dev split."
)


def training(run, swept=False):
    """The regime, versions, and the command.

    Arguments
    ---------
    run : Run
        The record.
    swept : bool
        Whether the model's search has values of a sweep.

    Returns
    -------
    str
    """
    if not run.values:
        return f"How it was trained is {UNKNOWN}: no record came with it."
    rows = {
        label: run.values[key]
        for key, label in REGIME.items()
        if run.values.get(key) not in (None, [], "")
    }
    rows["hparams file"] = run.yaml or UNKNOWN
    rows["date"] = run.date or UNKNOWN
    rows["versions"] = _all_of(run, "versions")
    rows["commit of d2v_sb"] = _all_of(run, "commit")
    text = table({name: plain(value) for name, value in rows.items()})
    values = json.dumps(run.values, indent=2, ensure_ascii=False)
    return (
        f"{text}\n\n{_commands(run)}{SWEPT if swept else ''}\n\n"
        f"<details><summary>All values</summary>\n\n"
        f"{code(values, 'json')}\n</details>"
    )


def _commands(run):
    """That which began the run, and those that went on with it."""
    commands = _different(run, "command")
    if not commands:
        return f"The command is {UNKNOWN}."
    text = "\nIt went on with\n\n".join(code(c, "sh") for c in commands)
    return (
        f"{text}\nFolders and files are given by their names, and the folder "
        "of the results is left out."
    )


def _all_of(run, name):
    return "; then ".join(_different(run, name)) or UNKNOWN


def _different(run, name):
    """Of all starts, in their order, each once."""
    return list(dict.fromkeys(s[name] for s in run.starts if s[name]))
