"""Time grows in proportion to the length of what an agent or a model wrote, whatever it is."""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import seal_env
from seal_env.agents.lm.chat import as_action
from seal_env.domains.knowledge import KNOWLEDGE
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.self_edits.parse_text import parse_or_read, read_texts
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.tasks.arc.grid import GridFormat
from tests.helpers.reply_forms import REPLY_FORMS

TIMES_LONGER = 4
MOST_GROWTH = 8.0
"""Between 4, the growth of linear time, and 16, that of quadratic time."""
NOISE = 0.01
"""Seconds that a measurement may be off."""
ATTEMPTS = 5
"""Times that growth is measured while it looks too large; caches shared with other processes may double one of two times."""


def seconds(call: Callable[[], object]) -> float:
    """Of the process's own time, the better of two."""
    took = []
    for _ in range(2):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return min(took)


def assert_linear(read: Callable[[str], object], text_of: Callable[[int], str], length: int) -> None:
    short, long, took = text_of(length // TIMES_LONGER), text_of(length), list[tuple[float, float]]()
    while not took or (took[-1][1] > MOST_GROWTH * took[-1][0] + NOISE and len(took) < ATTEMPTS):
        took.append((seconds(lambda: read(short)), seconds(lambda: read(long))))
    assert took[-1][1] <= MOST_GROWTH * took[-1][0] + NOISE, took


def repeated(begin: str, unit: str, end: str) -> Callable[[int], str]:
    return lambda length: f"{begin}{unit * ((length - len(begin) - len(end)) // len(unit))}{end}"


MARKS = (
    *("[TOOL_CALLS]", "[TOOL_CALLS]a[ARGS]", "<|python_tag|>", "<function=a>", "<parameter=a>", "functions.a:0{", "<invoke"),
    *('invoke name="', 'parameter name="a">', 'call tool="', 'call tool="a" b="c" ', 'argument key="', "<|channel|>to=a"),
    *("<|tool_calls_section_begin|>", "<arg_key>", "<tool_call>a<arg_key>", "Action: a\n", "[CALL_ID]", "I'm sorry, "),
)
WORST = {
    "question and spaces": repeated("Q:", " ", "x"),
    "question and tabs": repeated("Q:", "\t", "x"),
    "question and spaces before the colon": repeated("Question", " ", "x"),
    "question and dots": repeated("Q", ".", "x"),
    "question and answers without a colon": repeated("Q: ", "answer ", "x"),
    "question and answers with spaces": repeated("Q: ", "answer      ", "x"),
    "question and answers": repeated("Q: a", " answer: ", ""),
    "answer and spaces": repeated("Question: a\nA", " ", "x"),
    "dots": repeated("", ".", "x"),
    "spaces": repeated("", " ", "x"),
    "digits": repeated("", "1", "x"),
    "zeros after a letter": repeated("a", "0", "!"),
    "letters": repeated("", "a", "!"),
    "capitals": repeated("", "X", "!"),
    "abbreviations": repeated("", "a.", "!"),
    "commas": repeated("", "a, ", "!"),
    "decimals": repeated("", "1,000.", "x"),
    "lines": repeated("", "a\n", ""),
    "questions": repeated("", "Q: a\n", ""),
    "empty lines": repeated("", "\n", "x"),
    "brackets": repeated("", "[", "x"),
    "parentheses": repeated("", "(a ", ")"),
    "objects": repeated("", "{", "x"),
    "quotes": repeated("", '"', "x"),
    "escapes": repeated('"', "\\", "x"),
    "escaped quotes": repeated('["', '\\"', ""),
    "fences": repeated("", "```", "x"),
    "cells": repeated("", "0 ", "x"),
    "rows": repeated("", "a 0\n", "x"),
    "tags": repeated("", "<tool_call>{", "x"),
    "open tags": repeated("", "<tool_call>", "x"),
    "thoughts": repeated("", "<think>", "x"),
    "ends of thoughts": repeated("", "</think>", "x"),
    "thoughts that end": repeated("", "<think></think>", "x"),
    "python calls": repeated("[", "a(b=", ")]"),
    "python brackets": repeated("[a(b=", "[", ")]"),
    "names": repeated("", "a.", "("),
    **{mark: repeated("", mark, "x") for mark in MARKS},
    **{f"{mark} once": repeated(mark, "{ ", "x") for mark in MARKS},
}
"""By kind, texts that make some regular expression try many ways to divide them."""


def patterns() -> Iterator[tuple[str, Any]]:
    """The regular expressions by which agents' and models' texts are read; graders have tests of their own."""
    root = Path(seal_env.__file__).parent
    for room in ("self_edits", "tools", "tasks/arc", "tasks/pairs"):
        for path in sorted((root / room).rglob("*.py")):
            if "import re\n" in path.read_text():
                module = importlib.import_module(".".join(("seal_env", *path.relative_to(root).with_suffix("").parts)))
                for name, value in vars(module).items():
                    if isinstance(value, re.Pattern):
                        yield f"{module.__name__}.{name}", value
    for name in ("plain", "lettered"):
        yield f"grid pattern, {name}", re.compile(GridFormat(name).pattern)


@pytest.mark.parametrize("pattern", [pytest.param(pattern, id=name) for name, pattern in patterns()])
def test_a_regular_expression_is_linear(pattern: re.Pattern[str]) -> None:
    for text_of in WORST.values():
        for read in (pattern.fullmatch, pattern.match):
            assert_linear(read, text_of, 8_000)


@pytest.mark.parametrize("kind", WORST)
def test_an_action_is_checked_in_linear_time(kind: str) -> None:
    assert_linear(ActionSpec(KNOWLEDGE.tools, plain_text=True).contains, WORST[kind], MAX_CHARACTERS)


@pytest.mark.parametrize("kind", WORST)
def test_a_policy_s_answer_becomes_an_action_in_linear_time(kind: str) -> None:
    assert_linear(as_action, WORST[kind], MAX_CHARACTERS)


@pytest.mark.parametrize("kind", ["questions", "question and spaces", "question and dots", "lines", "answer and spaces"])
def test_plain_text_is_read_in_linear_time(kind: str) -> None:
    assert_linear(read_texts, WORST[kind], 100_000)


@pytest.mark.parametrize("form", REPLY_FORMS)
def test_a_reply_full_of_calls_or_of_their_marks_is_read_in_linear_time(form: str) -> None:
    reply = REPLY_FORMS[form].render([("augment", {"texts": ["a"]}), ("finetune", {})])
    for unit in (reply, reply[: reply.index("augment")] or reply, reply[reply.index("finetune") :]):
        assert_linear(parse_or_read, repeated("", unit, ""), 24_000)
        assert_linear(parse_or_read, repeated("", f"{unit}{{", ""), 24_000)


@pytest.mark.parametrize("kind", ["cells", "rows", "digits", "spaces", "lines"])
@pytest.mark.parametrize("grid_format", ["plain", "lettered"])
def test_a_grid_is_read_in_linear_time(grid_format: str, kind: str) -> None:
    assert_linear(GridFormat(grid_format).read, WORST[kind], 100_000)


@pytest.mark.parametrize("item", [[], {}, "a", 1, {"pairs": 1}, {"question": "a", "answer": "b"}])
def test_a_list_that_is_too_long_is_refused_before_its_items_are_checked(item: object) -> None:
    def action(items: int) -> str:
        return json.dumps([{"name": "self_qa", "arguments": {"pairs": [item] * items}}])

    spec = ActionSpec(KNOWLEDGE.tools)
    assert_linear(spec.contains, lambda length: action(length // (len(json.dumps(item)) + 2) - 30), MAX_CHARACTERS)
    assert seconds(lambda: spec.contains(action(1000))) < 10 * seconds(lambda: spec.contains(action(64))) + NOISE
