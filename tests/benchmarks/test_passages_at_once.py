"""`benchmarks.passages_at_once`: its groups, what wrong answers are called, and a run on two passages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import passages_at_once as benchmark


def test_an_update_has_the_documents_and_the_questions_of_all_its_passages() -> None:
    (task, singles), other = benchmark.groups("eval", 4, 2, 0)
    settings = benchmark.resolve(benchmark.parse(["--lora-rank", "32", "--method", "full"]))
    job = benchmark.make_job(settings, task, singles, 3)
    assert task.queries == singles[0].queries + singles[1].queries
    assert other[1][0].task_id == "synthetic-eval-0-2"
    assert len(job.examples_E) == 14
    assert (job.lora.rank, job.method) == (32, "full")
    assert all(any(single.context.text in (each.document or "") for each in job.examples_E) for single in singles)


def test_wrong_answers_are_of_the_same_passage_of_another_or_of_none() -> None:
    _, singles = next(benchmark.groups("eval", 2, 2, 0))
    first, second = (single.queries for single in singles)
    answers = [question.answer for question in (*first, *second)]
    right = [True] * len(answers)
    answers[:3], right[:3] = [first[2].answer, second[0].answer, "nobody"], [False] * 3
    sorts = benchmark.wrong_answers(singles, answers, right)
    assert sorts == {"right": len(answers) - 3, "same": 1, "other": 1, "none": 1}


@pytest.mark.slow
def test_fewer_passages_at_once_are_answered_better(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    benchmark.main(["--json", str(path), "--passages", "4", "--at-once", "1", "4", "--texts", "6"])
    one, four = json.loads(path.read_text())["rows"]
    assert sum(one["accuracy"]) / 4 > four["accuracy"][0]
