"""SEAL for Stable-Baselines3: its `VecEnv` over a SealVectorEnv, so that a step is one call of the inner loop.

    from stable_baselines3 import PPO
    from seal_env.agents.rl.sb3 import Sb3VecEnv
    from seal_env.envs.wrappers import numeric_vector_env

    envs = Sb3VecEnv(numeric_vector_env("SEAL-ARC-Mini-v0", num_envs=16, autoreset_mode="SameStep"))
    PPO("MultiInputPolicy", envs, n_steps=4, batch_size=64).learn(640)

Stable-Baselines3 is not a dependency of seal-env: it comes with the extra `sb3`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import DictInfoToList
from numpy.typing import NDArray

from seal_env.envs.vector_env import SealVectorEnv
from seal_env.errors import SettingError, UpdateError, needs_extra

with needs_extra("sb3"):
    from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn


class Sb3VecEnv(VecEnv):
    """A vector environment of Gymnasium as one of Stable-Baselines3.

    Environments are reset at once when an episode ends, as Stable-Baselines3 expects: the info of that step is the episode's
    last, with `terminal_observation` and `TimeLimit.truncated`. Rewards are float32.

    An episode that ends with an infrastructure failure says nothing about the policy. `numeric_vector_env` plays it again;
    without that wrapper `step` raises UpdateError instead of returning a reward that is not a number.

    Args:
        envs: A SealVectorEnv in the autoreset mode "SameStep", in wrappers that make its actions and observations numbers;
            `numeric_vector_env` makes one.

    Raises:
        SettingError: For any other environment.
    """

    def __init__(self, envs: VectorEnv[Any, Any, NDArray[Any]]) -> None:
        if not isinstance(envs.unwrapped, SealVectorEnv):
            raise SettingError("envs", envs, "a SealVectorEnv in wrappers")
        if envs.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
            raise SettingError("autoreset_mode", envs.metadata["autoreset_mode"].value, "'SameStep'")
        self.envs = DictInfoToList(envs)
        self._single: Sequence[Any] = envs.unwrapped.envs
        self._actions: NDArray[Any] | None = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin an episode in every environment, with the seeds and options set before. Raises what SealVectorEnv raises."""
        seeds: Any = list(self._seeds)
        observations, infos = self.envs.reset(seed=seeds, options=self._taken_options())
        self.reset_infos = list(infos)
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def _taken_options(self) -> dict[str, Any]:
        """The environments' options as one: a task for each of them, or none. Raises SettingError."""
        given = [options for options in self._options if options]
        if not given:
            return {}
        if len(given) < self.num_envs or any(set(options) != {"task_id"} for options in given):
            raise SettingError("options", self._options, "{'task_id': ...} for every environment")
        return {"task_ids": [options["task_id"] for options in given]}

    def step_async(self, actions: NDArray[Any]) -> None:
        """Store the actions for `step_wait`."""
        self._actions = np.array(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Take the actions, with one call of the inner loop. Raises UpdateError after an infrastructure failure."""
        observations, rewards, terminations, truncations, infos = self.envs.step(self._actions)
        ended: list[dict[str, Any]] = []
        for index, info in enumerate(infos):
            final, observation = info.pop("final_info", None), info.pop("final_obs", None)
            if final is None:
                ended.append(info | {"TimeLimit.truncated": False})
                continue
            if not np.isfinite(rewards[index]):
                raise UpdateError(f"the update on task {final['task_id']} failed: {final['reason']}")
            cut = bool(truncations[index] and not terminations[index])
            ended.append(final | {"terminal_observation": observation, "TimeLimit.truncated": cut})
            self.reset_infos[index] = info
        return observations, rewards.astype(np.float32), terminations | truncations, ended

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_images(self) -> Sequence[NDArray[Any] | None]:
        """What each environment renders; nothing unless its render mode is rgb_array."""
        return [env.render() if env.render_mode == "rgb_array" else None for env in self._single]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The attribute of each SealEnv."""
        return [self._single[index].get_wrapper_attr(attr_name) for index in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set the attribute of each SealEnv."""
        for index in self._get_indices(indices):
            self._single[index].set_wrapper_attr(attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call the method of each SealEnv."""
        methods = self.get_attr(method_name, indices)
        return [method(*method_args, **method_kwargs) for method in methods]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """False: the wrappers are around all environments together."""
        return [False for _ in self._get_indices(indices)]
