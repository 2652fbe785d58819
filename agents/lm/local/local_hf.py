"""A policy that is a causal language model on this machine, through transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Self

from seal_env.agents.base import Agent, Info, PolicyFailure
from seal_env.agents.context import AgentContext
from seal_env.agents.lm.chat import PolicyChat
from seal_env.agents.lm.local.model import PolicyModel
from seal_env.agents.lm.local.proxies import best
from seal_env.agents.lm.local.sampling import Generation
from seal_env.agents.lm.options import SAME, LocalPolicyOptions
from seal_env.errors import PolicyError
from seal_env.inner_loop.model.frozen_lm import FrozenLM, load_base_model
from seal_env.inner_loop.tokens.arguments import TemplateArguments
from seal_env.settings import Settings


class LocalHFAgent(Agent):
    """Samples self-edits from a policy model, all observations of a call in batches.

    It keeps nothing from one observation to the next. Equal seeds give equal sequences of actions, whether they are sampled
    one by one or together.

    Args:
        policy: The model.
        temperature: Of sampling; 0 is greedy.
        max_new_tokens: Most tokens of an answer.
        seed: Of the sequence.
        best_of: Answers that are sampled for each one that is given.
        proxy: By what it is chosen, see `seal_env.agents.lm.local.proxies`.
    """

    options = LocalPolicyOptions
    reads_history = True

    def __init__(
        self,
        policy: PolicyModel,
        temperature: float = 1.0,
        max_new_tokens: int = 512,
        seed: int = 0,
        best_of: int = 1,
        proxy: str = "words",
    ) -> None:
        self.policy, self.temperature, self.max_new_tokens = policy, temperature, max_new_tokens
        self.best_of, self.proxy = best_of, proxy
        self.seed(seed)

    @classmethod
    def sampling(cls, policy: PolicyModel, options: LocalPolicyOptions, seed: int = 0) -> Self:
        """The agent that samples from a model as the options say."""
        return cls(policy, options.temperature, options.max_new_tokens, seed, options.best_of, options.proxy)

    @classmethod
    def build(cls, options: LocalPolicyOptions, context: AgentContext) -> Self:
        """See Agent.

        Raises:
            ModelError: For a model or an adapter that cannot be loaded.
            SettingError: For a style that the domain does not read, and for a package that is missing.
        """
        chat = PolicyChat.of(context.runtime, options.style, options.mix)
        base = load_policy(options, context.runtime.settings)
        policy = PolicyModel(base, chat, options.policy_adapter, options.constrained)
        return cls.sampling(policy, options, context.seed)

    def tokens_written(self, action: str) -> int:
        """See Agent; without special tokens, such as the one that ends an answer."""
        return len(self.policy.base.tokenizer.encode(action, add_special_tokens=False))

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`."""
        self._seed, self._sampled = seed, 0

    def act(self, observation: str, info: Info) -> str:
        """Sample an answer.

        Raises:
            PolicyError: If the prompt leaves no room for an answer, or memory runs out.
        """
        action = self.act_all([observation], [info])[0]
        assert isinstance(action, str)  # the only observation failing raises
        return action

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """See Agent. A prompt that leaves no room for an answer is a PolicyFailure; PolicyError if all do."""
        chat = self.policy.prompt.chat
        asked = [chat.parts(observation, info) for observation, info in zip(observations, infos, strict=True)]
        first = self._sampled
        self._sampled += self.best_of * sum(map(len, asked))
        reasons = [next(filter(None, map(self.policy.too_long, parts)), None) for parts in asked]
        if asked and all(reasons):
            raise PolicyError(reasons[0])
        fitting = [part for parts, reason in zip(asked, reasons, strict=True) if reason is None for part in parts]
        repeated = [part for part in fitting for _ in range(self.best_of)]
        samples = iter(self.policy.sample(repeated, self._seed, self.temperature, self.max_new_tokens, first))
        return [
            PolicyFailure(reason) if reason else chat.join([self._best(samples) for _ in parts])
            for parts, reason in zip(asked, reasons, strict=True)
        ]

    def _best(self, samples: Iterator[Generation]) -> str:
        return best(list(islice(samples, self.best_of)), self.proxy).action


def load_policy(options: LocalPolicyOptions, environment: Settings) -> FrozenLM:
    """Load the model that writes self-edits.

    Args:
        options: Of the policy.
        environment: Settings of the environment. Its chat template's date is given to another model as well.

    Raises:
        ModelError: If it cannot be loaded.
    """
    if options.policy_model == SAME:
        used = environment
        return load_base_model(used.model, options.policy_device, used.template, used.dtype, used.revision)
    return load_base_model(options.policy_model, options.policy_device, TemplateArguments(environment.template_date))
