"""Commands do not measure on tasks that were learned from, and show which tasks two sets share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.cli import Call


@pytest.mark.parametrize("command", ["train rest-em", "train grpo", "reproduce arc --rows rest-em"])
def test_tasks_that_are_learned_are_not_measured_on(command: str, seal_env: Call) -> None:
    said = seal_env(*command.split(), "--subset", "mini-eval:3", "--held-out", "mini-eval:2", "--out", "run")
    assert said.code == 2
    assert "model     seal-tiny on" not in said.err
    assert "2 are in both: mini-eval-0-0, mini-eval-0-1" in said.err
    assert not Path("run").exists()


def test_validation_shows_what_two_sets_share(seal_env: Call) -> None:
    said = seal_env("tasks", "validate", "mini-eval:3", "mini-eval:2", "mini-train:2")
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0] == "5 tasks, none with problems"
    assert [line.partition(" share ")[2] for line in lines[1:]] == [
        "2 tasks: mini-eval-0-0, mini-eval-0-1",
        "no tasks",
        "no tasks",
    ]
    assert lines[1].startswith("mini-eval:3 and mini-eval:2 share")
    assert seal_env("tasks", "validate", "mini-eval:2", "mini-train:2").code == 0


def test_validation_shows_tasks_that_ask_about_pieces_of_others(seal_env: Call) -> None:
    for name, examples in (("a", "xy"), ("b", "uv")):
        pairs = [{"input": each, "output": each * 2} for each in (*examples, "w", name)]
        Path(f"{name}.jsonl").write_text(
            json.dumps({"id": name, "examples": pairs[:2], "queries": pairs[2:]}), encoding="utf-8"
        )
    said = seal_env("tasks", "validate", "--domain", "custom", "a.jsonl", "b.jsonl")
    assert said.code == 0
    assert said.out.splitlines()[1:] == [
        "a.jsonl and b.jsonl share no tasks",
        "1 task of b.jsonl asks about pieces of a.jsonl: b (1 of 2, in a)",
        "1 task of a.jsonl asks about pieces of b.jsonl: a (1 of 2, in b)",
    ]


def test_each_of_two_sets_with_equal_ids_is_validated(seal_env: Call) -> None:
    for name, asked in (("good", "c"), ("leaks", "a")):
        pairs = {"examples": [{"input": "a", "output": "b"}], "queries": [{"input": asked, "output": "b"}]}
        Path(f"{name}.jsonl").write_text(json.dumps({"id": "x", **pairs}), encoding="utf-8")
    said = seal_env("tasks", "validate", "--domain", "custom", "good.jsonl", "leaks.jsonl")
    assert said.code == 1
    assert "2 tasks, 1 with problems" in said.out
