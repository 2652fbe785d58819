"""Gymnasium spaces of texts: self-edits (actions) and prompts (observations)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space

from seal_env.errors import SettingError
from seal_env.self_edits.action_spec import ActionSpec
from seal_env.tools.base import Tool
from seal_env.tools.number_range import Range

Seed = int | np.random.Generator | None


class TextSpace(Space[str], ABC):
    """Base of the text spaces: no shape, no masks."""

    def __init__(self, seed: Seed = None) -> None:
        super().__init__(shape=None, dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: a text has no fixed length as numbers."""
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """Draw a text.

        Raises:
            SettingError: for a mask or a probability: there is nothing that they could index.
        """
        for name, value in (("mask", mask), ("probability", probability)):
            if value is not None:
                raise SettingError(name, value, f"None: {type(self).__name__} has no masks")
        return self._draw()

    @abstractmethod
    def _draw(self) -> str:
        """One text, drawn with the space's own generator."""


class SelfEditSpace(TextSpace):
    """Texts that are valid self-edits: every accepted form, known tools, legal arguments.

    A text without a finetune call is in the space too: it continues the draft. Whether a self-edit is within its budget
    depends on the task and is not the space's matter.

    `sample` draws a list with one call of each tool, see `ActionSpec.sample`; what it draws is in the space.
    """

    def __init__(
        self,
        tools: Sequence[Tool[Any]],
        ranges: Mapping[str, Range] | None = None,
        plain_text: bool = False,
        seed: Seed = None,
    ) -> None:
        """See `seal_env.self_edits.action_spec.ActionSpec` for the tools, the ranges and plain text.

        Args:
            tools: in the order in which `sample` calls them.
            ranges: such as `{"training.learning_rate": (1e-4, 1e-3)}`, bounds included: what `sample` draws numbers from.
            plain_text: whether plain text is a self-edit too.
            seed: of `sample`.

        Raises:
            SettingError: for a range of no numeric argument, or one that the tool's schema does not allow.
        """
        self.spec = ActionSpec(tuple(tools), dict(ranges or {}), plain_text)
        super().__init__(seed)

    @property
    def tools(self) -> tuple[Tool[Any], ...]:
        """The tools that may be called."""
        return self.spec.tools

    def contains(self, x: Any) -> bool:
        """True if `x` is a text that the tools accept."""
        return self.spec.contains(x)

    def _draw(self) -> str:
        return self.spec.sample(self.np_random)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SelfEditSpace) and self.spec == other.spec

    def __repr__(self) -> str:
        names = ", ".join(tool.name for tool in self.tools)
        ranges = f", ranges={self.spec.ranges}" if self.spec.ranges else ""
        return f"SelfEditSpace([{names}]{ranges}{', plain_text=True' if self.spec.plain_text else ''})"


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
