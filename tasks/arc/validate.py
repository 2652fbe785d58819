"""Prove an ARC task without a model: that right answers score 1, wrong ones 0, and that no answer leaks.

What a leak is: the pair (test input, its output) among the pairs of a question, of the agent's description or of the
un-augmented training examples, or an answer's text after the test input of its question. An output alone is not searched
for: small ones ("5") occur everywhere by chance. Augmented training examples are made of the same demonstrations and of
nothing else, so only chance could make one of them equal a test pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seal_env.errors import TaskError
from seal_env.tasks.arc.domain import EVALUATIONS, ArcDomain
from seal_env.tasks.arc.grid import MAX_SIDE, Grid, GridFormat, check_grid
from seal_env.tasks.arc.task import ArcTask
from seal_env.tasks.arc.training_set import build_candidates
from seal_env.tasks.arc.transforms import TRANSFORMS
from seal_env.types import Answer, Query

FORMATS = ("plain", "lettered")
MIN_DEMONSTRATIONS = 2


def validate(task: ArcTask, seed: int = 0) -> list[str]:
    """What is wrong with a task, in words; an empty list if nothing is."""
    problems = [*_parts(task), *_grids(task)]
    if problems:
        return problems  # the rest would only say the same in other words
    problems += _leaks(task)
    for grid_format in FORMATS:
        problems += _formats(task, GridFormat(grid_format))
        for evaluation in EVALUATIONS:
            problems += _scores(task, ArcDomain(grid_format, evaluation), seed)
    return problems


def _parts(task: ArcTask) -> Iterator[str]:
    if len(task.context) < MIN_DEMONSTRATIONS:
        yield f"{len(task.context)} demonstrations; training on them needs {MIN_DEMONSTRATIONS}"
    if not task.queries:
        yield "no test pair"


def _named_grids(task: ArcTask) -> Iterator[tuple[str, Grid]]:
    for half, pairs in (("demonstration", task.context), ("test pair", task.queries)):
        for index, pair in enumerate(pairs):
            yield f"{half} {index}: input", pair.input
            yield f"{half} {index}: output", pair.output


def _grids(task: ArcTask) -> Iterator[str]:
    for where, grid in _named_grids(task):
        try:
            check_grid(grid, where)
        except TaskError as error:
            yield str(error)
            continue
        for transform in TRANSFORMS.values():
            if transform.undo(transform.apply(grid)) != grid:
                yield f"{where}: {transform.name} cannot be undone"


def _formats(task: ArcTask, grid_format: GridFormat) -> Iterator[str]:
    for where, grid in _named_grids(task):
        if grid_format.read(grid_format.write(grid)) != grid:
            yield f"{where}: written as {grid_format.name} and read again it is another grid"


def _leaks(task: ArcTask) -> Iterator[str]:
    off = build_candidates(task.context, basic=False, size=False, chain=False, repeat=False, seed=0)
    trained = {pair for example in off for pair in (*example.demonstrations, example.pair)}
    for index, pair in enumerate(task.queries):
        if pair in task.context:
            yield f"test pair {index} is a demonstration"
        if pair in trained:
            yield f"test pair {index} is in the training set"


def _scores(task: ArcTask, domain: ArcDomain, seed: int) -> Iterator[str]:
    """Problems of one wording and evaluation: leaks in what is asked and described, then scores of made-up answers."""
    where = f"{domain.grid_format}, {domain.evaluation}"
    described = domain.render(task.context)
    for index, pair in enumerate(task.queries):
        if domain.render((pair,)).partition("Demonstration 1\n")[2] in described:
            yield f"{where}: test pair {index} is in the agent's description"
    queries = domain.queries(task, seed)
    for query in queries:
        yield from (f"{where}: question {query.query_id}: {problem}" for problem in _question_leaks(query))
    for name, (fake, accuracy) in FAKES.items():
        got = domain.score(task, [fake(query, GridFormat(domain.grid_format)) for query in queries], seed)
        if (got.accuracy, got.partial) != (accuracy, accuracy):
            yield f"{where}: {name} answers score {got.accuracy} (cells {got.partial}), not {accuracy}"


def _question_leaks(query: Query) -> Iterator[str]:
    asked = query.messages[-1].content
    test_input, _, after = asked.rpartition("Input\n")[2].rpartition("\nOutput")
    if after.strip():
        yield "something follows the test input"
    if f"Input\n{test_input}\nOutput\n{query.answer}\n" in asked:
        yield "the answer is shown"


def _exact(query: Query, grid_format: GridFormat) -> Answer:
    return Answer(query.query_id, True, None, 1.0)


def _decoded(query: Query, grid_format: GridFormat) -> Answer:
    return Answer(query.query_id, False, query.answer, 0.0)


def _undecoded(query: Query, grid_format: GridFormat) -> Answer:
    return Answer(query.query_id, False, None, -1.0)


def _empty(query: Query, grid_format: GridFormat) -> Answer:
    return Answer(query.query_id, False, "", -1.0)


def _wrong_shape(query: Query, grid_format: GridFormat) -> Answer:
    """The right answer with its last row once more, or without it where there is no room."""
    grid = grid_format.read(query.answer) or ((0,),)
    wrong = (*grid, grid[-1]) if len(grid) < MAX_SIDE else grid[:-1]
    return Answer(query.query_id, False, grid_format.write(wrong), -1.0)


FAKES: dict[str, tuple[Callable[[Query, GridFormat], Answer], float]] = {
    "exact": (_exact, 1.0),
    "right": (_decoded, 1.0),
    "missing": (_undecoded, 0.0),
    "empty": (_empty, 0.0),
    "wrong-shape": (_wrong_shape, 0.0),
}
"""Made-up answers to a query, and what they must score."""
