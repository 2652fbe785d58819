"""Rehearsal in SEAL-Continual-v0: what there is of earlier tasks, what it costs, and that no query is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from seal_env.agents.base import Agent, Info
from seal_env.agents.baselines.rehearsing import RehearsingAgent
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.errors import SettingError
from seal_env.types import UpdateJob, UpdateResult

SHORT: dict[str, Any] = {
    "domain": "knowledge",
    "subset": "synthetic-train:3",
    "sequence": 3,
    "default_num_epochs": 1,
    "max_turns": 2,
}
TEXTS: dict[str, Any] = {"name": "implications", "arguments": {"texts": ["One thing.", "Another thing.", "A third thing."]}}
CLOSE = {"name": "finetune", "arguments": {}}


def edit(*calls: dict[str, Any]) -> str:
    return json.dumps([TEXTS, *calls, CLOSE])


def rehearse(share: float, *tasks: int) -> dict[str, Any]:
    return {"name": "rehearse", "arguments": {"share": share, "tasks": list(tasks)}}


def note_jobs(env: SealContinualEnv) -> list[UpdateJob]:
    """A list to which every job of the environment's inner loop is added."""
    noted: list[UpdateJob] = []
    run = env.runtime.inner_loop.run

    def noting(jobs: Sequence[UpdateJob]) -> list[UpdateResult]:
        noted.extend(jobs)
        return run(jobs)

    env.runtime.inner_loop.run = noting  # type: ignore[method-assign]
    return noted


class Played(NamedTuple):
    observations: list[str]
    infos: list[dict[str, Any]]
    learned: list[list[str]]


@pytest.fixture(scope="module")
def played() -> Played:
    """Three tasks: nothing to rehearse, half of the first task, then all of the first task, in two turns."""
    env = SealContinualEnv(**SHORT, max_rehearsed=10)
    observation, info = env.reset(seed=0)
    noted = note_jobs(env)
    found = Played([observation], [info], [])
    open_draft = json.dumps([TEXTS, rehearse(1, 1)])
    for action in (edit(rehearse(1)), edit(rehearse(0.5)), open_draft, json.dumps([CLOSE])):
        observation, _, _, _, info = env.step(action)
        found.observations.append(observation)
        found.infos.append(info)
    env.close()
    found.learned.extend([each.document or "" for each in job.examples_E] for job in noted if job.learns)
    return found


def test_the_prompt_and_info_say_what_there_is(played: Played) -> None:
    assert "Earlier tasks: none yet. At most 10 of their documents" in played.observations[0]
    assert "\nrehearse: Learns documents of earlier tasks again" in played.observations[0]
    (first,) = played.infos[1]["rehearsal"]
    assert (first["number"], first["task_id"], first["documents"]) == (1, played.infos[0]["sequence"][0], 4)
    assert f"1 (4 documents, {first['tokens']} tokens)" in played.observations[1]
    assert [len(info["rehearsal"]) for info in played.infos] == [0, 1, 2, 2, 3]


def test_documents_of_earlier_tasks_are_trained_again_and_counted(played: Played) -> None:
    first, second, third = played.learned
    assert [len(each) for each in played.learned] == [4, 6, 8]
    assert len(set(first) & set(second)) == 2
    assert set(first) < set(third)
    ends = [played.infos[index] for index in (1, 2, 4)]
    assert [info["rehearsed"] for info in ends] == [0, 2, 4]
    assert [info["examples"] for info in ends] == [4, 6, 8]
    assert ends[2]["rehearsed_tokens"] == played.infos[1]["rehearsal"][0]["tokens"]
    assert "made 3 examples and 4 are kept" in played.observations[3]
    assert "Of earlier tasks 4 documents with" in played.observations[3]


def test_no_query_and_no_gold_answer_is_rehearsed_that_the_agent_did_not_write(played: Played) -> None:
    own = {f"{info['task']['data']['title']}\n{info['task']['data']['text']}" for info in played.infos}
    texts = [document for each in played.learned for document in each if document not in own]
    assert all(document.partition("\n")[2] in TEXTS["arguments"]["texts"] for document in texts)


def test_the_budget_limits_what_is_rehearsed() -> None:
    env = SealContinualEnv(**{**SHORT, "subset": "synthetic-train:2", "sequence": 2}, max_rehearsed=1, max_steps=2)
    env.reset(seed=0)
    assert env.step(edit(rehearse(1)))[4]["rehearsed"] == 0
    assert env.step(edit(rehearse(1)))[4]["rehearsed"] == 1


def test_without_the_setting_nothing_changes() -> None:
    env = SealContinualEnv(**SHORT)
    observation, info = env.reset(seed=0)
    assert "rehearse" not in observation
    assert "rehearsal" not in info
    assert env.step(edit(rehearse(1)))[4]["outcome"] == "unknown_tool"


@pytest.mark.parametrize(
    "given",
    [
        {"max_rehearsed": 3, "sequence": 1},
        {"consolidation": "average", "sequence": 1},
        {"consolidation": "retrieval", "method": "full"},
        {"regularise": 0.1, "method": "full"},
        {"regularise": -1.0},
    ],
)
def test_settings_that_contradict_each_other_are_named(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(given))):
        SealContinualEnv(**{**SHORT, **given})


class Writes(Agent):
    def act(self, observation: str, info: Info) -> str:
        return observation


class Learns(Writes):
    learns = True

    def tokens_written(self, action: str) -> int:
        return 1


@pytest.mark.parametrize(
    ("action", "names"),
    [
        ("A plain text.", ["implications", "rehearse", "finetune"]),
        (json.dumps([CLOSE]), ["rehearse", "finetune"]),
        (json.dumps([TEXTS]), ["implications"]),
        (json.dumps([CLOSE] * 33), ["finetune"] * 33),
    ],
)
def test_an_agent_that_rehearses_adds_one_call_to_what_another_writes(action: str, names: list[str]) -> None:
    acted = RehearsingAgent(Writes(), 0.5, plain_text=True).act(action, {})
    assert [call["name"] for call in json.loads(acted)] == names


def test_an_agent_that_rehearses_learns_and_writes_as_the_other_does() -> None:
    still = RehearsingAgent(Writes(), 0.5)
    assert (still.learns, still.tokens_written("One.")) == (False, 0)

    learner = RehearsingAgent(Learns(), 0.5)
    assert (learner.learns, learner.tokens_written("One.")) == (True, None)


def test_samples_are_what_the_model_makes_of_the_first_half_of_each_document() -> None:
    env = SealContinualEnv(**{**SHORT, "default_num_epochs": 8}, max_rehearsed=10, rehearse_from="samples")
    env.reset(seed=0)
    noted = note_jobs(env)
    _, _, _, _, info = env.step(edit())
    env.step(edit(rehearse(1)))
    env.close()
    first, second = ([each.document or "" for each in job.examples_E] for job in noted if job.learns)
    (passage,) = (document for document in first if len(document) > 100)
    (own,) = (document for document in second if document.startswith(passage[:20]))
    assert own[: len(passage) // 3] == passage[: len(passage) // 3]
    assert own != passage
    assert info["rehearsal"][0]["documents"] == 4


def test_samples_need_a_rehearsal() -> None:
    with pytest.raises(SettingError, match="rehearse_from='samples'"):
        SealContinualEnv(**SHORT, rehearse_from="samples")
