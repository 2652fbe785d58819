"""A policy that Stable-Baselines3 trained, as an agent."""

from __future__ import annotations

from typing import Self

from seal_env.agents.base import Agent, Info
from seal_env.agents.context import AgentContext
from seal_env.agents.demonstrations import demonstrations
from seal_env.agents.rl.options import Sb3Options
from seal_env.agents.rl.policy_file import Policy, load_policy
from seal_env.errors import SettingError
from seal_env.tasks.arc.features import features


class Sb3Agent(Agent):
    """Writes the likeliest self-edit of a trained policy, from the features of the demonstrations.

    Args:
        policy: See `load_policy`.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @classmethod
    def build(cls, options: Sb3Options, context: AgentContext) -> Self:
        """See Agent. Raises SettingError for a file that is no policy for this environment."""
        if options.policy_file is None:
            raise SettingError("policy_file", None, "a file that save_policy wrote")
        return cls(load_policy(options.policy_file, context.runtime.tools))

    def act(self, observation: str, info: Info) -> str:
        """See Agent. Raises SettingError for a task that does not fit what the policy reads."""
        spec, numeric, network = self._policy
        read = features(demonstrations(info), spec.shape, spec.one_hot, spec.parts)
        action, _ = network.predict(read, deterministic=True)
        return numeric.decode(action)
