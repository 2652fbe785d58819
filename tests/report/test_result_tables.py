"""Tables of results: what stands beside accuracy."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from seal_env.report.comparison_table import comparison_table, interval_cell
from seal_env.report.rescore_tables import rescore_tables
from seal_env.report.result_tables import (
    continual_table,
    evaluation_table,
    grpo_table,
    reproduction_table,
    rest_em_table,
)

MEAN = {"mean": 0.25, "low": 0.0, "high": 0.5}
METRICS = {"word_f1": MEAN, "answer_words": {"mean": 3.456, "low": 1.0, "high": 5.0}}


def report(**others: Any) -> dict[str, Any]:
    return {"tasks": 1, "samples": 1, "failed": 0, "accuracy": MEAN, "valid": MEAN, "kept": 1, **others}


def tables(report: dict[str, Any]) -> dict[str, Table]:
    row = {"label": "a row", "above_untrained": None, "by_seed": [0.5], "sequences": 1, "before": MEAN, **report}
    trained = {"held_out": [report, report], "gain": [MEAN, MEAN], "rounds": [{"sampled": report, "kept": 1}]}
    return {
        "eval": evaluation_table({"agent": "random", **report}),
        "rest-em": rest_em_table(trained),
        "grpo": grpo_table(trained),
        "reproduce": reproduction_table({"rows": {"row": row}, "seconds": {}}),
        "continual": continual_table({"rows": {"row": row}}),
    }


def printed(table: Table, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("name", tables(report()))
def test_every_table_shows_word_f1_and_length_beside_accuracy(name: str) -> None:
    text = printed(tables(report(metrics=METRICS))[name])
    assert all(part in text for part in ("word", "F1", "answer", "words", "25 [0, 50]", "0.25", "3.46"))


@pytest.mark.parametrize("name", tables(report()))
def test_a_domain_without_further_measures_has_no_columns_for_them(name: str) -> None:
    assert "word" not in printed(tables(report())[name])


def test_a_row_without_a_measure_has_a_dash() -> None:
    rest = {"label": "row", "above_untrained": MEAN, "by_seed": [0.5]}
    rows = {"one": report(metrics=METRICS, **rest), "other": report(**rest)}
    one, other = printed(reproduction_table({"rows": rows, "seconds": {}})).splitlines()[-2:]
    assert other.count(" - ") == one.count(" - ") + len(METRICS)


@pytest.mark.parametrize(("kept", "last"), [(0, "* nothing to learn from: the policy stays as it is"), (3, "")])
def test_a_round_that_selected_nothing_is_marked(kept: int, last: str) -> None:
    trained = {"held_out": [report()] * 2, "gain": [MEAN] * 2, "rounds": [{"sampled": report(), "kept": kept}]}
    lines = printed(rest_em_table(trained), width=80).splitlines()
    assert (f" {kept or '0*'} " in "\n".join(lines), lines[-1].strip() == last) == (True, not kept)


def test_the_table_of_an_evaluation_fits_80_columns() -> None:
    cost = {"steps": 375.0, "tokens": 400_000.0, "seconds": 1234.5}
    shown = {"agent": "openai_compatible", "solved": MEAN, "pass_at": {"1": MEAN, "5": MEAN}, "cost": cost}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(evaluation_table(report(metrics=METRICS, **shown)))
    assert "…" not in capture.get()
    assert all(each in capture.get() for each in ("accuracy before, %", "pass@5, %", "seconds per self-edit"))
    assert max(map(len, capture.get().splitlines())) < 60


MOST, LEAST = (dict.fromkeys(("mean", "low", "high"), value) for value in (1.0, -1.0))
LONG = {"word_f1": MOST, "answer_words": {"mean": 123.456, "low": 1.0, "high": 500.0}}


@pytest.mark.parametrize("name", tables(report()))
def test_every_table_of_results_fits_80_columns_with_the_widest_intervals(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures = dict.fromkeys(("accuracy", "solved", "valid", "before", "new", "end", "merged"), MOST)
    measures |= dict.fromkeys(("above_untrained", "forgetting"), LEAST)
    monkeypatch.setitem(globals(), "MEAN", LEAST)  # of the gain over the untrained policy
    shown = {"label": "self-edits of the untrained policy", "by_seed": [1.0, 1.0, 1.0], "pass_at": {"1": MOST}}
    lines = printed(tables(report(metrics=LONG, **measures, **shown))[name], 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "\u2026" not in "".join(lines)
    assert sum(line.count("[100, 100]") for line in lines) >= (name != "reproduce") + 1
    assert ("[-100, -100]" in "".join(lines)) == (name != "eval")
    assert any("123.46" in line for line in lines)


def test_an_interval_is_in_one_line_where_there_is_room_and_whole_where_there_is_none() -> None:
    table = tables(report())["grpo"]
    assert "25 [0, 50]" in printed(table, 60)
    narrow = [" ".join(line.split()) for line in printed(table, 40).splitlines()]
    assert any("[0, 50]" in line and "25" not in line for line in narrow)


@pytest.mark.parametrize(("measure", "cell"), [("steps", "0 [-2, 0]"), ("seconds", "0.00 [-2.00, 0.00]")])
def test_a_difference_that_rounds_to_zero_has_no_sign(measure: str, cell: str) -> None:
    assert interval_cell(measure, {"mean": -0.001, "low": -2.0, "high": -0.0}) == cell


@pytest.mark.parametrize(("measure", "cell"), [("accuracy", "79"), ("tokens", "1"), ("reward", "0.79")])
def test_one_task_has_no_interval(measure: str, cell: str) -> None:
    assert interval_cell(measure, {"mean": 0.79, "low": None, "high": None}) == cell


ALONE = {"mean": 0.79, "low": None, "high": None}


@pytest.mark.parametrize(("interval", "explained"), [(ALONE, False), (MEAN, True)])
def test_brackets_are_explained_where_there_are_any(interval: dict[str, Any], explained: bool) -> None:
    evaluation = {"agent": "random", **report(accuracy=interval, valid=ALONE, pass_at={"1": ALONE})}
    assert ("[95 %]" in printed(evaluation_table(evaluation))) == explained
    text = compared(measures={"accuracy": {"first": ALONE, "second": interval, "difference": None}})
    assert ("Brackets are" in text) == explained
    assert "ccuracy, solved and valid are in per cent." in text


def test_runs_without_a_common_task_are_said_to_have_no_difference() -> None:
    text = compared(tasks={"both": 0, "first": 4, "second": 2})
    assert "A and B have no task in common (4 in A alone, 2 in B alone), so there is no B - A." in text
    assert "seeds" not in text


def test_every_column_of_the_means_of_rewards_scored_again_has_its_heading() -> None:
    means = {"tasks": 7, "failed": 0, "infrastructure": 0, **dict.fromkeys(("old", "new", "difference"), MEAN)}
    settings = {"old": {"reward": "accuracy", "reward_over": "seen"}, "new": {"reward": "gain", "reward_over": "seen"}}
    result = {"settings": settings, "episodes": [], "changed": [], "summary": {"episodes.jsonl": means}, "checked": True}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(rescore_tables({**result, "out": "out.json"}))
    assert capture.get().splitlines()[:2] == ["reward      accuracy -> gain", "reward_over seen"]
    heading, _, row = capture.get().splitlines()[-4:-1]
    assert heading.split() == ["mean", "over", "tasks", "tasks", "old", "new", "difference"]
    assert heading.index("tasks", 15) + len("tasks") == row.index("7") + 1


def test_a_share_that_rounds_to_zero_has_no_sign() -> None:
    assert interval_cell("accuracy", {"mean": -0.001, "low": -0.25, "high": 0.25}) == "0 [-25, 25]"


def compared(**others: Any) -> str:
    about = {"folder": "a", "label": "fixed", "samples": 1, "tasks": 1, "failed": 0}
    tasks = {"both": 1, "first": 0, "second": 0}
    result = {"runs": [about, about], "tasks": tasks, "same_seeds": True, "measures": {}, "settings": {}}
    console = Console(width=100)
    with console.capture() as capture:
        console.print(comparison_table({**result, **others}))
    return capture.get()


def test_a_setting_of_thousands_of_characters_is_shortened() -> None:
    assert f"x  {'a' * 57}... -> 1\n" in compared(settings={"x": ["a" * 5000, 1]})
