"""What a chat template is given beside the messages: the date that it may write, and arguments of its own. No torch here."""

from __future__ import annotations

import datetime
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

TAKEN: Final = (
    *("conversation", "messages", "tools", "documents", "chat_template", "add_generation_prompt", "continue_final_message"),
    *("tokenize", "padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
    *("tokenizer_kwargs", "self", "strftime_now", "raise_exception"),
)
"""Names that transformers gives a chat template, or takes for itself."""

DATE: Final = "2024-07-26"
"""The date that the templates of Llama 3 write where they know none."""


def is_date(text: str) -> bool:
    """Whether a text is a date, as YYYY-MM-DD."""
    with suppress(ValueError):
        return datetime.date.fromisoformat(text).isoformat() == text
    return False


def is_argument(name: str) -> bool:
    """Whether a chat template may have an argument of its own with this name."""
    return name.isascii() and name.isidentifier() and name not in TAKEN


@dataclass(frozen=True)
class TemplateArguments:
    """Everything that decides what a chat template writes beside the messages.

    Attributes:
        date: Today's date for the template, as YYYY-MM-DD.
        values: The template's own arguments, as a JSON object: `{"enable_thinking": false}`.
    """

    date: str = DATE
    values: str = "{}"

    @property
    def by_name(self) -> dict[str, Any]:
        """The template's own arguments."""
        return dict(json.loads(self.values))

    @property
    def today(self) -> datetime.date:
        """The date."""
        return datetime.date.fromisoformat(self.date)


DEFAULT: Final = TemplateArguments()
"""What a template is given where nothing is said."""
