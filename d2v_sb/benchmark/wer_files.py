"""What a fine-tuning run found, of the files that it leaves.

``recipes/LibriSpeech/train.py`` writes no ``result.json``: its figures are in
``wer_<split>.txt`` and, with a language model, ``wer_<split>_lm.txt``, which
hold the alignment of each utterance. So the intervals need no second decoding.

Authors
 * The d2v_sb developers 2026
"""

from pathlib import Path

from d2v_sb.benchmark.result import Measure, Result
from d2v_sb.errors import DataError
from d2v_sb.manifest import as_list
from d2v_sb.reporting.environment import (
    PARTS,
    UNKNOWN,
    read_environment,
    read_times,
)
from d2v_sb.reporting.hypotheses import read_errors
from d2v_sb.reporting.options import read_options
from d2v_sb.reporting.reader import DAMAGE
from d2v_sb.reporting.speech import WITH_LM
from d2v_sb.reporting.train_log import best, read_train_log
from d2v_sb.scoring.bootstrap import error_rate_interval

MODE = "clean"  # the waveform is normalised and padding is masked
FILES = {"wer": "WER", "cer": "CER"}


def read_wer_files(folder):
    """What a finished run of recipes/LibriSpeech/train.py found.

    Arguments
    ---------
    folder : str or pathlib.Path
        Its output folder.

    Returns
    -------
    Result or None
        None where a test is missing, or the run went on after it, or a kill
        tore ``hyperparams.yaml``, which each start writes anew. Splits are
        named as the files are: ``test-other_lm`` is with a language model.

    Raises
    ------
    DataError
        If a file is damaged.

    Example
    -------
    >>> read_wer_files(getfixture("tmp_path"))
    """
    folder = Path(folder)
    try:
        options = read_options(folder / "hyperparams.yaml")
    except DAMAGE:
        return None
    try:
        return _read(folder, options)
    except DAMAGE as error:
        raise DataError(
            f"{folder} can not be read as a run of speech recognition "
            f"({error}): run its command again, which tests anew"
        ) from error


def _read(folder, options):
    log = read_train_log(folder / "train_log.txt")
    chosen = best(log.validations, "valid WER", min)
    splits = _splits(options.values)
    missing = [s for s in splits if not (folder / f"wer_{s}.txt").is_file()]
    if chosen is None or not splits or missing or log.outdated & {*splits}:
        return None
    values = options.values
    return Result(
        task=values.get("regime") or folder.name,
        head=options.brain.removesuffix("Brain"),
        encoder=str(values["encoder"]),
        mode=MODE,
        seed=int(values["seed"]),
        dev=Measure("dev", "WER", chosen[1]),
        measures=[
            _measure(path, split, name)
            for split in splits
            for kind, name in FILES.items()
            if (path := folder / f"{kind}_{split}.txt").is_file()
        ],
        lr=float(values["lr"]),
        about=_about(folder, values),
    )


def _splits(values):
    """Of all tests that the run was told to make, as their files are named."""
    names = [
        name.replace("/", "-") for name in as_list(values.get("test_splits"))
    ]
    if values.get("lm_path"):
        names += [f"{name}{WITH_LM}" for name in names]
    return names


def _measure(path, split, name):
    found = read_errors(path)
    errors, lengths, speakers = [], [], []
    for one in found.utterances:
        errors.append(sum(token.kind != "right" for token in one.tokens))
        lengths.append(one.length)
        # LibriSpeech's ids are <speaker>-<chapter>-<number>.
        speakers.append(one.name.split("-")[0])
    if (sum(errors), sum(lengths)) != (found.errors, found.tokens):
        raise DataError(f"{path.name}: its alignments are not of its figures")
    low = high = None
    num_speakers = len(set(speakers))
    if num_speakers > 1:  # or there is nothing to draw
        low, high = error_rate_interval(errors, lengths, speakers)
    return Measure(
        split,
        name,
        100 * found.errors / found.tokens,
        low,
        high,
        found.sentences,
        num_speakers,
    )


def _about(folder, values):
    """The hardware is not written down by the recipe."""
    environment = {
        name: text
        for name, text in read_environment(folder).items()
        if text != UNKNOWN
    }
    times = read_times(folder / "log.txt")
    about = {
        "date": times[0].split()[0] if times else "",
        "corpus": Path(str(values.get("data_folder", ""))).name,
        "commit": environment.get("commit", ""),
        "command": environment.get("command", ""),
        "versions": ", ".join(
            f"{name} {environment[name]}"
            for name in PARTS
            if name in environment and name != "commit"
        ),
    }
    return {name: text for name, text in about.items() if text}
