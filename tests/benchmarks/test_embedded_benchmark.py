"""A quick run of benchmarks/embedded_model.py, and its statistics."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("benchmark") / "quick.json"
    parts = ["--parts", "prompt", "policy", "mini", "--tasks", "8", "--edits", "3", "--samples", "24", "--workers", "1"]
    script = str(BENCHMARKS / "embedded_model.py")
    done = subprocess.run([sys.executable, script, *parts, "--json", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mini-eval:8" in done.stdout
    written: dict[str, Any] = json.loads(path.read_text())
    return written


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("embedded_model_benchmark", BENCHMARKS / "embedded_model.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_an_update_solves_tasks_that_the_base_model_does_not(document: dict[str, Any]) -> None:
    rows = document["rows"]["mini-eval:8 K=3"]
    assert [row["task"] for row in rows] == [f"mini-eval-0-{index}" for index in range(8)]
    assert all(len(row["after"]) == 3 and set(row["outcomes"]) == {"ok"} for row in rows)
    before, best = (
        np.mean([value(row) for row in rows]) for value in (lambda row: row["before"], lambda row: max(row["after"]))
    )
    assert before < best


def test_the_model_writes_valid_self_edits_of_different_kinds(document: dict[str, Any]) -> None:
    policy = document["policy"]
    assert policy["valid"] >= 0.8
    assert policy["different"] >= 0.8
    assert set(policy["spread"]["strategy"]["shares"]) == {'"train_using_all_tokens"', '"train_using_output_tokens"'}


def test_prompts_of_10x10_grids_take_at_most_1024_tokens(document: dict[str, Any]) -> None:
    assert all(tokens <= 1024 for tokens in document["prompt_tokens"].values())


def test_quarters_are_chosen_on_the_other_half_of_the_tasks(module: ModuleType) -> None:
    """Self-edits that differ by chance alone show no gap; one that is better everywhere does."""
    rng = np.random.default_rng(0)
    chance = (rng.random((400, 8)) < 0.5).astype(float)
    best, worst = module.quarter_gap(chance)
    assert abs(best.mean() - worst.mean()) < 0.06
    chance[:, 3] = chance[:, 4] = 1.0
    best, worst = module.quarter_gap(chance)
    assert best.mean() == 1.0
    assert worst.mean() < 0.6


def test_effect_of_a_switch_is_a_difference_within_tasks(module: ModuleType) -> None:
    """The second task is easier in every way; it shows no effect, since the switch was on in all of its self-edits."""

    def row(*edits: tuple[bool, float]) -> dict[str, Any]:
        calls = [[{"name": "augment", "arguments": {"switch": on}}] for on, _ in edits]
        return {"family": "f", "self_edits": calls, "after": [accuracy for _, accuracy in edits]}

    assert module.switch_effect([row((True, 1.0), (False, 0.0), (False, 1.0))], "switch") == "+50 [+50, +50]*"
    assert module.switch_effect([row((True, 1.0), (False, 1.0)), row((True, 1.0))], "switch") == "+0 [+0, +0]"
    assert module.switch_effect([row((True, 1.0))], "switch") == ""


def test_grid_of_self_edits_has_each_combination_once(module: ModuleType) -> None:
    edits = module.grid_self_edits()
    assert len(edits) == len(set(edits.values())) == len(module.SWITCHES) * len(module.RATES)


def test_distance_to_uniform(module: ModuleType) -> None:
    distance = sys.modules["embedded_policy"].distance_to_uniform
    assert distance(Counter({True: 5, False: 5}), 2) == 0.0
    assert distance(Counter({1: 9}), 3) == pytest.approx(2 / 3)
