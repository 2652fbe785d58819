"""What an action may cost before anything is trained: each kind of work is done once, and limits hold in every form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seal_env.domains.arc import ARC
from seal_env.domains.pairs import TOOLS as PAIRS_TOOLS
from seal_env.self_edits.compile import apply_calls
from seal_env.self_edits.parse_text import parse_or_read, read_texts
from seal_env.self_edits.validate import check_calls
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.loader import load_taskset
from seal_env.tasks.pairs.domain import PairsDomain
from seal_env.tasks.pairs.task import Pair
from seal_env.tools.base import Draft, EditContext
from seal_env.tools.registry import MAX_CALLS
from seal_env.tools.text.documents import MAX_CHARACTERS
from seal_env.types import InvalidSelfEdit, ToolCall
from tests.helpers.tools import KNOWLEDGE_TOOLS

SWITCHES = [f"use_{kind}_augmentations" for kind in ("basic", "size", "chain", "repeat")]


class CountingDomain(ArcDomain):
    """Counts how often examples are made."""

    made = 0

    def build_candidates(self, segment: Any, **options: Any) -> Any:
        type(self).made += 1
        return super().build_candidates(segment, **options)


def test_of_many_calls_that_replace_one_another_only_the_last_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountingDomain, "made", 0)
    task = next(iter(load_taskset("mini-train:1")))
    context, on = EditContext(task.context, 0, CountingDomain()), dict.fromkeys(SWITCHES, True)
    calls = [*[ToolCall("augment", on)] * (MAX_CALLS - 2), ToolCall("augment", on | {SWITCHES[0]: False})]
    draft = apply_calls(Draft(), calls, context, ARC.tools)
    assert CountingDomain.made == 1
    assert draft == apply_calls(Draft(), calls[-1:], context, ARC.tools)


def test_a_document_that_is_made_again_is_not_added_again() -> None:
    examples = tuple(Pair(f"in {number}", f"out {number}") for number in range(3))
    context = EditContext(examples, 0, PairsDomain(lambda task, answers: []))
    once, often = (
        apply_calls(Draft(), [ToolCall("augment", {"num_orders": 8})] * count, context, PAIRS_TOOLS) for count in (1, 9)
    )
    assert once == often


def documents(text: str) -> list[Any]:
    calls = read_texts(text)
    assert not isinstance(calls, InvalidSelfEdit)
    assert not isinstance(check_calls(calls, KNOWLEDGE_TOOLS), InvalidSelfEdit)
    return [item for call in calls for item in (*call.arguments.get("texts", ()), *call.arguments.get("pairs", ()))]


def test_a_line_too_long_for_a_document_becomes_several_and_nothing_is_lost() -> None:
    line = " ".join(f"word{number}" for number in range(2000))
    made = documents(f"Before.\n{line}\nAfter.")
    assert (made[0], made[-1]) == ("Before.", "After.")
    assert " ".join(made[1:-1]) == line
    assert max(map(len, made)) <= MAX_CHARACTERS


def test_a_line_without_spaces_is_divided_too() -> None:
    assert documents("x" * (2 * MAX_CHARACTERS + 1)) == ["x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS, "x"]


@pytest.mark.parametrize("text", ["Question: {long}?\nAnswer: yes", "Question: Who?\nAnswer: {long}", "Q: {long} Answer: a"])
def test_a_pair_too_long_for_a_document_is_text_like_any_other(text: str) -> None:
    made = documents(text.format(long="word " * MAX_CHARACTERS))
    assert all(isinstance(each, str) and len(each) <= MAX_CHARACTERS for each in made)


def test_half_a_character_is_refused_in_plain_text_as_in_json() -> None:
    for action in ("One.\ud800", json.dumps([{"name": "implications", "arguments": {"texts": ["One.\ud800"]}}])):
        found = parse_or_read(action)
        assert isinstance(found, InvalidSelfEdit)
        assert "half of a surrogate pair" in found.reason


def test_what_replaces_is_declared_by_the_tools_whose_descriptions_say_so() -> None:
    for tool in (*ARC.tools, *KNOWLEDGE_TOOLS, *PAIRS_TOOLS):
        assert tool.replaces == ("A later call replaces" in tool.description)
