"""Wrappers for agents that can neither read nor write text: self-edits as numbers, tasks as features.

Each comes for one environment and, as `Vector...`, for a SealVectorEnv. `numeric_vector_env` puts the usual stack together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorActionWrapper, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from seal_env.envs.env import MAX_BASE_ANSWERS, SealEnv
from seal_env.envs.spaces import SelfEditSpace
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.episodes.episode import BaseAnswerCache, Episode, Step, play
from seal_env.errors import SettingError, UpdateError
from seal_env.self_edits.numeric_actions import LEVELS, SelfEditCodec, make_codec
from seal_env.tasks.arc.features import PARTS, Features, GridShape, features, lengths

FeatureDict: TypeAlias = dict[str, Features]
VectorStep: TypeAlias = tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class StructuredSelfEdit(gymnasium.ActionWrapper[str, Any, str], RecordConstructorArgs):
    """An action is an array of numbers and becomes one whole self-edit, so that an episode is one step.

    codec: `multi_discrete` or `box` (see seal_env.self_edits.numeric_actions), which derive from the tools' schemas. levels: of a real number in
    `multi_discrete`. space: which tools, and ranges; None takes the environment's action space. Raises SettingError.
    """

    def __init__(
        self,
        env: gymnasium.Env[str, str],
        codec: str = "multi_discrete",
        levels: int = LEVELS,
        space: SelfEditSpace | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(self, codec=codec, levels=levels, space=space)
        super().__init__(env)
        self.codec: SelfEditCodec = make_codec(codec, _self_edits(env.action_space, space), levels)
        self.action_space = self.codec.space

    def action(self, action: Any) -> str:
        """The self-edit that the numbers stand for."""
        return self.codec.decode(action)


class VectorStructuredSelfEdit(VectorActionWrapper):  # without type arguments: not generic before Gymnasium 1.4
    """StructuredSelfEdit for a SealVectorEnv: an action is an array [num_envs, coordinates]."""

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        codec: str = "multi_discrete",
        levels: int = LEVELS,
        space: SelfEditSpace | None = None,
    ) -> None:
        super().__init__(env)
        self.codec: SelfEditCodec = make_codec(codec, _self_edits(env.single_action_space, space), levels)
        self.single_action_space = self.codec.space
        self.action_space = batch_space(self.codec.space, self.num_envs)

    def actions(self, actions: Any) -> tuple[str, ...]:
        """The self-edits that the rows stand for."""
        return tuple(map(self.codec.decode, actions))


class GridFeatures(gymnasium.ObservationWrapper[Any, Any, str], RecordConstructorArgs):
    """An observation is a flat Dict of Box: the features of the task's demonstrations (see seal_env.tasks.arc.features).

    They come from the task's context, never from its queries, and do not change in an episode: an agent that acts step by
    step reads the tools' replies, this is for one whole self-edit.

    shape: what grids and demonstrations are padded to; None is the largest of the environment's task set, which an agent
    that is to act on another one has to be told. parts: which of PARTS. one_hot: ten numbers for each cell of the part
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
        self._seal = _seal(env)
        self.shape = shape or _largest(self._seal)
        self.parts, self.one_hot = tuple(parts), one_hot
        self.observation_space = _feature_space(self.shape, self.parts, one_hot)

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
        self._seals = _seals(env)
        self.shape = shape or _largest(self._seals[0])
        self.parts, self.one_hot = tuple(parts), one_hot
        self.single_observation_space = _feature_space(self.shape, self.parts, one_hot)
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
        for place in np.flatnonzero(infos.get("_final_obs", ())):
            infos["final_obs"][place] = self._rows[place]
        return self._observe(), rewards, terminations, truncations, infos

    def _observe(self) -> FeatureDict:
        self._rows = [_features_of(seal, self.shape, self.parts, self.one_hot) for seal in self._seals]
        return {part: np.stack([row[part] for row in self._rows]) for part in self.parts}


class VectorReplayFailures(VectorWrapper):  # without type arguments: not generic before Gymnasium 1.4
    """Plays an episode that the machine failed (reward nan, truncated) again: same task, same action, another seed.

    An agent that learns from every step cannot drop an episode. The seed only decides the augmentation, the adapter's
    initial weights and the order of the examples, so what the agent is then told is a reward for its action on this task
    like any other. All replays of a step are one call of the inner loop. What it cannot mend: if the machine fails some
    self-edits more often than others (large ones, say), rewards are those of the ones that went through.

    replays: further tries for an episode; if the last one fails too, UpdateError is raised. `self.replayed` counts
    them. For episodes of one turn (SettingError for any other `max_turns`), and any autoreset mode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], replays: int = 2) -> None:
        super().__init__(env)
        if replays < 0:
            raise SettingError("replays", replays, "at least 0")
        self._seals = _seals(env)
        self._runtime = self._seals[0].runtime
        if self._runtime.settings.max_turns != 1:
            raise SettingError("max_turns", self._runtime.settings.max_turns, "1: a replay repeats the only action")
        self.replays, self.replayed = replays, 0
        self._base = BaseAnswerCache(MAX_BASE_ANSWERS)

    def step(self, actions: Sequence[Any]) -> VectorStep:
        """A step without a reward that is not a number. Raises UpdateError."""
        episodes = [seal.episode for seal in self._seals]
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        failed = {place: episode for place in np.flatnonzero(truncations).tolist() if (episode := episodes[place])}
        same_step = self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        reasons = (infos["final_info"] if same_step else infos)["reason"] if failed else ()
        steps = self._replay(failed, actions, {place: reasons[place] for place in failed})
        for place, (text, rewards[place], terminations[place], truncations[place], info) in steps.items():
            if same_step:
                infos = self._add_info(infos, {"final_obs": text, "final_info": info}, place)
            else:
                observations = (*observations[:place], text, *observations[place + 1 :])
                infos = self._add_info(infos, info, place)
        return observations, rewards, terminations, truncations, infos

    def _replay(self, failed: dict[int, Episode], actions: Sequence[Any], reasons: dict[int, str]) -> dict[int, Step]:
        """A step for each failed episode, by its place."""
        mended: dict[int, Step] = {}
        for attempt in range(1, self.replays + 1):
            left = [place for place in failed if place not in mended]
            again = [Episode(self._runtime, failed[place].task, _other_seed(failed[place].seed, attempt)) for place in left]
            self.replayed += len(left)
            for place, step in zip(left, play(again, [actions[place] for place in left], self._base), strict=True):
                reasons[place] = step[4]["reason"]
                if not step[3]:
                    mended[place] = step
        for place, episode in failed.items():
            if place not in mended:
                tries, task_id = self.replays + 1, episode.task.task_id
                raise UpdateError(f"the update on task {task_id} failed {tries} times; the last time: {reasons[place]}")
        return mended


def numeric_vector_env(
    environment_id: str = "SEAL-ARC-Mini-v0",
    num_envs: int = 16,
    *,
    codec: str = "multi_discrete",
    levels: int = LEVELS,
    space: SelfEditSpace | None = None,
    shape: GridShape | None = None,
    parts: Sequence[str] = PARTS,
    one_hot: bool = False,
    replays: int = 2,
    autoreset_mode: str = AutoresetMode.NEXT_STEP.value,
    **settings: Any,
) -> VectorEnv[FeatureDict, Any, NDArray[Any]]:
    """A SealVectorEnv of one-turn episodes with VectorReplayFailures, VectorStructuredSelfEdit and VectorGridFeatures on it.

    settings: see seal_env.settings.Settings. Raises SettingError, UnknownTaskError or TaskError.
    """
    settings = {"max_turns": 1, **settings}
    envs = gymnasium.make_vec(environment_id, num_envs, autoreset_mode=autoreset_mode, **settings)
    acting = VectorStructuredSelfEdit(VectorReplayFailures(envs, replays), codec, levels, space)
    return VectorGridFeatures(acting, shape, parts, one_hot)


def _largest(seal: SealEnv) -> GridShape:
    """The largest grids of the environment's tasks. Raises SettingError where tasks are no grids."""
    if seal.settings.domain != "arc":
        raise SettingError("domain", seal.settings.domain, "'arc': its tasks are grids")
    return GridShape.of(seal.taskset)


def _seal(env: gymnasium.Env[Any, Any]) -> SealEnv:
    seal = env.unwrapped
    if not isinstance(seal, SealEnv):
        raise SettingError("env", env, "a SealEnv, or wrappers around one")
    return seal


def _seals(envs: VectorEnv[Any, Any, Any]) -> tuple[SealEnv, ...]:
    seals = envs.unwrapped
    if not isinstance(seals, SealVectorEnv):
        raise SettingError("env", envs, "a SealVectorEnv, or wrappers around one")
    return tuple(map(_seal, seals.envs))


def _self_edits(acted_on: Any, chosen: SelfEditSpace | None) -> SelfEditSpace:
    """The chosen space, or that of the environment, which has to be one of self-edits in any case."""
    if not isinstance(acted_on, SelfEditSpace):
        raise SettingError("env", acted_on, "an environment whose actions are self-edits: wrap a SealEnv, once")
    return chosen or acted_on


def _feature_space(shape: GridShape, parts: Sequence[str], one_hot: bool) -> spaces.Dict:
    """Raises SettingError for no parts, or unknown ones."""
    known = lengths(shape, one_hot)
    if isinstance(parts, str) or not parts or not set(parts) <= set(PARTS):
        raise SettingError("parts", parts, f"some of {', '.join(PARTS)}")
    return spaces.Dict({part: spaces.Box(-1.0, 1.0, (known[part],), np.float32) for part in parts})


def _features_of(seal: SealEnv, shape: GridShape, parts: Sequence[str], one_hot: bool) -> FeatureDict:
    assert seal.episode is not None
    made = features(seal.episode.task.context, shape, one_hot)
    return {part: made[part] for part in parts}


def _other_seed(seed: int, attempt: int) -> int:
    return int(np.random.default_rng([seed, attempt]).integers(2**31))
