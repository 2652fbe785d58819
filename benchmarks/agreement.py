"""Agreement of graders with published verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from seal_env.errors import TaskError
from seal_env.tasks.knowledge.grading.base import Attempt

DRAWS = 2000


class Verdict(NamedTuple):
    """A published verdict on an attempt."""

    attempt: Attempt
    right: bool


class Halves(NamedTuple):
    """Verdicts in two parts that share no question: graders are tuned on one and reported on the other."""

    tuning: tuple[Verdict, ...]
    reporting: tuple[Verdict, ...]


def read_verdicts(path: Path) -> tuple[Verdict, ...]:
    """Read a file with a JSON object on each line: question, gold, prediction (texts) and correct (true or false).

    Raises:
        TaskError: Names file, line and field.
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
    """Split by a hash of the question, which does not depend on the other verdicts."""
    parts: tuple[list[Verdict], list[Verdict]] = ([], [])
    for verdict in verdicts:
        parts[hashlib.sha256(f"0:{verdict.attempt.question}".encode()).digest()[0] % 2].append(verdict)
    return Halves(*map(tuple, parts))


def figures(said: Sequence[bool], verdicts: Sequence[Verdict]) -> dict[str, list[float]]:
    """Agreement and Cohen's kappa as [value, low, high]: 95 % of bootstrap draws of questions with all their predictions.

    Agreement is the share of equal verdicts; kappa is (agreement - chance) / (1 - chance), where chance is the agreement of
    two graders that say yes as often as these do, but at random (Cohen 1960).

    Raises:
        ValueError: There are no verdicts, or not as many as `said`.
    """
    if not verdicts:
        raise ValueError("there are no verdicts")
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(verdict.attempt.question, len(numbers)) for verdict in verdicts]
    counts = np.zeros((len(numbers), 4))
    for row, yes, verdict in zip(rows, said, verdicts, strict=True):
        counts[row, 2 * yes + verdict.right] += 1
    drawn = np.random.default_rng(0).integers(0, len(numbers), (DRAWS, len(numbers)))
    exact, draws = agreement_and_kappa(counts.sum(axis=0)), agreement_and_kappa(counts[drawn].sum(axis=1))
    return {
        name: [float(exact[index]), *np.percentile(draws[index], [2.5, 97.5]).tolist()]
        for index, name in enumerate(("agreement", "kappa"))
    }


def agreement_and_kappa(counts: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Array [2, ...] from numbers of verdicts [..., 4]: both no, only the other yes, only this one yes, both yes."""
    neither, theirs, ours, both = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    total = neither + theirs + ours + both
    agreed, yes_ours, yes_theirs = (neither + both) / total, (ours + both) / total, (theirs + both) / total
    chance = yes_ours * yes_theirs + (1 - yes_ours) * (1 - yes_theirs)
    with np.errstate(invalid="ignore"):
        return np.array([agreed, np.where(chance == 1, 1.0, (agreed - chance) / (1 - chance))])
