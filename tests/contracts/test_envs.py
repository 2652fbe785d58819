"""What every registered environment keeps to. A new id is covered by being registered."""

from __future__ import annotations

import json
import random
from typing import Any

import gymnasium
import pytest
from gymnasium.utils import env_checker
from gymnasium.utils.env_match import check_environments_match
from gymnasium.wrappers.vector import DictInfoToList

from seal_env.domains.arc import ARC
from seal_env.domains.registry import get_domain
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.errors import MissingExtraError
from seal_env.registration import environments

# Few and short updates: the contract is about the interface, and each check trains for real.
SHORT: dict[str, Any] = {"max_examples": 6, "max_steps": 9, "cache": "off"}
SMALL_TASKS = {"SEAL-ARC-v0": {"subset": "44f52bb0,5582e5ca,6150a2bd"}}
"""Three tasks of the default task set, grids of 3x3."""
TOGETHER = [name for name, settings in environments().items() if "sequence" not in settings]
"""Environments whose updates train together; each copy of the others has weights of its own."""
GARBAGE = [
    "",
    "null",
    "[]",
    "{}",
    "[[]]",
    '{"name": 1}',
    "finetune",
    "\x00",
    "NaN",
    '[{"name": "finetune", "arguments": []}]',
]


def short(environment_id: str) -> dict[str, Any]:
    """Settings for tests, sequences of two where there are any. Skips the domains whose extra is not installed."""
    settings = environments()[environment_id]
    try:
        spec = get_domain(settings["domain"])
        spec.load(settings.get("subset", spec.defaults["subset"]), spec.options())
    except MissingExtraError as error:
        pytest.skip(str(error))
    chosen = SHORT | SMALL_TASKS.get(environment_id, {})
    return chosen if environment_id in TOGETHER else {**chosen, "sequence": 2}


@pytest.fixture(params=environments())
def environment_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.filterwarnings("ignore:.*different render modes:UserWarning")
def test_passes_gymnasium_s_check(environment_id: str) -> None:
    env_checker.check_env(gymnasium.make(environment_id, **short(environment_id)).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_renders_in_its_modes(environment_id: str, mode: str) -> None:
    env = gymnasium.make(environment_id, render_mode=mode, **short(environment_id))
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env.render() is not None


def test_survives_200_garbage_actions(environment_id: str) -> None:
    env = gymnasium.make(environment_id, **short(environment_id))
    env.reset(seed=0)
    rng = random.Random(0)
    for _ in range(200):
        action: Any = rng.choice(
            [*GARBAGE, "".join(chr(rng.randrange(1, 0x2FFF)) for _ in range(50)), None, 3, b"x", {"a": 1}]
        )
        if env.action_space.contains(action):  # plain text, where that is a self-edit
            continue
        observation, reward, terminated, truncated, info = env.step(action)
        assert env.observation_space.contains(observation)
        assert (reward, truncated) == (0.0, False)
        assert info["outcome"] != "ok"
        if terminated:
            env.reset()


def test_equal_seeds_give_equal_episodes(environment_id: str) -> None:
    def episode() -> tuple[Any, ...]:
        env = gymnasium.make(environment_id, **short(environment_id))
        env.action_space.seed(3)
        return (*env.reset(seed=3), *env.step(env.action_space.sample()))

    assert episode() == episode()


def test_is_made_by_module_and_id(environment_id: str) -> None:
    assert gymnasium.make(f"seal_env:{environment_id}").spec is not None


def test_several_run_in_one_process(environment_id: str) -> None:
    envs = gymnasium.make_vec(environment_id, num_envs=2, vectorization_mode="sync", **short(environment_id))
    envs.reset(seed=0)
    _, rewards, terminations, truncations, _ = envs.step(envs.action_space.sample())
    assert rewards.shape == (2,)
    assert terminations.all() or environment_id not in TOGETHER
    assert not truncations.any()


@pytest.mark.parametrize("environment_id", TOGETHER)
def test_vector_passes_what_gymnasium_checks(environment_id: str) -> None:
    """Gymnasium has no check of its own for vector environments; these of its checks can take one, of one environment."""
    envs, sync = (gymnasium.make_vec(environment_id, 1, mode, **short(environment_id)) for mode in (None, "sync"))
    assert isinstance(envs, SealVectorEnv)
    env_checker.check_reset_options(envs)  # type: ignore[arg-type]
    env_checker.check_reset_return_type(envs)  # type: ignore[arg-type]
    if reused := getattr(env_checker, "check_returned_data_not_reused", None):  # since Gymnasium 1.4
        reused(envs)
    check_environments_match(envs, sync, num_steps=2)  # type: ignore[arg-type]


TEXTS = {"name": "implications", "arguments": {"texts": ["the old town has a river", "a river is near the town"]}}


def scripts(environment_id: str) -> list[list[str]]:
    """The actions of each environment, whichever turn of whichever episode it is in."""
    _, training, finetune = (json.dumps([call]) for call in json.loads(ARC.default_self_edit))
    first = json.loads(get_domain(environments()[environment_id]["domain"]).default_self_edit)[0]
    augment = json.dumps([TEXTS if first["name"] == "finetune" else first])
    once = json.dumps([call for part in (augment, training, finetune) for call in json.loads(part)])
    return [
        [once, once, once],
        [augment, "{garbage", training, finetune, once],
        ["[]", finetune, augment, '{"name": 1}', finetune],
        [augment, once, "{\x00", training, augment, finetune],
    ]


def vector_episodes(environment_id: str, seed: int) -> list[list[tuple[Any, ...]]]:
    """For each script all that its environment said, among the others."""
    lefts = scripts(environment_id)
    envs = DictInfoToList(gymnasium.make_vec(environment_id, num_envs=len(lefts), **short(environment_id)))
    observations, infos = envs.reset(seed=seed)
    said: list[list[tuple[Any, ...]]] = [[(observations[place], infos[place])] for place in range(len(lefts))]
    left, over = lefts, [False] * len(lefts)
    while any(left):
        acting = [bool(script) and not done for script, done in zip(left, over, strict=True)]
        actions = [script.pop(0) if acts else "ignored" for script, acts in zip(left, acting, strict=True)]
        step = envs.step(actions)
        for place, (script, acts) in enumerate(zip(left, acting, strict=True)):
            if acts:
                said[place].append(tuple(part[place] for part in step))
            elif over[place] and script:
                said[place].append((step[0][place], step[4][place]))
        over = [bool(flag) for flag in step[2] | step[3]]
    return said


def single_episodes(environment_id: str, script: list[str], seed: int) -> list[tuple[Any, ...]]:
    """The same from an environment of its own."""
    env = gymnasium.make(environment_id, **short(environment_id))
    said: list[tuple[Any, ...]] = [env.reset(seed=seed)]
    over = False
    for action in script:
        if over:
            said.append(env.reset())
        said.append(env.step(action))
        over = said[-1][2] or said[-1][3]
    return said


def comparable(said: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Without the losses, which rounding may change, and with None for nan, which arrays of numbers have instead of it."""
    infos = [{name: None if value != value else value for name, value in step[-1].items()} for step in said]
    return [(*step[:-1], info | {"losses": len(info.get("losses") or ())}) for step, info in zip(said, infos, strict=True)]


LONG = "SEAL-Reasoning-v0"


@pytest.mark.parametrize(
    "environment_id", [pytest.param(each, marks=pytest.mark.slow if each == LONG else ()) for each in TOGETHER]
)
def test_vector_agrees_with_single_environments(environment_id: str) -> None:
    together = vector_episodes(environment_id, seed=5)
    for place, script in enumerate(scripts(environment_id)):
        alone = single_episodes(environment_id, script, 5 + place)
        assert comparable(together[place]) == comparable(alone)
        for mine, theirs in zip(together[place], alone, strict=True):
            assert mine[-1].get("losses", []) == pytest.approx(theirs[-1].get("losses", []), rel=1e-4)
    assert sum("losses" in step[-1] for steps in together for step in steps) >= 8
