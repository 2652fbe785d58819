"""Actions: every accepted form gives the same calls, and everything else gives an outcome."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seal_env.self_edits.compile import apply_calls
from seal_env.self_edits.parse_calls import MAX_REASON, parse
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS, MAX_DEPTH, MAX_NUMBER_CHARACTERS, MAX_VALUES, loads, plain
from seal_env.tools.base import Draft, EditContext
from seal_env.tools.registry import MAX_CALLS
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, EXAMPLES

CALLS = tuple(ToolCall(name, EXAMPLES[name]) for name in ARC_NAMES)
LIST = [{"name": name, "arguments": EXAMPLES[name]} for name in ARC_NAMES]
OBJECT_CALLS = [{"id": "1", "type": "function", "function": call} for call in LIST]
TEXT_CALLS = [
    {"id": "1", "type": "function", "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}}
    for call in LIST
]
RESPONSES = [
    {"type": "reasoning", "summary": []},
    *({"type": "function_call", "call_id": "1", "name": c["name"], "arguments": json.dumps(c["arguments"])} for c in LIST),
    {"type": "message", "content": [{"type": "output_text", "text": "Done."}]},
]
FORMS: dict[str, Any] = {
    "list": LIST,
    "tool_calls, objects": OBJECT_CALLS,
    "tool_calls, texts": TEXT_CALLS,
    "responses": RESPONSES,
    "message": {"role": "assistant", "content": None, "refusal": None, "tool_calls": TEXT_CALLS},
    "message without a role": {"tool_calls": OBJECT_CALLS},
    "message with text": {"role": "assistant", "content": json.dumps(LIST), "tool_calls": None},
    "paper": {"data_generation": EXAMPLES["augment"], "training": EXAMPLES["training"]},
    "tuple": tuple(LIST),
    "ordered": [OrderedDict(call) for call in LIST],
}


def rejected(action: object) -> InvalidSelfEdit:
    calls = parse(action)
    assert isinstance(calls, InvalidSelfEdit), calls
    assert len(calls.reason) <= MAX_REASON
    assert calls.reason.isprintable()
    return calls


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_calls(form: str) -> None:
    assert parse(json.dumps(FORMS[form])) == CALLS
    assert parse(FORMS[form]) == CALLS


@pytest.mark.parametrize("call", [LIST[1], OBJECT_CALLS[1], TEXT_CALLS[1], RESPONSES[2]])
def test_one_call_needs_no_list(call: dict[str, Any]) -> None:
    assert parse(json.dumps(call)) == parse(call) == CALLS[1:2]


@pytest.mark.parametrize(
    "arguments", ['"arguments": null', '"arguments": {}', '"arguments": ""', '"arguments": "{}"', '"id": "1"']
)
def test_no_arguments_can_be_written_in_several_ways(arguments: str) -> None:
    assert parse(f'{{"name": "finetune", {arguments}}}') == (ToolCall("finetune", {}),)


@pytest.mark.parametrize(
    "text",
    ["\n {} \t", "```json\n{}\n```", "```\n{}```", "I choose this.\n\n```JSON\n{}\n```\nIt is a good choice."],
)
def test_white_space_and_one_fenced_block_are_read(text: str) -> None:
    assert parse(text.replace("{}", json.dumps(LIST))) == CALLS


def test_numpy_texts_are_texts() -> None:
    assert parse(np.array([json.dumps(LIST)])[0]) == CALLS


def test_a_parsed_action_is_copied() -> None:
    action = {"name": "training", "arguments": {"learning_rate": 0.1}}
    calls = parse(action)
    assert isinstance(calls, tuple)
    assert calls[0].arguments is not action["arguments"]


@pytest.mark.parametrize(
    ("action", "hint"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("Use all augmentations.", 'begins with "Use all'),
        ('Sure! [{"name": "finetune"}]', "begins with"),
        ('[{"name": "finetune"}] I hope so.', "Extra data"),
        ("```json\n[]\n```\n```json\n[]\n```", "more than one fenced"),
        ("```python\n[]\n```", "begins with"),
        ("[1,", "line 1 column"),
        ("[{'name': 'finetune'}]", "double quotes"),
        ('[{"name": "finetune",}]', "line 1"),
        ("[NaN]", "NaN is not"),
        ("[-Infinity]", "-Infinity is not"),
        ("[1e999]", "too large"),
        ("[" + "9" * 5000 + "]", "5000 digits"),
        ("[0." + "1" * 5000 + "]", "5002 digits"),
        ('{"name": "a", "name": "b"}', '"name" appears twice'),
        ('["\\ud800"]', "surrogate"),
        ('["\ud800"]', "surrogate"),
        ("[\0]", "Expecting value"),
        ('["\0"]', "control character"),
        ("\ufeff[]", "no tool call in it"),
        ('[{"name"\uff1a "finetune"}]', "Expecting ':'"),
        ("[{\u201cname\u201d: 1}]", "double quotes"),
        ("[\uff11]", "Expecting value"),
        ("[\u00a01]", "Expecting value"),
        ("[" * 10_000, "levels deep"),
        ("[" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS}"),
    ],
)
def test_text_that_is_not_json_says_why(action: str, hint: str) -> None:
    edit = rejected(action)
    assert edit.outcome is Outcome.NOT_JSON
    assert hint in edit.reason


@pytest.mark.parametrize(
    "action",
    [None, 3, 0.5, True, b"[]", bytearray(b"[]"), np.zeros(3), np.array("[]"), np.int64(1), object(), int, {1, 2}, range(2)],
)
def test_what_is_no_text_is_not_json(action: object) -> None:
    assert rejected(action).outcome is Outcome.NOT_JSON


@pytest.mark.parametrize(
    "action",
    [
        {1: 2},
        {"name": float("nan")},
        [float("inf")],
        [10**100],
        [{"name": "\ud800"}],
        [b""],
        [np.float32(1)],
        [{"a": object()}],
        ["x" * (MAX_CHARACTERS + 1)],
        [0] * (MAX_VALUES + 1),
    ],
)
def test_objects_that_json_cannot_write_are_not_json(action: object) -> None:
    assert rejected(action).reason.startswith("The answer is not JSON: ")


def test_an_object_inside_itself_is_not_json() -> None:
    action: list[Any] = []
    action.append(action)
    assert "levels deep" in rejected(action).reason


@pytest.mark.parametrize(
    "action",
    [
        "[]",
        "{}",
        "[1]",
        "[null]",
        "[[]]",
        '["finetune"]',
        '{"name": 3}',
        '{"name": null, "arguments": {}}',
        '{"name": "finetune", "parameters": {}, "arguments": {}}',
        '{"name": "finetune", "tool": "finetune"}',
        '{"type": "function", "function": {"name": "finetune", "description": "", "parameters": {}}}',
        '{"foo": 1}',
        '{"function": 3}',
        '{"function": {"arguments": {}}}',
        '{"role": "user", "content": "[]"}',
        '{"role": "assistant", "content": null}',
        '{"role": "assistant", "content": "I pass."}',
        '{"role": "assistant", "content": {"name": "finetune"}}',
        '{"tool_calls": {"name": "finetune"}}',
        '{"tool_calls": []}',
        '[{"type": "reasoning"}]',
        '{"data_generation": {}}',
        '{"data_generation": {}, "training": {}, "name": "x"}',
    ],
)
def test_json_that_is_no_tool_call_is_refused(action: str) -> None:
    assert rejected(action).outcome is Outcome.NOT_JSON


@pytest.mark.parametrize(
    "arguments", ["3", "[]", '"[]"', '"{"', '"nonsense"', "true", '"{\\"a\\": NaN}"', '"{\\"a\\": 1, \\"a\\": 2}"']
)
def test_arguments_that_are_no_object_are_invalid(arguments: str) -> None:
    edit = rejected(f'{{"name": "augment", "arguments": {arguments}}}')
    assert edit.outcome is Outcome.INVALID_ARGUMENTS
    assert '"augment"' in edit.reason


def test_the_papers_form_with_a_list_is_invalid() -> None:
    edit = rejected({"data_generation": [], "training": {}})
    assert (edit.outcome, "data_generation" in edit.reason) == (Outcome.INVALID_ARGUMENTS, True)


def test_the_number_of_calls_is_limited() -> None:
    assert rejected([LIST[2]] * (MAX_CALLS + 1)).outcome is Outcome.INVALID_ARGUMENTS
    assert len(parse([LIST[2]] * MAX_CALLS)) == MAX_CALLS  # type: ignore[arg-type]


def test_the_limits_are_where_they_are_said_to_be() -> None:
    at_limit = "[" * MAX_DEPTH + "9" * MAX_NUMBER_CHARACTERS + "]" * MAX_DEPTH
    assert plain(loads(at_limit)) == loads(at_limit)
    with pytest.raises(ValueError, match="levels deep"):
        loads(f"[{at_limit}]")
    assert loads(" " * (MAX_CHARACTERS - 2) + "{}") == {}


def test_brackets_inside_texts_are_not_nesting() -> None:
    text = json.dumps(['"' + "[" * 100 + '\\"{' + "\\"])
    assert loads(text) == json.loads(text)


def test_escaped_characters_beyond_the_basic_plane_are_kept() -> None:
    assert loads('["\\ud83d\\ude00 \\\\ud800"]') == ["😀 \\ud800"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "name",
        "arguments",
        "type",
        "function",
        "tool_calls",
        "role",
        "content",
        "data_generation",
        "training",
        "learning_rate",
    ]
)
WORDS = st.sampled_from([*ARC_NAMES, "assistant", "function_call", "reasoning", "{}", "[]", '{"name": "finetune"}', ""])
CALL_LIKE = st.recursive(
    WORDS | st.none() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def compile_anything(action: object) -> None:
    calls = parse(action)
    edit = (
        calls if isinstance(calls, InvalidSelfEdit) else apply_calls(Draft(), calls, EditContext((), 0, None), ARC_TOOLS[1:])
    )
    assert isinstance(edit, InvalidSelfEdit | Draft)
    if isinstance(edit, InvalidSelfEdit):
        assert 0 < len(edit.reason) <= MAX_REASON
        edit.reason.encode()


@settings(max_examples=300)
@given(st.text() | st.text(alphabet='[]{}":,\\`n0e-tu \n'))
def test_no_text_raises(text: str) -> None:
    compile_anything(text)


@settings(max_examples=300)
@given(JSON_VALUES | CALL_LIKE)
def test_no_json_raises(value: object) -> None:
    compile_anything(value)
    compile_anything(json.dumps(value))
    compile_anything(f"```json\n{json.dumps(value, ensure_ascii=False)}\n```")


@settings(max_examples=200)
@given(JSON_VALUES)
def test_strict_reading_agrees_with_the_parser_of_python(value: object) -> None:
    text = json.dumps(value)
    try:
        read = loads(text)
    except ValueError:
        return
    assert read == json.loads(text)
