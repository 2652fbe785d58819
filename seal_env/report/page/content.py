"""What a page shows, as data: the template lays it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from seal_env.panels import Panel
from seal_env.report.page.charts import Chart

SORTS: Final = {
    "task": "by task",
    "gain": "largest gains first",
    "drop": "largest losses first",
    "reward": "largest rewards first",
    "time": "longest first",
}
"""How episodes can be sorted, in words."""


@dataclass(frozen=True)
class Rows:
    """A table. headings: one for each column. rows: cells, of which the first heads its row. note: stands below it."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Run:
    """A run in the head of a page.

    Attributes:
        name: A letter, or the name of a part.
        folder: Where it is.
        line: Command, environment, agent and model in words.
        finished: Whether nothing is left to do.
        settings: All of settings.toml, as `table.name` and value.
    """

    name: str
    folder: str
    line: str
    finished: bool
    settings: Mapping[str, str]


@dataclass(frozen=True)
class TaskLine:
    """Accuracy on one task. before: of the base model, None if it was not measured. after: of each run, by its number."""

    task_id: str
    before: float | None
    after: Mapping[int, float]

    @property
    def change(self) -> float:
        """How far the best run is above the base model, or the worst one below it."""
        moved = [each - (self.before or 0.0) for each in self.after.values()]
        return max(moved, key=abs, default=0.0)


@dataclass(frozen=True)
class Call:
    """A tool call of a self-edit. arguments: (name, text) in order; lists: (name, items, how many were left out)."""

    name: str
    arguments: Sequence[tuple[str, str]]
    lists: Sequence[tuple[str, Sequence[str], int]] = ()


@dataclass(frozen=True)
class Card:
    """One episode.

    Attributes:
        title: Run, number and task.
        kind: `rose`, `fell`, `same` or `mistake`.
        verdict: Outcome or the change of accuracy, in a few words.
        run: The number of its run.
        ranks: By name of `SORTS`: a whole number, the smallest comes first.
        whole: Whether there is more than these. Without it the card is a line.
        facts: By name.
        demonstrations: Rows of panels that hold no answer.
        answers: Rows of panels with the question, the answers and the right one.
        more_answers: Rows that were left out.
        calls: Of the self-edit.
        actions: What the agent wrote in each turn.
        reason: What went wrong.
        losses: A chart; None without an update.
        retention: The matrix of a sequence of tasks; empty without one.
    """

    title: str
    kind: str
    verdict: str
    run: int = 0
    ranks: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)
    demonstrations: Sequence[Sequence[Panel]] = ()
    answers: Sequence[Sequence[Panel]] = ()
    more_answers: int = 0
    calls: Sequence[Call] = ()
    actions: Sequence[str] = ()
    reason: str = ""
    losses: Chart | None = None
    retention: Sequence[Sequence[float | None]] = ()


@dataclass(frozen=True)
class Page:
    """A whole page. Parts that are empty are left out.

    Attributes:
        title: Heads it.
        runs: Every run.
        different: Settings in which runs differ: a column for each run.
        tables: Summary and differences, by heading.
        more_tables: Diversity and cost, by heading.
        curves: How accuracy went.
        choices: What was chosen over time.
        tasks: Accuracy before and after, by task.
        tasks_left_out: How many are not among them.
        matrices: Retention matrices by title.
        choices_left_out: How many more arguments were chosen.
        cards: Of episodes.
        episodes: How many there are, with those that have no card.
        version: Of seal-env.
        refresh: Seconds until a browser loads the page again; 0 is never.
    """

    title: str
    runs: Sequence[Run]
    version: str
    different: Rows | None = None
    tables: Mapping[str, Rows] = field(default_factory=dict)
    more_tables: Mapping[str, Rows] = field(default_factory=dict)
    curves: Sequence[Chart] = ()
    choices: Sequence[Chart] = ()
    choices_left_out: int = 0
    tasks: Sequence[TaskLine] = ()
    tasks_left_out: int = 0
    matrices: Mapping[str, Sequence[Sequence[float | None]]] = field(default_factory=dict)
    cards: Sequence[Card] = ()
    episodes: int = 0
    refresh: int = 0

    @property
    def runs_with_cards(self) -> dict[int, str]:
        """Names of the runs that have episodes, by number."""
        return {card.run: self.runs[card.run].name for card in self.cards}

    @property
    def whole(self) -> int:
        """How many cards have more than a line."""
        return sum(card.whole for card in self.cards)

    @property
    def kinds(self) -> dict[str, int]:
        """How many cards there are of each kind."""
        found: dict[str, Any] = dict.fromkeys(("rose", "fell", "same", "mistake"), 0)
        for card in self.cards:
            found[card.kind] += 1
        return found
