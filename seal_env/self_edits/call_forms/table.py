"""The table of forms, and the reading of a text in which calls stand in any of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from seal_env.self_edits.call_forms import json_calls, python_calls, tag_calls
from seal_env.self_edits.call_forms.cursor import Call, Cursor, check_words, either_bar
from seal_env.thoughts import ANSWER, ANSWER_MARKS, THOUGHT, end_of_thought

Read = Callable[[Cursor], list[Call]]
"""Reads from behind the mark with which a form begins to the end of what it began."""


class CallForm(NamedTuple):
    """A form of tool calls. families: models that write it. begins: pattern of its mark. read: see Read."""

    families: str
    begins: str
    read: Read


def _json(families: str, begin: str, end: str) -> CallForm:
    return CallForm(families, re.escape(begin), partial(json_calls.block, end=end))


def _open_json(families: str, begin: str, end: str) -> CallForm:
    return CallForm(families, re.escape(begin), partial(json_calls.open_block, begin=begin, end=end))


def _invokes(families: str, begin: str) -> CallForm:
    return CallForm(families, re.escape(begin), partial(tag_calls.invokes, end=f"</{begin[1:]}"))


def _python_or_json(end: str) -> Read:
    def read(cursor: Cursor) -> list[Call]:
        cursor.skip_space()
        if cursor.at("<"):
            return tag_calls.invokes(cursor, end)
        return (json_calls.block if cursor.match(_JSON_NEXT) else python_calls.block)(cursor, end)

    return read


def _python_tag(cursor: Cursor) -> list[Call]:
    return (json_calls.to_the_end if cursor.match(_JSON_NEXT) else python_calls.to_the_end)(cursor)


def _function(cursor: Cursor) -> list[Call]:
    calls = tag_calls.function(cursor)
    cursor.take("</tool_call>")  # Qwen3-Coder leaves out the mark that begins it
    return calls


def _by_namespace(cursor: Cursor) -> list[Call]:
    if cursor.match(_PYTHON_NEXT):
        return python_calls.expression(cursor)
    return json_calls.named(cursor)


def _unread(cursor: Cursor) -> list[Call]:
    raise cursor.error("tool calls in this form are not supported")


_JSON_NEXT = re.compile(r"(?=\s*+(?:\{|\[\s*+\{))")
_PYTHON_NEXT = re.compile(r"(?=\[?+\s*+[A-Za-z_][\w.]*+\()")
_NAMED_NEXT = re.compile(r"(?=[A-Za-z_][\w.\-]*+(?::[0-9]++)?+\s*+\{)")

FORMS: Final = (
    CallForm(
        "Hermes, Qwen, Granite 4, EXAONE 4, ERNIE; Qwen3-Coder, Nemotron 3; GLM 4.5", "<tool_call>", tag_calls.tool_call
    ),
    CallForm("Qwen3-Coder; Llama 3.1, Functionary 3.1", "<function=", _function),
    CallForm("Seed-OSS", "<seed:tool_call>", partial(tag_calls.functions, end="</seed:tool_call>")),
    _json("Jamba, Hunyuan, MiniMax-M1", "<tool_calls>", "</tool_calls>"),
    _json("Qwen2.5-Coder", "<tools>", "</tools>"),
    _json("Llama-Nemotron", "<TOOLCALL>", "</TOOLCALL>"),
    _open_json("Granite 20B", "<function_call>", "</function_call>"),
    _open_json("Glaive", "<functioncall>", "</functioncall>"),
    _open_json("Granite 3, Phi-4-mini", "<|tool_call|>", "<|/tool_call|>"),
    _json("InternLM2", "<|action_start|><|plugin|>", "<|action_end|>"),
    _json("InternLM2", "<|action_start|> <|plugin|>", "<|action_end|>"),
    _json("Command R7B, Command A", "<|START_ACTION|>", "<|END_ACTION|>"),
    CallForm(
        "Inkling",
        r"(?:<\|message_model\|>)?+<\|content_invoke_tool_json\|>",
        partial(json_calls.open_block, begin="<|message_model|>", end="<|end_message|>"),
    ),
    CallForm("Phi-4-mini, Firefunction", r"functools(?=\s*+\[)", json_calls.one_list),
    CallForm("Mistral", r"\[TOOL_CALLS\]", json_calls.mistral),
    _json("LM Studio", "[TOOL_REQUEST]", "[END_TOOL_REQUEST]"),
    CallForm("Apertus", r"<\|tools_prefix\|>", partial(json_calls.by_name, end="<|tools_suffix|>")),
    CallForm("Llama 3.1 to 3.3", r"<\|python_tag\|>", _python_tag),
    CallForm("Llama 4", r"<\|python_start\|>", _python_or_json("<|python_end|>")),
    CallForm("Olmo 3; Claude", "<function_calls>", _python_or_json("</function_calls>")),
    CallForm("LFM2", r"<\|tool_call_start\|>", _python_or_json("<|tool_call_end|>")),
    _invokes("MiniMax-M2", "<minimax:tool_call>"),
    CallForm(
        "Muse Glimmer",
        r"(?:(?:<\|start\|>assistant\s*+)?+to=[\w.]++<\|message\|>\s*+)?+<atem:function_calls>",
        tag_calls.atem,
    ),
    *(_invokes("DeepSeek V3.2", mark) for mark in either_bar("<｜DSML｜function_calls>")),
    *(_invokes("DeepSeek V4", mark) for mark in either_bar("<｜DSML｜tool_calls>")),
    CallForm("Claude", r"<(?=(?:[a-z]++:)?+invoke name=)", tag_calls.invoke),
    CallForm("Step3", r"<[|｜]tool_calls_begin[|｜]>", tag_calls.step3),
    CallForm("DeepSeek V3, R1, V3.1", r"<[|｜]tool▁calls▁begin[|｜]>", json_calls.deepseek),
    CallForm("Kimi K2", r"<\|tool_calls_section_begin\|>", json_calls.kimi_k2),
    CallForm("Kimi K3", r"<\|open\|>tools<\|sep\|>", tag_calls.kimi_k3),
    CallForm(
        "FunctionGemma",
        "<start_function_call>",
        partial(tag_calls.gemma, quote="<escape>", end="<end_function_call>"),
    ),
    CallForm("Gemma 4", r"<\|tool_call>", partial(tag_calls.gemma, quote='<|"|>', end="<tool_call|>")),
    CallForm("gpt-oss", r"<\|start\|>assistant|(?=<\|channel\|>)|\b(?=to=functions\.)", json_calls.harmony),
    CallForm("Functionary 3.2", r">>>(?=all\n|[A-Za-z_][\w.]*+\n)", json_calls.functionary),
    CallForm("Functionary 2", r"(?:<\|from\|>assistant\s*+)?+<\|recipient\|>", json_calls.functionary_v2),
    CallForm("ReAct", r"Action:\s*+(?=[A-Za-z_][\w.]*+\s*+Action Input:)", json_calls.react),
    CallForm("Qwen-Agent", "✿FUNCTION✿:", json_calls.qwen_agent),
    CallForm("names of a namespace", r"functions\.(?=[A-Za-z_]\w*+(?::[0-9]++)?+\s*+[({])", _by_namespace),
    CallForm(
        "calls without the mark before them, and forms not read",
        r"<\|tool_call_begin\|>|<[|｜]tool▁call▁begin[|｜]>|<\|interpreter\|>|\]<\]minimax\[>\[|<tool_calls:|assistant(?:commentary|final)",
        _unread,
    ),
)
"""Every form that begins with a mark, by which it is known wherever it stands in a text."""

_ENDS_OF_SENTENCES = (".", "!", "?", ":", ")", '"', "*", "…", "。", "！", "？")
"""How words after the last call end, if nothing is missing."""

_MARKS = "|".join(
    [f"(?P<thought>{THOUGHT.pattern})", f"(?P<answer>{ANSWER.pattern})"]
    + [f"(?P<form{index}>{form.begins})" for index, form in enumerate(FORMS)]
)
_BEGINS = re.compile(rf"(?=<[a-zA-Z|｜]|Here is|\[T|\]<|>>>[A-Za-z]|✿F|◁think|to=|func|Action:|assistant)(?:{_MARKS})")
"""Every mark. The lookahead changes nothing but the time: few places of a text can be the beginning of one."""
_READ = {f"form{index}": form.read for index, form in enumerate(FORMS)}


def first_mark(text: str) -> int | None:
    """Index of the first mark of a form, or of a thought; None if there is none."""
    found = _BEGINS.search(text)
    return found.start() if found else None


def begins_with_call(text: str) -> bool:
    """Whether a text begins with a call that has no mark: in Python, or a name and an object."""
    return bool(_PYTHON_NEXT.match(text) or _NAMED_NEXT.match(text))


def read_calls(text: str) -> list[Call] | None:
    """The calls in a text, in any of the forms, with words and thoughts between them.

    Without a mark they are read where the text is nothing but calls in Python, or begins with a name and its arguments.

    Args:
        text: an answer, see `after_thoughts`.

    Returns:
        The calls; None if the text neither has a mark nor begins with a call.

    Raises:
        UnreadableError: if a call cannot be read, or something beside them may be one.
    """
    cursor, calls = Cursor(text), list[Call]()
    if cursor.match(_PYTHON_NEXT):
        calls += python_calls.to_the_end(cursor)
    while cursor.match(_NAMED_NEXT):
        calls += json_calls.named(cursor)
        cursor.skip_space()
    known = bool(calls)
    while found := _BEGINS.search(text, cursor.position):
        _check_between(text[cursor.position : found.start()])
        known, cursor.position = True, found.end()
        if found.lastgroup == "thought":
            cursor.position = end_of_thought(text, THOUGHT.match(text, found.start()) or found)
        elif found.lastgroup != "answer":
            calls += _READ[str(found.lastgroup)](cursor)
    if not known:
        return None
    _check_between(text[cursor.position :])
    if not cursor.at_end and not text.endswith(_ENDS_OF_SENTENCES):
        raise cursor.error("a call or thought is incomplete")
    if not calls:
        raise cursor.error("it has the marker of a tool call, but no call")
    return calls


def _check_between(text: str) -> None:
    check_words(ANSWER_MARKS.sub("", text))
