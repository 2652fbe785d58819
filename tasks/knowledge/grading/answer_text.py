"""The first answer in what a model wrote."""

from __future__ import annotations

import re
from typing import Final

_EXCHANGE: Final = re.compile(
    r"\n\s*(?:(?:q|question|a|answer|passage|context|topic|title|user|human|assistant|system|explanation|cot)\s*:"
    r"|you are an?\b)|<\|",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"\s*(?:q|question|a|answer)\s*:\s*", re.IGNORECASE)
_SPACES: Final = re.compile(r"[^\S\n]+")


def first_answer(text: str, question: str) -> str:
    """The first answer in what a model wrote.

    A base model may repeat the question before it answers, or continue with questions of its own; neither is an answer.
    """
    text, asked = (_SPACES.sub(" ", each).strip() for each in (text, question))
    for _ in range(2):  # a label may stand before the repeated question, and after it
        text = _LABEL.sub("", text, count=1) if _LABEL.match(text) else text
        if asked and text.lower().startswith(asked.lower()):
            text = text[len(asked) :].lstrip()
    return _EXCHANGE.split(text, maxsplit=1)[0].strip()
