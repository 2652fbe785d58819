"""Documents: the training examples of a knowledge self-edit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """A text about a passage. The model learns it under the passage's title."""

    title: str
    text: str

    @property
    def written(self) -> str:
        """As the model reads it: the title, a line break, the text."""
        return f"{self.title}\n{self.text}"


def normalised(text: str) -> str:
    """Text by which repeats and copies are found: case and white space do not count."""
    return " ".join(text.casefold().split())
