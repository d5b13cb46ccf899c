"""Progress where there is no terminal: lines in the log.

Authors
 * The d2v_sb developers 2026
"""

import logging

import pytest

from d2v_sb import progress as module
from d2v_sb.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand: its one item is the time."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def work(clock):
    """A hundred files of a second each."""
    with Progress("dev", 100) as progress:
        for _ in range(100):
            clock[0] += 1
            progress.update()


LINES = [f"dev: {i} of 100 files, {i} s" for i in (30, 60, 90)]


def test_a_line_is_logged_each_half_minute(clock, caplog):
    with caplog.at_level(logging.INFO):
        work(clock)
    assert caplog.messages == LINES


def test_lines_are_seen_where_nobody_set_up_logging(clock, capsys, monkeypatch):
    """As in a recipe before it has a folder for its log."""
    monkeypatch.setattr(module.logger.logger, "propagate", False)
    work(clock)
    assert capsys.readouterr().err.splitlines() == LINES


def test_line_without_a_total(clock, caplog):
    with (
        caplog.at_level(logging.INFO),
        Progress("finding audio") as progress,
    ):
        clock[0] += 31
        progress.update()
    assert "finding audio: 1 files, 31 s" in caplog.text
