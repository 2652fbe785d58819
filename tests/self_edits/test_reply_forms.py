"""Replies of real models: every form in which a family writes tool calls is read, and no call is lost silently."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seal_env.self_edits.parse_calls import parse
from seal_env.types import InvalidSelfEdit, Outcome, ToolCall
from tests.helpers.reply_forms import DEEPSEEK, HERMES, REPLY_FORMS, Calls, deepseek_v31
from tests.helpers.tools import ARC_NAMES, EXAMPLES, KNOWLEDGE_NAMES

FEW: Calls = [("augment", {"flips": True}), ("training", {"strategy": "all", "learning_rate": 0.1}), ("finetune", {})]


def tool_calls(calls: Calls) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(name, arguments) for name, arguments in calls)


def refused(reply: str) -> str:
    found = parse(reply)
    assert isinstance(found, InvalidSelfEdit), found
    assert found.outcome is Outcome.NOT_JSON
    return found.reason


@pytest.mark.parametrize("names", [ARC_NAMES, KNOWLEDGE_NAMES], ids=["arc", "knowledge"])
@pytest.mark.parametrize("form", REPLY_FORMS)
def test_a_form_is_read(form: str, names: list[str]) -> None:
    calls = [(name, EXAMPLES[name]) for name in names]
    assert parse(REPLY_FORMS[form].render(calls)) == tool_calls(calls)


def test_there_are_forms_enough() -> None:
    assert len(REPLY_FORMS) >= 48
    assert len({form.render(FEW) for form in REPLY_FORMS.values()}) == len(REPLY_FORMS)


# Letters, what JSON and Python escape, brackets, quotes, white space, the tags of XML, other scripts: no marks of thoughts.
TEXTS = st.text(alphabet="ab {}[]()<>/=:,;'\"\\\n\t|`#%é中😀\u00a0", max_size=12)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("augment"), st.fixed_dictionaries({"flips": st.booleans(), "chains": st.booleans()})),
        st.tuples(
            st.just("training"),
            st.fixed_dictionaries(
                {
                    "strategy": st.sampled_from(["train_using_all_tokens", "train_using_output_tokens"]),
                    "learning_rate": st.floats(1e-6, 1),
                    "num_train_epochs": st.integers(0, 20),
                }
            ),
        ),
        st.tuples(st.just("implications"), st.fixed_dictionaries({"texts": st.lists(TEXTS, max_size=3)})),
        st.tuples(
            st.just("self_qa"),
            st.fixed_dictionaries(
                {"pairs": st.lists(st.fixed_dictionaries({"question": TEXTS, "answer": TEXTS}), max_size=2)}
            ),
        ),
        st.tuples(st.just("finetune"), st.just({})),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("form", REPLY_FORMS)
@settings(max_examples=12)
@given(calls=CALLS)
def test_what_is_rendered_is_read_or_refused_but_never_read_as_something_else(form: str, calls: Calls) -> None:
    found = parse(REPLY_FORMS[form].render(calls))
    assert found == tool_calls(calls) or (isinstance(found, InvalidSelfEdit) and marks_are_in_the_texts(form, calls))


def marks_are_in_the_texts(form: str, calls: Calls) -> bool:
    """Whether a text has what ends a value or a block in this form, so that even its own family cannot read it."""
    return "```" in str(calls) and ("fence" in form or form in ("Command R", "Gemma 3"))


@pytest.mark.parametrize("form", REPLY_FORMS)
def test_a_reply_that_is_cut_off_is_refused_or_ends_after_a_call(form: str) -> None:
    """The second can only be where a form has no mark for the end of all calls."""
    reply, whole = REPLY_FORMS[form].render(FEW), tool_calls(FEW)
    shorter = [found for end in range(len(reply)) if isinstance(found := parse(reply[:end]), tuple) and found != whole]
    assert all(found == whole[: len(found)] for found in shorter)
    assert not (shorter and REPLY_FORMS[form].ends)


LOST = {
    "an unclosed thought": '<think>I could call <tool_call>{"name": "finetune"}</tool_call>',
    "a call within a thought": '<think>[{"name": "finetune"}]</think>',
    "a native call within a thought": "<think><tool_call>finetune</tool_call></think>\nI am done.",
    "a call within a thought that the prompt opened": '{"name": "finetune"}\n</think>',
    "calls before a thought that is cut off": '<tool_call>{"name": "finetune"}</tool_call><think>And now',
    "a second call that is no JSON": '<tool_call>{"name": "augment"}</tool_call>\n<tool_call>{"name": finetune}</tool_call>',
    "a second call without its mark": '<tool_call>{"name": "augment"}</tool_call>\n{"name": "finetune"}',
    "a call behind JSON": '{"name": "augment"}\n<tool_call>{"name": "finetune"}</tool_call>',
    "a call behind a list": '[{"name": "augment"}]\n[{"name": "finetune"}]',
    "a call in Python behind words": '<tool_call>{"name": "augment"}</tool_call> Then finetune().',
    "a call beside a fenced block": '```json\n[{"name": "augment"}]\n```\n<tool_call>{"name": "finetune"}</tool_call>',
    "JSON beside a fenced block": '```json\n[{"name": "augment"}]\n```\n{"name": "finetune"}',
    "a call in the text of a message": (
        '{"role": "assistant", "content": "<tool_call>{}</tool_call>", "tool_calls": [{"name": "finetune"}]}'
    ),
    "a call that is opened twice": '<tool_call><tool_call>{"name": "finetune"}</tool_call>',
    "a call that is closed twice": '<tool_call>{"name": "finetune"}</tool_call></tool_call>',
    "the end of a section that is missing": DEEPSEEK + deepseek_v31("finetune", {}),
    "a call without its section": deepseek_v31("finetune", {}),
    "a value that is closed too early": "<function=self_qa><parameter=pairs>[</parameter>]</parameter></function>",
    "an argument that is given twice": "<function=a><parameter=b>1</parameter><parameter=b>2</parameter></function>",
    "a call in another call": "[augment(flips=finetune())]",
    "an operator": "[training(learning_rate=1-1)]",
    "a name as a value": "[augment(flips=yes)]",
    "an argument without a name": "[augment(True)]",
    "code": '[__import__("os").system("true")]',
    "channels without their marks": "analysisWhich?assistantcommentary to=functions.finetune json{}",
    "two recipients": "<|channel|>commentary to=functions.a to=functions.b<|message|>{}<|call|>",
    "a form that is not read": ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="finetune">',
    "marks alone": "<tool_call>",
    "an argument that is not closed": "<tool_call>a<arg_key>b<arg_value>1</arg_value></tool_call>",
    "a value that goes on to the next call": (
        "<function=a><parameter=b>1/parameter></function><function=c><parameter=b>1</parameter></function>"
    ),
    "a thought that goes on to the next thought": f"<think>a {HERMES(FEW)} <think>b</think> {HERMES(FEW[1:])}",
    "a name alone": "functions.finetune",
    "a call in Python in words beside a fenced block": '```json\n[{"name": "augment"}]\n```\nThen `finetune()`.',
    "ReAct in lower case": "Action: augment\nAction Input: {}\n\naction: finetune\naction input: none.",
    "a call around a call": '{"name": "augment", "function": {"name": "finetune", "arguments": {}}}',
    "two calls in one": '{"function": {"name": "augment", "arguments": {}}, "functionCall": {"name": "finetune"}}',
    "arguments around a call": '{"function": {"name": "augment", "arguments": {}}, "arguments": {"flips": true}}',
    "two objects of arguments": '{"function": {"name": "augment", "arguments": {}, "parameters": {"flips": true}}}',
    "a call in an item of text": '[{"type": "text", "text": "{\\"name\\": \\"finetune\\"}"}, {"name": "augment"}]',
    "a call that says it is text": '[{"type": "output_text", "name": "finetune", "arguments": {}}, {"name": "augment"}]',
    "a call in an item's parts": (
        '[{"type": "message", "content": [{"type": "tool_use", "name": "finetune", "input": {}}]}, {"name": "augment"}]'
    ),
    "calls old and new": '{"tool_calls": [{"name": "augment"}], "function_call": {"name": "finetune", "arguments": "{}"}}',
    "a message with a call in its parts": (
        '{"tool_calls": [{"name": "augment"}], "content": [{"type": "tool_use", "name": "finetune", "input": {}}]}'
    ),
    "a message that is a call too": '{"tool_calls": [{"name": "augment"}], "name": "finetune", "arguments": {}}',
    "a message with the paper's calls": '{"data_generation": {}, "training": {}, "tool_calls": [{"name": "finetune"}]}',
}


@pytest.mark.parametrize("reply", LOST.values(), ids=LOST)
def test_a_reply_in_which_a_call_may_be_lost_is_refused(reply: str) -> None:
    assert refused(reply)


THOUGHTS = ("<think>{}</think>", "{}</think>", "<think></think>", "<THINK>{}</THINK>", "<thinking>{}</thinking>")


@pytest.mark.parametrize("thought", THOUGHTS)
def test_a_thought_is_no_part_of_the_answer(thought: str) -> None:
    draft = thought.replace("{}", '[{"name": "augment"}, {"name": "finetune"}]? ')
    assert parse(f'{draft}\n\n[{{"name": "finetune"}}]') == (ToolCall("finetune", {}),)


def test_marks_within_texts_are_texts() -> None:
    text = '<think>a</think> <tool_call>{"name": "b"}</tool_call> ```'
    calls = [("implications", {"texts": [text]}), ("finetune", {})]
    for form in ("list", "Hermes, Qwen", "Kimi K2", "Mistral v3", "Llama 4, pythonic", "LFM2", "end token"):
        assert parse(REPLY_FORMS[form].render(calls)) == tool_calls(calls)


def test_thoughts_between_calls_are_passed_over() -> None:
    reply = f"{HERMES(FEW[:1])}\n<think>And then?</think>\n{HERMES(FEW[1:])}"
    assert parse(reply) == tool_calls(FEW)


@pytest.mark.parametrize(
    ("value", "read"),
    [("true", True), ("True", True), ("3", 3), ("1e-3", 1e-3), ("3.1.2", "3.1.2"), ("null", None), ("a b", "a b"), ("", "")],
)
def test_values_in_tags_are_typed_by_what_they_are(value: str, read: Any) -> None:
    reply = f"<tool_call>\n<function=a>\n<parameter=b>\n{value}\n</parameter>\n</function>\n</tool_call>"
    assert parse(reply) == (ToolCall("a", {"b": read}),)


def test_escapes_of_python_are_read() -> None:
    reply = r"""[implications(texts=['it\'s \u00e9\x41\n', "say \"so\"", 'a\\b'])]"""
    assert parse(reply) == (ToolCall("implications", {"texts": ["it's éA\n", 'say "so"', "a\\b"]}),)


@pytest.mark.parametrize("form", REPLY_FORMS)
@settings(max_examples=25)
@given(place=st.floats(0, 1, exclude_max=True), character=st.sampled_from(["", " ", "\n", "<", '"', "x"]))
def test_a_character_that_is_wrong_costs_no_call(form: str, place: float, character: str) -> None:
    """A typing error makes a reply unreadable or changes what a call says; it never hides a call."""
    reply = REPLY_FORMS[form].render(FEW)
    index = int(place * len(reply))
    found = parse(reply[:index] + character + reply[index + 1 :])
    assert isinstance(found, InvalidSelfEdit) or len(found) == len(FEW)
