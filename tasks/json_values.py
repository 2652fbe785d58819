"""Values from JSON files, said in errors."""

from __future__ import annotations


def kind_of(value: object) -> str:
    """A value from JSON, said in a word or two."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} fields"
    return repr(value)[:60]
