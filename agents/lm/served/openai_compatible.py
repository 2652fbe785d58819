"""A policy behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, a hosted model.

Whatever the model writes, however wrong, goes to the environment, whose outcome says what is wrong with it. A server that
gives no answer is an infrastructure failure: a PolicyFailure, or PolicyError if it gives none to any observation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np

from seal_env.agents.base import Agent, Info, PolicyFailure
from seal_env.agents.context import AgentContext
from seal_env.agents.lm.chat import Chat, PolicyChat
from seal_env.agents.lm.options import SAME, ServedPolicyOptions
from seal_env.agents.lm.served.forms import FORMS, PLAIN, action_of, not_in_effect
from seal_env.agents.lm.served.probe import policy_error, sample_prompt
from seal_env.errors import SettingError
from seal_env.serving.client import ChatServer, Connection, Usage, run_async
from seal_env.serving.failures import ServerError
from seal_env.serving.probe import Contact, find_form, find_model
from seal_env.serving.replies import ChatReply


class OpenAICompatibleAgent(Agent):
    """Requests self-edits from a served model, as many at once as the options allow.

    The first call finds out which model is served and the strictest form that it answers in: one to four requests about a
    sample task, the same in every run. `contact` has what was found. Requests have seeds of their own, so equal seeds give
    equal self-edits wherever the server respects them. `usage` counts everything, those first requests too.

    Where texts are wanted there is one form, the plain chat, and the first call makes one request of its own.

    Args:
        policy: The server, the model and how it is sampled.
        chat: How the policy is prompted.
        sample: The chat of the sample task.
        seed: Of the sequence of self-edits.

    Raises:
        SettingError: For an address that is none, an unknown form, or forms without `text` where texts are wanted. No
            request is made yet.
    """

    options = ServedPolicyOptions
    reads_history = True

    def __init__(self, policy: ServedPolicyOptions, chat: PolicyChat, sample: Chat, seed: int = 0) -> None:
        forms = tuple(FORMS) if policy.forms is None else policy.forms
        if not forms or not set(forms) <= FORMS.keys():
            raise SettingError("forms", forms, f"one or more of {', '.join(FORMS)}")
        if chat.wants_texts and PLAIN not in forms:
            raise SettingError("forms", forms, f"{PLAIN!r} where style={chat.style!r}; with style='tools' all of them")
        self._policy, self._chat, self._sample = policy, chat, sample
        self._forms = (PLAIN,) if chat.wants_texts else forms
        self._server = ChatServer(policy.base_url, policy.timeout, policy.retries, policy.concurrency)
        self.contact: Contact | None = None
        self.seed(seed)

    @classmethod
    def build(cls, options: ServedPolicyOptions, context: AgentContext) -> Self:
        """See Agent. The sample task is the environment's first one."""
        chat = PolicyChat.of(context.runtime, options.style)
        return cls(options, chat, chat.messages(*sample_prompt(context.runtime)), context.seed)

    @property
    def usage(self) -> Usage:
        """Requests, retries, failures and tokens so far."""
        return self._server.usage

    def tokens_written(self, action: str) -> None:
        """See Agent. The server knows: `usage` has what it says."""
        return

    def seed(self, seed: int) -> None:
        """Begin the sequence that belongs to `seed`; `contact` stays."""
        self._seed, self._requested = seed, 0

    def act(self, observation: str, info: Info) -> str:
        """See Agent."""
        action = self.act_all([observation], [info])[0]
        assert isinstance(action, str)  # a single failure is one of all
        return action

    def act_all(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """See Agent. The first call also raises SettingError if policy_model is `same` and several models are served."""
        return run_async(lambda: self.act_all_async(observations, infos))

    async def act_all_async(self, observations: Sequence[str], infos: Sequence[Info]) -> list[str | PolicyFailure]:
        """`act_all` for a running event loop."""
        first, self._requested = self._requested, self._requested + len(observations)
        if not observations:
            return []
        async with self._server.connect() as connection:
            if self.contact is None:
                self.contact = await self._make_contact(connection)
            contact = self.contact
            chats = map(self._chat.messages, observations, infos)
            requests = [self._request(contact, chat, self._request_seed(number)) for number, chat in enumerate(chats, first)]
            replies = await asyncio.gather(*(_reply_or_failure(connection, request) for request in requests))
        failed = [reply for reply in replies if isinstance(reply, ServerError)]
        if len(failed) == len(replies):
            raise policy_error(self._server.base_url, contact.model, failed[0])
        return [PolicyFailure(str(reply)) if isinstance(reply, ServerError) else action_of(reply) for reply in replies]

    async def _make_contact(self, connection: Connection) -> Contact:
        base_url, contact = self._server.base_url, Contact(self._policy.policy_model)
        try:
            contact = await find_model(connection, base_url, "policy_model", contact.model, only=SAME)
            request = partial(self._request, chat=self._sample, seed=0)
            return await find_form(connection, contact, self._forms, request, self._problem)
        except ServerError as failed:
            raise policy_error(base_url, contact.model, failed) from failed

    def _problem(self, form: str, reply: ChatReply) -> str:
        """Why a reply does not show that a form is in effect. The last form need not show it."""
        return "" if form == self._forms[-1] else not_in_effect(form, reply, self._chat.tools)

    def _request(self, contact: Contact, chat: Chat, seed: int) -> dict[str, Any]:
        return {
            "model": contact.model,
            "messages": [{"role": message.role, "content": message.content} for message in chat],
            "temperature": self._policy.temperature,
            contact.length_field: self._policy.max_new_tokens,
            "seed": seed,
            **FORMS[contact.form](self._chat.tools),
        }

    def _request_seed(self, number: int) -> int:
        """The sampling seed of request `number`, in [0, 2**31), which no other request shares."""
        return int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0]) >> 1


async def _reply_or_failure(connection: Connection, request: dict[str, Any]) -> ChatReply | ServerError:
    try:
        return await connection.chat(request)
    except ServerError as failed:
        return failed
