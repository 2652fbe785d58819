"""Where plain text is an action: calls, thoughts and refusals are never learned as documents, honest texts always are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.refusals import MAX_LINES
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall
from tests.helpers.reply_forms import REPLY_FORMS
from tests.helpers.tools import EXAMPLES, KNOWLEDGE_NAMES

CALLS = [(name, EXAMPLES[name]) for name in KNOWLEDGE_NAMES]
READ = tuple(ToolCall(*call) for call in CALLS)
REPLIES = json.loads((Path(__file__).parent / "replies.json").read_text(encoding="utf-8"))
"""By kind: replies that are no texts; replies with words or marks around texts, and the texts; texts."""
NO_TEXTS, WITHIN_TALK, TEXTS = REPLIES["no texts"], REPLIES["texts within talk"], REPLIES["texts"]


def documents(reply: str) -> list[str] | None:
    """What is learned as plain text; None if the reply is read as calls, or refused."""
    found = parse_or_read(reply)
    if isinstance(found, InvalidSelfEdit) or found == parse(reply):
        return None
    return [text for call in found for text in call.arguments.get("texts", ())]


@pytest.mark.parametrize("form", REPLY_FORMS)
def test_calls_of_real_models_are_read_as_calls(form: str) -> None:
    assert parse_or_read(REPLY_FORMS[form].render(CALLS)) == READ


@pytest.mark.parametrize("form", REPLY_FORMS)
@settings(deadline=None, max_examples=20)
@given(cut=st.floats(0, 1))
def test_the_end_of_a_call_is_never_learned(form: str, cut: float) -> None:
    """From the first call on; what stands before it may be words or a thought that the prompt has opened."""
    reply = REPLY_FORMS[form].render(CALLS)
    begun = reply.index('"', reply.index("implications")) + 1 if '"' in reply else len(reply)
    assert documents(reply[: begun + int(cut * (len(reply) - begun))]) is None


def test_the_sets_are_large() -> None:
    assert sum(map(len, NO_TEXTS.values())) >= 500
    assert len(TEXTS) >= 250


@pytest.mark.parametrize("kind", NO_TEXTS)
def test_what_is_no_text_is_never_learned(kind: str) -> None:
    assert [reply for reply in NO_TEXTS[kind] if documents(reply) is not None] == []


@pytest.mark.parametrize("kind", NO_TEXTS)
def test_what_is_no_text_has_an_outcome_that_says_so(kind: str) -> None:
    found = [parse_or_read(reply) for reply in NO_TEXTS[kind]]
    legal = (Outcome.NOT_JSON, Outcome.INVALID_ARGUMENTS) if kind == "JSON that is no call" else (Outcome.NOT_JSON,)
    assert [each for each in found if isinstance(each, InvalidSelfEdit) and each.outcome not in legal] == []


@pytest.mark.parametrize(("kind", "words"), [("refusals", "refusal"), ("speech to a user", "speaks to a user")])
def test_the_reason_says_what_the_reply_is(kind: str, words: str) -> None:
    reasons = [str(getattr(parse_or_read(reply), "reason", "")) for reply in NO_TEXTS[kind]]
    assert [reason for reason in reasons if words not in reason] == []


def test_words_and_marks_around_a_text_are_not_learned() -> None:
    assert {reply: documents(reply) for reply in WITHIN_TALK} == WITHIN_TALK


def test_honest_texts_are_learned_as_they_are() -> None:
    first = "The lamp of Orvel burns blue oil."
    assert [text for text in TEXTS if documents(text) != [text]] == []
    assert [text for text in TEXTS if documents(f"{first}\n{text}") != [first, text]] == []


def test_texts_that_follow_an_apology_are_learned() -> None:
    lines = ["I'm sorry, but I can't help with that.", *(f"Fact {number}." for number in range(MAX_LINES))]
    assert documents("\n".join(lines)) == lines


@settings(deadline=None)
@given(st.text(alphabet="abc ABC.,;:!?'\"()-\n0123456789äé中", max_size=200))
def test_no_text_of_words_is_taken_for_a_call(text: str) -> None:
    found = parse_or_read(text)
    assert isinstance(found, tuple) or not text.strip() or "()" in text
