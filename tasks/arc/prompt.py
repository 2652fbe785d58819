"""Prompts of an ARC task for the model that solves it: demonstrations, then one input; the answer is the output grid."""

from __future__ import annotations

from collections.abc import Sequence

from seal_env.tasks.arc.grid import Grid, GridFormat, GridPair
from seal_env.types import Example, Message, Query

SOLVE_INSTRUCTION = (
    "Every pair of grids follows the same hidden rule. Find the rule and apply it to the last input. "
    "Answer with the output grid only."
)


def question(demonstrations_D: Sequence[GridPair], test_input: Grid, grid_format: GridFormat) -> tuple[Message, ...]:
    """System and user message that ask for the output of `test_input`."""
    parts = [
        f"Input\n{grid_format.write(pair.input)}\nOutput\n{grid_format.write(pair.output)}\n\n" for pair in demonstrations_D
    ]
    parts.append(f"Input\n{grid_format.write(test_input)}\nOutput")
    return (Message("system", SOLVE_INSTRUCTION), Message("user", "".join(parts)))


def example(demonstrations_D: Sequence[GridPair], pair: GridPair, grid_format: GridFormat) -> Example:
    """A training example: the question with its answer."""
    asked = question(demonstrations_D, pair.input, grid_format)
    return Example((*asked, Message("assistant", grid_format.write(pair.output))))


def query(query_id: str, demonstrations_D: Sequence[GridPair], pair: GridPair, grid_format: GridFormat) -> Query:
    """The question for `pair.input`, with the gold answer."""
    asked = question(demonstrations_D, pair.input, grid_format)
    return Query(query_id, asked, grid_format.write(pair.output), grid_format.pattern)
