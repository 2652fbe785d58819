"""Reports of episodes: tables, summaries, progress."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from seal_env.agents.base import Trajectory, Turn
from seal_env.domains.arc import ARC
from seal_env.domains.knowledge import KNOWLEDGE
from seal_env.report.episode_progress import EpisodeProgress
from seal_env.report.episode_tables import accuracy_change, episode_table, summary_text
from seal_env.report.formats import duration, number
from seal_env.report.self_edit_short import legend, self_edit_short


def calls(*switches: str, epochs: int = 2, strategy: str = "train_using_output_tokens") -> list[dict[str, Any]]:
    kinds = ("basic", "size", "chain", "repeat")
    training = {"strategy": strategy, "learning_rate": 0.0012, "num_train_epochs": epochs}
    return [
        {"name": "augment", "arguments": {f"use_{kind}_augmentations": kind in switches for kind in kinds}},
        {"name": "training", "arguments": training},
        {"name": "finetune", "arguments": {}},
    ]


def episode(task_id: str, before: float | None, after: float | None, outcome: str = "ok", **info: Any) -> Trajectory:
    failed = outcome in ("out_of_memory", "engine_error")
    whole = {"task_id": task_id, "turn": 1, "outcome": outcome, "reason": "" if outcome == "ok" else "why\nand more"}
    whole |= {"self_edit": calls("basic", "chain"), "examples": 250, "optimizer_steps": 250}
    whole |= {"accuracy_before": before, "accuracy_after": after, **info}
    reward = math.nan if failed else after or 0.0
    timings = {"train_seconds": 41.23, "evaluate_seconds": 0.31} if after is not None else {}
    return Trajectory(task_id, (Turn("", "", reward, whole),), failed, timings)


MIXED = [
    episode("44f52bb0", 0.0, 0.0),
    episode("4be741c5", 0.0, 1.0),
    episode("5582e5ca", 1.0, 0.5),
    episode("5614dbcf", None, None, "over_budget", examples=0, optimizer_steps=0),
    episode("6150a2bd", 0.0, None, "out_of_memory"),
]


def printed(trajectories: list[Trajectory], width: int, colour: bool = False, metrics: Sequence[str] = ()) -> list[str]:
    console = Console(width=width, force_terminal=colour, color_system="standard" if colour else None)
    with console.capture() as capture:
        console.print(episode_table(trajectories, console, ARC.tools, metrics))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_narrow_terminal_shows_task_accuracy_and_reward() -> None:
    lines = printed(MIXED, 40)
    assert max(map(len, lines)) <= 40
    assert row(lines, "4be741c5").split() == ["4be741c5", "0", "->", "100", "%", "+", "1.00"]
    assert row(lines, "5614dbcf").split() == ["5614dbcf", "over_budget", "0.00"]


def row(lines: list[str], task_id: str) -> str:
    return next(line for line in lines if task_id in line)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_table_fits_and_cuts_no_word(width: int) -> None:
    lines = printed(MIXED, width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for heading in ("task", "self-edit", "steps", "before, after", "reward", "eval s"):
        assert heading in lines[1]


def test_table_of_long_ids_fits_in_80_columns() -> None:
    lines = printed([episode("mini-train-0-99", 0.0, 1.0), episode("a-task-of-my-own-with-a-long-name", 0.0, 0.0)], 80)
    assert max(map(len, lines)) <= 80
    assert row(lines, "mini-train-0-99").endswith("41.2/0.3")


@pytest.mark.parametrize("width", [80, 100])
def test_further_measures_stand_beside_accuracy_within_the_width(width: int) -> None:
    read = episode("synthetic-train-0-99", 0.0, 1.0, word_f1_after=0.4, answer_words_after=12.25)
    lines = printed([read], width, metrics=tuple(KNOWLEDGE.metrics))
    assert max(map(len, lines)) <= width
    assert all(heading in " ".join(lines[:2]) for heading in ("word", "F1", "answer", "words"))
    assert row(lines, "synthetic").split()[-3 - (width == 100) :][:3] == ["0.40", "12.25", "1.00"]


def test_summary_has_the_means_of_further_measures() -> None:
    read = episode("a", 0.0, 1.0, word_f1_before=0.0, word_f1_after=0.5, answer_words_before=None, answer_words_after=2.0)
    text = summary_text([read], 10.0, metrics=tuple(KNOWLEDGE.metrics))
    assert "word F1   0.000 before, 0.500 after (mean of 1)" in text
    assert "answer words" not in text  # not measured before


def test_wide_table_has_one_line_an_episode() -> None:
    assert len(printed(MIXED, 160)) == 3 + len(MIXED) + 1


def test_rise_and_fall_are_marked_without_colour_too() -> None:
    lines = printed(MIXED, 100)
    assert "0 -> 0 %  " in row(lines, "44f52bb0")
    assert "0 -> 100 % +" in row(lines, "4be741c5")
    assert "100 -> 50 % -" in row(lines, "5582e5ca")


def test_rise_is_green_and_fall_red() -> None:
    lines = printed(MIXED, 100, colour=True)
    assert [code in row(lines, "4be741c5") for code in ("\x1b[32m", "\x1b[31m")] == [True, False]
    assert [code in row(lines, "5582e5ca") for code in ("\x1b[32m", "\x1b[31m")] == [False, True]


def test_reward_that_is_not_a_number_is_a_dash() -> None:
    assert "nan" not in "\n".join(printed(MIXED, 100))
    assert row(printed(MIXED, 100), "6150a2bd").split()[-2:] == ["-", "-"]
    assert (number(math.nan), number(None), number(0.0)) == ("-", "-", "0.00")


def test_outcome_is_shown_where_it_is_not_ok() -> None:
    lines = printed(MIXED, 100)
    assert "over_budget" in row(lines, "5614dbcf")
    assert "ok" not in row(lines, "44f52bb0")


def test_infrastructure_failures_are_not_averaged_as_0() -> None:
    text = summary_text([episode("a", 0.0, 1.0), episode("b", 0.0, None, "out_of_memory")], 10.0)
    assert "reward    1.000 (mean of 1)" in text
    assert "0.0 % before, 100.0 % after the update (mean of 1)" in text
    assert "1 episode (infrastructure failure)" in text


def test_mistakes_of_the_agent_are_averaged() -> None:
    text = summary_text([episode("a", 0.0, 1.0), episode("b", None, None, "over_budget")], 10.0)
    assert "reward    0.500 (mean of 2)" in text
    assert "infrastructure failure" not in text


def test_summary_says_what_rose_and_what_fell() -> None:
    lines = summary_text(MIXED, 500.0).splitlines()
    assert lines[0].endswith("3 ok, 1 over_budget, 1 out_of_memory")
    assert "5 in 8 min 20 s" in lines[0]
    assert "rose      1: 4be741c5 (0 -> 100 %)" in lines
    assert "fell      1: 5582e5ca (100 -> 50 %)" in lines


def test_summary_of_a_run_without_any_accuracy_has_no_means_of_it() -> None:
    text = summary_text([episode("a", None, None, "engine_error")], 0.02)
    assert "an hour" not in text
    assert "accuracy" not in text
    assert "reward" not in text


def test_summary_names_a_few_of_many() -> None:
    assert "and 4 more" in summary_text([episode(str(index), 0.0, 1.0) for index in range(10)], 1.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (calls("basic", "chain"), "basic chain, out 1.2e-03 x2"),
        (calls(strategy="train_using_all_tokens", epochs=12), "plain, all 1.2e-03 x12"),
        (calls("basic", "size", "chain", "repeat"), "all four, out 1.2e-03 x2"),
        (calls("size")[:1], "size"),
        ([*calls("size"), *calls("basic")], "basic, out 1.2e-03 x2"),
        ([], ""),
    ],
)
def test_self_edit_in_few_words(given: list[dict[str, Any]], words: str) -> None:
    assert self_edit_short(given, ARC.tools) == words


def test_any_tool_call_has_a_shorthand() -> None:
    arguments = {"sizes": [1, 2], "rate": 0.5, "tiny": 1e-5, "deep": True, "wide": False, "mode": "fast", "none": None}
    calls_of_it = [{"name": "other", "arguments": arguments}, {"name": "bare", "arguments": {}}]
    assert self_edit_short(calls_of_it) == "2 other 0.5 1.0e-05 deep fast, bare"
    assert legend([calls_of_it]) == "self-edit: other: sizes, rate, tiny, deep, wide, mode, none"


def test_lists_are_counted_over_all_calls() -> None:
    texts = [{"name": "implications", "arguments": {"texts": ["a"] * count}} for count in (3, 5)]
    pairs = [{"name": "self_qa", "arguments": {"pairs": [{"question": "q", "answer": "a"}]}}]
    assert self_edit_short([*texts, *pairs, *calls()[1:]], KNOWLEDGE.tools) == "8 implications, 1 self_qa, out 1.2e-03 x2"
    assert legend([texts, pairs], KNOWLEDGE.tools) == "self-edit: texts, pairs by tool"


def test_accuracy_that_was_not_measured_is_a_dash() -> None:
    assert accuracy_change({}) == "-"
    assert accuracy_change({"accuracy_before": 0.5, "accuracy_after": None}) == "50 -> - %"


@pytest.mark.parametrize(("elapsed", "words"), [(0.2, "0 s"), (59.6, "1 min 0 s"), (500, "8 min 20 s"), (7500, "2 h 5 min")])
def test_durations_in_words(elapsed: float, words: str) -> None:
    assert duration(elapsed) == words


def test_progress_outside_a_terminal_is_one_plain_line_an_episode(capsys: pytest.CaptureFixture[str]) -> None:
    with EpisodeProgress(Console(width=80), len(MIXED)) as progress:
        for trajectory in MIXED:
            progress.start(trajectory.task_id)
            progress.finish(trajectory)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MIXED)
    assert lines[1] == "[2/5] 4be741c5  accuracy 0 -> 100 % +    reward 1.00  250 steps in 41.2 s"
    assert lines[3] == "[4/5] 5614dbcf  over_budget: why"


def test_progress_in_a_terminal_shows_the_running_task_and_its_clock() -> None:
    console = Console(width=80, force_terminal=True, legacy_windows=False)
    with console.capture() as capture, EpisodeProgress(console, 3) as progress:
        progress.start("[5582e5ca]")
        progress._bars.refresh()
    assert all(part in capture.get() for part in ("updating on [5582e5ca]", "0:00:00", "whole run", "0/3"))
