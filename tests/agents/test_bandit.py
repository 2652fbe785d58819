"""The contextual bandit: what it reads off an observation, and that it learns which self-edit suits which task."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from gymnasium.spaces import Text

from seal_env.agents.base import Trajectory, Turn
from seal_env.agents.search.bandit import FEATURES, BanditAgent, features
from seal_env.envs.spaces import SelfEditSpace
from seal_env.errors import SettingError
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import load_taskset
from tests.helpers.tools import ARC_TOOLS, EPOCHS, RATE

SPACE = SelfEditSpace(ARC_TOOLS)
TASKS = [*load_taskset("mini-train:30"), *load_taskset("seal-train")]
INFOS = [{"task": {"data": ArcDomain().as_data(task.context)}} for task in TASKS]
OBSERVATIONS = [task.task_id for task in TASKS]
FEATURES_OF = {task.task_id: features(task.context) for task in TASKS}
SAME_SIZE = FEATURES.index("same size")
HAS_ONE_SIZE = {task_id: found[SAME_SIZE] > 0.5 for task_id, found in FEATURES_OF.items()}
INFO_OF = dict(zip(OBSERVATIONS, INFOS, strict=True))


def trajectory(observation: str, action: str, reward: float) -> Trajectory:
    return Trajectory("task", (Turn(observation, action, reward, {}),), bool(np.isnan(reward)), {})


def chance(observation: str, action: str) -> float:
    """A reward that a bandit can learn: symmetries help where inputs and outputs have one size and harm elsewhere."""
    calls = {call["name"]: call["arguments"] for call in json.loads(action)}
    suits = calls["augment"]["use_basic_augmentations"] == HAS_ONE_SIZE[observation]
    return 0.1 + 0.5 * suits + 0.3 * (1e-4 < calls["training"]["learning_rate"] < 1e-3)


def choice_of(agent: BanditAgent) -> Callable[[str], str]:
    return lambda observation: agent.act(observation, INFO_OF[observation])


def best_of(agent: BanditAgent) -> Callable[[str], str]:
    return lambda observation: agent.best(INFO_OF[observation])


def mean_chance(choose: Callable[[str], str], times: int = 4) -> float:
    return float(np.mean([chance(observation, choose(observation)) for observation in OBSERVATIONS for _ in range(times)]))


def learn(agent: BanditAgent, episodes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(episodes // 10):
        shown = [OBSERVATIONS[index] for index in rng.integers(len(OBSERVATIONS), size=10)]
        actions = agent.act_all(shown, [INFO_OF[each] for each in shown])
        rewards = [float(rng.random() < chance(each, str(action))) for each, action in zip(shown, actions, strict=True)]
        agent.learn([trajectory(*each) for each in zip(shown, map(str, actions), rewards, strict=True)])


def test_features_are_bounded_and_tell_tasks_apart() -> None:
    seen = np.array(list(FEATURES_OF.values()))
    assert seen.shape == (len(OBSERVATIONS), len(FEATURES))
    assert (np.abs(seen) <= 1).all()
    assert len(np.unique(seen, axis=0)) > 0.9 * len(seen)
    pairs = [task.context for task in TASKS]
    same = [np.mean([np.shape(pair.input) == np.shape(pair.output) for pair in context]) for context in pairs]
    assert seen[:, SAME_SIZE].tolist() == pytest.approx(same)


@pytest.mark.parametrize("data", [{}, {"demonstrations": []}, {"demonstrations": [{"input": ["a"], "output": "b"}]}])
def test_tasks_without_grids_are_one_and_the_same(data: dict[str, object]) -> None:
    agent = BanditAgent(SPACE)
    assert SPACE.contains(agent.act("", {"task": {"data": data}}))
    assert agent._chosen.popitem()[1][0].context == "shared |c 0:1"


def test_learns_what_suits_which_task_within_300_episodes() -> None:
    for seed in range(3):
        agent = BanditAgent(SPACE, seed)
        before = mean_chance(choice_of(agent))
        learn(agent, 300, seed)
        assert before < 0.65
        assert mean_chance(choice_of(agent)) > 0.75
        assert mean_chance(best_of(agent), times=1) > 0.8


def test_equal_seeds_and_rewards_give_equal_actions() -> None:
    first, second, other = (BanditAgent(SPACE, seed) for seed in (1, 1, 2))
    for agent in (first, second, other):
        learn(agent, 30, seed=0)
    actions = [agent.act_all(OBSERVATIONS, INFOS) for agent in (first, second, other)]
    assert actions[0] == actions[1] != actions[2]


def test_seed_begins_the_draws_anew() -> None:
    agent = BanditAgent(SPACE, seed=1)
    first = agent.act_all(OBSERVATIONS, INFOS)
    agent.seed(1)
    assert agent.act_all(OBSERVATIONS, INFOS) == first


def test_every_action_is_within_the_space_s_ranges() -> None:
    agent = BanditAgent(SelfEditSpace(ARC_TOOLS, {RATE: (1e-4, 1e-3), EPOCHS: (2, 3)}))
    actions = [json.loads(str(action)) for action in agent.act_all(OBSERVATIONS, INFOS)]
    trainings = [action[1]["arguments"] for action in actions]
    assert {training["num_train_epochs"] for training in trainings} == {2, 3}
    assert {training["learning_rate"] for training in trainings} == {1e-4, 2.15e-4, 4.64e-4, 1e-3}
    assert all(SPACE.contains(json.dumps(action)) for action in actions)


def test_failures_of_the_machine_and_other_agents_self_edits_teach_nothing() -> None:
    agent, fresh = (BanditAgent(SPACE, seed=3) for _ in range(2))
    for observation in OBSERVATIONS:
        action = agent.act(observation, INFO_OF[observation])
        agent.learn([trajectory(observation, action, float("nan")), trajectory(observation, SPACE.sample(), 1.0)])
        agent.learn([trajectory(observation, action, 1.0)])  # its choice was spent on the failure
    agent.seed(3)
    assert agent.act_all(OBSERVATIONS, INFOS) == fresh.act_all(OBSERVATIONS, INFOS)


def test_another_space_is_refused() -> None:
    with pytest.raises(SettingError, match="SelfEditSpace"):
        BanditAgent(Text(5))
