"""A policy that Stable-Baselines3 trained, as one safetensors file: its weights, and what it reads and writes as JSON.

    model = PPO("MultiInputPolicy", envs).learn(640)  # envs: an Sb3VecEnv of numeric_vector_env
    save_policy(model, "ppo.safetensors")

Stable-Baselines3's own zip is pickled in part. This file holds numbers and names only, and reading it runs no code of it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from seal_env.agents.rl.sb3 import Sb3VecEnv
from seal_env.envs.wrappers.grid_features import VectorGridFeatures, feature_space
from seal_env.envs.wrappers.numeric_action import VectorStructuredSelfEdit
from seal_env.errors import SettingError, needs_extra
from seal_env.journal import write_file
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.numeric_actions import NUMERIC_FORMS, NumericActions, make_numeric_actions
from seal_env.tasks.arc.features import GridShape
from seal_env.tools.base import Tool

with needs_extra("sb3"):
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
    from stable_baselines3.common.policies import BasePolicy, MultiInputActorCriticPolicy
    from stable_baselines3.common.torch_layers import CombinedExtractor
    from stable_baselines3.common.vec_env import VecMonitor

KEY: Final = "seal_env_policy"
"""Of the spec in the file's metadata."""


Layers = Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(max_length=8)]


class PolicySpec(BaseModel):
    """What a policy reads and writes, and the shape of its networks; see `numeric_vector_env` for most of the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    actions: str
    levels: int = Field(ge=2, le=1000)
    tools: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]
    parts: tuple[str, ...]
    one_hot: bool
    side: int = Field(ge=1, le=30)
    demonstrations: int = Field(ge=1, le=100)
    network: Layers | dict[str, Layers]
    """Hidden units, as Stable-Baselines3's `net_arch`."""
    activation: Literal["Tanh", "ReLU", "LeakyReLU", "ELU", "SiLU", "GELU"]
    """A class of torch.nn."""

    @property
    def shape(self) -> GridShape:
        """What features are padded to."""
        return GridShape(self.side, self.demonstrations)


class Policy(NamedTuple):
    """A policy that was read from a file."""

    spec: PolicySpec
    numeric: NumericActions
    network: BasePolicy


def save_policy(model: OnPolicyAlgorithm, path: str | os.PathLike[str]) -> None:
    """Write the policy of PPO or A2C, on an `Sb3VecEnv` of `numeric_vector_env`, which may be in VecMonitor.

    Raises:
        SettingError: For a policy of another class, or with a feature extractor of its own, and other environments.
        StorageError: If the file cannot be written.
    """
    policy, envs = model.policy, model.get_env()
    plain = type(policy) is MultiInputActorCriticPolicy and policy.features_extractor_class is CombinedExtractor
    if not plain or policy.use_sde:
        legal = "a MultiInputPolicy with Stable-Baselines3's own feature extractor, without gSDE"
        raise SettingError("model", type(policy).__name__, legal)
    while isinstance(envs, VecMonitor):
        envs = envs.venv
    reading: Any = envs.envs.env if isinstance(envs, Sb3VecEnv) else None
    acting: Any = getattr(reading, "env", None)
    if not isinstance(reading, VectorGridFeatures) or not isinstance(acting, VectorStructuredSelfEdit):
        raise SettingError("model", type(envs).__name__, "a model on an Sb3VecEnv of numeric_vector_env")
    numeric = acting.numeric_actions
    spec = PolicySpec(
        actions=next(name for name, form in NUMERIC_FORMS.items() if type(numeric) is form),
        levels=numeric.levels,
        tools=tuple(tool.name for tool in numeric.tools),
        ranges={name: (float(low), float(high)) for name, (low, high) in numeric.spec.ranges.items()},
        parts=reading.parts,
        one_hot=reading.one_hot,
        side=reading.shape.side,
        demonstrations=reading.shape.demonstrations,
        network=policy.net_arch,
        activation=policy.activation_fn.__name__,
    )
    weights = {name: each.detach().cpu().contiguous().clone() for name, each in policy.state_dict().items()}
    write_file(Path(path), lambda new: save_file(weights, new, {KEY: spec.model_dump_json()}))


def load_policy(path: str | os.PathLike[str], tools: Sequence[Tool[Any]]) -> Policy:
    """Read what `save_policy` wrote.

    Args:
        path: The file.
        tools: Those of the environment that the policy will act in.

    Raises:
        SettingError: For another file, one whose weights do not fit its spec, and a policy that calls other tools.
    """
    legal = "a file that save_policy wrote"
    try:
        with safe_open(path, "pt") as file:
            spec = PolicySpec.model_validate_json((file.metadata() or {}).get(KEY, ""))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (OSError, SafetensorError, ValidationError) as error:
        raise SettingError("policy_file", str(path), f"{legal} ({str(error).splitlines()[0]})") from error
    offered = {tool.name: tool for tool in tools}
    if missing := [name for name in spec.tools if name not in offered]:
        raise SettingError("policy_file", str(path), f"a policy for the tools {', '.join(offered)}, not {missing[0]}")
    chosen = ActionSpec(tuple(offered[name] for name in spec.tools), dict(spec.ranges))
    numeric = make_numeric_actions(spec.actions, chosen, spec.levels)
    network = MultiInputActorCriticPolicy(
        feature_space(spec.shape, spec.parts, spec.one_hot),
        numeric.space,
        lambda _: 0.0,
        net_arch=spec.network,
        activation_fn=getattr(torch.nn, spec.activation),
    )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise SettingError("policy_file", str(path), f"{legal}: its weights do not fit its networks") from error
    if bad := [name for name, each in weights.items() if not each.isfinite().all()]:
        raise SettingError("policy_file", str(path), f"{legal}: {bad[0]} holds numbers that are not finite")
    return Policy(spec, numeric, network)
