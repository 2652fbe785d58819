"""A policy behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, a hosted model.

What the model writes is its own affair, however wrong: it goes to the environment, whose outcome says what is wrong with it.
What a server fails to give is no action at all: a PolicyFailure, or PolicyError if it fails for every observation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np

from seal_env.agents.base import Agent, Info, PolicyFailure
from seal_env.agents.context import AgentContext
from seal_env.agents.lm.openai_forms import FORMS, PLAIN, action_of
from seal_env.agents.lm.openai_probe import (
    LENGTH_FIELDS,
    Contact,
    find_form,
    find_model,
    policy_error,
    sample_observation,
)
from seal_env.agents.lm.policy_chat import as_action, policy_chat
from seal_env.agents.lm.policy_settings import ServedPolicyOptions
from seal_env.domains import arc
from seal_env.errors import SettingError
from seal_env.serving.client import ChatReply, ChatServer, Connection, ServerError, Usage, run_async
from seal_env.tools.base import Tool


class OpenAICompatibleAgent(Agent):
    """Asks a served model for self-edits, as many at once as the settings allow.

    The first call finds out which model is served and the strictest form in which it can be asked: one to four requests
    about a task of their own, the same in every run. `contact` then tells. Requests have seeds of their own, so equal seeds
    give equal self-edits wherever the server keeps to them. `usage` counts everything, those first requests too.

    Where texts are wanted there is one form, the plain chat, and the first call makes one request of its own.
    """

    reads_history = True

    def __init__(
        self,
        policy: ServedPolicyOptions,
        seed: int = 0,
        tools: Sequence[Tool[Any]] = arc.TOOLS,
        forms: Sequence[str] = tuple(FORMS),
        domain: str = "arc",
    ) -> None:
        """forms: those that may be used, the strictest first; a single one is used as it is, for a model trained on it.

        tools, domain: of the environment.
        Raises SettingError. Nothing is asked yet.
        """
        if not forms or not set(forms) <= FORMS.keys():
            raise SettingError("forms", forms, f"one or more of {', '.join(FORMS)}")
        self._policy = policy
        self._chat, self._domain = policy_chat(policy.style, domain, tuple(tools)), domain
        self._tools, self._forms = tuple(tools), (PLAIN,) if self._chat.wants_texts else tuple(forms)
        self._server = ChatServer(policy.base_url, policy.timeout, policy.retries, policy.concurrency)
        self.contact: Contact | None = None
        self.seed(seed)

    @classmethod
    def build(cls, options: ServedPolicyOptions, context: AgentContext) -> Self:
        """See Agent."""
        return cls(options, context.seed, context.runtime.tools, domain=context.domain)

    @property
    def usage(self) -> Usage:
        """Requests, retries, failures and tokens so far."""
        return self._server.usage

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`; what was found out about the server stays known."""
        self._seed, self._asked = seed, 0

    def act(self, observation: str, info: Info) -> str:
        """See Agent."""
        action = self.act_all([observation], [info])[0]
        assert isinstance(action, str)  # a single failure is one of all
        return action

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """See Agent. Also raises SettingError at the first call, if policy_model is `same` and many models are served."""
        return run_async(lambda: self.act_all_async(observations, infos))

    async def act_all_async(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """`act_all` for a running event loop."""
        first, self._asked = self._asked, self._asked + len(observations)
        if not observations:
            return []
        async with self._server.connect() as connection:
            if self.contact is None:
                self.contact = await self._make_contact(connection)
            contact = self.contact
            requests = [
                self._request(contact, observation, self._request_seed(number))
                for number, observation in enumerate(observations, first)
            ]
            replies = await asyncio.gather(*(_reply_or_failure(connection, request) for request in requests))
        failed = [reply for reply in replies if isinstance(reply, ServerError)]
        if len(failed) == len(replies):
            raise policy_error(contact.base_url, contact.model, failed[0])
        return [PolicyFailure(str(reply)) if isinstance(reply, ServerError) else self._action(reply) for reply in replies]

    def _action(self, reply: ChatReply) -> str:
        return as_action(reply.text) if self._chat.wants_texts else action_of(reply)

    async def _make_contact(self, connection: Connection) -> Contact:
        base_url = self._server.base_url
        model, served = await find_model(connection, base_url, self._policy.policy_model)
        contact = Contact(base_url, model, served, self._forms[0], LENGTH_FIELDS[0], ())
        request = partial(self._request, observation=sample_observation(self._domain, self._tools), seed=0)
        return await find_form(connection, contact, self._forms, request, self._tools)

    def _request(self, contact: Contact, observation: str, seed: int) -> dict[str, Any]:
        chat = self._chat.messages(observation)
        return {
            "model": contact.model,
            "messages": [{"role": message.role, "content": message.content} for message in chat],
            "temperature": self._policy.temperature,
            contact.length_field: self._policy.max_new_tokens,
            "seed": seed,
            **FORMS[contact.form](self._tools),
        }

    def _request_seed(self, number: int) -> int:
        """In [0, 2**31): the sampling of request `number`, which no other request shares."""
        return int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0]) >> 1


async def _reply_or_failure(connection: Connection, request: dict[str, Any]) -> ChatReply | ServerError:
    try:
        return await connection.chat(request)
    except ServerError as failed:
        return failed
