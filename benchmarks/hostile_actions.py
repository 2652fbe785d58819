"""Milliseconds to parse and refuse a hostile action, without an exception: `python -m benchmarks.hostile_actions`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from statistics import median

from seal_env.domains import arc
from seal_env.self_edits.compile import apply_calls
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.untrusted_json import MAX_CHARACTERS
from seal_env.tools.base import Draft, EditContext
from seal_env.types import InvalidSelfEdit

SIZES = {"10 MB": 10 * 1024 * 1024, "64 Ki": MAX_CHARACTERS}
REPEATS = 5


def filled(start: str, unit: str, end: str, size: int) -> str:
    """`start`, as many units as fit, `end`: at most `size` characters."""
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


def call(arguments: str) -> str:
    """A call of the training tool with these arguments, as JSON."""
    return f'[{{"name":"training","arguments":{arguments}}}]'


def hostile_actions() -> Iterator[tuple[str, object]]:
    """Name and action; texts of 10 MB and of the longest length that is read."""
    for label, size in SIZES.items():
        yield f"{label} of [", "[" * size
        yield f"{label} of nested objects", filled("", '{"a":', "", size)
        yield f"{label} of [],", filled("[", "[],", "[]]", size)
        yield f"{label} string", filled('"', "x", '"', size)
        yield f"{label} of escaped quotes, never closed", filled('["', '\\"', "", size)
        yield f"{label} of quotes", '"' * size
        yield f"{label} of white space", " " * size
        yield f"{label} of back-ticks", "`" * size
        yield f"{label} of digits", "[" + "9" * (size - 2) + "]"
        yield f"{label} of numbers", filled("[", "1,", "1]", size)
        yield f"{label} of real numbers", filled("[", "1e9,", "1]", size)
        yield f"{label} of empty calls", filled("[", '{"name":"finetune"},', '{"name":"finetune"}]', size)
        yield f"{label} of unknown fields", call(json.dumps({f"k{n}": n for n in range(size // 16)}))
        yield f"{label} as a learning rate", call('{"learning_rate":"' + "x" * (size - 60) + '"}')
        yield f"{label} of escaped surrogates", filled('["', "\\ud800", '"]', size)
        yield f"{label} as a tool's name", json.dumps([{"name": "augment" * (size // 7 - 10), "arguments": {}}])
    yield "object with a million keys", {str(n): n for n in range(1_000_000)}
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    yield "list 100,000 deep", nested


def refuse(action: object) -> InvalidSelfEdit:
    """The outcome of the action. Raises AssertionError if it is accepted."""
    calls = parse(action)
    edit = calls if isinstance(calls, InvalidSelfEdit) else apply_calls(Draft(), calls, EditContext((), 0, None), arc.TOOLS)
    if not isinstance(edit, InvalidSelfEdit):
        raise AssertionError("a hostile action was accepted")
    return edit


def main() -> None:
    """Print the median time and the outcome of each action."""
    refuse("warm up")
    print(f"{'action':44} {'ms':>7}  outcome and reason")
    for name, action in hostile_actions():
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            edit = refuse(action)
            times.append(1000 * (time.perf_counter() - start))
        print(f"{name:44} {median(times):7.2f}  {edit.outcome}: {edit.reason[:90]}")


if __name__ == "__main__":
    main()
