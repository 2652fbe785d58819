"""The agent `template`: what it makes of whole passages, and that it keeps to the budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seal_env.agents.rollouts import run_episode
from seal_env.agents.template import MOST_TEXTS, TemplateAgent, calls, passage_texts, room
from seal_env.env import SealEnv
from seal_env.prompts import observation_text
from seal_env.spaces import SelfEditSpace
from seal_env.tasks.knowledge.domain import KnowledgeDomain
from seal_env.tasks.knowledge.exact_match import exact_match
from seal_env.tasks.knowledge.lexical_grader import LexicalGrader
from seal_env.tasks.knowledge.loader import load_passages
from seal_env.tasks.knowledge.passage import Passage
from seal_env.tools.registry import KNOWLEDGE_TOOLS
from seal_env.tools.texts import MAX_TEXTS
from seal_env.types import Budget, TrainingConfig

PASSAGE = Passage(
    "Brun",
    "Brun is a town on the river Gako. Ann Lee founded the town in 1210. The town has 14 streets and makes red glass.",
)


def observation(passage: Passage, budget: Budget | None = None, **prompt: Any) -> str:
    domain = KnowledgeDomain(LexicalGrader())
    return observation_text(domain, domain.describe(passage), budget or Budget(), max_turns=1, **prompt)


def recall(subset: str, start: int = 0, end: int | None = None) -> float:
    """Share of the questions of passages whose gold answer is the answer of a pair."""
    tasks = list(load_passages(subset))[start:end]
    found = [
        any(exact_match(answer, question.golds) for answer in answers)
        for task in tasks
        for answers in [{answer for _, answer in passage_texts(task.context.title, task.context.text).pairs}]
        for question in task.queries
    ]
    return sum(found) / len(found)


def test_nearly_all_facts_of_invented_passages_are_asked_for() -> None:
    assert recall("invented-eval:30") >= 0.95


def test_half_of_what_people_asked_about_real_passages_is_asked_for(data_directory: Path) -> None:
    assert recall(str(data_directory / "squad_self_edits.jsonl"), 0, 40) >= 0.48


def test_statements_name_their_subject_in_full_and_repeat_no_sentence() -> None:
    texts = passage_texts(PASSAGE.title, PASSAGE.text)
    assert "The town Brun has 14 streets." in texts.statements
    assert "The town Brun makes red glass." in texts.statements
    assert "The town Brun was founded by Ann Lee in 1210." in texts.statements
    assert not any(statement in PASSAGE.text for statement in texts.statements)


def test_questions_do_not_tell_their_answers() -> None:
    pairs = passage_texts(PASSAGE.title, PASSAGE.text).pairs
    assert len(pairs) > 20
    assert len({question for question, _ in pairs}) == len(pairs)
    assert all(question.endswith("?") and f" {answer} " not in f" {question[:-1]} " for question, answer in pairs)


def test_the_self_edit_is_valid_and_closed() -> None:
    action = TemplateAgent().act(observation(PASSAGE))
    assert SelfEditSpace(KNOWLEDGE_TOOLS).contains(action)
    assert [call["name"] for call in json.loads(action)] == ["implications", "self_qa", "finetune"]


@pytest.mark.parametrize(
    ("budget", "prompt", "texts"),
    [
        (Budget(max_steps=10_000, max_examples=250), {}, MOST_TEXTS),
        (Budget(max_steps=10_000, max_examples=48), {}, 47),
        (Budget(max_steps=100, max_examples=250), {"batch_size": 1}, 49),  # 2 epochs, unless the prompt says otherwise
        (Budget(1000, 250), {"batch_size": 1, "usual": TrainingConfig(num_train_epochs=20)}, 49),
        (Budget(4000, 100), {"batch_size": 1, "place": (2, 4), "usual": TrainingConfig(num_train_epochs=10)}, 24),
        (Budget(1, 1), {}, 0),
    ],
)
def test_the_budget_in_the_prompt_leaves_room_for_so_many_texts(budget: Budget, prompt: dict[str, Any], texts: int) -> None:
    assert room(observation(PASSAGE, budget, **prompt)) == texts


def test_a_prompt_without_a_budget_leaves_room_for_all() -> None:
    assert room("Task: none") == MOST_TEXTS


@pytest.mark.parametrize("most", [0, 1, 7, 30, 200])
def test_what_has_no_room_is_left_out(most: int) -> None:
    texts = passage_texts(PASSAGE.title, PASSAGE.text)
    made = calls(texts, most)
    counted = [len(call["arguments"].get("texts", call["arguments"].get("pairs", []))) for call in made]
    assert sum(counted) == min(most, len(texts.statements) + len(texts.pairs))
    assert max(counted) <= MAX_TEXTS
    assert made[-1]["name"] == "finetune"


def test_an_environment_learns_what_it_writes_without_a_mistake() -> None:
    env = gymnasium.make(
        "SEAL-Knowledge-v0", subset="invented-train:2", usual_epochs=1, max_examples=9, cache="off"
    ).unwrapped
    assert isinstance(env, SealEnv)
    info = run_episode(env, TemplateAgent(), seed=0).info
    assert (info["outcome"], info["examples"], info["repeated"], info["empty"]) == ("ok", 9, 0, 0)


def test_several_passages_of_an_episode_are_each_written_about() -> None:
    settings: dict[str, Any] = {"subset": "invented-train:2", "usual_epochs": 1, "max_examples": 6, "cache": "off"}
    env = gymnasium.make("SEAL-Knowledge-v0", passages=2, **settings).unwrapped
    assert isinstance(env, SealEnv)
    trajectory = run_episode(env, TemplateAgent(), seed=0)
    assert (trajectory.info["outcome"], len(trajectory.turns)) == ("ok", 2)
    for turn, passage in zip(trajectory.turns, load_passages("invented-train:2"), strict=True):
        assert passage.context.title in turn.action


def test_it_is_a_pure_function_of_the_passage(outputs_by_hash_seed: Callable[[str, Sequence[str]], set[str]]) -> None:
    code = f"from seal_env.agents.template import passage_texts; print(passage_texts({PASSAGE.title!r}, {PASSAGE.text!r}))"
    assert len(outputs_by_hash_seed(code, ["0", "1"])) == 1


@settings(max_examples=60, deadline=None)
@given(title=st.text(max_size=12), text=st.text(max_size=200))
def test_any_text_is_a_passage(title: str, text: str) -> None:
    texts = passage_texts(title, text)
    assert all(statement.strip() for statement in texts.statements)
    assert all(question.strip() and answer.strip() for question, answer in texts.pairs)


WORDS = (
    *PASSAGE.text.split(),
    "who",
    "which",
    "because",
    ",",
    "and",
    "of",
    "to",
    "'s",
    "(",
    ")",
    "1999",
    "while",
    "was",
    "Lee",
)


@settings(max_examples=120, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_order_of_words_is_a_passage(words: list[str]) -> None:
    passage_texts(PASSAGE.title, " ".join(words))


def test_a_long_list_takes_no_longer_than_its_length() -> None:
    text = "The town has " + ", ".join(f"a house of Ann {number}" for number in range(400)) + "."
    began = time.process_time()
    passage_texts("Brun", text)
    assert time.process_time() - began < 10.0  # seconds; some hundred if all of it were one sentence
