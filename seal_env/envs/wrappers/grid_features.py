"""Tasks as features, for agents that cannot read text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from seal_env.envs.env import SealEnv
from seal_env.envs.wrappers.unwrap import seal_of, seals_of
from seal_env.errors import SettingError
from seal_env.tasks.arc.features import PARTS, Features, GridShape, features, lengths
from seal_env.tasks.arc.grid import GridPair

FeatureDict: TypeAlias = dict[str, Features]
VectorStep: TypeAlias = tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class GridFeatures(gymnasium.ObservationWrapper[Any, Any, str], RecordConstructorArgs):
    """An observation is a flat Dict of Box: the features of the task's demonstrations (see seal_env.tasks.arc.features).

    They come from the task's context, never from its queries, and do not change in an episode: an agent that acts step by
    step reads the tools' replies, this is for one whole self-edit.

    shape: what grids and demonstrations are padded to; None is the largest of the environment's task set, which an agent
    for another task set needs to be given. parts: which of PARTS. one_hot: ten numbers for each cell of the part
    `grids`. Raises SettingError, also at `reset` for a task that does not fit the shape.
    """

    def __init__(
        self,
        env: gymnasium.Env[str, Any],
        shape: GridShape | None = None,
        parts: Sequence[str] = PARTS,
        one_hot: bool = False,
    ) -> None:
        RecordConstructorArgs.__init__(self, shape=shape, parts=parts, one_hot=one_hot)
        super().__init__(env)
        self._seal = seal_of(env)
        self.shape = shape or _largest(self._seal)
        self.parts, self.one_hot = tuple(parts), one_hot
        self.observation_space = feature_space(self.shape, self.parts, one_hot)

    def observation(self, observation: str) -> FeatureDict:
        """The features of the current episode's task, whatever the text says."""
        return _features_of(self._seal, self.shape, self.parts, self.one_hot)


class VectorGridFeatures(VectorWrapper):  # without type arguments: not generic before Gymnasium 1.4
    """GridFeatures for a SealVectorEnv: each part is an array [num_envs, numbers]. Any autoreset mode."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        shape: GridShape | None = None,
        parts: Sequence[str] = PARTS,
        one_hot: bool = False,
    ) -> None:
        super().__init__(env)
        self._seals = seals_of(env)
        self.shape = shape or _largest(self._seals[0])
        self.parts, self.one_hot = tuple(parts), one_hot
        self.single_observation_space = feature_space(self.shape, self.parts, one_hot)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._rows: list[FeatureDict] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FeatureDict, dict[str, Any]]:
        """The features of the tasks that the episodes begin with."""
        _, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._observe(), infos

    def step(self, actions: Any) -> VectorStep:
        """The features of the tasks after the step; `final_obs` has those of a task whose episode has just ended."""
        _, rewards, terminations, truncations, infos = self.env.step(actions)
        for index in np.flatnonzero(infos.get("_final_obs", ())):
            infos["final_obs"][index] = self._rows[index]
        return self._observe(), rewards, terminations, truncations, infos

    def _observe(self) -> FeatureDict:
        self._rows = [_features_of(seal, self.shape, self.parts, self.one_hot) for seal in self._seals]
        return {part: np.stack([row[part] for row in self._rows]) for part in self.parts}


def _largest(seal: SealEnv) -> GridShape:
    """The largest grids of the environment's tasks. Raises SettingError where tasks are no grids."""
    context = next(iter(seal.taskset)).context
    if not (isinstance(context, tuple) and context and isinstance(context[0], GridPair)):
        raise SettingError("domain", seal.settings.domain, "one whose tasks are pairs of grids")
    return GridShape.of(seal.taskset)


def feature_space(shape: GridShape, parts: Sequence[str], one_hot: bool) -> spaces.Dict:
    """The space of these parts. Raises SettingError for none, or unknown ones."""
    known = lengths(shape, one_hot)
    if isinstance(parts, str) or not parts or not set(parts) <= set(PARTS):
        raise SettingError("parts", parts, f"some of {', '.join(PARTS)}")
    return spaces.Dict({part: spaces.Box(-1.0, 1.0, (known[part],), np.float32) for part in parts})


def _features_of(seal: SealEnv, shape: GridShape, parts: Sequence[str], one_hot: bool) -> FeatureDict:
    assert seal.episode is not None
    return features(seal.episode.task.context, shape, one_hot, parts)
