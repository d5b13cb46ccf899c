"""What lists of trials say: error rates, costs and their curves.

Authors
 * The d2v_sb developers 2026
"""

import base64

from d2v_sb.reporting.parts import (
    Picture,
    Table,
    Tile,
    shown,
    with_interval,
    without_empty,
)
from d2v_sb.reporting.reader import read_json

COSTS = ("min_dcf_001", "min_dcf_005")


def trial_results(folder, attempt):
    """Error rates of lists of trials.

    Arguments
    ---------
    folder : pathlib.Path
        Holds the files of ``d2v_sb.scoring.verify``.
    attempt : callable
        As of ``d2v_sb.reporting.speech.speech_results``.

    Returns
    -------
    list of Tile
    list of Table or Picture
    """
    tiles, rows, pictures = [], [], []
    for path in sorted(folder.glob("*.json")):
        row = attempt(_trial_row, path)
        if row is None:
            continue
        rows.append(row)
        name, scores, eer = row[:3]
        tiles.append(Tile(f"{eer.split(' ')[0]} %", f"EER, {name}, {scores}"))
        drawn = path.with_name(f"{path.stem}.det.png")
        if drawn.is_file():
            pictures.append(attempt(_picture, drawn))
    if not rows:
        return [], []
    table = Table(
        "Trials",
        "EER is where misses and false alarms are equally many; minDCF is the "
        "least detection cost where a target has the prior probability in "
        "parentheses. 95 % intervals over speakers follow the values.",
        *without_empty(
            [
                "list",
                "scores",
                "EER %",
                "minDCF (0.01)",
                "minDCF (0.05)",
                "Cllr",
                "trials",
                "speakers",
            ],
            rows,
        ),
    )
    return tiles, [table, *filter(None, pictures)]


def _trial_row(path):
    """None for a file of something else, such as a calibration."""
    result = read_json(path)
    if "eer" not in result:
        return None

    def measure(value, factor=1, digits=3):
        if value is None:
            return "–"
        limits = [factor * value["low"], factor * value["high"]]
        return with_interval(factor * value["value"], limits, digits)

    return [
        str(result["name"]),
        str(result["scores"]),
        measure(result["eer"], 100, 2),
        *(measure(result.get(key)) for key in COSTS),
        measure(result.get("cllr")),
        shown(result.get("num_trials"), 0),
        shown(result.get("num_speakers"), 0),
    ]


def _picture(path):
    data = base64.b64encode(path.read_bytes()).decode()
    return Picture(
        f"Errors of {path.name.removesuffix('.det.png')}",
        "Misses over false alarms as the threshold moves; nearer to the lower "
        "left corner is better.",
        f"data:image/png;base64,{data}",
    )
