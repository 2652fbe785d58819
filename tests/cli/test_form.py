"""A form that is derived from the schemas of the tools: what is typed, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from seal_env.cli.form import SelfEditForm, read_value
from seal_env.domains.arc import ARC
from seal_env.domains.knowledge import KNOWLEDGE
from seal_env.types import ToolCall

CLEAR, BACK = "\x15", "\x7f"
FINETUNE = {"name": "finetune", "arguments": {}}
Typed = Callable[..., Any]


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe:
        yield pipe


@pytest.fixture
def typed(keys: PipeInput) -> Typed:
    """What a form makes of keys, and the lines that it printed."""

    def fill_in(text: str, tools: Sequence[Any] = ARC.tools, problems: Sequence[str] = ()) -> tuple[Any, list[str]]:
        said, found = list[str](), iter(problems)
        keys.send_text(text)
        form = SelfEditForm(tools, said.append, PromptSession(input=keys, output=DummyOutput()))
        return json.loads(form.fill_in(lambda: said.append("THE TASK"), lambda _: next(found, ""))), said

    return fill_in


def test_fields_begin_with_the_examples_of_the_schema(typed: Typed) -> None:
    calls, _ = typed("augment\n\n\n\n\ntraining\n\n\n\ntrain\n")
    assert [call["name"] for call in calls] == ["augment", "training", "finetune"]
    assert list(calls[0]["arguments"].values()) == [True, False, True, False]
    assert calls[1]["arguments"]["learning_rate"] == 0.0001


def test_what_the_form_says_fits_the_terminal_and_switches_are_asked_for_as_yes_or_no(typed: Typed) -> None:
    _, said = typed("augment\n\n\n\n\ntrain\n")
    assert max(len(line) for text in said for line in text.splitlines()) <= 80
    assert " ".join(" ".join(said).split()).count("(yes or no)") == 4
    assert said[0].splitlines()[1].startswith(" " * 17 + "demonstration is left out")


def test_what_is_not_legal_is_asked_again_and_stays_in_the_line(typed: Typed) -> None:
    calls, _ = typed(f"training\n\n{CLEAR}5{'0' * 3}\n{BACK * 4}0.5\n{CLEAR}200\n{BACK}\ntrain\n")
    assert calls[0]["arguments"] == {"strategy": "train_using_output_tokens", "learning_rate": 0.5, "num_train_epochs": 20}


def test_an_unknown_command_is_asked_again(typed: Typed) -> None:
    assert typed("trai\nn\n")[0] == [FINETUNE]


def test_what_cannot_be_trained_is_told_and_no_call_is_lost(typed: Typed) -> None:
    calls, said = typed("augment\n\n\n\n\ntrain\nshow\ntrain\n", problems=["over the budget"])
    assert [call["name"] for call in calls] == ["augment", "finetune"]
    assert any("over the budget" in line for line in said)
    assert "THE TASK" in said


def test_the_last_call_can_be_undone(typed: Typed) -> None:
    assert typed("undo\naugment\n\n\n\n\nundo\ntrain\n")[0] == [FINETUNE]


def test_a_whole_self_edit_may_be_pasted(typed: Typed) -> None:
    given = [{"name": "training", "arguments": {"strategy": "train_using_all_tokens"}}, FINETUNE]
    assert typed(f"{json.dumps(given)}\n")[0] == given


def test_lists_of_objects_are_asked_item_by_item(typed: Typed) -> None:
    calls, _ = typed(f"self_qa\nWho?\nAda\n{CLEAR}yes\nWhere?\nRome\n\ntrain\n", KNOWLEDGE.tools)
    pairs = [{"question": "Who?", "answer": "Ada"}, {"question": "Where?", "answer": "Rome"}]
    assert calls == [{"name": "self_qa", "arguments": {"pairs": pairs}}, FINETUNE]


@pytest.mark.parametrize(
    ("keys_typed", "error"),
    [("\x04", EOFError), ("\x03", KeyboardInterrupt), ("leave\n", EOFError), ("training\n\n\x03", KeyboardInterrupt)],
)
def test_control_c_and_control_d_leave_the_form(typed: Typed, keys_typed: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        typed(keys_typed)


VALUES: list[tuple[str, dict[str, Any], Any]] = [
    ("Yes", {"type": "boolean"}, True),
    ("3.0", {"type": "integer"}, 3),
    ("1e-3", {"type": "number"}, 0.001),
    ("5", {"type": "string"}, "5"),
    ("null", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None),
    ("all", {"enum": ["all", 1]}, "all"),
    ('["a"]', {"type": "array", "items": {"type": "string"}, "uniqueItems": True}, ["a"]),
]


@pytest.mark.parametrize(("text", "schema", "value"), VALUES)
def test_a_line_is_read_by_its_schema(text: str, schema: dict[str, Any], value: Any) -> None:
    assert read_value(text, schema) == value


@pytest.mark.parametrize(("text", "schema"), [("x", {"type": "integer"}), ("", {"type": "string", "minLength": 1})])
def test_a_line_that_is_not_legal_names_what_is(text: str, schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected a (whole number|text of at least 1)"):
        read_value(text, schema)


def test_what_is_checked_is_the_whole_self_edit(keys: PipeInput) -> None:
    seen: list[Sequence[ToolCall]] = []
    keys.send_text("train\n")
    form = SelfEditForm(ARC.tools, lambda _: None, PromptSession(input=keys, output=DummyOutput()))

    def problem_of(calls: Sequence[ToolCall]) -> str:
        seen.append(calls)
        return ""

    form.fill_in(lambda: None, problem_of)
    assert [[call.name for call in calls] for calls in seen] == [["finetune"]]


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", "[NaN]"])
def test_what_is_no_number_in_json_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not legal"):
        read_value(written, {"type": "number", "exclusiveMinimum": 0, "maximum": 1})
