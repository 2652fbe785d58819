"""How well graders agree with published verdicts: `python benchmarks/graders.py VERDICTS [--json FILE] [...]`.

VERDICTS is a file with a JSON object on each line: question, gold, prediction, correct. Its questions fall into two halves:
the one on which graders were tuned, and the one by which they are measured. Rows:

    containment   the gold answer is in the prediction, both without case, punctuation and articles
    lexical       seal_env's default
    judge         with the server --judge-url; left out unless it is named

Agreement is the share of equal verdicts, kappa what of it is beyond chance. In brackets: 95 % of bootstrap draws of
questions, each with all its predictions.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from seal_env.errors import SealError
from seal_env.experiments.versions import package_versions
from seal_env.tasks.knowledge.grading.agreement import Verdict, agreement, cohens_kappa, in_halves, read_verdicts
from seal_env.tasks.knowledge.grading.base import Attempt, Grader
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.grading.registry import make_grader

DRAWS = 2000
Report = dict[str, Any]


class Containment:
    """The simplest grader, for comparison."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        """Whether the gold answer's words stand in the prediction, next to each other."""
        return f" {normalise(gold)} " in f" {normalise(prediction)} "

    def grade_all(self, attempts: Sequence[Attempt]) -> list[bool]:
        """Each by itself."""
        return [self.grade(*attempt) for attempt in attempts]


def graders_of(given: argparse.Namespace) -> dict[str, Callable[[], Grader]]:
    """What is measured, by name; making one may raise SealError."""
    rows: dict[str, Callable[[], Grader]] = {
        "containment": Containment,
        "lexical": lambda: make_grader("lexical"),
    }
    if given.judge_url:
        rows["judge"] = lambda: make_grader("judge", given.judge_model, given.judge_url, cache_file=given.judge_cache)
    return rows


def kappas_of_draws(said: Sequence[bool], verdicts: Sequence[Verdict]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(agreements, kappas) of DRAWS bootstrap draws of questions, from counts of the four cases by question."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(verdict.attempt.question, len(numbers)) for verdict in verdicts]
    counts = np.zeros((len(numbers), 4))
    for row, yes, verdict in zip(rows, said, verdicts, strict=True):
        counts[row, 2 * yes + verdict.right] += 1
    drawn = np.random.default_rng(0).integers(0, len(numbers), (DRAWS, len(numbers)))
    neither, theirs, ours, both = counts[drawn].sum(axis=1).T
    total = neither + theirs + ours + both
    agreed, yes_ours, yes_theirs = (neither + both) / total, (ours + both) / total, (theirs + both) / total
    chance = yes_ours * yes_theirs + (1 - yes_ours) * (1 - yes_theirs)
    return agreed, (agreed - chance) / (1 - chance)


def report_of(said: Sequence[bool], verdicts: Sequence[Verdict]) -> Report:
    """Agreement and kappa, each with its interval."""
    right = [verdict.right for verdict in verdicts]
    agreed, kappas = kappas_of_draws(said, verdicts)
    return {
        "agreement": [agreement(said, right), *np.percentile(agreed, [2.5, 97.5]).tolist()],
        "kappa": [cohens_kappa(said, right), *np.percentile(kappas, [2.5, 97.5]).tolist()],
        "wrongly_yes": sum(yes and not true for yes, true in zip(said, right, strict=True)),
        "wrongly_no": sum(true and not yes for yes, true in zip(said, right, strict=True)),
    }


def measure(make: Callable[[], Grader], parts: dict[str, Sequence[Verdict]]) -> Report:
    """A grader on each half and on all answers, and its speed once it is made."""
    verdicts = parts["all"]
    grader, start = make(), time.perf_counter()
    said = grader.grade_all([verdict.attempt for verdict in verdicts])
    seconds = time.perf_counter() - start
    split = len(parts["tuning"])
    report = {
        "tuning": report_of(said[:split], parts["tuning"]),
        "reporting": report_of(said[split:], parts["reporting"]),
        "all": report_of(said, verdicts),
    }
    return report | {"answers_per_second": len(verdicts) / seconds}


def table_of(rows: dict[str, Report], parts: dict[str, Sequence[Verdict]]) -> Table:
    """One line for each grader."""
    table = Table(title="Agreement with the published verdicts")
    table.add_column("grader")
    for part, verdicts in parts.items():
        questions = len({verdict.attempt.question for verdict in verdicts})
        for figure in ("agreement", "kappa"):
            table.add_column(f"{part}: {figure}\n{len(verdicts)} answers, {questions} questions")
    table.add_column("answers/s", justify="right")
    for name, row in rows.items():
        figures = [row[part][figure] for part in parts for figure in ("agreement", "kappa")]
        cells = [f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in figures]
        table.add_row(name, *cells, f"{row['answers_per_second']:,.0f}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verdicts", type=Path)
    parser.add_argument("--json", type=Path, default=Path("runs/graders.json"))
    parser.add_argument("--judge-url", metavar="URL", help="an OpenAI-compatible server, up to and with /v1")
    parser.add_argument("--judge-model", metavar="MODEL", help="its name at the server; by default the only one")
    parser.add_argument("--judge-cache", metavar="FILE", help="an SQLite file in which the judge's verdicts are kept")
    given, console = parser.parse_args(arguments), Console(width=200)
    halves = in_halves(read_verdicts(given.verdicts))
    parts: dict[str, Sequence[Verdict]] = {**halves._asdict(), "all": halves.tuning + halves.reporting}
    rows, left_out = dict[str, Report](), dict[str, str]()
    for name, make in graders_of(given).items():
        try:
            rows[name] = measure(make, parts)
        except SealError as error:
            left_out[name] = str(error)
    if not given.judge_url:
        left_out["judge"] = "no --judge-url"
    document = {"verdicts": given.verdicts.name, "versions": package_versions(), "graders": rows, "left_out": left_out}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(document, indent=1))
    console.print(table_of(rows, parts))
    for name, reason in left_out.items():
        console.print(f"left out  {name}: {reason}", markup=False, highlight=False)
    console.print(f"written   {given.json}")


if __name__ == "__main__":
    main()
