"""The SEAL environments below wrappers."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from seal_env.envs.env import SealEnv
from seal_env.envs.vector_env import SealVectorEnv
from seal_env.errors import SettingError


def seal_of(env: gymnasium.Env[Any, Any]) -> SealEnv:
    """The SealEnv below wrappers. Raises SettingError if there is none."""
    seal = env.unwrapped
    if not isinstance(seal, SealEnv):
        raise SettingError("env", env, "a SealEnv, or wrappers around one")
    return seal


def seals_of(envs: VectorEnv[Any, Any, Any]) -> tuple[SealEnv, ...]:
    """The environments of the SealVectorEnv below wrappers. Raises SettingError if there is none."""
    seals = envs.unwrapped
    if not isinstance(seals, SealVectorEnv):
        raise SettingError("env", envs, "a SealVectorEnv, or wrappers around one")
    return tuple(map(seal_of, seals.envs))
