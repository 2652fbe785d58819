"""Short descriptions of JSON values for error messages."""

from __future__ import annotations


def kind_of(value: object) -> str:
    """A value from JSON in a word or two: "nothing", "a list of 3", "an object with 2 fields", or its repr."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} fields"
    return repr(value)[:60]
