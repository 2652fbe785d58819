"""A policy that is a causal language model on this machine, through transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from seal_env.agents.base import Agent, Info, PolicyFailure
from seal_env.agents.context import AgentContext
from seal_env.agents.lm.policy_chat import policy_chat
from seal_env.agents.lm.policy_model import PolicyModel
from seal_env.agents.lm.policy_settings import SAME, LocalPolicyOptions
from seal_env.domains import arc
from seal_env.errors import PolicyError
from seal_env.inner_loop.model.frozen_lm import load_base_model
from seal_env.tools.base import Tool


class LocalHFAgent(Agent):
    """Samples self-edits from a policy model, all observations of a call in batches.

    It keeps nothing from one observation to the next. Equal seeds give equal sequences of actions, whether they are asked
    for one by one or together.
    """

    reads_history = True

    def __init__(self, policy: PolicyModel, temperature: float = 1.0, max_new_tokens: int = 512, seed: int = 0) -> None:
        self.policy, self.temperature, self.max_new_tokens = policy, temperature, max_new_tokens
        self.seed(seed)

    @classmethod
    def load(
        cls,
        model: str,
        settings: LocalPolicyOptions,
        seed: int = 0,
        domain: str = "arc",
        tools: tuple[Tool[Any], ...] = arc.TOOLS,
    ) -> Self:
        """The agent that the settings describe; `model` is the environment's base model, meant by policy_model `same`.

        domain, tools: of the environment.
        Raises ModelError for a model or an adapter that cannot be loaded, and SettingError.
        """
        chat = policy_chat(settings.style, domain, tools)
        name = model if settings.policy_model == SAME else settings.policy_model
        base = load_base_model(name, settings.policy_device)
        policy = PolicyModel(base, settings.policy_adapter, settings.constrained, chat=chat)
        return cls(policy, settings.temperature, settings.max_new_tokens, seed)

    @classmethod
    def build(cls, options: LocalPolicyOptions, context: AgentContext) -> Self:
        """See Agent. Raises ModelError for a model or an adapter that cannot be loaded, and SettingError."""
        return cls.load(context.model, options, context.seed, context.domain, context.runtime.tools)

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`."""
        self._seed, self._asked = seed, 0

    def act(self, observation: str, info: Info) -> str:
        """A sampled answer. Raises PolicyError if the prompt leaves no room for one, or memory runs out."""
        action = self.act_all([observation], [info])[0]
        assert isinstance(action, str)  # the only observation failing raises
        return action

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """See Agent. A prompt that leaves no room for an answer is a PolicyFailure; PolicyError if all do."""
        first = self._asked
        self._asked += len(observations)
        reasons = [self.policy.too_long(observation) for observation in observations]
        if observations and all(reasons):
            raise PolicyError(reasons[0])
        fitting = [observation for observation, reason in zip(observations, reasons, strict=True) if reason is None]
        samples = iter(self.policy.sample(fitting, self._seed, self.temperature, self.max_new_tokens, first))
        return [next(samples).action if reason is None else PolicyFailure(reason) for reason in reasons]
