"""The chat with a language model that writes self-edits: the prompt as its tokens, and its answer as an action."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import TemplateError

from seal_env.agents.lm.policy_chat import PolicyChat, as_action
from seal_env.inner_loop.model.frozen_lm import FrozenLM
from seal_env.inner_loop.tokens.chat_template import ChatEncoder
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.prompt import chat_messages, example_action
from seal_env.tools.registry import openai_tools
from seal_env.types import InvalidSelfEdit, Query


class PolicyPrompt:
    """Words observations for one model.

    The prompt is that of a PolicyChat, system and user message, by the model's chat template. A template that has a place
    for tools gets them there too, but only if it writes tool calls in a form that `as_action` reads: one that teaches the
    model another form of call (Llama's "parameters", XML) would make it answer what no environment understands. The user
    message describes the tools in any case.
    """

    def __init__(self, base: FrozenLM, tools: bool = True, chat: PolicyChat | None = None) -> None:
        """tools: False keeps them out of the template, as where the model is trained on prompts without.

        chat: what is asked; None is for the tools of ARC. One that wants texts has no tools in the template either.
        """
        self.chat = chat or PolicyChat()
        self._tokenizer = base.tokenizer
        self._encoder = ChatEncoder(base.tokenizer, base.name)
        self.has_tools = tools and not self.chat.wants_texts and self._writes_calls()
        answered = self._encoder.encode_query(Query("", chat_messages("?"), "[]"))
        own = base.model.generation_config.eos_token_id
        also = own if isinstance(own, list) else [] if own is None else [own]
        known = (token for token in {*answered.stop_ids, *also} if token < len(base.tokenizer))
        self.stop_ids: tuple[int, ...] = tuple(sorted(known))
        """Tokens that end an answer: the template's end of turn, the tokenizer's and the model's end of text."""

    def encode(self, observation: str) -> tuple[int, ...]:
        """The tokens of the prompt, up to where the answer begins.

        Raises ModelError if the template fails, and ValueError for an observation without a task that texts could be about.
        """
        messages = self.chat.messages(observation)
        if self.has_tools:
            text = self._with_tools([{"role": each.role, "content": each.content} for each in messages], asking=True)
        else:
            text = self._encoder.render(messages, generation_prompt=True)
        return tuple(self._encoder.tokenize(text)[0])

    def _with_tools(self, chat: list[dict[str, Any]], asking: bool) -> str:
        tools = openai_tools(self.chat.tools)
        return str(self._tokenizer.apply_chat_template(chat, tools=tools, tokenize=False, add_generation_prompt=asking))

    def _writes_calls(self) -> bool:
        """True if a turn of tool calls, written by the template, is read back as these calls."""
        calls = json.loads(example_action(self.chat.tools))
        asked: list[dict[str, Any]] = [{"role": each.role, "content": each.content} for each in chat_messages("?")]
        turn = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": each} for each in calls]}
        try:
            prompt, chat = self._with_tools(asked, asking=True), self._with_tools([*asked, turn], asking=False)
        except (TemplateError, TypeError):
            return False
        written = parse(as_action(chat.removeprefix(prompt)))
        return not isinstance(written, InvalidSelfEdit) and written == parse(json.dumps(calls))
