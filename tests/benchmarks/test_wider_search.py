"""A search with and without the tool `recipe`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.wider_search import in_words, main

SMALL = (
    "--subset",
    "synthetic-eval:1",
    "--trials",
    "3",
    "--width",
    "3",
    "--finalists",
    "1",
    "--repeats",
    "1",
    "--fresh",
    "1",
)


def test_both_searches_have_the_same_budget_and_only_one_chooses_recipes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wider.json"
    main([*SMALL, "--json", str(file)])
    found = json.loads(file.read_text())
    journals = {path.name: json.loads(path.read_text())["found"][0] for path in (tmp_path / "wider").iterdir()}
    assert journals.keys() == {"training-finetune-seed-0.jsonl", "training-recipe-finetune-seed-0.jsonl"}
    with_recipe = {name for name, each in journals.items() if '"recipe"' in each["self_edit"]}
    assert with_recipe == {"training-recipe-finetune-seed-0.jsonl"}
    assert len({len(each["fresh_S"]) for each in journals.values()}) == 1
    [(task_id, gain)] = found["gain"].items()
    assert gain == found["rewards"]["with recipe"][task_id] - found["rewards"]["default tools"][task_id]
    assert "optimizer: " in capsys.readouterr().out


def test_numbers_have_a_median_and_choices_are_counted() -> None:
    assert in_words([1, 8, 2]) == "median 2, 1 to 8"
    assert in_words(["all", "mlp", "all"]) == "all 2, mlp 1"
