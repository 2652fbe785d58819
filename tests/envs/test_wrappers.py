"""Self-edits as numbers and tasks as features, around one environment and around many; failures played again."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv

from seal_env.envs.spaces import SelfEditSpace
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.envs.wrappers import (
    GridFeatures,
    StructuredSelfEdit,
    VectorGridFeatures,
    VectorReplayFailures,
    VectorStructuredSelfEdit,
    numeric_vector_env,
)
from seal_env.errors import SettingError, UpdateError
from seal_env.self_edits.numeric_actions import NUMERIC_FORMS, make_numeric_actions
from seal_env.tasks.arc.features import PARTS, GridShape
from seal_env.types import Answer, Outcome, Task, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop
from tests.helpers.tools import ARC_TOOLS, EPOCHS

TASKS = ["mini-train-0-0", "mini-train-0-1", "mini-train-0-2"]


class QuickInnerLoop(FakeInnerLoop):
    """Right after any training, wrong before; fails for the seeds in `fails`, or always."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[int] = set()
        self.always_fails = False

    def result(self, job: UpdateJob) -> UpdateResult:
        trains = bool(job.examples_E)
        if trains and (self.always_fails or job.seed in self.fails):
            return UpdateResult(Outcome.OUT_OF_MEMORY, "no memory left", ())
        answers = tuple(Answer(q.query_id, trains, q.answer if trains else "?", 1.0) for q in job.queries_Q)
        return UpdateResult(Outcome.OK, "", answers, (1.0,) if trains else ())


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> QuickInnerLoop:
    made = QuickInnerLoop()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: made)
    return made


def single(**kwargs: Any) -> GridFeatures:
    env = gymnasium.make("SEAL-ARC-Mini-v0", max_turns=1, subset="mini-train:5")
    return GridFeatures(StructuredSelfEdit(env), **kwargs)


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version:UserWarning")
@pytest.mark.parametrize("actions", NUMERIC_FORMS)
def test_gymnasium_s_check_passes(loop: QuickInnerLoop, actions: str) -> None:
    env = GridFeatures(StructuredSelfEdit(gymnasium.make("SEAL-ARC-Mini-v0", subset="mini-train:5").unwrapped, actions))
    check_env(env, skip_render_check=True)


def test_an_episode_is_one_step_of_numbers(loop: QuickInnerLoop) -> None:
    env = single()
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    action = env.action_space.sample()
    after, _, terminated, _, info = env.step(action)
    assert terminated
    assert np.array_equal(env.get_wrapper_attr("numeric_actions").encode(info["self_edit"]), action)
    assert all(np.array_equal(after[part], observation[part]) for part in PARTS)


def test_another_space_may_be_given(loop: QuickInnerLoop) -> None:
    env = StructuredSelfEdit(gymnasium.make("SEAL-ARC-Mini-v0"), levels=3, space=SelfEditSpace(ARC_TOOLS, {EPOCHS: (0, 5)}))
    assert isinstance(env.action_space, spaces.MultiDiscrete)
    assert env.action_space.nvec.tolist()[-2:] == [3, 6]


def test_spec_makes_the_wrapped_environment_again(loop: QuickInnerLoop) -> None:
    env = single(parts=("summary",), shape=GridShape(4, 4))
    assert env.spec is not None
    again = gymnasium.make(env.spec)
    assert (again.action_space, again.observation_space) == (env.action_space, env.observation_space)


def test_what_is_no_seal_environment_is_refused() -> None:
    with pytest.raises(SettingError, match="actions are self-edits"):
        StructuredSelfEdit(gymnasium.make("CartPole-v1"))
    with pytest.raises(SettingError, match="a SealEnv"):
        GridFeatures(gymnasium.make("CartPole-v1"))
    for wrapper in (VectorGridFeatures, VectorReplayFailures):
        with pytest.raises(SettingError, match="a SealVectorEnv"):
            wrapper(gymnasium.make_vec("CartPole-v1", num_envs=1))


def test_numbers_are_not_made_numbers_again() -> None:
    alone, many = gymnasium.make("SEAL-ARC-Mini-v0"), gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=2)
    wrapped: list[tuple[Any, Any]] = [
        (StructuredSelfEdit(alone), StructuredSelfEdit),
        (VectorStructuredSelfEdit(many), VectorStructuredSelfEdit),
    ]
    for once, wrapper in wrapped:
        with pytest.raises(SettingError, match="once"):
            wrapper(once, space=SelfEditSpace(ARC_TOOLS))


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_many_environments_see_what_each_would_alone(loop: QuickInnerLoop, mode: str) -> None:
    envs = numeric_vector_env(num_envs=3, subset="mini-train:5", autoreset_mode=mode)
    alone = [single() for _ in range(3)]
    observations, _ = envs.reset(seed=7)
    singles = [env.reset(seed=7 + place)[0] for place, env in enumerate(alone)]
    for _ in range(3):
        for place, theirs in enumerate(singles):
            assert all(np.array_equal(observations[part][place], theirs[part]) for part in PARTS)
        assert envs.observation_space.contains(observations)
        actions = envs.action_space.sample()
        observations, rewards, terminations, _, infos = envs.step(actions)
        steps = [env.step(action) for env, action in zip(alone, actions, strict=True)]
        assert rewards.tolist() == [step[1] for step in steps]
        assert terminations.all()
        if mode == "SameStep":
            for place, theirs in enumerate(singles):
                assert all(np.array_equal(infos["final_obs"][place][part], theirs[part]) for part in PARTS)
        else:
            observations, *_ = envs.step(actions)
        singles = [env.reset()[0] for env in alone]


def test_observations_handed_out_do_not_change_later(loop: QuickInnerLoop) -> None:
    envs = numeric_vector_env(num_envs=2, subset="mini-train:9", autoreset_mode="SameStep")
    first, _ = envs.reset(seed=0)
    kept = {part: array.copy() for part, array in first.items()}
    envs.step(envs.action_space.sample())
    assert all(np.array_equal(first[part], kept[part]) for part in PARTS)


def test_features_know_nothing_of_the_queries(loop: QuickInnerLoop) -> None:
    env = single()
    observation, _ = env.reset(seed=0)
    episode = env.unwrapped.episode  # type: ignore[attr-defined]
    episode.task = Task(episode.task.task_id, episode.task.context, ())
    assert all(np.array_equal(array, env.observation("")[part]) for part, array in observation.items())


def test_a_task_larger_than_the_shape_is_named(loop: QuickInnerLoop) -> None:
    env = single(shape=GridShape(side=4, demonstrations=1))
    with pytest.raises(SettingError, match="demonstrations="):
        env.reset(seed=0)


@pytest.mark.parametrize("parts", [(), ("cells",), "summary"])
def test_unknown_parts_are_named(loop: QuickInnerLoop, parts: Any) -> None:
    with pytest.raises(SettingError, match="parts="):
        single(parts=parts)


def replaying(num_envs: int, mode: str, replays: int = 2) -> VectorEnv[Any, Any, Any]:
    return numeric_vector_env(num_envs=num_envs, replays=replays, autoreset_mode=mode, subset="mini-train:9")


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_what_the_machine_failed_is_played_again_with_another_seed(loop: QuickInnerLoop, mode: str) -> None:
    envs = replaying(4, mode)
    loop.fails = {11, 13}
    _, infos = envs.reset(seed=10)
    tasks = infos["task_id"].tolist()
    actions = envs.action_space.sample()
    _, rewards, terminations, truncations, infos = envs.step(actions)
    assert rewards.tolist() == [1.0] * 4
    assert terminations.all()
    assert not truncations.any()
    said = infos["final_info"] if mode == "SameStep" else infos
    assert said["outcome"].tolist() == ["ok"] * 4
    assert said["task_id"].tolist() == tasks
    space = envs.unwrapped.single_action_space
    assert isinstance(space, SelfEditSpace)
    numeric = make_numeric_actions("multi_discrete", space.spec)
    assert [numeric.encode(calls).tolist() for calls in said["self_edit"]] == actions.tolist()


def test_all_replays_of_a_step_are_one_call(loop: QuickInnerLoop) -> None:
    envs = replaying(4, "SameStep")
    loop.fails = {1, 3}
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    assert [len([job for job in call if job.examples_E]) for call in loop.calls] == [4, 2]
    first, second = ([job.seed for job in call if job.examples_E] for call in loop.calls)
    assert not set(first) & set(second)


@pytest.mark.parametrize("replays", [0, 3])
def test_a_machine_that_fails_on_and_on_is_no_reward(loop: QuickInnerLoop, replays: int) -> None:
    envs = replaying(2, "SameStep", replays)
    envs.reset(seed=0)
    loop.always_fails = True
    with pytest.raises(UpdateError, match=f"failed {replays + 1} times; the last time: no memory left"):
        envs.step(envs.action_space.sample())
    assert len(loop.calls) == replays + 1


def test_replays_are_for_one_turn(loop: QuickInnerLoop) -> None:
    envs = gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=1)
    with pytest.raises(SettingError, match="max_turns=8"):
        VectorReplayFailures(envs)
    with pytest.raises(SettingError, match="replays=-1"):
        VectorReplayFailures(gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=1, max_turns=1), -1)


@pytest.mark.integration
def test_a_real_update_is_paid() -> None:
    envs = numeric_vector_env(num_envs=3, actions="box", subset="mini-train:3", max_examples=4, autoreset_mode="SameStep")
    assert isinstance(envs.unwrapped, SealVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.reset(seed=0, options={"task_ids": TASKS})
    _, rewards, terminations, _, infos = envs.step(envs.action_space.sample())
    assert terminations.all()
    assert set(infos["final_info"]["outcome"]) <= {"ok", "empty_data"}
    assert ((rewards == 0) | (rewards == 1)).all()


def test_actions_of_many_are_rows(loop: QuickInnerLoop) -> None:
    envs = VectorStructuredSelfEdit(gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=2), "box")
    assert envs.action_space.shape == (2, 7)
    envs.reset(seed=0)
    *_, infos = envs.step(np.array([[-1.0] * 7, [1.0] * 7]))
    rates = [calls[1]["arguments"]["learning_rate"] for calls in infos["self_edit"]]
    assert rates == [3e-5, 3e-3]
    wrong: list[Any] = [None, 0.5, "ab", [], np.zeros((3, 7)), np.array(0.0)]
    for rows in wrong:
        with pytest.raises(SettingError, match=r"(?s)actions=.* expected an array of shape \(2, 7\)"):
            envs.actions(rows)


def test_passages_are_neither_grids_nor_numbers() -> None:
    env = gymnasium.make("SEAL-Knowledge-v0", subset="synthetic-train:1")
    with pytest.raises(SettingError, match="domain='knowledge'"):
        GridFeatures(env)
    with pytest.raises(SettingError, match="tools='implications'"):
        StructuredSelfEdit(env)
