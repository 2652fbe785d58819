"""What a policy chose: its self-edits as numbers over time, and how much they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from seal_env.agents.evaluation import EvalSample, by_task
from seal_env.domains.base import DomainSpec
from seal_env.experiments.report_runs import ReportedRun
from seal_env.experiments.results import HELD_OUT
from seal_env.intervals import bootstrap
from seal_env.report.formats import DASH, percent
from seal_env.report.page.charts import Chart, Line, Point
from seal_env.report.page.content import Rows
from seal_env.self_edits.parse_calls import parse
from seal_env.self_edits.parse_text import parse_or_read
from seal_env.types import InvalidSelfEdit, Outcome

BINS: Final = 30
"""Points of a line, each a mean of neighbours."""
MOST_CHARTS: Final = 15
MOST_WORDS: Final = 4
"""Values of a choice that have a chart each."""
LONGEST_WORD: Final = 40
"""Characters of such a value that are shown."""
SHARE: Final = "of self-edits, %"
"""The unit of switches and words."""
Calls = Sequence[Mapping[str, Any]]


def calls_of(sample: EvalSample, spec: DomainSpec) -> Calls:
    """The tool calls of all turns, as data; of an action that is none, nothing."""
    return [call for action in sample.actions for call in _read(action, spec.reads_plain_text)]


@lru_cache(maxsize=2**15)
def _read(action: str, plain: bool) -> Calls:
    calls = parse_or_read(action) if plain else parse(action)
    if isinstance(calls, InvalidSelfEdit):
        return []
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


def choice_charts(runs: Sequence[ReportedRun]) -> tuple[list[Chart], int]:
    """A chart for each argument: numbers as they are, switches and words as the share of self-edits, lists by length.

    Returns:
        The first of them, and how many are left out.
    """
    lines: dict[str, list[Line]] = {}
    units: dict[str, str] = {}
    for number, run in enumerate(runs):
        for name, values in _numbers(run, units).items():
            lines.setdefault(name, []).append(Line(run.name, _binned(values), number))
    charts = _distinct_by_round(runs) + [
        Chart(name, "self-edit", units.get(name, "value"), tuple(drawn), share=units.get(name) == SHARE, small=True)
        for name, drawn in lines.items()
    ]
    return charts[:MOST_CHARTS], max(0, len(charts) - MOST_CHARTS)


def _numbers(run: ReportedRun, units: dict[str, str]) -> dict[str, list[tuple[int, float]]]:
    """(index of the self-edit, value) by argument; what is no number by itself gets its unit in `units`."""
    found: dict[str, list[tuple[int, float]]] = {}
    words: dict[str, dict[int, str]] = {}
    for index, sample in enumerate(run.sampled, 1):
        numbers: dict[str, float] = {}
        for where, value in _arguments(sample, run.results.spec):
            if isinstance(value, str):
                words.setdefault(where, {})[index] = value
            elif isinstance(value, list):
                numbers[where] = numbers.get(where, 0.0) + len(value)
                units[where] = "items"
            elif isinstance(value, bool | int | float) and math.isfinite(value):
                numbers[where] = float(value)
                units |= {where: SHARE} if isinstance(value, bool) else {}
        for where, number in numbers.items():
            found.setdefault(where, []).append((index, number))
    return found | _word_shares(words, units)


def _word_shares(words: Mapping[str, Mapping[int, str]], units: dict[str, str]) -> dict[str, list[tuple[int, float]]]:
    """Whether each self-edit has a value, by argument and value; arguments of many values, such as texts, are left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    for where, chosen in words.items():
        values = list(dict.fromkeys(chosen.values()))
        for value in values if len(values) <= MOST_WORDS else ():
            name = f"{where} {value[:LONGEST_WORD]}"
            found[name] = [(index, float(each == value)) for index, each in chosen.items()]
            units[name] = SHARE
    return found


def _arguments(sample: EvalSample, spec: DomainSpec) -> Iterator[tuple[str, Any]]:
    """`tool: argument` and its value, of a self-edit that was no mistake."""
    known = {tool.name: tool.arguments.model_fields for tool in spec.tools}
    for call in calls_of(sample, spec) if sample.outcome == Outcome.OK else ():
        for name, value in call["arguments"].items():
            if name in known.get(call["name"], ()):
                yield f"{call['name']}: {name}", value


def _binned(values: Sequence[tuple[int, float]]) -> tuple[Point, ...]:
    parts = np.array_split(np.array(values, dtype=float), min(BINS, len(values)))
    return tuple(Point(float(part[:, 0].mean()), float(part[:, 1].mean())) for part in parts)


def _distinct_by_round(runs: Sequence[ReportedRun]) -> list[Chart]:
    """How the diversity of a policy changes while it is trained; nothing without several rounds."""
    lines = []
    for number, run in enumerate(runs):
        rounds = [samples for name, samples in run.results.journals.items() if not name.endswith(HELD_OUT)]
        shares = [_shares(_edits(run, samples)) for samples in rounds] if run.held_out else []
        points = tuple(Point(float(index), sum(each) / len(each)) for index, each in enumerate(shares, 1) if each)
        lines += [Line(run.name, points, number)] if len(points) > 1 else []
    about = ("distinct self-edits for the same task", "round", SHARE)
    return [Chart(*about, tuple(lines), share=True, small=True)] if lines else []


def _edits(run: ReportedRun, samples: Sequence[EvalSample]) -> dict[str, list[str]]:
    """Self-edits by task, as texts that are equal if they are."""
    return {task: [_canonical(each, run.results.spec) for each in mine] for task, mine in by_task(samples).items()}


def _shares(edits: Mapping[str, Sequence[str]]) -> list[float]:
    """Of each task with several self-edits, how many of these are distinct."""
    return [len(set(mine)) / len(mine) for mine in edits.values() if len(mine) > 1]


def diversity(runs: Sequence[ReportedRun]) -> Rows | None:
    """The share of distinct self-edits among those for the same task and among all; None if no run has several."""
    rows = []
    for run in runs:
        edits = _edits(run, run.sampled)
        shares = _shares(edits)
        everything = [edit for mine in edits.values() for edit in mine]
        if everything:
            mean = percent(bootstrap(shares)._asdict()) if shares else DASH
            whole = f"{len(set(everything)):,} of {len(everything):,}"
            least = f"{100 * min(shares):.0f}" if shares else DASH
            rows.append([run.name, f"{len(shares):,}", mean, least, whole])
    headings = ("run", "tasks with several", "distinct for a task, %", "least, %", "distinct in all")
    note = "Self-edits are the same if their tool calls are; an action without tool calls is compared as text."
    return Rows(headings, rows, note) if any(len(run.sampled) > 1 for run in runs) else None


def _canonical(sample: EvalSample, spec: DomainSpec) -> str:
    return json.dumps(list(calls_of(sample, spec)) or list(sample.actions), sort_keys=True, default=str)
