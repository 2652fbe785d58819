"""Cards of a report: an episode each, with its task, its answers and its self-edit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from seal_env.agents.evaluation import EvalSample
from seal_env.experiments.report_choices import calls_of
from seal_env.experiments.report_figures import matrix_of
from seal_env.experiments.report_runs import ReportedRun
from seal_env.experiments.results import HELD_OUT
from seal_env.experiments.show import ShownTasks
from seal_env.panels import Panel
from seal_env.report.formats import duration, metric_heading, number
from seal_env.report.page.charts import Chart, Line, Point, thinned
from seal_env.report.page.content import Call, Card
from seal_env.types import Outcome

LONGEST: Final = 4000
"""Characters of a text that are shown."""
MOST_ITEMS: Final = 40
"""Queries, and texts of a self-edit, that are shown."""
MOST_POINTS: Final = 200
MOST_LISTED: Final = 20_000
"""Episodes of a page."""
MOST_RANK: Final = 10**9
GOLDEN_RATIO: Final = 0.618034
Row = Sequence[Panel]


class Cards:
    """Makes cards. Task sets are loaded once for each run, also if the page is made again.

    Args:
        most: Whole cards of a page. Other episodes are a line each.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: dict[str, ShownTasks] = {}

    def of(self, runs: Sequence[ReportedRun]) -> tuple[list[Card], int]:
        """Cards of the episodes of all runs, whole ones evenly spaced, and how many episodes there are."""
        everything = [(number, index, *each) for number, run in enumerate(runs) for index, each in enumerate(run.episodes)]
        listed = _spaced(everything, MOST_LISTED)
        whole = {each[:2] for each in _spaced(listed, self._most)}
        tasks: dict[str, int] = {}
        cards = []
        for which, index, journal, sample in listed:
            rank = tasks.setdefault(sample.task_id, len(tasks))
            card = _line(runs, which, index, journal, sample, rank)
            cards.append(self._filled(card, runs[which], index, journal, sample) if (which, index) in whole else card)
        return cards, len(everything)

    def _filled(self, card: Card, run: ReportedRun, index: int, journal: str, sample: EvalSample) -> Card:
        record = _record(run, index, sample)
        demonstrations, answers = self._panels(run, journal, record)
        losses = [each for each in record.get("losses", ()) if isinstance(each, int | float)]
        return replace(
            card,
            whole=True,
            facts=dict(_facts(sample, record)),
            demonstrations=_limited(demonstrations),
            answers=_limited(answers),
            more_answers=max(0, len(answers) - MOST_ITEMS),
            calls=[_call(call) for call in calls_of(sample, run.results.spec)],
            actions=[cut(str(action)) for action in sample.actions],
            reason=cut(sample.reason),
            losses=_losses(losses) if losses else None,
            retention=matrix_of(record.get("retention")),
        )

    def _panels(self, run: ReportedRun, journal: str, record: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
        """Rows without an answer, and rows with one."""
        tables = run.results.tables
        key = str(run.results.folder)
        if key not in self._tasks:
            self._tasks[key] = ShownTasks(tables)
        held_out = tables["run"].get("held_out") if journal.endswith(HELD_OUT) else None
        shown = self._tasks[key].of(record, None if held_out is None else str(held_out))
        if shown is None:
            return [], [] if "sequence" in record else _without_task(record)
        rows: list[Row] = [
            *shown.domain.panels(shown.task, {when: each for when, each in shown.answers.items() if each is not None})
        ]
        queries = len(shown.task.queries)
        return rows[:-queries], rows[-queries:]


def _spaced(everything: Sequence[Any], most: int) -> list[Any]:
    """At most so many, one of each of equal parts, not always at the same place of its part: tasks may come in turns."""
    count = min(most, len(everything))
    parts = [(len(everything) * part // count, len(everything) * (part + 1) // count) for part in range(count)]
    return [everything[first + int(part * GOLDEN_RATIO % 1 * (end - first))] for part, (first, end) in enumerate(parts)]


def _record(run: ReportedRun, index: int, sample: EvalSample) -> Mapping[str, Any]:
    return run.records[index] if index < len(run.records) else {"task_id": sample.task_id, **sample.answers}


def _line(runs: Sequence[ReportedRun], number: int, index: int, journal: str, sample: EvalSample, task: int) -> Card:
    """The card of an episode that is a line."""
    run = runs[number]
    episode = _record(run, index, sample).get("episode")
    where = f"{journal.rpartition('/')[0]} self-edit {sample.number + 1}" if episode is None else f"episode {episode}"
    gain = _thousandths(sample.accuracy - sample.accuracy_before, unknown=0)
    ranks = {
        "task": task,
        "gain": -gain,
        "drop": gain,
        "reward": -_thousandths(sample.reward, unknown=-MOST_RANK),
        "time": -_thousandths(sample.seconds, unknown=-MOST_RANK),
    }
    return Card(
        title=", ".join([*([run.name] if len(runs) > 1 else []), where.strip(), sample.task_id]),
        kind=_kind(sample),
        verdict=_verdict(sample),
        run=number,
        ranks=ranks,
        whole=False,
    )


def _thousandths(value: float, unknown: int) -> int:
    return round(max(-MOST_RANK, min(MOST_RANK, 1000 * value))) if math.isfinite(value) else unknown


def _without_task(record: Mapping[str, Any]) -> list[Row]:
    """The answers on record to a task that is no longer to be had."""
    columns = {name: record.get(f"predictions_{name}") or () for name in ("before", "after")}
    gold = record.get("gold") or ()
    rows: list[Row] = []
    for index in range(max(map(len, [*columns.values(), gold]))):
        row = []
        for name, attempts in columns.items():
            marks = record.get(f"correct_{name}") or ()
            first = attempts[index][0] if index < len(attempts) and attempts[index] else None
            row.append(Panel(f"answer {name}", first, bool(marks[index]) if index < len(marks) else None))
        rows.append([*row, *([Panel("gold", gold[index])] if index < len(gold) else [])])
    return rows


def _kind(sample: EvalSample) -> str:
    if sample.failed or sample.outcome != Outcome.OK:
        return "mistake"
    before, after = sample.accuracy_before, sample.accuracy
    return "rose" if after > before else "fell" if after < before else "same"


def _verdict(sample: EvalSample) -> str:
    if sample.failed or sample.outcome != Outcome.OK:
        return str(sample.outcome)
    scores = (sample.accuracy_before, sample.accuracy)
    return " \u2192 ".join("?" if math.isnan(score) else f"{100 * score:.0f} %" for score in scores)


def _facts(sample: EvalSample, record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "outcome", str(sample.outcome)
    yield "reward", number(sample.reward)
    for name, value in sample.metrics.items():
        yield metric_heading(name), number(value)
    if "examples" in record:
        yield "examples", f"{record['examples']:,}"
    if sample.steps:
        yield "optimizer steps", f"{sample.steps:,}"
        yield "tokens of examples", f"{sample.tokens:,}"
    yield "took", duration(sample.seconds)
    if sample.steps and not record.get("predictions_after"):
        yield "answers", "not on record"
    if grader := record.get("grader"):
        yield "grader", str(grader)


def _losses(losses: Sequence[float]) -> Chart:
    points = [Point(float(step), float(loss)) for step, loss in enumerate(losses, 1)]
    return Chart("Training loss", "optimizer step", "loss", (Line("loss", thinned(points, MOST_POINTS)),), small=True)


def _call(call: Mapping[str, Any]) -> Call:
    arguments, lists = [], []
    for name, value in call["arguments"].items():
        if isinstance(value, list):
            shown = [_item(each) for each in value[:MOST_ITEMS]]
            lists.append((name, shown, max(0, len(value) - MOST_ITEMS)))
        else:
            arguments.append((name, _item(value)))
    return Call(str(call["name"]), arguments, lists)


def _item(value: Any) -> str:
    """`{"question": "a", "answer": "b"}` as `question: a; answer: b`."""
    if isinstance(value, Mapping):
        return cut("; ".join(f"{name}: {_item(each)}" for name, each in value.items()))
    return cut(value if isinstance(value, str) else json.dumps(value, default=str))


def cut(text: str) -> str:
    """The text, or the beginning of a long one."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} characters)"


def _limited(rows: Sequence[Row]) -> list[Row]:
    """The first rows, with long texts cut."""
    return [
        [each._replace(shown=cut(each.shown)) if isinstance(each.shown, str) else each for each in row]
        for row in rows[:MOST_ITEMS]
    ]
