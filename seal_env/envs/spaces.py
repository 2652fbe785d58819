"""Gymnasium spaces of texts: self-edits (actions) and prompts (observations)."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space

from seal_env.errors import SettingError
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.self_edits.validate import check_calls
from seal_env.tools.base import Tool
from seal_env.tools.registry import json_schemas
from seal_env.types import InvalidSelfEdit

Seed = int | np.random.Generator | None

WORDS = (
    *("a", "the", "of", "in", "is", "was", "and", "it", "who", "when", "where"),
    *("what", "old", "new", "first", "many", "people", "has", "made", "called", "near"),
)
WORDS_OF_A_TEXT = 6
MORE_TEXTS = 2
"""A drawn list has so many items more than it must have, at most."""


class TextSpace(Space[str], ABC):
    """Base of the text spaces: no shape, no masks."""

    def __init__(self, seed: Seed = None) -> None:
        super().__init__(shape=None, dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: a text has no fixed length as numbers."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """Draw a text. Raises SettingError for a mask or a probability: there is nothing that they could index."""
        for name, value in (("mask", mask), ("probability", probability)):
            if value is not None:
                raise SettingError(name, value, f"None: {type(self).__name__} has no masks")
        return self._draw()

    @abstractmethod
    def _draw(self) -> str:
        """One text, drawn with the space's own generator."""


class SelfEditSpace(TextSpace):
    """Texts that are valid self-edits: every accepted form, known tools, legal arguments.

    A text without a finetune call is in the space too: it goes on with the draft. Whether a self-edit keeps to its budget
    depends on the task and is not the space's matter.

    `sample` draws a list with one call of each tool in the order of `tools`: switches and choices uniform, the learning
    rate log-uniform over `learning_rate` (3 significant digits), the epochs uniform over `num_train_epochs` (inclusive);
    where texts are wanted, a few of them, of random words: a space knows no task.
    """

    def __init__(
        self,
        tools: Sequence[Tool[Any]],
        learning_rate: tuple[float, float] = (3e-5, 3e-3),
        num_train_epochs: tuple[int, int] = (1, 4),
        seed: Seed = None,
        texts: bool = False,
    ) -> None:
        """texts: plain text is a self-edit too.

        Raises SettingError for a range that the tool's schema does not allow.
        """
        self.tools = tuple(tools)
        self.learning_rate, self.num_train_epochs = tuple(learning_rate), tuple(num_train_epochs)
        self.texts = texts
        if not 0 < self.learning_rate[0] <= self.learning_rate[1] <= 1:
            raise SettingError("learning_rate", learning_rate, "(low, high) with 0 < low <= high <= 1")
        if not 0 <= self.num_train_epochs[0] <= self.num_train_epochs[1] <= 20:
            raise SettingError("num_train_epochs", num_train_epochs, "(low, high) with 0 <= low <= high <= 20")
        super().__init__(seed)

    def contains(self, x: Any) -> bool:
        """True if `x` is a text that the tools accept."""
        if not isinstance(x, str):
            return False
        calls = (parse_or_read if self.texts else parse)(x)
        if isinstance(calls, InvalidSelfEdit):
            return False
        return not isinstance(check_calls(calls, self.tools), InvalidSelfEdit)

    def _draw(self) -> str:
        schemas = json_schemas(self.tools).items()
        return json.dumps([{"name": name, "arguments": self._draw_arguments(schema)} for name, schema in schemas])

    def _draw_arguments(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {field: self._draw_value(field, legal) for field, legal in schema["properties"].items()}

    def _draw_value(self, field: str, legal: Mapping[str, Any]) -> Any:
        if field == "learning_rate":
            low, high = self.learning_rate
            drawn = math.exp(self.np_random.uniform(math.log(low), math.log(high)))
            return min(max(float(f"{drawn:.3g}"), low), high)
        if field == "num_train_epochs":
            low, high = self.num_train_epochs
            return int(self.np_random.integers(low, high + 1))
        if legal["type"] == "array":
            least = legal["minItems"]
            count = int(self.np_random.integers(least, min(legal["maxItems"], least + MORE_TEXTS) + 1))
            return [self._draw_value(field, legal["items"]) for _ in range(count)]
        if legal["type"] == "object":
            return self._draw_arguments(legal)
        if legal["type"] == "string" and "enum" not in legal:
            return " ".join(WORDS[index] for index in self.np_random.integers(len(WORDS), size=WORDS_OF_A_TEXT))
        choices = legal.get("enum", [False, True])
        return choices[int(self.np_random.integers(len(choices)))]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SelfEditSpace) and self._parameters == other._parameters

    def __repr__(self) -> str:
        ranges = f"learning_rate={self.learning_rate}, num_train_epochs={self.num_train_epochs}"
        names = ", ".join(tool.name for tool in self.tools)
        return f"SelfEditSpace(({names}), {ranges}{', texts=True' if self.texts else ''})"

    @property
    def _parameters(self) -> tuple[object, ...]:
        return (self.tools, self.learning_rate, self.num_train_epochs, self.texts)


class PromptSpace(TextSpace):
    """Unicode texts of at most `max_length` characters, the empty one included.

    `sample` draws up to 200 characters from several scripts; it is for tests of agents, not meant to be a prompt.
    """

    ALPHABET = "abcxyzABCXYZ0123456789 \n.,:[]{}\"'\\äßÆłπЖ中文字日本語한글אبह√→😀"
    MAX_SAMPLE = 200

    def __init__(self, max_length: int = 1_000_000, seed: Seed = None) -> None:
        """Raises SettingError for a negative length."""
        if max_length < 0:
            raise SettingError("max_length", max_length, "a whole number of at least 0")
        self.max_length = max_length
        super().__init__(seed)

    def contains(self, x: Any) -> bool:
        """True if `x` is a text of at most `max_length` characters that UTF-8 can write."""
        if not isinstance(x, str) or len(x) > self.max_length:
            return False
        try:
            x.encode()
        except UnicodeEncodeError:
            return False
        return True

    def _draw(self) -> str:
        length = int(self.np_random.integers(min(self.max_length, self.MAX_SAMPLE) + 1))
        return "".join(self.ALPHABET[index] for index in self.np_random.integers(len(self.ALPHABET), size=length))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PromptSpace) and self.max_length == other.max_length

    def __repr__(self) -> str:
        return f"PromptSpace({self.max_length})"
