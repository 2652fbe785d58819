"""What was found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """What became of one kind of fault.

    Attributes:
        name: Of the case.
        tried: How often it was tried.
        problems: What did not hold; empty if everything did.
        detail: Figures, in words.
    """

    name: str
    tried: int
    problems: list[str] = field(default_factory=list)
    detail: str = ""
