"""What a model thinks before it answers, and the answer after it.

The one place that knows how thoughts are marked, for policies and judges. They end where their closing mark says so, or
the answer was cut off; a closing mark alone ends a thought that the prompt had opened. Within JSON with which a text begins
there are no marks, so that those in its strings stay there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u2060\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200C))
)
"""What may stand around JSON: Unicode's white space, and what looks like none (byte order mark, zero-width space)."""
SPACE = re.compile(rf"[{WHITE_SPACE}]*+")
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)

_PAIRS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<scratch_pad>": "</scratch_pad>",
    "<scratchpad>": "</scratchpad>",
    "<seed:think>": "</seed:think>",
    "<mm:think>": "</mm:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|open|>think<|sep|>": "<|close|>think<|sep|>",
    "<|channel>thought": "<channel|>",
    "to=self<|message|>": "<|eom|>",
    "<|channel|>analysis<|message|>": "<|end|>",
    "<|content_thinking|>": "<|end_message|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "Here is my thought process:": "Here is my response:",
}
"""Marks by family: most; Hermes; Seed-OSS; MiniMax; Magistral; Kimi-VL; Command A; Apertus; Kimi K3; Gemma 4; Muse Glimmer;
gpt-oss; Inkling; Sky-T1, OpenThinker; Granite 3.2."""
_ENDS_OTHERS_TOO = ("<|end|>", "<|end_message|>", "<|eom|>", "<channel|>", "Here is my response:")

_ANSWERS = {
    "<answer>": "</answer>",
    "<response>": "</response>",
    "<|START_RESPONSE|>": "<|END_RESPONSE|>",
    "<|START_TEXT|>": "<|END_TEXT|>",
    "<|open|>response<|sep|>": "<|close|>response<|sep|>",
    "<|content_text|>": "<|end_message|>",
    "<|begin_of_solution|>": "<|end_of_solution|>",
    "<|begin_of_box|>": "<|end_of_box|>",
    "to=user<|message|>": "<|eot|>",
    "<|channel|>final<|message|>": "<|return|>",
    "<|channel|>final <|constrain|>json<|message|>": "<|return|>",
}
_TURNS = ("<|start|>assistant", "<|message_model|>")
_HEADER = re.compile(
    r"<\|im_start\|>assistant(?:<\|im_sep\|>)?+|<\|(?:start_header_id|header_start)\|>assistant<\|(?:end_header_id|header_end)\|>"
    r"|(?:\[gMASK\]<sop>)?+<\|assistant\|>|<\|Assistant\|>|<｜Assistant｜>|(?:<bos>)?+<start_of_turn>model"
    r"|<\|START_OF_TURN_TOKEN\|><\|CHATBOT_TOKEN\|>|<\|start_of_role\|>assistant<\|end_of_role\|>"
    r"|<\|im_assistant\|>assistant<\|im_middle\|>"
)
"""What begins a turn of an assistant, where it is not part of a form of calls or thoughts."""
END_TOKENS = (
    *("<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>", "<|call|>"),
    *("</s>", "<eos>", "<end_of_turn>", "<turn|>", "<|eot|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "[EOS]"),
    *("<|user|>", "<|observation|>", "<|flush|>", "[e~[", "<|end_message|>", "<|content_model_end_sampling|>"),
    *("<|assistant_end|>", "<|endofturn|>", "<|endofresponse|>", "[|endofturn|]", "<seed:eos>", "<|im_middle|>"),
    *("<|tool_response>", "<|eom|>"),
)


class UnreadableError(ValueError):
    """A text of a model that cannot be read: a tool call, or what may hide one."""


def _any_of(marks: Iterable[str]) -> str:
    return "|".join(map(_pattern, sorted(marks, key=len, reverse=True)))


def _pattern(mark: str) -> str:
    """Tags of XML are written in upper case too; tokens of a vocabulary are not."""
    return f"(?i:{mark})" if _TAG.fullmatch(mark) else re.escape(mark)


_TAG = re.compile(r"</?[a-z_]+>")
THOUGHT = re.compile(rf"(?:(?:{_any_of(_TURNS)})[{WHITE_SPACE}]*+)?({_any_of(_PAIRS)})")
"""Where a thought begins; group 1 is the mark."""
_MARK = re.compile(f"(?P<begins>{_any_of(_PAIRS)})|{_any_of(set(_PAIRS.values()) - set(_ENDS_OTHERS_TOO))}")
_ENDS = {mark.lower(): re.compile(_pattern(end)) for mark, end in _PAIRS.items()}
_BEGINS_AGAIN = re.compile(_any_of((*_PAIRS, *_TURNS)))
ANSWER = re.compile(rf"(?:(?:{_any_of(_TURNS)})[{WHITE_SPACE}]*+)?(?:{_any_of(_ANSWERS)})")
ANSWER_MARKS = re.compile(_any_of((*_ANSWERS, *_ANSWERS.values())))
"""Marks around an answer, which are no part of it."""
_CLOSERS = (*END_TOKENS, *_ANSWERS.values())


def after_thoughts(reply: str) -> str:
    """The answer in a reply, without thoughts before it, marks around it, end tokens and white space.

    Args:
        reply: all that a model wrote.

    Raises:
        UnreadableError: if it ends within a thought.
    """
    reply = reply[: _end(reply)]
    header = _HEADER.match(reply, _past_space(reply, 0))
    before, position = -1, header.end() if header else 0
    while position > before:
        before, position = position, _past_thought(reply, position)
    answer = ANSWER.match(reply, position)
    return reply[answer.end() if answer else position :].strip(WHITE_SPACE)


def has_thought(text: str) -> bool:
    """Whether there is a mark of a thought anywhere."""
    return _MARK.search(text) is not None


def opened_thought(prompt: str) -> str:
    """The mark of the thought that a prompt opens at its end; empty if it opens none."""
    end = prompt.rstrip(WHITE_SPACE)
    return next((mark for mark in _PAIRS if end.endswith(mark)), "")


def end_of_thought(text: str, mark: re.Match[str]) -> int:
    """Index behind the thought that begins with a match of THOUGHT.

    Raises:
        UnreadableError: if it does not end, or if another one or a turn begins before its end: its own end is missing then,
            and what follows it may be calls.
    """
    found = _ENDS[mark[1].lower()].search(text, mark.end())
    if found is None:
        raise UnreadableError("it was cut off inside a thought")
    if _BEGINS_AGAIN.search(text, mark.end(), found.start()):
        raise UnreadableError("a thought begins inside another one")
    return found.end()


def _past_thought(text: str, position: int) -> int:
    position = _past_space(text, position)
    thought = THOUGHT.match(text, position)
    if thought:
        return end_of_thought(text, thought)
    mark = _MARK.search(text, _past_json(text, position))
    return mark.end() if mark and not mark["begins"] else position


def _past_space(text: str, position: int) -> int:
    found = SPACE.match(text, position)
    return found.end() if found else position


def _past_json(text: str, position: int) -> int:
    """Index behind the JSON that begins here; that of the end if it does not end; the same if there is none."""
    if not text.startswith(("[", "{"), position):
        return position
    end = end_of_json(text, position)
    return len(text) if end is None else end


def end_of_json(text: str, start: int) -> int | None:
    """Index behind the object or list that begins at `start`, by its brackets; None if they do not match."""
    depth = 0
    for found in _STRUCTURE.finditer(text, start):
        if found[0] in ("{", "["):
            depth += 1
        elif found[0] in ("}", "]"):
            depth -= 1
        elif found[0] == '"':
            break
        if depth == 0:
            return found.end()
    return None


def _end(text: str) -> int:
    """Index behind the last character that is neither white space nor part of an end token or a mark."""
    end = len(text)
    while True:
        while end and text[end - 1] in WHITE_SPACE:
            end -= 1
        closer = next((each for each in _CLOSERS if text[max(end - len(each), 0) : end].lower() == each.lower()), None)
        if closer is None:
            return end
        end -= len(closer)
