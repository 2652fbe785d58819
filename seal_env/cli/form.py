"""A self-edit written in a terminal: a form that is derived from the JSON Schemas of the tools' arguments.

Each field is checked as it is typed in: what is not legal stays in the line, with the reason below it.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from jsonschema import Draft202012Validator
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.output import create_output
from prompt_toolkit.validation import ValidationError, Validator

from seal_env.report.formats import plural
from seal_env.self_edits.parse_calls import parse
from seal_env.tools.base import Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.schema import Schema, declared_schema, legal_values
from seal_env.types import InvalidSelfEdit, ToolCall

TRAIN, UNDO, SHOW, LEAVE = "train", "undo", "show", "leave"
YES, NO = ("yes", "y", "true"), ("no", "n", "false")

Say = Callable[[str], None]
Calls = Sequence[ToolCall]


class _Checked(Validator):
    """Refuses a line that `read` raises ValueError for, whose message is the reason."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def validate(self, document: Document) -> None:
        try:
            self._read(document.text)
        except ValueError as error:
            raise ValidationError(len(document.text), str(error)) from None


class SelfEditForm:
    """Asks for the tool calls of a self-edit, one field at a time.

    Args:
        tools: Those of the environment.
        say: Prints a line.
        session: Reads lines from the terminal; None is the process's, on standard error as all that is no result.
        width: Columns of the terminal.
    """

    def __init__(
        self, tools: Sequence[Tool[Any]], say: Say, session: PromptSession[str] | None = None, width: int = 80
    ) -> None:
        self._tools = {tool.name: tool for tool in tools if tool.name != FINETUNE.name}
        self._print, self._width = say, width
        self._session: PromptSession[str] = session or _session()

    def fill_in(self, show: Callable[[], None], problem_of: Callable[[Calls], str], begun: Calls = ()) -> str:
        """Ask until the self-edit is complete, and something that can be trained.

        Args:
            show: Shows the task again.
            problem_of: What keeps these calls from being trained; empty if nothing does.
            begun: Calls to begin with.

        Returns:
            The self-edit as JSON, with `finetune` at its end.

        Raises:
            EOFError: The person leaves (Ctrl-D, or `leave`).
            KeyboardInterrupt: The person presses Ctrl-C.
        """
        calls = list(begun)
        for tool in self._tools.values():
            self._say(f"{tool.name:<14} {tool.description}", 15)
        self._say(f"{TRAIN}, {UNDO}, {SHOW} (the task again), {LEAVE}; or a whole self-edit as JSON")
        words = [*self._tools, TRAIN, UNDO, SHOW, LEAVE]
        while True:
            written = self._ask(f"{plural(len(calls), 'call')}> ", self._command, words=words)
            if written.startswith(("[", "{")):
                calls = [call for call in self._parsed(written) if call.name != FINETUNE.name]
                written = TRAIN
            if written == LEAVE:
                raise EOFError
            if written == SHOW:
                show()
            elif written == UNDO:
                self._say(f"without {calls.pop().name}" if calls else "there is no call yet")
            elif written != TRAIN:
                calls.append(ToolCall(written, self._object(declared_schema(self._tools[written]), f"{written}.")))
            elif problem := problem_of([*calls, ToolCall(FINETUNE.name, {})]):
                self._say(problem)
                self._say(f"Nothing is lost: add a call, {UNDO}, or {LEAVE}.")
            else:
                return as_json([*calls, ToolCall(FINETUNE.name, {})])

    def _say(self, text: str, hanging: int = 0) -> None:
        """Print a text between the questions, indented; where it is longer than a line, the others by `hanging` more."""
        margin = "  "
        self._print(textwrap.fill(text, self._width, initial_indent=margin, subsequent_indent=margin + " " * hanging))

    def _command(self, text: str) -> str:
        """A command, or a self-edit as JSON. Raises ValueError."""
        written = text.strip()
        if written.startswith(("[", "{")):
            self._parsed(written)
        elif written not in (*self._tools, TRAIN, UNDO, SHOW, LEAVE):
            raise ValueError(f"expected {', '.join((*self._tools, TRAIN, UNDO, SHOW))} or {LEAVE}")
        return written

    def _parsed(self, text: str) -> Calls:
        found = parse(text)
        if isinstance(found, InvalidSelfEdit):
            raise ValueError(found.reason)
        return found

    def _value(self, schema: Schema, label: str) -> Any:
        """The value of one field, of any kind."""
        if schema.get("type") == "object":
            return self._object(schema, f"{label}.")
        if schema.get("type") == "array" and "uniqueItems" not in schema:
            return self._list(schema, label)
        return self._ask(f"{label}: ", lambda text: read_value(text, schema), begin=_example(schema), words=_words(schema))

    def _object(self, schema: Schema, label: str) -> dict[str, Any]:
        values = {}
        for name, field in schema["properties"].items():
            if field.get("description"):
                self._say(f"{name}: {field['description']} ({_legal(field)})", 2)
            values[name] = self._value(field, f"{label}{name}")
        return values

    def _list(self, schema: Schema, label: str) -> list[Any]:
        """Items until an empty line, or until there are as many as may be."""
        items: list[Any] = []
        least, most, each = schema.get("minItems", 0), schema.get("maxItems"), schema["items"]
        while most is None or len(items) < most:
            where = f"{label}[{len(items)}]"
            if len(items) >= least and not self._more(where):
                break
            items.append(self._value({key: x for key, x in each.items() if key != "examples"}, where))
        return items

    def _more(self, where: str) -> bool:
        """Whether there is to be another item."""
        return bool(self._ask(f"{where}, another one? ", lambda text: read_value(text, {"type": "boolean"}), begin="no"))

    def _ask(self, label: str, read: Callable[[str], Any], begin: str = "", words: Sequence[str] = ()) -> Any:
        text = self._session.prompt(
            label,
            default=begin,
            validator=_Checked(read),
            validate_while_typing=False,
            completer=WordCompleter(list(words)) if words else None,
        )
        return read(text)


def _session() -> PromptSession[str]:
    return PromptSession(output=create_output(sys.stderr))


def yes(question: str) -> bool:
    """A question that is answered yes or no; no by default. Raises EOFError and KeyboardInterrupt."""
    read = partial(read_value, schema={"type": "boolean"})
    return bool(read(_session().prompt(question, default="no", validator=_Checked(read), validate_while_typing=False)))


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """A line as a value of a JSON Schema: switches as yes or no, texts without quotes, everything else as JSON.

    Raises:
        ValueError: If it is not legal; says what is.
    """
    for value in _readings(text.strip(), schema):
        if Draft202012Validator(dict(schema)).is_valid(value):
            return value
    raise ValueError(f"{text.strip()!r} is not legal: expected {_legal(schema)}")


def _legal(schema: Mapping[str, Any]) -> str:
    """What a line may be, in the form's words."""
    return "yes or no" if schema.get("type") == "boolean" else legal_values(schema)


def _readings(text: str, schema: Mapping[str, Any]) -> list[Any]:
    """What a line can mean, the likeliest first."""
    kinds = [each.get("type") for each in schema.get("anyOf", [schema])]
    found: list[Any] = []
    if "boolean" in kinds and text.lower() in (*YES, *NO):
        found.append(text.lower() in YES)
    try:
        number = json.loads(text, parse_constant=_no_number)
        found.append(int(number) if isinstance(number, float) and "integer" in kinds and number.is_integer() else number)
    except (ValueError, RecursionError):
        pass
    return [*found, text]


def _no_number(name: str) -> float:
    """NaN and Infinity are no JSON, and no limit of a schema refuses NaN."""
    raise ValueError(f"{name} is no number")


def _example(schema: Mapping[str, Any]) -> str:
    """What a field begins with: its example, for a value that is written in one word."""
    values = [schema[key] for key in ("default",) if key in schema] or list(schema.get("examples", ()))
    if not values or isinstance(values[0], list | dict) or (isinstance(values[0], str) and "enum" not in schema):
        return ""
    return _written(values[0])


def _words(schema: Mapping[str, Any]) -> list[str]:
    """What completion offers."""
    return [_written(value) for value in schema.get("enum", [True, False] if schema.get("type") == "boolean" else [])]


def _written(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def as_json(calls: Calls) -> str:
    """Tool calls as an action."""
    return json.dumps([{"name": call.name, "arguments": dict(call.arguments)} for call in calls])
