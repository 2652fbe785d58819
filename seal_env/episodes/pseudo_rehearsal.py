"""Pseudo-rehearsal: of what it has learned, a model rehearses its own words (Robins 1995; LAMOL, arXiv 1909.03329)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import regex

from seal_env.self_edits.compile import FilteredExamples
from seal_env.types import Answer, Example, Message, Query
from seal_env.unspaced import UNSPACED

MAX_NEW_TOKENS: Final = 256
"""Most tokens that the model adds to the beginning of an example."""
_SPACE: Final = regex.compile(r"(?<=\S) (?=\S)")
_BETWEEN: Final = regex.compile(rf"(?<=[{UNSPACED}]\p{{M}}*)(?=(?!\p{{M}})[{UNSPACED}])")
"""Between two characters of scripts that put no spaces between words."""


def sampling_queries(learned: Sequence[Example]) -> tuple[Query, ...]:
    """What has the model complete what it was trained on.

    It is given the first half of a document's words, of its characters where words have no spaces between them, or a chat
    up to its answer.

    Args:
        learned: What the model was trained on.
    """
    return tuple(query for number, example in enumerate(learned) if (query := _query(str(number), example)) is not None)


def samples(
    queries: Sequence[Query], answers: Iterable[Answer], count_tokens: Callable[[Sequence[Example]], list[int]]
) -> FilteredExamples:
    """What the model made of it, each text once, with lengths in tokens; without what it answers nothing to.

    Args:
        queries: `sampling_queries`.
        answers: To them, by greedy decoding.
        count_tokens: The inner loop's.
    """
    made = [
        _example(query, answer.text) for query, answer in zip(queries, answers, strict=True) if (answer.text or "").strip()
    ]
    examples = tuple(dict.fromkeys(made))
    return FilteredExamples(examples, tuple(count_tokens(examples)) if examples else ())


def _query(query_id: str, example: Example) -> Query | None:
    """The question for the rest of an example; None for a document of one word, of which there is no half."""
    if example.document is None:
        return Query(query_id, example.messages[:-1], example.messages[-1].content, None, MAX_NEW_TOKENS)
    cuts = [*_SPACE.finditer(example.document)] or [*_BETWEEN.finditer(example.document)]
    if not cuts:
        return None
    cut = cuts[(len(cuts) - 1) // 2]
    return Query(query_id, (), example.document[cut.end() :], None, MAX_NEW_TOKENS, example.document[: cut.start()])


def _example(query: Query, text: str | None) -> Example:
    if query.prompt is None:
        return Example((*query.messages, Message("assistant", text or "")))
    space = "" if _BETWEEN.match(query.prompt + query.answer, len(query.prompt)) else " "
    return Example(document=f"{query.prompt}{space}{text}")
