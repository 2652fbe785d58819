"""A captioned piece of a picture: what a domain makes of a task, and what terminals, frames and pages draw."""

from __future__ import annotations

from typing import Any, NamedTuple


class Panel(NamedTuple):
    """A caption and what is below it: a grid (a tuple of rows), a text, or None where there is nothing to show.

    right: whether it is a right answer; None where that is no question.
    """

    caption: str
    shown: Any
    right: bool | None = None

    @property
    def verdict(self) -> str:
        """`right` or `wrong`; empty where that is no question."""
        return "" if self.right is None else "right" if self.right else "wrong"
