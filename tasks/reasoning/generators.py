"""Tasks drawn by reasoning-gym (arXiv 2505.24760): solved examples and queries of one generator, scored by its verifier.

reasoning-gym is an extra and is imported when a task set is loaded. Some of its verifiers evaluate the answer as Python
code (`eval`, sympy's `parse_expr`). A model's answer must never run, so those generators are refused, and so are those that
have no written answer to learn from, and those that overlook what an answer says besides.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np

from seal_env.errors import TaskError, needs_extra
from seal_env.tasks.generated import GeneratedTaskset, TaskGenerator
from seal_env.tasks.pairs.task import Examples, Pair, PairTask
from seal_env.types import Task

SETS: Final = {"train": 0, "eval": 1}
"""Sets of each generator, which never share a seed."""
RUNS_CODE: Final = re.compile(r"\b(?:eval|exec|parse_expr|sympify)\(")
RUNS_NO_ANSWER: Final = ("bitwise_arithmetic",)
"""Generators whose module evaluates its own problems, but whose verifier leaves the answer alone (reasoning-gym 0.1.25)."""
CREDULOUS: Final = ("game_of_life_halting", "gsm_symbolic", "knights_knaves")
"""Generators whose verifier takes "not X" or "X or Y" for the right answer X (reasoning-gym 0.1.25)."""
EXTRA: Final = "reasoning"
LONGEST: Final = 2000
"""Characters that an answer may have more than twice the right one has; a longer one scores 0 without a look."""


def _library() -> Any:
    with needs_extra(EXTRA):
        import reasoning_gym.factory
    return reasoning_gym.factory


def generator_names() -> tuple[str, ...]:
    """The generators that make tasks here. Raises MissingExtraError where reasoning-gym is not installed."""
    return tuple(name for name, (kind, _) in sorted(_library().DATASETS.items()) if _is_sound(name, kind))


def _is_sound(name: str, kind: type) -> bool:
    """Whether the verifier compares an answer, all of it, without evaluating it as code."""
    if name in CREDULOUS:
        return False
    from reasoning_gym.dataset import ProceduralDataset

    scores_itself = kind.score_answer is not ProceduralDataset.score_answer  # type: ignore[attr-defined]
    module = inspect.getmodule(kind)
    return not scores_itself or name in RUNS_NO_ANSWER or not RUNS_CODE.search(inspect.getsource(module or kind))


def reasoning_taskset(
    name: str, generator: str, which: str, examples: int, queries: int, count: int | None = None, seed: int = 0
) -> GeneratedTaskset[Examples, Pair]:
    """The first `count` tasks of a generator.

    Args:
        name: Of the task set.
        generator: One of `generator_names()`.
        which: `train` or `eval`.
        examples: Solved examples of a task.
        queries: Queries of a task.
        count: Of tasks, 100 by default.
        seed: Of the task set.

    Raises:
        TaskError: For a generator that has no written answers.
    """
    draw = partial(_draw, generator, examples, queries)
    sets: dict[str, Callable[[], int] | None] = dict.fromkeys(SETS)
    return TaskGenerator(generator, draw, sets).taskset(name, which, count, seed)


@lru_cache(maxsize=1024)
def _draw(generator: str, examples: int, queries: int, which: str, seed: int, index: int) -> PairTask:
    dataset = _dataset(generator, examples + queries, which, seed, index)
    pairs = tuple(_pair(generator, entry) for entry in (dataset[number] for number in range(examples + queries)))
    return PairTask(f"{generator}-{which}-{seed}-{index}", pairs[:examples], pairs[examples:], generator)


def _dataset(generator: str, size: int, which: str, seed: int, index: int) -> Any:
    drawn = int(np.random.default_rng([SETS[which], seed, index]).integers(2**31))
    return _library().create_dataset(generator, seed=drawn, size=size)


def _pair(generator: str, entry: Mapping[str, Any]) -> Pair:
    answer = entry["answer"]
    if not isinstance(answer, str) or not answer.strip():
        raise TaskError(f"the generator {generator!r} writes no answers that could be learned; take another one")
    return Pair(entry["question"].strip(), answer, entry)


@lru_cache(maxsize=64)
def _verifier(generator: str) -> Any:
    return _library().create_dataset(generator, seed=0, size=1)


def score_answers(task: Task[Examples, Pair], answers: Sequence[str]) -> list[float]:
    """Scores in [0, 1] by the generator's own verifier; an answer that it cannot read scores 0."""
    assert isinstance(task, PairTask)
    return [_score(_verifier(task.metric), pair, answer) for pair, answer in zip(task.queries, answers, strict=True)]


def _score(verifier: Any, pair: Pair, answer: str) -> float:
    if not answer or len(answer) > LONGEST + 2 * len(pair.output):
        return 0.0
    try:
        score = float(verifier.score_answer(answer, pair.entry))
    except Exception:
        return 0.0
    return min(max(score, 0.0), 1.0) if score == score else 0.0
