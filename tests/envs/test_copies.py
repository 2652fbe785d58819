"""Copies of environments: `copy.deepcopy` and `pickle` give one that continues exactly, or that says it has to be reset."""

from __future__ import annotations

import copy
import json
import pickle  # noqa: TID251 (what users do, with what they have written themselves)
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import seal_env
from seal_env.domains.arc import ARC
from seal_env.envs.continual_env import SealContinualEnv
from seal_env.envs.env import SealEnv
from seal_env.envs.wrappers import ForgettingGate, GridFeatures, StructuredSelfEdit, VectorReplayFailures
from seal_env.episodes.runtime import Runtime
from seal_env.errors import SettingError
from seal_env.registration import environments
from seal_env.settings import Settings
from seal_env.types import Answer, Evaluation, Outcome, UpdateJob, UpdateResult
from tests.helpers.inner_loops import FakeInnerLoop

assert seal_env.__version__
SMALL: dict[str, Any] = {"subset": "mini-train:4", "max_examples": 2, "lora_rank": 2, "decode": "never", "device": "cpu"}
EDIT = json.loads(ARC.default_self_edit)


def pickled(env: Any) -> Any:
    return pickle.loads(pickle.dumps(env))  # noqa: S301


COPIES: list[Callable[[Any], Any]] = [copy.deepcopy, pickled, lambda env: pickled(copy.deepcopy(pickled(env)))]


class Knows(FakeInnerLoop):
    """Every answer is right."""

    def result(self, job: UpdateJob) -> UpdateResult:
        return UpdateResult(
            Outcome.OK, "", tuple(Answer(query.query_id, True, query.answer, 1.0) for query in job.queries_Q)
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeInnerLoop:
    loop = Knows()
    monkeypatch.setattr("seal_env.episodes.runtime.make_inner_loop", lambda *_: loop)
    return loop


def rest(env: Any, episodes: int = 3) -> list[Any]:
    """What comes of an episode that is under way, and of those after it."""
    found = [env.step(json.dumps(EDIT[1:]))]
    for _ in range(episodes):
        found += [env.reset(), env.step(json.dumps(EDIT))]
    return found


@pytest.mark.parametrize("make_copy", COPIES, ids=["deepcopy", "pickle", "again"])
def test_copy_continues_in_the_middle_of_an_episode(make_copy: Callable[[Any], Any]) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", max_turns=3, **SMALL)
    env.reset(seed=5)
    env.step(json.dumps(EDIT[:1]))
    copied = make_copy(env)
    assert rest(copied) == rest(env)


@pytest.mark.parametrize("name", [name for name, given in environments().items() if "sequence" not in given])
def test_every_environment_can_be_copied_before_and_after_reset(fake: FakeInnerLoop, name: str) -> None:
    if name == "SEAL-Reasoning-v0":
        pytest.importorskip("reasoning_gym")
    env = gymnasium.make(name)
    assert env.reset(seed=3) == pickled(gymnasium.make(name)).reset(seed=3)
    (first, second), action = (make_copy(env) for make_copy in COPIES[:2]), env.action_space.sample()
    steps = [each.step(action) for each in (env, first, second)]
    assert repr(steps[0]) == repr(steps[1]) == repr(steps[2])
    assert repr(env.reset()) == repr(first.reset()) == repr(second.reset())


def test_vector_of_environments_can_be_copied(fake: FakeInnerLoop) -> None:
    envs = gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=2, **SMALL)
    envs.reset(seed=1)
    actions = [json.dumps(EDIT)] * 2
    copied = [make_copy(envs) for make_copy in COPIES]
    assert len({repr(each.step(actions)) + repr(each.reset()) for each in (envs, *copied)}) == 1


@pytest.mark.parametrize("wrap", [GridFeatures, StructuredSelfEdit])
def test_wrapped_environments_can_be_copied(fake: FakeInnerLoop, wrap: Callable[[Any], Any]) -> None:
    env = wrap(gymnasium.make("SEAL-ARC-Mini-v0", **SMALL))
    env.reset(seed=1)
    assert {repr(make_copy(env).reset()) for make_copy in COPIES} == {repr(env.reset())}


def test_wrapped_vectors_can_be_copied(fake: FakeInnerLoop) -> None:
    envs = VectorReplayFailures(gymnasium.make_vec("SEAL-ARC-Mini-v0", num_envs=2, max_turns=1, **SMALL))
    envs.reset(seed=1)
    assert {repr(make_copy(envs).reset()) for make_copy in COPIES} == {repr(envs.reset())}


def test_copies_share_the_model_and_pickles_have_none_of_it() -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", **SMALL).unwrapped
    assert isinstance(env, SealEnv)
    env.reset(seed=0)
    written = pickle.dumps(env)
    assert b"torch" not in written
    assert len(written) < 50_000
    again = pickle.loads(written)  # noqa: S301
    assert vars(again.runtime)["_inner_loop"] is None
    assert again.runtime.inner_loop is copy.deepcopy(env).runtime.inner_loop is env.runtime.inner_loop


def test_random_streams_of_a_copy_are_its_own(fake: FakeInnerLoop) -> None:
    env = gymnasium.make("SEAL-ARC-Mini-v0", **SMALL)
    env.reset(seed=0)
    copied = copy.deepcopy(env)
    expected = [env.reset()[0] for _ in range(3)]
    assert [copied.reset()[0] for _ in range(3)] == expected


def tenfold(base: Evaluation, adapted: Evaluation) -> float:
    return 10 * adapted.accuracy


def test_reward_and_inner_loop_of_one_s_own_are_copied() -> None:
    runtime = Runtime(Settings.resolve(**SMALL | {"reward": tenfold, "decode": "failed"}), Knows())
    env = SealEnv(runtime=runtime)
    env.reset(seed=0)
    assert [make_copy(env).step(json.dumps(EDIT))[1] for make_copy in COPIES] == [10.0] * 3


def test_task_that_is_too_long_is_so_in_a_copy(fake: FakeInnerLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Knows, "max_tokens", lambda self, recipe: 30)
    monkeypatch.setattr(Knows, "count_tokens", lambda self, examples: [20 + 20 * ("9" in str(examples)) for _ in examples])
    env = SealEnv(domain="arc", **{**SMALL, "subset": "mini-train:20"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env.reset(seed=0)
        assert pickled(env).taskset.task_ids == copy.deepcopy(env).taskset.task_ids == env.taskset.task_ids


CONTINUAL: dict[str, Any] = {**SMALL, "domain": "arc", "sequence": 3, "max_turns": 2, "batch_size": 1}
STRONG = [
    EDIT[0],
    {"name": "training", "arguments": EDIT[1]["arguments"] | {"learning_rate": 0.01, "num_train_epochs": 2}},
    EDIT[2],
]


@pytest.fixture(scope="module")
def learned() -> SealContinualEnv:
    """After the first task of a sequence; to be copied."""
    env = SealContinualEnv(**CONTINUAL)
    env.reset(seed=0)
    assert env.step(json.dumps(STRONG))[4]["merged"]
    return env


def test_copy_of_a_continual_environment_continues_with_a_model_of_its_own(learned: SealContinualEnv) -> None:
    before, (first, second) = learned.model.fingerprint, (copy.deepcopy(learned) for _ in range(2))
    assert first.model.fingerprint == before
    assert repr(first.step(json.dumps(STRONG))) == repr(second.step(json.dumps(STRONG)))
    assert first.model.fingerprint != learned.model.fingerprint == before


def test_merge_can_be_rolled_back_in_a_copy(learned: SealContinualEnv) -> None:
    env = copy.deepcopy(learned)
    env.keeps_undo = True
    env.step(json.dumps(STRONG))
    copied = copy.deepcopy(env)
    assert repr(copied.roll_back()) == repr(env.roll_back())
    assert copied.model.fingerprint == learned.model.fingerprint


def test_gate_is_copied_with_its_environment(learned: SealContinualEnv) -> None:
    env = ForgettingGate(copy.deepcopy(learned))
    assert repr(copy.deepcopy(env).step(json.dumps(STRONG))) == repr(env.step(json.dumps(STRONG)))


def test_unpickled_continual_environment_says_that_it_has_to_be_reset(learned: SealContinualEnv) -> None:
    again = pickled(learned)
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"was closed or unpickled.*call reset\(\)"):
        again.step(json.dumps(STRONG))
    with pytest.raises(SettingError, match=r"keep=True is not legal.*copy\.deepcopy keeps it"):
        again.reset(options={"keep": True})
    assert pickled(again).reset(seed=4) == again.reset(seed=4)
    again.reset(options={"keep": True})


def test_temporary_folder_belongs_to_one_copy_and_goes_with_it(learned: SealContinualEnv) -> None:
    env = copy.deepcopy(learned)
    env.step(json.dumps(STRONG))
    folder: Path = env.runtime.scratch
    assert folder != learned.runtime.scratch
    assert folder.is_dir()
    del env
    assert not folder.exists()
