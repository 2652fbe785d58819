"""The commands that are killed, and what their results are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TIMES: Final = ("seconds", "timings", "step_time", "usage", "num_tokens", "train_runtime")
"""Fields that differ between equal runs."""
OUT: Final = "out"
_SMALL: Final = ("--max-examples", "2", "--default-num-epochs", "1")
_POLICY: Final = ("--max-new-tokens", "48")


@dataclass(frozen=True)
class Case:
    """A command with a run folder `out`. result: (folder) -> what has to be equal in equal runs."""

    arguments: tuple[str, ...]
    result: Callable[[Path], Any]


def timeless(value: Any) -> Any:
    """The value without what differs between equal runs."""
    if isinstance(value, Mapping):
        return {name: timeless(item) for name, item in value.items() if name not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def lines(path: Path) -> list[Any]:
    """The records of a journal."""
    return [timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def document(path: Path) -> Any:
    """A JSON document."""
    return timeless(json.loads(path.read_text(encoding="utf-8")))


def _adapters(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*.safetensors") if "checkpoints" not in path.parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _journals(folder: Path) -> dict[str, Any]:
    found = sorted(path for path in folder.rglob("*.jsonl") if path.name != "seconds.jsonl")
    return {str(path.relative_to(folder)): lines(path) for path in found}


def whole(folder: Path, *documents: str) -> dict[str, Any]:
    """Journals, adapters and these documents of a run folder."""
    return {
        "journals": _journals(folder),
        "adapters": _adapters(folder),
        **{name: document(folder / name) for name in documents},
    }


COMMANDS: Final[dict[str, Case]] = {
    "run": Case(("run", "--subset", "mini-eval:6", *_SMALL, "--out", OUT), lambda folder: whole(folder)),
    "eval": Case(
        ("eval", "--subset", "mini-eval:4", "--samples", "3", "--in-call", "2", *_SMALL, "--out", OUT),
        lambda folder: whole(folder, "eval.json"),
    ),
    "train rest-em": Case(
        (
            *("train", "rest-em", "--subset", "mini-train:3", "--held-out", "mini-eval:2", "--rounds", "2"),
            *("--samples", "2", "--eval-samples", "1", "--in-call", "2", "--sft-epochs", "1", "--keep", "best"),
            *("--reward", "cell_accuracy"),
            *(*_SMALL, *_POLICY, "--out", OUT),
        ),
        lambda folder: whole(folder, "result.json"),
    ),
    "train grpo": Case(
        (
            *("train", "grpo", "--subset", "mini-train:3", "--held-out", "mini-eval:2", "--steps", "3", "--prompts", "1"),
            *("--samples", "2", "--save-every", "1", "--eval-samples", "1", "--in-call", "2"),
            *(*_SMALL, *_POLICY, "--out", OUT),
        ),
        lambda folder: whole(folder, "result.json"),
    ),
    "reproduce": Case(
        (
            *("reproduce", "knowledge", "--preset", "synthetic", "--held-out", "synthetic-eval:3", "--seeds", "2"),
            *("--rows", "none,passage,oracle", "--default-num-epochs", "1", "--out", OUT),
        ),
        lambda folder: whole(folder, "table.json"),
    ),
}
"""Small, and of everything that a command of its kind writes."""
