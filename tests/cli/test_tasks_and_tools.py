"""`seal-env tasks` and `seal-env tools`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from seal_env.episodes.runtime import Runtime
from seal_env.errors import SealError
from seal_env.registration import environments
from seal_env.settings import Settings
from tests.helpers.cli import Call


def test_an_unknown_domain_is_named(seal_env: Call) -> None:
    for command in (("tools",), ("tasks", "list", "--subset", "seal-eval"), ("tasks", "show", "5582e5ca")):
        assert "domain='chess'" in seal_env(*command, "--domain", "chess").err


@pytest.mark.usefixtures("arc_agi_2")
def test_task_sets_are_listed_with_their_numbers_of_tasks(seal_env: Call) -> None:
    lines = seal_env("tasks", "list").out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith(("seal-eval", "arc2-train"))] == ["10", "1000"]


def test_task_sets_of_one_domain_are_listed_alone(seal_env: Call) -> None:
    rows = json.loads(seal_env("tasks", "list", "--domain", "custom", "--json").out)
    assert [row["name"] for row in rows] == ["example", "word-classes-train", "word-classes-eval"]
    assert "'knowledge'" in seal_env("tasks", "list", "--domain", "knowlege").err


def test_tasks_of_a_set_are_listed_with_their_sizes(seal_env: Call) -> None:
    lines = seal_env("tasks", "list", "--subset", "seal-train").out.splitlines()
    assert ["5582e5ca", "3", "1", "3x3"] in [line.split() for line in lines]
    assert lines[-1] == "12 tasks in seal-train"


@pytest.mark.parametrize("task_id", ["5582e5ca", "mini-eval-7-3"])
def test_any_task_is_shown(seal_env: Call, task_id: str) -> None:
    said = seal_env("tasks", "show", task_id)
    assert (said.code, said.err) == (0, "")
    assert re.match(rf"{task_id}: demonstrations \d, test inputs 1, largest grid \dx\d\n", said.out)
    assert "gold" in said.out


@pytest.mark.parametrize("task_id", ["5582e5c", "seal-train", "00000000", "../x", "mini-eval-7"])
def test_unknown_task_is_named(seal_env: Call, task_id: str) -> None:
    said = seal_env("tasks", "show", task_id)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert repr(task_id) in said.err


@pytest.mark.parametrize(
    ("subset", "own", "said"),
    [
        (
            "synthetic-eval:2",
            "arc",
            "'synthetic-eval' is a task set of another kind (domain 'knowledge', environment SEAL-Knowledge-v0)",
        ),
        ("mini-eval:1", "knowledge", "'mini-eval' is a task set of another kind (domain 'arc', environment SEAL-ARC-v0)"),
        ("gcd-eval", "custom", "(domain 'reasoning', environment SEAL-Reasoning-v0)"),
    ],
)
def test_a_task_set_of_another_domain_is_said_to_be_one(seal_env: Call, subset: str, own: str, said: str) -> None:
    assert said in " ".join(seal_env("tasks", "list", "--subset", subset, "--domain", own).err.split())
    with pytest.raises(SealError, match=re.escape(said)):
        Runtime(Settings.resolve(domain=own, subset=subset))


def test_published_tasks_are_validated(seal_env: Call) -> None:
    said = seal_env("tasks", "validate", "--subset", "seal-train,seal-eval")
    assert (said.code, said.out) == (0, "22 tasks, none with problems\n")


def test_task_with_a_problem_fails_its_validation(seal_env: Call) -> None:
    pair = {"input": [[1]], "output": [[2]]}
    Path("leak.json").write_text(json.dumps({"train": [pair, pair], "test": [pair]}), encoding="utf-8")
    said = seal_env("tasks", "validate", "--subset", "leak.json")
    assert said.code == 1
    assert "leak: test pair 0 is a demonstration" in said.out
    assert said.out.endswith("1 task, 1 with problems\n")


@pytest.mark.parametrize(
    ("task_id", "close"),
    [("5582e5c", "5582e5ca"), ("5582e5cb", "5582e5ca"), ("synthetic-eval-0-0", "synthetic-eval-0-0 --domain knowledge")],
)
def test_an_unknown_task_gives_ids_like_it(seal_env: Call, task_id: str, close: str) -> None:
    said = seal_env("tasks", "show", task_id)
    assert (said.code, said.out) == (2, "")
    assert close in said.err


def test_passages_are_listed_shown_and_validated(seal_env: Call) -> None:
    lines = seal_env("tasks", "list").out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("synthetic-eval")] == ["100"]
    listed = seal_env("tasks", "list", "--domain", "knowledge", "--subset", "synthetic-eval:3").out.splitlines()
    assert listed[-1] == "3 tasks in synthetic-eval"
    shown = seal_env("tasks", "show", "--domain", "knowledge", "synthetic-eval-0-1").out
    assert re.match(r"synthetic-eval-0-1: words \d+, questions \d+, self-edits 0, title Kolasu\n", shown)
    assert "47 days" in shown
    said = seal_env("tasks", "validate", "--domain", "knowledge", "--subset", "synthetic-reworded:20")
    assert (said.code, said.out) == (0, "20 tasks, none with problems\n")


def test_a_passage_with_a_problem_fails_its_validation_unless_answers_are_free(seal_env: Call) -> None:
    passage = {"title": "Orvel", "context": "Orvel is a lamp.", "questions": [{"question": "What burns?", "answer": "oil"}]}
    Path("mine.jsonl").write_text(json.dumps(passage), encoding="utf-8")
    said = seal_env("tasks", "validate", "--domain", "knowledge", "--subset", "mine.jsonl")
    assert said.code == 1
    assert "the answer 'oil' is no part of the passage" in said.out
    assert seal_env("tasks", "validate", "--domain", "knowledge", "--subset", "mine.jsonl", "--free-answers").code == 0


def test_the_tools_of_knowledge_are_shown_too(seal_env: Call) -> None:
    offered = json.loads(seal_env("tools", "--domain", "knowledge", "--format", "openai").out)
    assert [tool["function"]["name"] for tool in offered][:2] == ["implications", "rewrite"]
    assert "relations: a list of 1 to 64" in seal_env("tools", "--domain", "knowledge").out


def test_tools_are_shown_in_words_and_as_schemas(seal_env: Call) -> None:
    words = seal_env("tools").out
    assert "learning_rate: a number above 0 and at most 1" in words
    schemas = json.loads(seal_env("tools", "--format", "json-schema").out)
    offered = json.loads(seal_env("tools", "--format", "openai").out)
    assert list(schemas) == [tool["function"]["name"] for tool in offered] == ["augment", "training", "finetune"]
    assert all(name in words for schema in schemas.values() for name in schema["properties"])


def test_every_environment_is_listed_with_what_it_is_about(seal_env: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said, rows = seal_env("envs"), json.loads(seal_env("envs", "--json").out)
    assert [row["id"] for row in rows] == list(environments())
    assert all(row["id"] in said.out and row["summary"] for row in rows)
    assert max(map(len, said.out.splitlines())) <= 80
    assert (rows[3]["domain"], rows[3]["tasks"]) == ("knowledge", "synthetic-train")
    assert rows[3]["summary"].startswith("8 tasks in a row, each learned for good: passages")
