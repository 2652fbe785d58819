"""The chat template of a tokenizer, with a fixed date and with arguments of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final

import jinja2
from jinja2 import meta
from transformers import PreTrainedTokenizerBase

from seal_env.errors import SettingError
from seal_env.inner_loop.tokens.arguments import TemplateArguments

CLOCK: Final = "strftime_now"
"""The function by which templates ask for today's date."""
FIXED_CLOCK: Final = (
    "{%- macro strftime_now(format) -%}{%- set text = namespace(value=format) -%}"
    "{%- for code, value in CODES.items() -%}{%- set text.value = text.value.replace(code, value) -%}{%- endfor -%}"
    "{{- text.value -}}{%- endmacro %}\n"
)
"""In front of a template it takes the place of that function, with a date's own CODES: transformers passes no functions."""
CODES: Final = tuple(f"%{sign}{letter}" for sign in ("", "-") for letter in "aAbBcdDeFGHIjmMpSTuUVwWxXyYZ")
GENERATION: Final = re.compile(r"\{%[-+]?\s*(end)?generation\s*[-+]?%\}")
"""Blocks of transformers' own, which are no part of Jinja."""
GIVEN: Final = frozenset(("messages", "tools", "documents", "add_generation_prompt", CLOCK, "raise_exception"))
"""Names in a template that are no arguments of its own."""


class ChatTemplate:
    """Applies a tokenizer's chat template.

    Args:
        tokenizer: With a template.
        name: Of the model, used in messages.
        arguments: The date and the template's own arguments.

    Raises:
        SettingError: For an argument that the template does not read.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str, arguments: TemplateArguments) -> None:
        self._tokenizer: Any = tokenizer
        self._values, self._today = arguments.by_name, arguments.today
        if self._values:
            known = sorted(self._arguments())
            for argument in self._values:
                if argument not in known:
                    legal = f"arguments that the chat template of {name!r} reads: {', '.join(known) or 'it has none'}"
                    raise SettingError("chat_template_kwargs", argument, legal)

    def _sources(self) -> list[str]:
        found = self._tokenizer.chat_template
        return list(found.values()) if isinstance(found, Mapping) else [found or ""]

    def _arguments(self) -> set[str]:
        """Names that the template reads and that are set neither by it nor by transformers."""
        environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])  # noqa: S701 (nothing is rendered)
        names: set[str] = set()
        for source in self._sources():
            try:
                names |= meta.find_undeclared_variables(environment.parse(GENERATION.sub("", source)))
            except jinja2.TemplateSyntaxError:  # said by transformers, when the template is applied
                continue
        return names - GIVEN - environment.globals.keys() - set(self._tokenizer.special_tokens_map)

    def apply(
        self, chat: Sequence[Mapping[str, Any]], generation_prompt: bool, tools: Sequence[Mapping[str, Any]] | None = None
    ) -> str:
        """The chat as text. Raises jinja2.TemplateError or TypeError where the template refuses it."""
        source = self._tokenizer.get_chat_template(None, tools)
        return str(
            self._tokenizer.apply_chat_template(
                list(chat),
                chat_template=with_fixed_date(source, self._today),
                tools=tools,
                tokenize=False,
                add_generation_prompt=generation_prompt,
                **self._values,
            )
        )


def with_fixed_date(source: str, today: date) -> str:
    """A template whose clock always says that it is this day."""
    if CLOCK not in source:
        return source
    known = {}
    for code in CODES:
        with suppress(ValueError):  # not on every machine
            known[code] = today.strftime(code)
    return FIXED_CLOCK.replace("CODES", json.dumps(known)) + source
