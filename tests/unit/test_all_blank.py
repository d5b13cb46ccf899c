"""Nothing but blanks: when it is said, and that the advice can be followed.

Authors
 * The d2v_sb developers 2026
"""

import logging
import re
from pathlib import Path

import pytest

from d2v_sb.finetuning import AllBlankDetector
from d2v_sb.finetuning.all_blank import ADVICE
from d2v_sb.hparams import read_plain

HPARAMS = Path(__file__).resolve().parents[2] / "hparams"
NOTHING, SOMETHING = ["", "", ""], ["", "A", ""]


@pytest.mark.parametrize(
    "heard, patience, warned",
    [
        ([NOTHING] * 3, 3, [2]),
        ([NOTHING] * 9, 3, [2]),  # said once
        ([NOTHING, NOTHING, SOMETHING, NOTHING, NOTHING], 3, []),
        ([SOMETHING] + [NOTHING] * 3, 2, [2]),
        ([NOTHING, SOMETHING] * 2 + [NOTHING] * 2, 2, [5]),
        ([NOTHING] * 9, 0, []),
    ],
)
def test_it_warns_after_so_many_in_a_row(heard, patience, warned, caplog):
    detector = AllBlankDetector(patience)
    found = [
        i for i, texts in enumerate(heard) if detector.observe(texts, 100 * i)
    ]
    assert found == warned
    records = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(records) == len(warned)
    for i, record in zip(warned, records, strict=True):
        assert f"after {100 * i} updates" in record.getMessage()


@pytest.mark.parametrize("name", ("d2v_ctc", "d2v_attention"))
def test_the_options_it_names_are_there(name):
    options = re.findall(r"--(\w+)", ADVICE)
    assert len(options) > 5
    assert set(options) <= set(read_plain(HPARAMS / f"{name}.yaml"))
