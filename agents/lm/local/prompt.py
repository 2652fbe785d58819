"""The prompt of a language model that writes self-edits, as its tokens."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import TemplateError

from seal_env.agents.lm.chat import Chat, PolicyChat, as_action
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages, example_action
from seal_env.thoughts import opened_thought
from seal_env.tools.registry import openai_tools
from seal_env.types import InvalidSelfEdit, Query


class PolicyPrompt:
    """Renders chats for one model.

    The prompt is the chat in the model's chat template. A template that has a place for tools gets them there too, but only
    if it writes several tool calls in a form that `as_action` reads: one that teaches the model another form of call would
    make it answer what no environment understands. The user message describes the tools in any case.

    Args:
        base: The model.
        chat: How the policy is prompted; one that asks for texts has no tools in the template.
        tools: False leaves them out of the template, as where the model is trained on prompts without.
        as_learned: Ask as training examples are written, as where the model learns from its answers: after thoughts that the
            template closes, where the generation prompt of a model that thinks opens them.
    """

    def __init__(self, base: FrozenLM, chat: PolicyChat, tools: bool = True, as_learned: bool = False) -> None:
        self.chat, self._as_learned = chat, as_learned
        self._encoder = ChatEncoder(base.tokenizer, base.name, base.template)
        self.has_tools = tools and not self.chat.wants_texts and self._writes_calls()
        if self.has_tools:
            self._encoder = ChatEncoder(base.tokenizer, base.name, base.template, openai_tools(self.chat.tools))
        self.opened_thought = opened_thought(base.tokenizer.decode(self.encode(chat_messages("?"))))
        """The mark of the thought within which an answer begins; empty if the prompt opens none."""
        answered = self._encoder.encode_query(Query("", chat_messages("?"), "[]"))
        own = base.model.generation_config.eos_token_id
        also = own if isinstance(own, list) else [] if own is None else [own]
        known = (token for token in {*answered.stop_ids, *also} if token < len(base.tokenizer))
        self.stop_ids: tuple[int, ...] = tuple(sorted(known))
        """Tokens that end an answer: the template's end of turn, the tokenizer's and the model's end of text."""

    def encode(self, messages: Chat) -> tuple[int, ...]:
        """The tokens of a chat, up to where the answer begins.

        Raises:
            ModelError: If the template fails.
        """
        if self._as_learned:
            return self._encoder.encode_query(Query("", messages, "A" if self.chat.wants_texts else "[]")).prompt_T
        return tuple(self._encoder.prompt(messages))

    def _writes_calls(self) -> bool:
        """True if a turn of tool calls, written by the template, is read back as these calls."""
        calls = json.loads(example_action(self.chat.tools))
        chat: list[dict[str, Any]] = [{"role": each.role, "content": each.content} for each in chat_messages("?")]
        turn = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": each} for each in calls]}
        try:
            tools, template = openai_tools(self.chat.tools), self._encoder.template
            prompt, whole = template.apply(chat, True, tools), template.apply([*chat, turn], False, tools)
        except (TemplateError, TypeError):
            return False
        written = parse(as_action(whole.removeprefix(prompt)))
        return not isinstance(written, InvalidSelfEdit) and written == parse(json.dumps(calls))
