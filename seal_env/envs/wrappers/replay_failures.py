"""Episodes that an infrastructure failure cut short, played again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from seal_env.envs.base import MAX_BASE_ANSWERS
from seal_env.envs.wrappers.grid_features import VectorStep
from seal_env.envs.wrappers.unwrap import seals_of
from seal_env.episodes.episode import Episode
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.errors import SettingError, UpdateError
from seal_env.types import Step


class VectorReplayFailures(VectorWrapper):  # without type arguments: not generic before Gymnasium 1.4
    """Repeats an episode that an infrastructure failure truncated (reward NaN): same task and action, another seed.

    An agent that learns from every step cannot drop an episode. The seed only decides the augmentation, the adapter's
    initial weights and the order of the examples, so the agent receives a reward for its action on this task like any other.
    All replays of a step are one call of the inner loop. What this cannot mend: if some self-edits fail more often than
    others (large ones, say), rewards are those of the ones that went through.

    `replayed` counts the replays. For episodes of one turn and any autoreset mode.

    Args:
        env: A SealVectorEnv, or wrappers around one.
        replays: Further tries for an episode.

    Raises:
        SettingError: For a negative number of replays, or any other `max_turns` than 1.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], replays: int = 2) -> None:
        super().__init__(env)
        if replays < 0:
            raise SettingError("replays", replays, "at least 0")
        self._seals = seals_of(env)
        self._runtime = self._seals[0].runtime
        if self._runtime.settings.max_turns != 1:
            raise SettingError("max_turns", self._runtime.settings.max_turns, "1: a replay repeats the only action")
        self.replays, self.replayed = replays, 0
        self._base = BaseAnswerCache(MAX_BASE_ANSWERS)

    def step(self, actions: Sequence[Any]) -> VectorStep:
        """A step whose rewards are all numbers. Raises UpdateError if the last replay of an episode fails too."""
        episodes = [seal.episode for seal in self._seals]
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        failed = {index: episode for index in np.flatnonzero(truncations).tolist() if (episode := episodes[index])}
        same_step = self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        reasons = (infos["final_info"] if same_step else infos)["reason"] if failed else ()
        steps = self._replay(failed, actions, {index: reasons[index] for index in failed})
        for index, (text, rewards[index], terminations[index], truncations[index], info) in steps.items():
            if same_step:
                infos = self._add_info(infos, {"final_obs": text, "final_info": info}, index)
            else:
                observations = (*observations[:index], text, *observations[index + 1 :])
                infos = self._add_info(infos, info, index)
        return observations, rewards, terminations, truncations, infos

    def _replay(self, failed: dict[int, Episode], actions: Sequence[Any], reasons: dict[int, str]) -> dict[int, Step]:
        """A step for each failed episode, by its index."""
        mended: dict[int, Step] = {}
        for attempt in range(1, self.replays + 1):
            left = [index for index in failed if index not in mended]
            again = [Episode(self._runtime, failed[index].task, _other_seed(failed[index].seed, attempt)) for index in left]
            self.replayed += len(left)
            for index, step in zip(left, play(again, [actions[index] for index in left], self._base), strict=True):
                reasons[index] = step[4]["reason"]
                if not step[3]:
                    mended[index] = step
        for index, episode in failed.items():
            if index not in mended:
                tries, task_id = self.replays + 1, episode.task.task_id
                raise UpdateError(f"the update on task {task_id} failed {tries} times; the last time: {reasons[index]}")
        return mended


def _other_seed(seed: int, attempt: int) -> int:
    return int(np.random.default_rng([seed, attempt]).integers(2**31))
