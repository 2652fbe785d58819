"""Published self-edits from a file: which passage gets which text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from seal_env.agents.base import PolicyFailure
from seal_env.agents.baselines.replay import ReplayAgent
from seal_env.agents.context import AgentContext
from seal_env.agents.registry import make_agent
from seal_env.agents.rollouts import run_episode
from seal_env.envs.env import SealEnv
from seal_env.errors import PolicyError, TaskError
from seal_env.tasks.knowledge.files import read_passages
from seal_env.tasks.knowledge.passage import Passage, published

ORVEL = Passage("Orvel", "Orvel is a village by the sea. Its lamp burns blue oil.")
TAMIK = Passage("Tamik", "Tamik is a song of the north.")


def shown(passage: Passage) -> dict[str, Any]:
    return {"task": {"text": f"{passage.title}\n{passage.text}"}}


def ask(agent: ReplayAgent, *passages: Passage) -> list[str | PolicyFailure]:
    return agent.act_all([""] * len(passages), [shown(passage) for passage in passages])


def row(passage: Passage, **texts: object) -> dict[str, object]:
    questions = [{"question": "What is it?", "answer": "a village"}]
    return {"title": passage.title, "context": passage.text, "questions": questions, **texts}


def agent(folder: Path, *rows: dict[str, object], seed: int = 0) -> ReplayAgent:
    path = folder / "published.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return ReplayAgent.load(str(path), seed)


def test_a_passage_gets_the_text_that_was_written_for_it(tmp_path: Path) -> None:
    replay = agent(tmp_path, row(ORVEL, self_edit="Blue oil burns.\nOrvel is small."), row(TAMIK, completion="It is sung."))
    assert ask(replay, TAMIK, ORVEL) == ["It is sung.", "Blue oil burns.\nOrvel is small."]


def test_several_texts_come_in_turn_and_each_passage_has_its_own_turn(tmp_path: Path) -> None:
    rows = (row(ORVEL, completions=["a", "b", "c"]), row(TAMIK, completions=["x", "y"]))
    replay = agent(tmp_path, *rows)
    asked = [ORVEL, TAMIK, ORVEL, ORVEL, TAMIK, ORVEL]
    assert ask(replay, *asked) == ["a", "x", "b", "c", "y", "a"]
    replay.seed(1)
    assert ask(replay, *asked) == ["b", "y", "c", "a", "x", "b"]


def test_spaces_and_line_breaks_of_a_passage_do_not_count(tmp_path: Path) -> None:
    other = Passage(ORVEL.title, ORVEL.text.replace(". ", ".\n  "))
    assert agent(tmp_path, row(other, self_edit="a")).act("", shown(ORVEL)) == "a"


def test_a_passage_that_is_not_in_the_file_is_a_failure_that_names_it(tmp_path: Path) -> None:
    replay = agent(tmp_path, row(ORVEL, self_edit="a"))
    found, failure = ask(replay, ORVEL, TAMIK)
    assert found == "a"
    assert isinstance(failure, PolicyFailure)
    assert re.search(
        r"published.jsonl has no self-edit for the passage 'Tamik' that begins 'Tamik is a song", failure.reason
    )
    for act in (lambda: replay.act("", shown(TAMIK)), lambda: ask(replay, TAMIK)):
        with pytest.raises(PolicyError, match="'Tamik'"):
            act()


def test_without_a_file_the_task_set_s_own_texts_are_given(tmp_path: Path) -> None:
    agent(tmp_path, row(ORVEL, self_edit="a"), row(TAMIK))
    env = gymnasium.make("SEAL-Knowledge-v0", subset=str(tmp_path / "published.jsonl"))
    replay = make_agent("replay", AgentContext.of(env))
    found, failure = replay.act_all(["", ""], [shown(ORVEL), shown(TAMIK)])
    assert found == "a"
    assert isinstance(failure, PolicyFailure)


def test_a_file_without_self_edits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"published.jsonl: none of its 1 passages"):
        agent(tmp_path, row(ORVEL))
    with pytest.raises(TaskError, match=r"nowhere.jsonl: cannot be read"):
        ReplayAgent.load(str(tmp_path / "nowhere.jsonl"))


def test_published_self_edits_are_read_from_the_data_of_the_paper(data_directory: Path) -> None:
    path = data_directory / "squad_self_edits.jsonl"
    tasks = list(read_passages(path))
    replay = ReplayAgent.load(str(path))
    assert ask(replay, *(task.context for task in tasks)) == [published(task)[0] for task in tasks]
    env = gymnasium.make(
        "SEAL-Knowledge-v0", subset=f"{path}:1", max_examples=2, default_num_epochs=1, cache="off"
    ).unwrapped
    assert isinstance(env, SealEnv)
    info = run_episode(env, ReplayAgent.load(str(path)), seed=0).info
    assert (info["outcome"], info["texts"]) == ("ok", len(published(tasks[0])[0].split("\n")) - 1)  # one line of it is empty
