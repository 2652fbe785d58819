"""What decides on the answers to custom tasks: registered graders by name, or a callable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from seal_env.errors import SettingError
from seal_env.tasks.knowledge.grading.base import Attempt, Grader
from seal_env.tasks.knowledge.grading.registry import VERDICTS, make_grader
from seal_env.tasks.pairs.task import Examples, Pair, PairTask
from seal_env.types import Task

Metric = Callable[[str, str, str], float]
"""(input, gold, answer) -> score in [0, 1]; a bool counts as 0 or 1."""


class MetricScorer:
    """Scores answers by the metric of their task, or else by the default one.

    Args:
        metric: The default: a grader's name, or a callable.
        model: The judge's name at its server.
        url: The judge's address.
        caches: Directory in which a judge's verdicts are cached.

    Raises:
        SettingError: For an unknown grader, or a model or url that it does not take.
    """

    def __init__(
        self, metric: str | Metric, model: str | None = None, url: str | None = None, caches: Path | None = None
    ) -> None:
        self.metric = metric
        self._settings = (model, url, None if caches is None else caches / VERDICTS)
        self._grader = cache(self._make)
        if not callable(metric):
            try:
                self._grader(metric)
            except SettingError as error:
                if error.args[0] != "grader":
                    raise
                raise SettingError("metric", *error.args[1:]) from error

    def _make(self, name: str) -> Grader:
        return make_grader(name, *(self._settings if name == self.metric else (None, None, self._settings[2])))

    def __call__(self, task: Task[Examples, Pair], answers: Sequence[str]) -> list[float]:
        """A score in [0, 1] for each answer; an empty answer is wrong. Raises GraderError."""
        name = task.metric if isinstance(task, PairTask) else ""
        pairs = list(zip(task.queries, answers, strict=True))
        if not name and callable(self.metric):
            metric = self.metric
            return [_share(metric(pair.input, pair.output, answer)) if answer else 0.0 for pair, answer in pairs]
        grader = self._grader(name or str(self.metric))
        given = [index for index, (_, answer) in enumerate(pairs) if answer]
        verdicts = grader.grade_all([Attempt(pairs[i][0].input, pairs[i][0].output, pairs[i][1]) for i in given])
        right = {index for index, verdict in zip(given, verdicts, strict=True) if verdict}
        return [float(index in right) for index in range(len(pairs))]


def _share(score: float) -> float:
    value = float(score)
    if not 0 <= value <= 1:
        raise ValueError(f"the metric gave {score!r}; expected a number from 0 to 1")
    return value
