"""ARC as a domain: prompts for the agent and for the model, and the scores of the model's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from seal_env.errors import SettingError
from seal_env.panels import Panel
from seal_env.tasks.answer_panels import answer_panels
from seal_env.tasks.arc import prompt
from seal_env.tasks.arc.grid import Grid, GridFormat, GridPair, cell_accuracy
from seal_env.tasks.arc.task import ArcContext, ArcTask
from seal_env.tasks.arc.training_set import ArcExample, build_candidates
from seal_env.tasks.arc.transforms import IDENTITY, Transform
from seal_env.tasks.arc.voting.prompts import vote_prompts
from seal_env.tasks.arc.voting.vote import vote
from seal_env.types import Answer, Evaluation, Example, Query

EVALUATIONS = ("greedy", "vote")

Attempts = tuple[Grid | None, ...]


class _Asked(NamedTuple):
    """One question about test input `number`: how its grids were transformed, what it shows, and the pair it is about."""

    number: int
    transform: Transform
    demonstrations: ArcContext
    pair: GridPair


BRIEFING = "The task is shown by its demonstrations. The test inputs stay hidden, and so do their outputs."


@dataclass(frozen=True)
class ArcDomain:
    """Tasks of ARC. Raises SettingError for an unknown grid format or evaluation.

    grid_format: `plain` or `lettered` (see GridFormat). evaluation: `greedy` asks once for each test input, with all
    demonstrations, and the answer is the one attempt; `vote` asks with demonstrations left out, shuffled and transformed,
    and votes on two attempts (see vote.py). Either way a test input is solved if an attempt equals its output.
    max_prompt_cells: most cells of grids that the agent's prompt shows; None is no limit. The model that solves the task is
    always shown all demonstrations.
    """

    grid_format: str = "plain"
    evaluation: str = "greedy"
    briefing: str = BRIEFING
    max_prompt_cells: int | None = None

    def __post_init__(self) -> None:
        if self.evaluation not in EVALUATIONS:
            raise SettingError("evaluation", self.evaluation, " or ".join(map(repr, EVALUATIONS)))
        GridFormat(self.grid_format)

    @cached_property
    def format(self) -> GridFormat:
        """How grids are written."""
        return GridFormat(self.grid_format)

    @property
    def queries_depend_on_seed(self) -> bool:
        """The prompts of a vote are drawn."""
        return self.evaluation == "vote"

    def segments(self, context: ArcContext) -> tuple[ArcContext, ...]:
        """All of it at once."""
        return (context,)

    def render(self, segment: ArcContext) -> str:
        """The demonstrations with their sizes, as the agent reads them.

        One whose grids do not fit into what is left of `max_prompt_cells` is described by its sizes alone.
        """
        parts = [f"{len(segment)} demonstration{'s' if len(segment) != 1 else ''} of one hidden rule."]
        left = math.inf if self.max_prompt_cells is None else self.max_prompt_cells
        for number, pair in enumerate(segment, 1):
            cells = sum(len(grid) * len(grid[0]) for grid in pair)
            shown = cells <= left
            left -= cells if shown else 0
            grids = [f"{_size(grid)}\n{self.format.write(grid)}" if shown else f"{_size(grid)}, not shown" for grid in pair]
            parts.append(f"Demonstration {number}\nInput, {grids[0]}\nOutput, {grids[1]}")
        return "\n\n".join(parts)

    def as_data(self, segment: ArcContext) -> dict[str, Any]:
        """The demonstrations: {"demonstrations": [{"input": rows of cells, "output": rows of cells}]}."""
        pairs = [
            {"input": [list(row) for row in pair.input], "output": [list(row) for row in pair.output]} for pair in segment
        ]
        return {"demonstrations": pairs}

    def build_candidates(
        self, segment: ArcContext, *, basic: bool, size: bool, chain: bool, repeat: bool, seed: int
    ) -> tuple[ArcExample, ...]:
        """The training examples that the augmentations make of the demonstrations, see `training_set`."""
        return build_candidates(segment, basic=basic, size=size, chain=chain, repeat=repeat, seed=seed)

    def add_default_examples(
        self, segment: ArcContext, candidates: tuple[ArcExample, ...] | None
    ) -> tuple[ArcExample, ...] | None:
        """The candidates, no more."""
        return candidates

    def render_example(self, example: ArcExample) -> Example:
        """A training example as the chat that the model learns from."""
        return prompt.example(example.demonstrations, example.pair, self.format)

    def queries(self, task: ArcTask, seed: int) -> tuple[Query, ...]:
        """One question for each test input (greedy), or 7 to some 30 for each (vote). The seed matters to `vote` only.

        Query ids are "0", "1", ... (greedy) or TEST.NUMBER.TRANSFORM (vote), as "0.6.transpose".
        """
        asked = self._asked(task, seed)
        return tuple(
            prompt.query(query_id, item.demonstrations, item.pair, self.format)
            for query_id, item in zip(self._ids(asked), asked, strict=True)
        )

    def score(self, task: ArcTask, answers_Q: Sequence[Answer], seed: int) -> Evaluation:
        """Accuracy: share of test inputs solved. Partial: share of right cells of the better attempt, mean over inputs.

        Raises ValueError if these are not the answers to `queries(task, seed)`, in order.
        """
        asked = self._asked(task, seed)
        if [answer.query_id for answer in answers_Q] != self._ids(asked):
            raise ValueError(f"task {task.task_id}: these are not the answers to its questions")
        answers_by_test: list[list[tuple[str, Grid | None]]] = [[] for _ in task.queries]
        for item, answer in zip(asked, answers_Q, strict=True):
            answers_by_test[item.number].append((item.transform.name, self._read(item, answer)))
        return self.score_predictions(task, tuple(map(self._attempts, answers_by_test)))

    def score_predictions(self, task: ArcTask, attempts_Q: Sequence[Attempts]) -> Evaluation:
        """`score`, given the attempts at each test input: grids, or None for what is no grid."""
        solved_Q = tuple(pair.output in attempts for pair, attempts in zip(task.queries, attempts_Q, strict=True))
        cells_Q = [
            max(cell_accuracy(attempt, pair.output) for attempt in attempts)
            for pair, attempts in zip(task.queries, attempts_Q, strict=True)
        ]
        count = len(solved_Q)
        return Evaluation(sum(solved_Q) / count, sum(cells_Q) / count, tuple(attempts_Q), correct_Q=solved_Q)

    def gold(self, task: ArcTask) -> tuple[Grid, ...]:
        """The outputs of the test inputs."""
        return tuple(pair.output for pair in task.queries)

    def panels(self, task: ArcTask, shown: Mapping[str, Evaluation | None] | None) -> list[list[Panel]]:
        """Rows of captioned grids: the demonstrations, then each test input with its predictions and its output."""
        rows = [[Panel("input", pair.input), Panel("output", pair.output)] for pair in task.context]
        for index, pair in enumerate(task.queries):
            answers = [] if shown is None else answer_panels("prediction", index, shown, pair.output)
            rows.append([Panel("test input", pair.input), *answers])
        return rows

    def _asked(self, task: ArcTask, seed: int) -> list[_Asked]:
        if self.evaluation == "greedy":
            return [_Asked(index, IDENTITY, task.context, pair) for index, pair in enumerate(task.queries)]
        return [
            _Asked(index, shown.transform, shown.demonstrations, shown.transform.apply_pair(pair))
            for index, pair in enumerate(task.queries)
            for shown in vote_prompts(task.context, pair.input, seed)
        ]

    def _ids(self, asked: Sequence[_Asked]) -> list[str]:
        if self.evaluation == "greedy":
            return [str(item.number) for item in asked]
        numbers = [0] * len(asked)
        ids = []
        for item in asked:
            ids.append(f"{item.number}.{numbers[item.number]}.{item.transform.name}")
            numbers[item.number] += 1
        return ids

    def _read(self, asked: _Asked, answer: Answer) -> Grid | None:
        """The answer as a grid, mapped back; None if there is no text or it is not a grid."""
        grid = asked.pair.output if answer.exact else self.format.read(answer.text) if answer.text is not None else None
        return None if grid is None else asked.transform.undo(grid)

    def _attempts(self, answers: Sequence[tuple[str, Grid | None]]) -> Attempts:
        if self.evaluation == "greedy":
            return (answers[0][1],)
        return vote(answers) or (None,)


def _size(grid: Grid) -> str:
    return f"{len(grid)} x {len(grid[0])} (rows x columns)"
