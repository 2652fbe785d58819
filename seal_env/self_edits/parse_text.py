"""Plain text as an action: what a model wrote about a source text, one document a line as in the paper, becomes tool calls.

A line that begins with "Question:" and the line after it, if it begins with "Answer:", are one document. Everything else
becomes an implication, as it is; a line that is too long for one document becomes several, divided at white space, and a
line of punctuation alone is no document. A line DIVIDER stands between two texts, each with words to the user of its own.
The text closes the self-edit: it ends with finetune. Documents and calls are limited as in JSON.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from seal_env.self_edits.calls_in_words import sign_of_no_text
from seal_env.self_edits.parse_calls import CALL_FORM, has_fence, holds_a_call, invalid, parse
from seal_env.self_edits.refusals import is_refusal
from seal_env.self_edits.talk import without_talk
from seal_env.self_edits.untrusted_json import check_length, check_unicode, shown
from seal_env.thoughts import UnreadableError, after_thoughts
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.registry import MAX_CALLS
from seal_env.tools.text.documents import MAX_CHARACTERS, MAX_TEXTS
from seal_env.tools.text.implications import IMPLICATIONS
from seal_env.tools.text.self_qa import SELF_QA
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall

_ItemT = TypeVar("_ItemT")

DIVIDER: Final = "---"
"""The line between two texts that are one self-edit."""

# No quantifier here can give back what it took, so that a match takes time in proportion to the line.
QUESTION = re.compile(r"\W*+(?:question|q)\s*+[0-9]{0,3}+\s*+[:.]\W*+(?P<text>.*+)", re.IGNORECASE)
ANSWER = re.compile(r"\W*+(?:answer|a)\s*+[0-9]{0,3}+\s*+[:.]\s*+(?P<text>.*+)", re.IGNORECASE)
ANSWER_WITHIN = re.compile(r"(?<=\s)answer\s*+[0-9]{0,3}+\s*+:", re.IGNORECASE)

JSON_BEGINS = re.compile(r"\s*+(\{|\[\s*+[\[{\]]|\[\s*+\"[^\"\\\n]*+(?:\\.[^\"\\\n]*+)*+\"\s*+[,\]]|\Z)")


def parse_or_read(action: object) -> tuple[ToolCall, ...] | InvalidSelfEdit:
    """Read an action, where plain text is one too. Never raises.

    Plain text is what neither begins like JSON nor has a fenced block, the mark of a tool call or of a thought, or something
    that begins like a call: such a text is read as calls, or it is a mistake. Thoughts before a plain text and words to the
    user around it are no part of it. A refusal, see `is_refusal`, and a reply of nothing but such words are mistakes too.

    Args:
        action: a text, or what `parse` reads.

    Returns:
        At least one tool call, or what is wrong.
    """
    text = plain_text(str.__str__(action)) if isinstance(action, str) else None
    if text is None:
        return parse(action)
    return text if isinstance(text, InvalidSelfEdit) else read_texts(text)


def plain_text(action: str) -> str | InvalidSelfEdit | None:
    """What is to be learned of an action, see `parse_or_read`; what is wrong with it; None for what is read as calls."""
    if JSON_BEGINS.match(action) or has_fence(action):
        return None
    try:
        check_length(action)
        check_unicode(action)
    except ValueError as error:
        return invalid(Outcome.NOT_JSON, f"The answer is not plain text: {error}.")
    try:
        text = after_thoughts(action)
    except UnreadableError:
        return None
    if JSON_BEGINS.match(text) or holds_a_call(text):
        return None
    sign = sign_of_no_text(text)
    if sign:
        reason = f"The answer is neither plain text nor tool calls that can be read: {shown(sign, 60)}."
        return invalid(Outcome.NOT_JSON, f"{reason} Reply with {CALL_FORM}.")
    learned = f"\n{DIVIDER}\n".join(filter(None, map(without_talk, _divided(text))))
    if is_refusal(text) or is_refusal(learned):
        return invalid(Outcome.NOT_JSON, f"The answer is a refusal, not a text to learn: {text}")
    if not learned:
        return invalid(Outcome.NOT_JSON, f"The answer speaks to a user and has no text to learn: {text}")
    return learned


def _divided(text: str) -> Iterator[str]:
    """The texts between dividers."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() == DIVIDER:
            yield "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    yield "\n".join(lines)


def read_texts(text: str) -> tuple[ToolCall, ...] | InvalidSelfEdit:
    """Turn a text into calls of `implications` and `self_qa`, each with at most MAX_TEXTS items, and `finetune`.

    Args:
        text: documents, one a line; a line of more than MAX_CHARACTERS is divided into several.

    Returns:
        The calls; INVALID_ARGUMENTS if there are more than MAX_CALLS: texts and pairs are as many as in calls by hand.
    """
    texts: list[str] = []
    pairs: list[dict[str, str]] = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(map(str.isalnum, text)):
        lines = [line for line in lines if line == DIVIDER or any(map(str.isalnum, line))]
    index = 0
    while index < len(lines):
        if lines[index] == DIVIDER:
            index += 1
            continue
        pair, used = _question(lines[index], "".join(lines[index + 1 : index + 2]))
        index += used
        if pair and max(map(len, pair)) <= MAX_CHARACTERS:
            pairs.append({"question": pair[0], "answer": pair[1]})
        else:
            texts += [piece for line in lines[index - used : index] for piece in _pieces(line)]
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


def _question(line: str, following: str) -> tuple[tuple[str, str] | None, int]:
    """The question and the answer that a line holds or begins, and how many lines it takes; None for any other line."""
    question = QUESTION.fullmatch(line)
    if question is None:
        return None, 1
    within = deque(ANSWER_WITHIN.finditer(line, question.start("text")), maxlen=1)
    if within:
        return (line[question.start("text") : within[0].start()].rstrip(), line[within[0].end() :].lstrip()), 1
    answer = ANSWER.fullmatch(following)
    return ((question["text"], answer["text"]), 2) if answer else (None, 1)


def _pieces(line: str) -> Iterator[str]:
    """The line in parts of at most MAX_CHARACTERS, divided at the last space there or, without one, right there."""
    while len(line) > MAX_CHARACTERS:
        end = line.rfind(" ", 0, MAX_CHARACTERS + 1)
        yield line[: end if end > 0 else MAX_CHARACTERS].rstrip()
        line = line[end if end > 0 else MAX_CHARACTERS :].lstrip()
    yield line


def _in_calls(items: Sequence[_ItemT]) -> Iterator[Sequence[_ItemT]]:
    """The items, at most MAX_TEXTS at a time."""
    for start in range(0, len(items), MAX_TEXTS):
        yield items[start : start + MAX_TEXTS]
