"""benchmarks/embedded_text_model.py: its texts, and the ladder that it measures, on a few passages."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("embedded_text_model_benchmark", BENCHMARKS / "embedded_text_model.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("which", ["eval", "reworded"])
def test_no_text_has_a_question_that_is_asked(module: ModuleType, which: str) -> None:
    for index in range(20):
        task = SYNTHETIC[f"synthetic-{which}-0-{index}"]
        asked = {question.question for question in task.queries}
        told = list(module.texts(task, "passage + both", 12))
        assert len(told) >= 16
        assert not asked & {text.split("\n")[0].removeprefix("Question: ") for text in told}


def test_texts_tell_every_fact_once_before_any_twice(module: ModuleType) -> None:
    task = SYNTHETIC["synthetic-eval-0-1"]
    facts = synthetic_passage(task.task_id).facts
    for condition in ("passage + implications", "passage + self-QA"):
        told = list(module.texts(task, condition, len(facts)))
        assert len(told) == len(facts)
    stated = list(module.texts(task, "passage + implications", len(facts)))
    assert all(any(text in fact.statements() for text in stated) for fact in facts)


def test_no_update_learns_nothing_and_all_other_conditions_but_one_the_passage(module: ModuleType) -> None:
    domain = module.KnowledgeDomain(module.LexicalGrader())
    task = next(iter(SYNTHETIC.taskset("synthetic-eval", "eval", 1)))
    for condition in module.CONDITIONS:
        documents = [document.text for document in module.learned(domain, task, condition, 3)]
        assert (task.context.text in documents) == condition.startswith("passage")
    assert module.learned(domain, task, "no update", 3) == ()


@pytest.mark.slow
def test_the_passage_helps_and_texts_help_more(module: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    adapter = "--lora-rank 8 --lora-alpha 512 --default-learning-rate 5e-4 --default-num-epochs 3 --batch-size 4"
    module.main(["--json", str(path), "--passages", "16", "--samples", "2", *adapter.split()])
    document: dict[str, Any] = json.loads(path.read_text())
    found = {(row["set"], row["condition"]): float(np.mean(row["lexical"])) for row in document["rows"]}
    assert found["eval", "no update"] < 0.1
    assert found["eval", "no update"] + 0.1 < found["eval", "passage"]
    for condition in ("passage + implications", "passage + self-QA"):
        assert found["eval", "passage"] + 0.1 < found["eval", condition]
        assert found["reworded", "passage"] < found["reworded", condition]
    assert {row["valid"] for row in document["policy"]} == {1.0}
    assert all(row["different"] > 0.8 for row in document["policy"])
