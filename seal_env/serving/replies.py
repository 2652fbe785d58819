"""How an answer of the protocol is read: chat completions, completions and lists of models, as servers vary them."""

from __future__ import annotations

from collections.abc import Iterator
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
    """Content as one text, also where it comes as a list of parts. Parts with thoughts are no part of the answer."""
    return "".join(_texts(content)) if isinstance(content, list | dict) else content


def _texts(content: object) -> Iterator[str]:
    for part in content if isinstance(content, list) else [content]:
        known: dict[str, Any] = part if isinstance(part, dict) else {"text": part}
        said = [known[key] for key in ("text", "refusal", "content") if isinstance(known.get(key), str)]
        if said and known.get("type") not in ("thinking", "reasoning", "reasoning_text", "thought"):
            yield said[0]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


Content = Annotated[str | None, BeforeValidator(_joined)]
Ending = Annotated[str | None, BeforeValidator(lambda given: str(given) if isinstance(given, int | float) else given)]
Count = Annotated[int, BeforeValidator(_count)]


class _Message(BaseModel):
    content: Content = None
    refusal: Content = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(BaseModel):
    """Of a chat completion, which has a message, or of a completion, which has a text."""

    message: _Message | None = None
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
    try:
        return kind.model_validate_json(body.removeprefix("\ufeff"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "its body"
    begins = redacted_message(body[:READ])[:60]  # redacted first: half of a key would not be known
    streamed = "; it is a stream, which was not asked for" if begins.lstrip().startswith(("data:", "event:")) else ""
    raise not_openai(f"{where}: {first['msg']}; the body begins with {begins!r}{streamed}")


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
