"""The oracle for synthetic passages: what it writes, and how much of it."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import pytest

from seal_env.agents.baselines.oracle_texts import OracleTextsAgent
from seal_env.agents.rollouts import run_episode
from seal_env.errors import PolicyError
from seal_env.tasks.knowledge.synthetic.taskset import SYNTHETIC, synthetic_passage

BUDGET = {"max_steps": 1000, "max_examples": 64, "batch_size": 4, "default_num_epochs": 3}
AGENT = OracleTextsAgent()


def info(task_id: str = "synthetic-eval-0-3", title: str | None = None, count: int = 1, **budget: int) -> dict[str, Any]:
    shown = {"title": title or SYNTHETIC[task_id].context.title}
    return {
        "task_id": task_id,
        "task": {"data": shown},
        "budget": {**BUDGET, **budget},
        "segment": {"index": 0, "count": count, "turn": 0},
    }


def texts(action: str) -> tuple[list[str], list[tuple[str, str]]]:
    calls = json.loads(action)
    assert calls[-1] == {"name": "finetune", "arguments": {}}
    statements = [text for call in calls if call["name"] == "implications" for text in call["arguments"]["texts"]]
    pairs = [pair for call in calls if call["name"] == "self_qa" for pair in call["arguments"]["pairs"]]
    return statements, [(pair["question"], pair["answer"]) for pair in pairs]


def test_it_writes_what_the_generator_says_but_no_evaluated_question() -> None:
    drawn, task = synthetic_passage("synthetic-eval-0-3"), SYNTHETIC["synthetic-eval-0-3"]
    statements, pairs = texts(AGENT.act("", info(max_examples=1000)))
    assert set(statements) == set(drawn.statements())
    evaluated = {(query.question, query.answer) for query in task.queries}
    assert set(pairs) == {(each.question, each.answer) for each in drawn.questions()} - evaluated
    assert {answer for _, answer in pairs} >= {fact.value for fact in drawn.facts}


@pytest.mark.parametrize(
    ("budget", "room"),
    [({}, 63), ({"max_examples": 10}, 9), ({"max_steps": 30}, 39), ({"count": 4}, 15), ({"max_examples": 1}, 0)],
)
def test_it_keeps_to_the_budget_and_to_every_fact(budget: Any, room: int) -> None:
    statements, pairs = texts(AGENT.act("", info(**budget)))
    assert len(statements) + len(pairs) == room
    if room >= 39:
        facts = synthetic_passage("synthetic-eval-0-3").facts
        assert all(any(fact.value in text for text in statements) for fact in facts)


def test_each_passage_of_a_group_is_found_by_its_title() -> None:
    env = gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:2", passages=2, max_examples=6, default_num_epochs=1)
    trajectory = run_episode(env, AGENT, seed=0)
    assert (trajectory.info["outcome"], trajectory.info["texts"]) == ("ok", 10)
    for turn, passage in zip(trajectory.turns, ("synthetic-train-0-0", "synthetic-train-0-1"), strict=True):
        assert set(texts(turn.action)[0]) <= set(synthetic_passage(passage).statements())


@pytest.mark.parametrize(("task_id", "title"), [("luther-5f3a9c21", "Martin Luther"), ("synthetic-eval-0-3", "Paris")])
def test_a_passage_that_is_not_synthetic_is_a_failure_that_names_it(task_id: str, title: str) -> None:
    with pytest.raises(PolicyError, match=f"{title}.*{task_id}.*not synthetic"):
        AGENT.act("", info(task_id, title))
