"""How an answer of the protocol is read: chat completions, completions and lists of models, as servers vary them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from seal_env.redaction import redacted, redacted_message
from seal_env.serving.failures import READ, ServerError, not_openai

BodyT = TypeVar("BodyT", bound=BaseModel)

CUT_OFF: Final = ("length", "max_tokens", "max_length", "model_length", "max_output_tokens")
"""Finish reasons of an answer that ended at the limit on new tokens, in lower case."""
NO_ANSWER: Final = (
    *("abort", "aborted", "blocklist", "cancel", "canceled", "cancelled", "content_filter", "content_filtered", "error"),
    *("failed", "guardrail_intervened", "image_safety", "insufficient_system_resource", "language", "prohibited_content"),
    *("recitation", "safety", "spii", "timeout"),
)
"""Finish reasons of an answer that is not the model's own, or not whole: failures of the server. Any other one ends an
answer if there is one: `stop`, `eos_token`, `STOP`, `end_turn` ..."""


@dataclass(frozen=True)
class ChatReply:
    """A model's answer. tool_calls: as the server sent them. cut_off: True if it ended at the limit on new tokens."""

    text: str
    tool_calls: tuple[dict[str, Any], ...]
    cut_off: bool


class ServedModel(BaseModel):
    """A model that a server lists. parent: an adapter's base model. max_model_len: its context length, if known."""

    id: str
    parent: str | None = None
    max_model_len: int | None = None


class ServedModels(BaseModel):
    """What a server lists."""

    data: list[ServedModel]


def _joined(content: object) -> object:
    """Content as one text, also where it comes in parts. Parts with thoughts or calls are no part of the text."""
    return "".join(_texts(content)) if isinstance(content, list | dict) else content


def _texts(content: object) -> Iterator[str]:
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and not _is_thought(part) and not _is_call(part):
            yield from _texts(next((part[key] for key in ("text", "refusal", "content", "value") if part.get(key)), None))


def _is_thought(part: Mapping[str, Any]) -> bool:
    return part.get("thought") is True or any(
        word in str(part.get("type")).lower() for word in ("think", "thought", "reason")
    )


def _is_call(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in ("tool_use", "tool_call", "function_call", "toolCall")


def _with_calls(message: object) -> object:
    """A message with its calls in one place, wherever the server has them, and in whatever list or text."""
    if not isinstance(message, dict):
        return message
    given = message.get("tool_calls")
    if isinstance(given, str) and given.strip():
        given = json.loads(given)
    calls = [each for each in (given if isinstance(given, list) else [given]) if each is not None and each != ""]
    if isinstance(content := message.get("content"), list):
        parts = [part for part in content if _is_call(part)]
        calls += [_function(each.get("name"), each.get("input", each.get("arguments"))) for each in parts]
    if isinstance(old := message.get("function_call"), dict) and not calls:
        calls = [_function(old.get("name"), old.get("arguments"))]
    return message | {"tool_calls": calls}


def _function(name: object, arguments: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _ending(given: object) -> object:
    """A finish reason as a text; some servers send a number, or an object with its type."""
    if isinstance(given, dict):
        return next((given[key] for key in ("type", "reason") if isinstance(given.get(key), str)), "unknown")
    return given if given is None else str(given)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


Content = Annotated[str | None, BeforeValidator(_joined)]
Ending = Annotated[str | None, BeforeValidator(_ending)]
Count = Annotated[int, BeforeValidator(_count)]


class _Message(BaseModel):
    content: Content = None
    refusal: Content = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(BaseModel):
    """Of a chat completion, which has a message, or of a completion, which has a text."""

    message: Annotated[_Message | None, BeforeValidator(_with_calls)] = None
    text: str | None = None
    finish_reason: Ending = None


class Tokens(BaseModel):
    """How many tokens a server read and wrote, as it counts them; 0 if it does not say."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class Completion(BaseModel):
    """The body of an answer."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Annotated[Tokens, BeforeValidator(lambda given: given if isinstance(given, dict) else {})] = Tokens()


def read_body(body: str, kind: type[BodyT]) -> BodyT:
    """A body as what it should be. Raises ServerError if it is something else."""
    body = body.removeprefix("\ufeff")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid" and (mended := _with_whole_characters(body)) is not None:
        return read_body(mended, kind)
    where = ".".join(map(str, first["loc"])) or "its body"
    begins = redacted_message(body[:READ])[:60]  # redacted first: half of a key would not be known
    streamed = "; it is a stream, which was not asked for" if begins.lstrip().startswith(("data:", "event:")) else ""
    raise not_openai(f"{where}: {first['msg']}; the body begins with {begins!r}{streamed}")


def _with_whole_characters(body: str) -> str | None:
    """JSON in which half a character, as a model leaves it that is cut off, is U+FFFD; None if that is not what is wrong.

    Control characters in texts, which some servers do not escape, are escaped.
    """
    try:
        text = json.dumps(json.loads(body, strict=False), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return None if mended == body else mended


def read_reply(completion: Completion) -> ChatReply:
    """The model's answer, which may be empty if the model wrote an end-of-turn token.

    Raises:
        ServerError: There is none, or the server says that it is not the model's own.
    """
    choice = completion.choices[0]
    message, ending = choice.message or _Message(content=choice.text), (choice.finish_reason or "").lower()
    text, calls = message.content or message.refusal or "", tuple(message.tool_calls or ())
    known = ending in (*CUT_OFF, "stop", "tool_calls", "function_call")
    if not ending or ending in NO_ANSWER or not (known or text or calls):
        raise ServerError(f"the server ended the answer with finish_reason {choice.finish_reason!r}", 200)
    if not text and not calls and not completion.usage.completion_tokens:
        raise not_openai("it holds no text, no tool call and no token")
    return ChatReply(redacted(text), tuple(redacted(calls)), ending in CUT_OFF)
