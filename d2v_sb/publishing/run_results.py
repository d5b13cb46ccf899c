"""Test figures that a run left in its output folder.

Authors
 * The d2v_sb developers 2026
"""

import json
import re

from d2v_sb.errors import DataError
from d2v_sb.publishing.figures import Figure, Result
from d2v_sb.publishing.kinds import ATTENTION, CTC, ENCODER, VERIFICATION

WER = re.compile(r"%WER ([\d.]+) \[ \d+ / (\d+)")
SCORED = re.compile(r"Scored (\d+) sentences")
WITH_LM = "_lm"
SUMMARY = "summary.json"
GREEDY, JOINT, BEAM = "greedy", "joint search", "beam search"
# Of predictions_<test>.json; the intervals are beside them as <name>_interval.
ACCURACIES = {"WA": "wa", "UA": "ua", "F1": "f1"}
# Of trials/<list>.json: by what a percentage is of a fraction.
ERRORS = {"eer": 100.0, "min_dcf_001": 1.0, "min_dcf_005": 1.0}


def own_results(source):
    """The test figures of a run, without those of an earlier folder.

    Arguments
    ---------
    source : Source
        The model.

    Returns
    -------
    list of Result

    Raises
    ------
    DataError
        If a file of figures can not be read.
    """
    if source.run.folder is None or source.kind is ENCODER:
        return []
    return [
        _read(source, path) for path in _files(source) if not _old(source, path)
    ]


def old_results(source):
    """The files of figures that are older than the folder.

    Arguments
    ---------
    source : Source
        The model.

    Returns
    -------
    list of str
        Their names.
    """
    if source.run.folder is None or source.kind is ENCODER:
        return []
    return [path.name for path in _files(source) if _old(source, path)]


def _files(source):
    """Where the figures are of what the folder does."""
    folder = source.run.folder
    if source.kind in (CTC, ATTENTION):
        return [
            path
            for path in sorted(folder.glob("wer_*.txt"))
            if path.stem.endswith(WITH_LM) == source.with_lm
        ]
    files = sorted(folder.glob("predictions_*.json"))
    if source.kind is VERIFICATION:
        files += sorted(folder.glob("trials/*.json"))
    return files


def _old(source, path):
    """A run writes its folder, then tests what is in it. The weights tell when
    that was; where a language model was added later, the newest file does."""
    files = source.path.glob("*.ckpt")
    made = max((file.stat().st_mtime for file in files), default=0)
    return path.stat().st_mtime < made


def _read(source, path):
    if path.suffix == ".txt":
        return _of_words(source, path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if path.parent.name == "trials":
            return _of_trials(source, path, values)
        return _of_classes(source, path, values)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} can not be read ({error!r}): test again, or move it away"
        ) from error


def _of_words(source, path):
    """WER and CER of a split."""
    name = path.stem.removeprefix("wer_")
    figures, size = {}, ""
    for metric in ("wer", "cer"):
        file = path.with_name(f"{metric}_{name}.txt")
        if not file.is_file() or _old(source, file):
            continue
        head = _head(file)
        if found := WER.search(head):
            figures[metric] = Figure(float(found[1]))
        if found := SCORED.search(head):
            size = f"{found[1]} utterances"
    how = GREEDY if source.kind is CTC else JOINT
    if source.with_lm:
        how = BEAM if source.kind is CTC else JOINT
        how += " with its language model"
        name = name.removesuffix(WITH_LM)
    return Result(_test(source, name), how, figures, size, path.name)


def _of_classes(source, path, values):
    """Accuracies on a test set."""
    figures = {
        name: Figure(values[key], *values.get(f"{key}_interval", ()))
        for key, name in ACCURACIES.items()
    }
    size = f"{values['utterances']} utterances"
    if "speakers" in values:
        size += f" of {values['speakers']} speakers"
    return Result(
        _test(source, path.stem.removeprefix("predictions_")),
        _protocol(source.run),
        figures,
        size,
        path.name,
    )


def _of_trials(source, path, values):
    """Error rates of a list of trials."""
    figures = {
        name: Figure(
            *(factor * values[name][k] for k in ("value", "low", "high"))
        )
        for name, factor in ERRORS.items()
        if name in values
    }
    size = f"{values['num_trials']} trials of {values['num_speakers']} speakers"
    test = _test(source, path.stem.removesuffix("_snorm"))
    return Result(test, values["scores"], figures, size, path.name)


def _protocol(run):
    """A fold is a folder beside the summary of all of them."""
    protocol = run.values.get("protocol")
    parts = [f"protocol {protocol}"] if protocol else []
    if (run.folder.resolve().parent / SUMMARY).is_file():
        parts.append(f"fold {run.folder.resolve().name}")
    return ", ".join(parts)


def _test(source, name):
    return f"{source.run.corpus or 'not known'}, {name}"


def _head(path):
    """The first lines, before the alignments."""
    with open(path, encoding="utf-8") as stream:
        return "".join(line for _, line in zip(range(3), stream, strict=False))
