"""Texts as an action: what a model wrote about a passage, one document a line, as in the paper, becomes tool calls.

A line that begins with "Question:" and the line after it, if it begins with "Answer:", are one document. Everything else
becomes an implication, as it is. The text closes the self-edit: it ends with finetune.
"""

from __future__ import annotations

import re

from seal_env.self_edits.parse_calls import FENCE, invalid, parse
from seal_env.self_edits.untrusted_json import check_length
from seal_env.tools.text.documents import MAX_TEXTS
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

QUESTION = re.compile(r"\W*(?:question|q)\s*[0-9]{0,3}\s*[:.]\W*(?P<text>.*)", re.IGNORECASE)
ANSWER = re.compile(r"\W*(?:answer|a)\s*[0-9]{0,3}\s*[:.]\s*(?P<text>.*)", re.IGNORECASE)
BOTH = re.compile(rf"{QUESTION.pattern}\s+answer\s*[0-9]{{0,3}}\s*:\s*(?P<answer>.*)", re.IGNORECASE)

JSON_BEGINS = re.compile(r"\s*(\{|\[\s*[\[{\]]|\Z)")


def parse_or_read(action: object) -> tuple[ToolCall, ...] | InvalidSelfEdit:
    """`parse`, where plain text is an action too: whatever neither begins like JSON nor has a fenced block. Never raises."""
    if not isinstance(action, str) or JSON_BEGINS.match(action) or FENCE in action:
        return parse(action)
    try:
        check_length(action)
    except ValueError as error:
        return invalid(Outcome.NOT_JSON, f"The answer is too long for texts: {error}.")
    return read_texts(str.__str__(action))


def read_texts(text: str) -> tuple[ToolCall, ...]:
    """The calls for a text: `implications` and `self_qa`, each with at most MAX_TEXTS texts, then `finetune`."""
    texts: list[str] = []
    pairs: list[dict[str, str]] = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    while lines:
        line = lines.pop(0)
        asked, both = QUESTION.fullmatch(line), BOTH.fullmatch(line)
        answer = ANSWER.fullmatch(lines[0]) if lines and asked else None
        if both:
            pairs.append({"question": both["text"], "answer": both["answer"]})
        elif asked and answer:
            lines.pop(0)
            pairs.append({"question": asked["text"], "answer": answer["text"]})
        else:
            texts.append(line)
    calls = [
        ToolCall("implications", {"texts": texts[start : start + MAX_TEXTS]}) for start in range(0, len(texts), MAX_TEXTS)
    ]
    calls += [ToolCall("self_qa", {"pairs": pairs[start : start + MAX_TEXTS]}) for start in range(0, len(pairs), MAX_TEXTS)]
    return (*calls, ToolCall("finetune", {}))
