"""How well verdicts agree, and the verdicts that graders are tuned on and measured by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from seal_env.errors import TaskError
from seal_env.tasks.knowledge.grading.base import Attempt


class Verdict(NamedTuple):
    """What somebody else said of an attempt."""

    attempt: Attempt
    right: bool


FOLDS: Final = 5


class Halves(NamedTuple):
    """Verdicts in two parts that share no question: graders may be tuned on one, and are measured on the other."""

    tuning: tuple[Verdict, ...]
    reporting: tuple[Verdict, ...]


def read_verdicts(path: Path) -> tuple[Verdict, ...]:
    """Of a file with a JSON object on each line: question, gold, prediction (texts) and correct (true or false).

    Raises TaskError, which names file, line and field.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error
    return tuple(_read_line(f"{path}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip())


def _read_line(where: str, line: str) -> Verdict:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TaskError(f"{where}: not JSON: {error}") from error
    for name, kind in (("question", str), ("gold", str), ("prediction", str), ("correct", bool)):
        value = row.get(name) if isinstance(row, dict) else None
        if not isinstance(value, kind):
            raise TaskError(f"{where}: {name}={value!r} is not legal; expected a {kind.__name__}")
    return Verdict(Attempt(row["question"], row["gold"], row["prediction"]), row["correct"])


def in_halves(verdicts: Sequence[Verdict]) -> Halves:
    """By a hash of the question, so that it does not depend on what else there is."""
    parts: tuple[list[Verdict], list[Verdict]] = ([], [])
    for verdict in verdicts:
        parts[_hash(0, verdict.attempt.question) % 2].append(verdict)
    return Halves(*map(tuple, parts))


def folds(verdicts: Sequence[Verdict]) -> list[int]:
    """Which of FOLDS parts each verdict belongs to, by another hash of the question than the halves'."""
    return [_hash(1, verdict.attempt.question) % FOLDS for verdict in verdicts]


def _hash(seed: int, question: str) -> int:
    return hashlib.sha256(f"{seed}:{question}".encode()).digest()[0]


def agreement(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Share of verdicts that are the same. Raises ValueError if the numbers of verdicts differ or are 0."""
    if not one:
        raise ValueError("there are no verdicts")
    return sum(first == second for first, second in zip(one, other, strict=True)) / len(one)


def cohens_kappa(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Agreement beyond chance: (agreement - chance) / (1 - chance), 1 if it is perfect, 0 if it is what chance would give.

    Chance is what two graders agree on who say yes as often as these do, but at random (Cohen 1960). Raises ValueError as
    `agreement` does.
    """
    agreed = agreement(one, other)
    yes_one, yes_other = sum(one) / len(one), sum(other) / len(other)
    chance = yes_one * yes_other + (1 - yes_one) * (1 - yes_other)
    return 1.0 if chance == 1.0 else (agreed - chance) / (1 - chance)
