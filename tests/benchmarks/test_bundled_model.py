"""A quick run of `benchmarks.bundled_model`, and its statistics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks import bundled_model


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("benchmark") / "quick.json"
    parts = ["--parts", "prompt", "policy", "mini", "--tasks", "8", "--edits", "3", "--samples", "24", "--workers", "1"]
    bundled_model.main([*parts, "--json", str(path)])
    written: dict[str, Any] = json.loads(path.read_text())
    return written


@pytest.mark.slow
def test_an_update_solves_tasks_that_the_base_model_does_not(document: dict[str, Any]) -> None:
    rows = document["rows"]["mini-eval:8 K=3"]
    assert [row["task"] for row in rows] == [f"mini-eval-0-{index}" for index in range(8)]
    assert all(len(row["after"]) == 3 and set(row["outcomes"]) == {"ok"} for row in rows)
    assert np.mean([row["before"] for row in rows]) < np.mean([max(row["after"]) for row in rows])


@pytest.mark.slow
def test_the_model_writes_valid_self_edits_of_different_kinds(document: dict[str, Any]) -> None:
    policy = document["policy"]
    assert policy["valid"] >= 0.8
    assert policy["different"] >= 0.8
    assert set(policy["shares"]["strategy"]) == {'"train_using_all_tokens"', '"train_using_output_tokens"'}


@pytest.mark.slow
def test_prompts_of_10x10_grids_take_at_most_1024_tokens(document: dict[str, Any]) -> None:
    assert all(tokens <= 1024 for tokens in document["prompt_tokens"].values())


def test_quarters_are_chosen_on_the_other_half_of_the_tasks() -> None:
    """Self-edits that differ by chance alone show no gap; one that is better everywhere does."""
    rng = np.random.default_rng(0)
    chance = (rng.random((400, 8)) < 0.5).astype(float)
    best, worst = bundled_model.quarter_gap(chance)
    assert abs(best.mean() - worst.mean()) < 0.06
    chance[:, 3] = chance[:, 4] = 1.0
    best, worst = bundled_model.quarter_gap(chance)
    assert best.mean() == 1.0
    assert worst.mean() < 0.6


def test_effect_of_a_switch_is_a_difference_within_tasks() -> None:
    """The second task is easier in every way; it shows no effect, since the switch was on in all of its self-edits."""

    def row(*edits: tuple[bool, float]) -> dict[str, Any]:
        calls = [[{"name": "augment", "arguments": {"switch": on}}] for on, _ in edits]
        return {"family": "f", "self_edits": calls, "after": [accuracy for _, accuracy in edits]}

    effect = bundled_model.switch_effect
    helped = row((True, 1.0), (False, 0.0), (False, 1.0))
    assert effect([helped] * 2, "switch") == "+50 [+50, +50]*"
    assert effect([helped], "switch") == "+50"  # one task has no interval, so nothing excludes 0
    assert effect([*[row((True, 1.0), (False, 1.0))] * 2, row((True, 1.0))], "switch") == "+0 [+0, +0]"
    assert effect([row((True, 1.0))], "switch") == ""


def test_grid_of_self_edits_has_each_combination_once() -> None:
    edits = bundled_model.grid_self_edits()
    assert len(edits) == len(set(edits)) == len(bundled_model.SWITCHES) * len(bundled_model.RATES)
