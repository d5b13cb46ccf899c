"""What tests of speech recognition say: error rates, and what was heard.

Authors
 * The d2v_sb developers 2026
"""

from d2v_sb.reporting.hypotheses import (
    choose_samples,
    frequent_errors,
    read_errors,
)
from d2v_sb.reporting.parts import Samples, Table, Tile, shown

WITH_LM = "_lm"  # what names of tests with a language model end with
SAMPLES = 3  # utterances of each kind
FREQUENT = 8


def name_of_test(stem):
    """What a file of a test is of, in words.

    Arguments
    ---------
    stem : str
        Of the file's name.

    Returns
    -------
    str

    Example
    -------
    >>> name_of_test("wer_test-clean_lm")
    'test-clean, with a language model'
    """
    name = stem.split("_", 1)[-1]
    if name.endswith(WITH_LM):
        return f"{name[: -len(WITH_LM)]}, with a language model"
    return name


def speech_results(folder, log, attempt):
    """Error rates of each test, and samples of what was heard.

    Arguments
    ---------
    folder : pathlib.Path
        Output folder of a run.
    log : TrainLog
        Of the run: it says which update a test is of.
    attempt : callable
        Given a function and a path it returns what the function makes of the
        path, or None where the file can not be read.

    Returns
    -------
    list of Tile
    list of Table or Samples
    """
    tiles, rows, samples = [], [], []
    for path in sorted(folder.glob("wer_*.txt")):
        words = attempt(read_errors, path)
        if words is None:
            continue
        name = name_of_test(path.stem)
        tested = name + log.tested(path.stem.split("_", 1)[-1])
        of_letters = path.with_name(f"cer_{path.stem[4:]}.txt")
        letters = None
        if of_letters.is_file():
            letters = attempt(read_errors, of_letters)
        tiles.append(Tile(f"{shown(words.rate, 1)} %", f"WER on {tested}"))
        rows.append(
            [
                tested,
                shown(words.rate),
                shown(letters.rate if letters else None),
                shown(words.sentence_rate, 1),
                *(
                    shown(count, 0)
                    for count in (
                        words.substitutions,
                        words.deletions,
                        words.insertions,
                        words.tokens,
                        words.sentences,
                    )
                ),
            ]
        )
        if words.utterances:
            samples.append(
                Samples(
                    name,
                    choose_samples(words.utterances, SAMPLES),
                    frequent_errors(words.utterances, FREQUENT),
                )
            )
    if not rows:
        return [], []
    table = Table(
        "Error rates",
        "In percent of the words or characters said, and of the sentences that "
        "have an error. A rate may be above 100 where words were "
        "heard that nobody said.",
        [
            "test",
            "WER %",
            "CER %",
            "sentences wrong %",
            "substituted",
            "deleted",
            "inserted",
            "words",
            "sentences",
        ],
        rows,
    )
    return tiles, [table, *samples]
