"""Plain text as an action: what a model wrote about a source text, one document a line as in the paper, becomes tool calls.

A line that begins with "Question:" and the line after it, if it begins with "Answer:", are one document. Everything else
becomes an implication, as it is. The text closes the self-edit: it ends with finetune.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from seal_env.self_edits.parse_calls import FENCE, invalid, parse
from seal_env.self_edits.untrusted_json import check_length
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.registry import MAX_CALLS
from seal_env.tools.text.documents import MAX_TEXTS
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.self_qa import SELF_QA
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

_ItemT = TypeVar("_ItemT")

QUESTION = re.compile(r"\W*(?:question|q)\s*[0-9]{0,3}\s*[:.]\W*(?P<text>.*)", re.IGNORECASE)
ANSWER = re.compile(r"\W*(?:answer|a)\s*[0-9]{0,3}\s*[:.]\s*(?P<text>.*)", re.IGNORECASE)
BOTH = re.compile(rf"{QUESTION.pattern}\s+answer\s*[0-9]{{0,3}}\s*:\s*(?P<answer>.*)", re.IGNORECASE)

JSON_BEGINS = re.compile(r"\s*(\{|\[\s*[\[{\]]|\Z)")


def parse_or_read(action: object) -> tuple[ToolCall, ...] | InvalidSelfEdit:
    """Read an action, where plain text is one too: whatever neither begins like JSON nor has a fenced block. Never raises.

    Args:
        action: a text, or what `parse` reads.

    Returns:
        At least one tool call, or what is wrong.
    """
    if not isinstance(action, str) or JSON_BEGINS.match(action) or FENCE in action:
        return parse(action)
    try:
        check_length(action)
    except ValueError as error:
        return invalid(Outcome.NOT_JSON, f"The answer is too long for plain text: {error}.")
    return read_texts(str.__str__(action))


def read_texts(text: str) -> tuple[ToolCall, ...] | InvalidSelfEdit:
    """Turn a text into calls of `implications` and `self_qa`, each with at most MAX_TEXTS items, and `finetune`.

    Args:
        text: documents, one a line.

    Returns:
        The calls; INVALID_ARGUMENTS if there are more than MAX_CALLS.
    """
    texts: list[str] = []
    pairs: list[dict[str, str]] = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    while lines:
        line = lines.pop(0)
        question, both = QUESTION.fullmatch(line), BOTH.fullmatch(line)
        answer = ANSWER.fullmatch(lines[0]) if lines and question else None
        if both:
            pairs.append({"question": both["text"], "answer": both["answer"]})
        elif question and answer:
            lines.pop(0)
            pairs.append({"question": question["text"], "answer": answer["text"]})
        else:
            texts.append(line)
    calls = [
        *(ToolCall(IMPLICATIONS.name, {"texts": some}) for some in _in_calls(texts)),
        *(ToolCall(SELF_QA.name, {"pairs": some}) for some in _in_calls(pairs)),
        ToolCall(FINETUNE.name, {}),
    ]
    if len(calls) > MAX_CALLS:
        reason = (
            f"The text has {len(texts) + len(pairs)} documents, or {len(calls)} tool calls; at most {MAX_CALLS} are read."
        )
        return invalid(Outcome.INVALID_ARGUMENTS, reason)
    return tuple(calls)


def _in_calls(items: Sequence[_ItemT]) -> Iterator[Sequence[_ItemT]]:
    """The items, at most MAX_TEXTS at a time."""
    for start in range(0, len(items), MAX_TEXTS):
        yield items[start : start + MAX_TEXTS]
