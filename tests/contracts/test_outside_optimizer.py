"""An optimizer and a schedule from outside the package: registered by name, they drive every inner loop alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from seal_env.errors import SettingError
from seal_env.inner_loop import INNER_LOOPS, inner_loop_on
from seal_env.inner_loop.cache.key import JobKeys
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.optim import registry
from seal_env.inner_loop.optim.base import Optimizer, Tensors
from seal_env.inner_loop.optim.registry import check_recipe, register_optimizer, register_schedule
from seal_env.types import Example, LoraSpec, Message, Query, Recipe, TrainingConfig, UpdateJob, UpdateMethod, UpdateResult
from tests.inner_loop.test_batched_inner_loop import assert_same


class NormalizedMomentum(Optimizer):
    """Each matrix moves by the same length, in the direction of its momentum: what no flat vector could tell."""

    state_tensors: ClassVar[int] = 1
    elementwise: ClassVar[bool] = False
    seen: ClassVar[set[int]] = set()

    def step(
        self, weights: Tensors, gradients: Tensors, state: Sequence[Tensors], steps: Tensors, recipe: Recipe, rate: float
    ) -> None:
        """See Optimizer."""
        for weight, gradient, momentum, step in zip(weights, gradients, state[0], steps, strict=True):
            self.seen.add(weight.ndim)
            momentum.lerp_(gradient, 1 / (1 + float(step)))
            weight.sub_(momentum * (rate / (1e-3 + torch.linalg.vector_norm(momentum))))
            step += 1


def stairs(progress: float) -> float:
    """Full speed, then half of it."""
    return 1.0 if progress < 0.5 else 0.5


NAMES = ("optimizer", "schedule")
CHATS = tuple(Example((Message("user", f"{n} 2 3"), Message("assistant", f"4 {n} 6 {n}"))) for n in range(5))
JOB = UpdateJob(
    examples_E=CHATS,
    training=TrainingConfig("train_using_output_tokens", 0.05, 3),
    lora=LoraSpec(4, 8.0),
    recipe=Recipe(warmup_steps=2, optimizer="normalized", schedule="stairs"),
    seed=5,
    queries_Q=(Query("chat", (Message("user", "1 2 3"),), "4 1 6 1", None, 6),),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "OPTIMIZERS", registry.OPTIMIZERS.copy())
    monkeypatch.setattr(registry, "SCHEDULES", registry.SCHEDULES.copy())
    register_optimizer("normalized", NormalizedMomentum)
    register_schedule("stairs", stairs)
    yield
    NormalizedMomentum.seen.clear()


@pytest.fixture
def base(tiny_models: dict[str, str]) -> FrozenLM:
    return replace(load_base_model(tiny_models["llama"], "cpu"), inner_loops={})


def results(base: FrozenLM, jobs: Sequence[UpdateJob]) -> list[list[UpdateResult]]:
    return [inner_loop_on(base, name).run(jobs) for name in INNER_LOOPS]


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw"}, {"optimizer": "sgd"}, {"schedule": "linear"}])
def test_all_inner_loops_take_the_same_steps(method: UpdateMethod, changes: dict[str, Any], base: FrozenLM) -> None:
    changed = replace(JOB, method=method, recipe=replace(JOB.recipe, **changes))
    jobs = [changed, JOB, replace(changed, seed=6)]
    for ours, theirs in zip(*results(base, jobs), strict=True):
        assert len(ours.losses_S) == 9
        assert_same(ours, theirs)


def with_default(name: str) -> UpdateJob:
    return replace(JOB, recipe=replace(JOB.recipe, **{name: getattr(Recipe, name)}))


def test_optimizer_and_schedule_change_the_update(base: FrozenLM) -> None:
    for found in results(base, [JOB, *map(with_default, NAMES)]):
        assert len({result.losses_S for result in found}) == 3


def test_optimizer_that_is_not_elementwise_is_given_matrices_by_every_loop(base: FrozenLM) -> None:
    for name in INNER_LOOPS:
        inner_loop_on(base, name).run([JOB])
        assert NormalizedMomentum.seen == {2}
        NormalizedMomentum.seen.clear()


def test_cache_key_depends_on_the_names(base: FrozenLM) -> None:
    keys = JobKeys.of(base, "batched")
    assert len({keys.key(job) for job in (JOB, *map(with_default, NAMES))}) == 3


def test_recipe_with_registered_names_is_legal() -> None:
    check_recipe(JOB.recipe)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_name_is_an_error_with_the_legal_ones(name: str, base: FrozenLM) -> None:
    recipe = replace(JOB.recipe, **dict[str, Any]({name: "no such thing"}))
    legal = {"optimizer": "'adamw' or 'sgd' or 'normalized'", "schedule": "'cosine' or 'linear' or 'stairs'"}[name]
    with pytest.raises(SettingError, match=f"{name}='no such thing' is not legal; expected {legal}"):
        check_recipe(recipe)
    for loop in INNER_LOOPS:
        with pytest.raises(SettingError, match=legal):
            inner_loop_on(base, loop).run([replace(JOB, recipe=recipe)])


def test_name_that_is_taken_is_refused() -> None:
    register_optimizer("normalized", NormalizedMomentum)
    with pytest.raises(SettingError, match="optimizer='adamw'"):
        register_optimizer("adamw", NormalizedMomentum)
    with pytest.raises(SettingError, match="schedule='cosine'"):
        register_schedule("cosine", stairs)
