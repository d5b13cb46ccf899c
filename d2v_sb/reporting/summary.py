"""What a run is, in words and in a few figures.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from d2v_sb.reporting.discretion import place_of
from d2v_sb.reporting.parts import Tile, shown
from d2v_sb.reporting.train_log import best

TITLES = {
    "CTCBrain": "Speech recognition with CTC",
    "AttentionBrain": "Speech recognition with attention and CTC",
    "PretrainingBrain": "data2vec pretraining",
}
FILTER_BANK = "fbank"
# Options that say most of a run, in this order, where it has them.
FACTS = (
    "encoder",
    "pretrain_from",
    "weights",
    "freeze",
    "freeze_finetune_updates",
    "data_folder",
    "train_splits",
    "dev_splits",
    "test_splits",
    "protocol",
    "token_type",
    "head",
    "lm_path",
    "batch_seconds",
    "lr",
    "precision",
    "seed",
)


def title_of(run):
    """What kind of run it is.

    Arguments
    ---------
    run : Run
        Of ``d2v_sb.reporting.run``.

    Returns
    -------
    str
    """
    values, folder = run.options.values, run.folder
    if run.options.brain in TITLES:
        return TITLES[run.options.brain]
    if values.get("trials") or any(folder.glob("*.scores.tsv")):
        return "Speaker verification"
    if values.get("label_column") == "spk_id":
        return "Speaker identification"
    folds = run.folds or (folder / "summary.json").is_file()
    if folds or "protocol" in values:
        return "Emotion recognition"
    if run.curves:
        return TITLES["PretrainingBrain"]
    if any(folder.glob("wer_*.txt")):
        return "Speech recognition"
    return "Training run"


def lead_of(run):
    """A sentence on what was trained on what.

    Arguments
    ---------
    run : Run
        Of ``d2v_sb.reporting.run``.

    Returns
    -------
    str
        Empty where the options are not known.
    """
    values = run.options.values
    if "encoder" not in values:
        return ""
    corpus = Path(str(values.get("data_folder", "?"))).name or "?"
    encoder = _name(values["encoder"])
    if run.options.brain == "PretrainingBrain":
        start = values.get("pretrain_from")
        origin = f"from {_name(start)}" if start else "from random weights"
        what = f"Encoder {encoder}, pretrained {origin} on audio of {corpus}"
        if start:
            what = f"Pretrained {origin} on audio of {corpus}"
    elif encoder == FILTER_BANK:
        what = f"Filter banks without an encoder, trained on {corpus}"
    elif values.get("freeze") is True:
        what = f"On the frozen encoder {encoder}, trained on {corpus}"
    else:
        what = f"Encoder {encoder}, fine-tuned on {corpus}"
    if run.folds:
        what += f", {len(run.folds)} folds"
    return f"{what}."


def progress_of(run, measure):
    """How far it came and its best figure on dev.

    Arguments
    ---------
    run : Run
        Of ``d2v_sb.reporting.run``.
    measure : Measure, optional
        As of ``d2v_sb.reporting.fine_tuning.chosen_by``.

    Returns
    -------
    list of Tile
    """
    tiles, rows = [], run.log.validations
    if measure:
        found = best(rows, f"valid {measure.name}", measure.choose)
        if found:
            label = f"best {measure.name} on dev, at update {found[0]:,.0f}"
            tiles.append(Tile(f"{shown(found[1], 1)} %", label))
    if run.curves:
        last = run.curves[-1]
        for name, label in (
            ("loss", "loss at the end"),
            ("target_std", "deviation of the targets at the end"),
            ("frame_cosine", "cosine of neighbouring frames at the end"),
        ):
            if name in last:
                tiles.append(Tile(shown(last[name]), label))
    done = max(
        [row["update"] for row in [*rows[-1:], *run.curves[-1:]]], default=None
    )
    if done is not None:
        total = run.options.values.get("number_of_updates")
        if rows and isinstance(rows[-1].get("of"), float):
            total = rows[-1]["of"]
        of = "updates" if total is None else f"updates of {shown(total, 0)}"
        tiles.append(Tile(shown(done, 0), of))
    return tiles


def facts_of(run, times):
    """What is good to know of a run.

    Arguments
    ---------
    run : Run
        Of ``d2v_sb.reporting.run``.
    times : list of str
        As of ``d2v_sb.reporting.environment.read_times``.

    Returns
    -------
    dict of str to str
    """
    facts = {"folder": place_of(run.folder)}
    facts.update(zip(("begun", "last entry of its log"), times))
    values = run.options.values
    for name in FACTS:
        if values.get(name) not in (None, "", []):
            facts[name] = _text(values[name])
    return facts


def _name(source):
    """Of an encoder: a path's last two parts say enough."""
    return "/".join(Path(str(source)).parts[-2:])


def _text(value):
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
