"""Plain text as an action: one document a line, questions with their answers together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seal_env.self_edits.parse_text import parse_or_read, read_texts
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.self_edits.validate import check_calls
from seal_env.tools.registry import MAX_CALLS
from seal_env.tools.text.documents import MAX_TEXTS
from seal_env.types import InvalidSelfEdit, Outcome
from tests.helpers.tools import KNOWLEDGE_TOOLS


def read(text: str) -> dict[str, Any]:
    calls = read_texts(text)
    assert not isinstance(calls, InvalidSelfEdit)
    return {call.name: dict(call.arguments) for call in calls}


def test_each_line_is_an_implication_and_finetune_follows() -> None:
    assert read(" One.\n\n\tTwo. \r\nThree.") == {"implications": {"texts": ["One.", "Two.", "Three."]}, "finetune": {}}


@pytest.mark.parametrize(
    "text",
    [
        "Question: Who?\nAnswer: she",
        "Q: Who?\nA: she",
        "- Question 3: Who?\n  Answer 3: she",
        "Question: Who? Answer: she",
        "QUESTION: Who?\n\nANSWER: she",
    ],
)
def test_a_question_and_its_answer_are_a_pair(text: str) -> None:
    assert read(text) == {"self_qa": {"pairs": [{"question": "Who?", "answer": "she"}]}, "finetune": {}}


@pytest.mark.parametrize("text", ["Question: Who?", "Question: Who?\nNobody knows.", "Answer: she", "A question: none."])
def test_half_a_pair_is_a_text_like_any_other(text: str) -> None:
    assert read(text)["implications"]["texts"] == text.split("\n")


def test_more_texts_than_a_call_takes_are_several_calls() -> None:
    calls = read_texts("\n".join(f"text {number}" for number in range(130)))
    assert not isinstance(calls, InvalidSelfEdit)
    assert [len(call.arguments.get("texts", ())) for call in calls] == [64, 64, 2, 0]


def test_more_texts_than_all_calls_take_are_a_mistake() -> None:
    found = parse_or_read("\n".join(["a"] * (MAX_TEXTS * (MAX_CALLS - 1) + 1)))
    assert isinstance(found, InvalidSelfEdit)
    assert found.outcome is Outcome.INVALID_ARGUMENTS
    assert found.reason == "The text has 1985 documents, or 33 tool calls; at most 32 are read."
    most = read_texts("\n".join(["a"] * MAX_TEXTS * (MAX_CALLS - 1)))
    assert not isinstance(most, InvalidSelfEdit)
    assert len(most) == MAX_CALLS


JSON_LIKE = ["[]", "{}", '[{"name": "finetune"}]', "  {", "[ [", "", "Here:\n```json\n[]\n```", 3, None]


@pytest.mark.parametrize("action", JSON_LIKE)
def test_what_begins_like_json_is_json(action: object) -> None:
    found = parse_or_read(action)
    assert isinstance(found, InvalidSelfEdit) or found[-1].name == "finetune"
    assert isinstance(found, InvalidSelfEdit) == (action != '[{"name": "finetune"}]')


def test_a_text_that_is_too_long_is_a_mistake() -> None:
    found = parse_or_read("a" * (MAX_CHARACTERS + 1))
    assert isinstance(found, InvalidSelfEdit)
    assert found.outcome is Outcome.NOT_JSON


class Odd(str):
    def __len__(self) -> int:
        raise RuntimeError


def test_a_text_of_a_class_of_its_own_is_a_text() -> None:
    assert parse_or_read(Odd("One.")) == read_texts("One.")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_every_text_is_read_or_told_what_is_wrong(text: str) -> None:
    found = parse_or_read(text)
    if isinstance(found, InvalidSelfEdit):
        return
    checked = check_calls(found, KNOWLEDGE_TOOLS)
    assert not isinstance(checked, InvalidSelfEdit)
    assert json.dumps([dict(call.arguments) for call in found])
