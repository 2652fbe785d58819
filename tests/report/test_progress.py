"""What is said of a run while it goes on: an estimate only of what has been timed, in bars or in lines."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from seal_env.report.progress import Progress
from seal_env.report.work import Remaining, Work


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_is_estimated_from_what_was_timed_here_alone() -> None:
    clock = Clock()
    work = Work({"sampled": 10, "held_out": 4}, clock)
    assert work.in_words() == "estimating the time left"
    work.skip("sampled", 4)
    assert (work.remaining(), work.counts) == (None, (4, 14))
    clock.now += 30
    work.count("sampled", 3)
    assert work.remaining() == Remaining(30.0, whole=False)
    assert work.in_words() == "at least 30 s left"
    clock.now += 1000
    assert work.in_words() == "estimating the time left"
    clock.now -= 992
    work.count("held_out", 2)
    assert work.remaining() == Remaining(38.0, whole=True)
    clock.now += 8
    assert work.in_words() == "about 30 s left"
    clock.now += 1000
    assert work.in_words() == "longer than estimated"


def test_work_that_is_done_has_nothing_left() -> None:
    work = Work({"sampled": 2})
    work.skip("sampled", 2)
    assert work.remaining() == Remaining(0.0, whole=True)
    assert work.in_words() == "about 0 s left"


def test_a_log_gets_a_line_now_and_then_while_a_unit_takes_long() -> None:
    file = io.StringIO()
    with Progress(Console(file=file, width=80), Work({"sampled": 8}), "self-edits", every=0.02) as progress:
        progress.begin("sampled", "sampling, round 1", 8, 2)
        time.sleep(0.2)
    lines = file.getvalue().splitlines()
    assert len(lines) > 1
    assert lines[-1] == "progress  sampling, round 1: 2 of 8 self-edits; 0 s so far, estimating the time left"


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_has_bars_with_the_remaining_time_in_one_line_each(width: int) -> None:
    clock = Clock()
    console = Console(width=width, force_terminal=True, legacy_windows=False, color_system=None)
    with console.capture() as capture, Progress(console, Work({"sampled": 300}, clock), "self-edits") as progress:
        progress.begin("sampled", "sampling, round [1]", 150)
        clock.now += 125
        progress.reach(1)
        progress._bars.refresh()
    assert "about 10 h 22 min left" in capture.get()
    assert "sampling, round [1]" in capture.get()
    assert "1/150" in capture.get()
    assert "whole run" in capture.get()
