"""Agreement of graders with published verdicts: `python -m benchmarks.graders VERDICTS [--json FILE] [--judge-url URL]`.

VERDICTS is a file with a JSON object on each line: question, gold, prediction, correct. Its questions fall into two halves:
the one on which graders were tuned, and the one on which they are reported. Rows:

    containment   the gold answer is in the prediction, both without case, punctuation and articles
    lexical       seal_env's default
    judge         with the server --judge-url; left out unless it is given

In brackets: 95 % of bootstrap draws of questions, each with all its predictions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.agreement import Verdict, figures, in_halves, read_verdicts
from benchmarks.common import Document, make_parser, new_document, show, write
from seal_env.errors import SealError
from seal_env.tasks.knowledge.grading.base import Grader
from seal_env.tasks.knowledge.grading.exact_match import normalise
from seal_env.tasks.knowledge.grading.registry import make_grader


def containment(question: str, gold: str, prediction: str) -> bool:
    """The simplest grader, for comparison: the gold answer's words are in the prediction, next to each other."""
    return f" {normalise(gold)} " in f" {normalise(prediction)} "


def graders_of(given: argparse.Namespace) -> dict[str, Grader]:
    """What is measured, by name. Raises SettingError."""
    rows = {"containment": make_grader(containment), "lexical": make_grader("lexical")}
    if given.judge_url:
        rows["judge"] = make_grader("judge", given.judge_model, given.judge_url, given.judge_cache)
    return rows


def measure(grader: Grader, parts: Mapping[str, Sequence[Verdict]]) -> Document:
    """Agreement and kappa of a grader on each half and on all answers, its errors, and its speed."""
    verdicts, start = parts["all"], time.perf_counter()
    said = grader.grade_all([verdict.attempt for verdict in verdicts])
    seconds = time.perf_counter() - start
    split = len(parts["tuning"])
    report: Document = {"answers_per_second": len(verdicts) / seconds}
    for name, mine in (("tuning", said[:split]), ("reporting", said[split:]), ("all", said)):
        pairs = list(zip(mine, parts[name], strict=True))
        report[name] = figures(mine, parts[name]) | {
            "false_yes": sum(yes and not verdict.right for yes, verdict in pairs),
            "false_no": sum(verdict.right and not yes for yes, verdict in pairs),
        }
    return report


def table_of(rows: Mapping[str, Document], parts: Mapping[str, Sequence[Verdict]]) -> Table:
    """One line for each grader."""
    table = Table(title="Agreement with the published verdicts")
    table.add_column("grader")
    for part, verdicts in parts.items():
        questions = len({verdict.attempt.question for verdict in verdicts})
        for figure in ("agreement", "kappa"):
            table.add_column(f"{part}: {figure}\n{len(verdicts)} answers, {questions} questions")
    table.add_column("answers/s", justify="right")
    for name, row in rows.items():
        found = [row[part][figure] for part in parts for figure in ("agreement", "kappa")]
        cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in found]
        table.add_row(name, *cells, f"{row['answers_per_second']:,.0f}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = make_parser(__doc__, "graders")
    parser.add_argument("verdicts", type=Path)
    parser.add_argument("--judge-url", metavar="URL", help="an OpenAI-compatible server, up to and with /v1")
    parser.add_argument("--judge-model", metavar="MODEL", help="its name at the server; default: the only one there")
    parser.add_argument("--judge-cache", metavar="FILE", help="SQLite file for the judge's verdicts")
    given = parser.parse_args(arguments)
    halves = in_halves(read_verdicts(given.verdicts))
    parts: dict[str, Sequence[Verdict]] = {**halves._asdict(), "all": halves.tuning + halves.reporting}
    rows, left_out = dict[str, Document](), dict[str, str]()
    for name, grader in graders_of(given).items():
        try:
            rows[name] = measure(grader, parts)
        except SealError as error:
            left_out[name] = str(error)
    if not given.judge_url:
        left_out["judge"] = "no --judge-url"
    document = new_document(given) | {"graders": rows, "left_out": left_out}
    write(given.json, document)
    notes = [f"left out  {name}: {reason}" for name, reason in left_out.items()]
    show(given.json, document, [table_of(rows, parts), *notes])


if __name__ == "__main__":
    main()
