"""Episodes, one by one and side by side: what an agent reads, and what comes of one that cannot be asked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from seal_env.agents.base import Agent, Info, PolicyFailure
from seal_env.agents.baselines.random_agent import RandomAgent
from seal_env.agents.rollouts import Start, run_episode, run_episodes
from seal_env.domains.arc import ARC
from seal_env.envs.env import SealEnv
from seal_env.envs.spaces import SelfEditSpace
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.settings import Settings
from seal_env.types import InvalidSelfEdit
from tests.helpers.tools import ARC_TOOLS, EPOCHS

STEPS = [json.dumps([call]) for call in json.loads(ARC.no_update)]
"""The self-edit without an update, one call a turn."""


class Patient(Agent):
    """Makes one call a turn, and notes what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def act(self, observation: str, info: Info) -> str:
        self.read.append(observation)
        return STEPS[(len(self.read) - 1) % len(STEPS)]


class Remembering(Patient):
    """The same, and wants to read all of it."""

    reads_history = True


class Unreachable(Agent):
    """Cannot be asked about the first observation of a call."""

    def act(self, observation: str, info: Info) -> str:
        raise NotImplementedError

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        return [PolicyFailure("it is away"), *([ARC.no_update] * (len(observations) - 1))]


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    made = Runtime(Settings.resolve(subset="mini-eval:2", max_examples=4, decode="never"))
    made.load()
    return made


@pytest.mark.parametrize("side_by_side", [False, True])
def test_an_agent_reads_the_reply_or_all_that_was_said(runtime: Runtime, side_by_side: bool) -> None:
    reply, everything = Patient(), Remembering()
    for agent in (reply, everything):
        if side_by_side:
            (trajectory,) = run_episodes(runtime, agent, [Start(runtime.taskset.task_ids[0], 0)], BaseAnswerCache(1))
        else:
            trajectory = run_episode(SealEnv(runtime=runtime), agent, runtime.taskset.task_ids[0], seed=0)
        assert [turn.observation for turn in trajectory.turns] == agent.read
        assert trajectory.info["outcome"] == "ok"
    assert len(reply.read) == len(everything.read) == 3
    assert everything.read[0] == reply.read[0]
    assert reply.read[0] not in reply.read[1]
    assert everything.read[2].startswith(everything.read[1])
    said = [everything.read[2].index(text) for text in (reply.read[0], STEPS[0], reply.read[1], STEPS[1], reply.read[2])]
    assert said == sorted(said)


class Endless(Agent):
    """Writes more than anybody reads."""

    def act(self, observation: str, info: Info) -> str:
        return "x" * 20_000_000


@pytest.mark.parametrize("side_by_side", [False, True])
def test_an_action_that_is_too_long_is_recorded_as_one(runtime: Runtime, side_by_side: bool) -> None:
    task_id = runtime.taskset.task_ids[0]
    if side_by_side:
        (trajectory,) = run_episodes(runtime, Endless(), [Start(task_id, 0)], BaseAnswerCache(1))
    else:
        trajectory = run_episode(SealEnv(runtime=runtime), Endless(), task_id, seed=0)
    assert "it has 20000000 characters" in trajectory.info["reason"]
    written = trajectory.turns[-1].action
    assert (len(written), trajectory.truncated) == (MAX_CHARACTERS + 1, False)
    again = parse(written)
    assert isinstance(again, InvalidSelfEdit)
    assert again.outcome == trajectory.info["outcome"] == "not_json"
    assert len(repr(trajectory)) < 100 * len(written)


def test_episodes_side_by_side_are_those_that_would_have_been_alone(runtime: Runtime) -> None:
    starts = [Start(task_id, seed) for seed, task_id in enumerate(runtime.taskset.task_ids)]
    together = run_episodes(runtime, RandomAgent(SelfEditSpace(ARC_TOOLS, {EPOCHS: (1, 1)}), 0), starts, BaseAnswerCache(9))
    agent = RandomAgent(SelfEditSpace(ARC_TOOLS, {EPOCHS: (1, 1)}), 0)
    alone = [run_episode(SealEnv(runtime=runtime), agent, start.task_id, start.seed) for start in starts]
    assert [each.turns for each in together] == [each.turns for each in alone]


def test_an_agent_that_cannot_be_asked_is_no_reward(runtime: Runtime) -> None:
    starts = [Start(task_id, 0) for task_id in runtime.taskset.task_ids]
    lost, other = run_episodes(runtime, Unreachable(), starts, BaseAnswerCache(9))
    assert lost.truncated
    assert math.isnan(lost.reward)
    assert (lost.info["outcome"], lost.info["reason"]) == ("engine_error", "it is away")
    assert other.info["outcome"] == "ok"


def test_actions_on_record_belong_to_their_episode_whenever_another_one_ends(runtime: Runtime) -> None:
    starts = [Start("mini-eval-0-0", 1), Start("mini-eval-0-1", 2), Start("mini-eval-0-1", 3)]
    recorded = [[ARC.no_update, "never taken"], STEPS, STEPS[:1]]
    agent = Patient()
    agent.read.append("the first call is on record")
    found = run_episodes(runtime, agent, starts, BaseAnswerCache(9), recorded)
    assert [[turn.action for turn in each.turns] for each in found] == [[ARC.no_update], STEPS, STEPS]
    assert {each.turns[-1].info["outcome"] for each in found} == {"ok"}
    assert len(agent.read) == len(STEPS)
