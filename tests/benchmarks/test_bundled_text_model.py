"""`benchmarks.bundled_text_model`: its texts, and the ladder that it measures, on a few passages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import bundled_text_model as benchmark
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.grading.lexical import LexicalGrader
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage


@pytest.mark.parametrize("which", ["eval", "reworded"])
def test_no_text_has_a_question_that_is_asked(which: str) -> None:
    for index in range(20):
        task = SYNTHETIC[f"synthetic-{which}-0-{index}"]
        asked = {question.question for question in task.queries}
        texts = list(benchmark.texts_of(task, "passage + both", 12))
        assert len(texts) >= 16
        assert not asked & {text.split("\n")[0].removeprefix("Question: ") for text in texts}


def test_texts_state_every_fact_once_before_any_twice() -> None:
    task = SYNTHETIC["synthetic-eval-0-1"]
    facts = synthetic_passage(task.task_id).facts
    for condition in ("passage + implications", "passage + self-QA"):
        texts = list(benchmark.texts_of(task, condition, len(facts)))
        assert len(texts) == len(facts)
    stated = list(benchmark.texts_of(task, "passage + implications", len(facts)))
    assert all(any(text in fact.statements() for text in stated) for fact in facts)


def test_no_update_learns_nothing_and_all_other_conditions_but_one_the_passage() -> None:
    domain = KnowledgeDomain(LexicalGrader())
    task = next(iter(SYNTHETIC.taskset("synthetic-eval", "eval", 1)))
    for condition in benchmark.CONDITIONS:
        documents = [document.text for document in benchmark.learned(domain, task, condition, 3)]
        assert (task.context.text in documents) == condition.startswith("passage")
    assert benchmark.learned(domain, task, "no update", 3) == ()


@pytest.mark.slow
def test_the_passage_helps_and_texts_help_more(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    adapter = "--lora-rank 8 --lora-alpha 512 --default-learning-rate 5e-4 --default-num-epochs 3 --batch-size 4"
    benchmark.main(["--json", str(path), "--passages", "16", "--samples", "2", *adapter.split()])
    document: dict[str, Any] = json.loads(path.read_text())
    found = {(row["set"], row["condition"]): float(np.mean(row["lexical"])) for row in document["rows"]}
    assert found["eval", "no update"] < 0.1
    assert found["eval", "no update"] + 0.1 < found["eval", "passage"]
    for condition in ("passage + implications", "passage + self-QA"):
        assert found["eval", "passage"] + 0.1 < found["eval", condition]
        assert found["reworded", "passage"] < found["reworded", condition]
    assert {row["valid"] for row in document["policy"]} == {1.0}
    assert all(row["different"] > 0.8 for row in document["policy"])
