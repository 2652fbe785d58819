"""SealVectorEnv: many episodes at once, all of their weight updates in one call of the inner loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from seal_env.envs.base import MAX_BASE_ANSWERS
from seal_env.envs.env import SealEnv
from seal_env.episodes.runtime import Runtime
from seal_env.episodes.settle import BaseAnswerCache, play
from seal_env.errors import SettingError
from seal_env.settings import Settings
from seal_env.types import Step

Observations = tuple[str, ...]
Flags = NDArray[np.bool_]


class SealVectorEnv(SyncVectorEnv):  # without type arguments: not generic before Gymnasium 1.4
    """Several SealEnv whose updates train together.

    It is Gymnasium's SyncVectorEnv in all but one thing: a step plays all episodes at once, with one call of the inner loop
    at most, and hands each environment its own outcome. Spaces, seeds, infos with their masks, autoreset and rendering are
    thus those of `make_vec(..., vectorization_mode="sync")`, and each environment goes through the same episodes as it would
    alone. An infrastructure failure in an update truncates its own episode and no other. Observations and
    actions are tuples of one text for each environment.

    Autoreset: "NextStep" by default, as with SyncVectorEnv, so that this class changes the speed and nothing else. The step
    after an episode's end resets that environment, ignores its action and gives reward 0, so it has no update in the call of
    the inner loop. With one-shot episodes every other step is only a reset and costs nothing; with episodes of different
    lengths "SameStep" keeps every call full: it resets at once, and infos have the last `final_obs` and `final_info`.
    "Disabled" leaves it to `reset(options={"reset_mask": ...})`.

    Where SealEnv's info has None, an array of numbers has nan. `get_attr("last_timings")` gives each environment's seconds
    by phase.
    """

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        *,
        runtime: Runtime | None = None,
        **settings: Any,
    ) -> None:
        """Make the environments.

        Args:
            num_envs: How many.
            render_mode: Of each: `ansi`, `rgb_array` or None.
            autoreset_mode: "NextStep", "SameStep" or "Disabled".
            runtime: What the environments share, instead of settings.
            **settings: See `seal_env.settings.Settings` and the domain's options.

        Raises:
            SettingError, UnknownTaskError, TaskError: For settings that are not legal and task sets that do not load.
        """
        if num_envs < 1:
            raise SettingError("num_envs", num_envs, "at least 1")
        modes = {mode.value: mode for mode in AutoresetMode}
        mode = autoreset_mode if isinstance(autoreset_mode, AutoresetMode) else modes.get(autoreset_mode)
        if mode is None:
            raise SettingError("autoreset_mode", autoreset_mode, " or ".join(map(repr, modes)))
        runtime = runtime or Runtime(Settings.resolve(**settings))
        super().__init__([partial(_SubEnv, index, render_mode, runtime) for index in range(num_envs)], autoreset_mode=mode)
        self._sub_envs = cast("list[_SubEnv]", self.envs)
        self._base = BaseAnswerCache(MAX_BASE_ANSWERS)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode in every environment.

        seed: s seeds environment i with s + i; a list, each with its own. options: {"task_id": ...} gives all of them that
        task, {"task_ids": [...]} each its own; "reset_mask", bool [num_envs], resets only those where it is true.
        Raises SettingError for other options, UnknownTaskError, and ModelError if the model does not load.
        """
        options = dict(options or {})  # SyncVectorEnv takes the mask out of it
        unknown = set(options) - {"task_id", "task_ids", "reset_mask"}
        if unknown or {"task_id", "task_ids"} <= set(options):
            raise SettingError("options", sorted(options), "'task_id' or 'task_ids', and 'reset_mask'")
        task_ids = options.get("task_ids", ())
        if "task_ids" in options and (isinstance(task_ids, str) or len(task_ids) != self.num_envs):
            raise SettingError("task_ids", task_ids, f"a list of {self.num_envs}, one for each environment")
        return super().reset(seed=seed, options=options)

    def step(self, actions: Sequence[Any]) -> tuple[Observations, NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Take one action in each environment. Whatever the agents write is an outcome, never an exception.

        Rewards are float64 [num_envs], NaN after an infrastructure failure; terminations and truncations bool [num_envs].
        Raises SettingError unless there is one action for each environment.
        """
        if isinstance(actions, str) or len(actions) != self.num_envs:
            raise SettingError("actions", actions, f"a sequence of {self.num_envs} texts, one for each environment")
        waits = self.autoreset_mode is AutoresetMode.NEXT_STEP
        stuck = [env.index for env in self._sub_envs if env.episode is None or (env.episode.over and not waits)]
        if stuck:
            raise ResetNeeded(f"the episodes of environments {stuck} are over (or none was started): call reset()")
        playing = [
            (env, episode, action)
            for env, action in zip(self._sub_envs, actions, strict=True)
            if (episode := env.episode) is not None and not episode.over
        ]
        steps = play([episode for _, episode, _ in playing], [action for _, _, action in playing], self._base)
        for (env, _, _), step in zip(playing, steps, strict=True):
            env.precomputed_step = step
        return super().step(tuple(actions))


class _SubEnv(SealEnv):
    """One environment of many. `step` returns the step that the vector environment has played together with the others'."""

    def __init__(self, index: int, render_mode: str | None, runtime: Runtime) -> None:
        super().__init__(render_mode, runtime=runtime)
        self.index = index
        self.precomputed_step: Step | None = None

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; of the option `task_ids` only this environment's counts."""
        self.precomputed_step = None
        if options and "task_ids" in options:
            options = {"task_id": options["task_ids"][self.index]}
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Step:
        """The precomputed step."""
        step, self.precomputed_step = self.precomputed_step, None
        return super().step(action) if step is None else step
