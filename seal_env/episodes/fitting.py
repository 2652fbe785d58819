"""Which tasks a model can be asked about: those whose queries it takes, each with its gold answer.

A tokenizer spends at least one UTF-8 byte on a token, so most queries are known to fit without being tokenized.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from seal_env.errors import TaskError
from seal_env.printable import printable
from seal_env.types import Example, InnerLoop, Message, Query, Recipe, Task, Taskset

MARGIN: Final = 8
"""Tokens by which a query may be longer than the training example that it is counted as."""
TEMPLATE_TOKENS: Final = 256
"""Room for the tokens that a chat template adds."""
SHOWN: Final = 5
"""Most tasks that a warning names."""


def longest_query(queries_Q: Sequence[Query], inner_loop: InnerLoop) -> str:
    """What is wrong with the queries of a task; empty if the model takes every one of them.

    Args:
        queries_Q: Of one task.
        inner_loop: Of the model.
    """
    most = inner_loop.max_tokens(Recipe())
    doubtful = [example for example in map(_as_example, queries_Q) if _bytes(example) >= most - TEMPLATE_TOKENS]
    longest = max(inner_loop.count_tokens(doubtful), default=0) + MARGIN if doubtful else 0
    return f"a query takes about {longest} tokens with its answer; the model takes at most {most}" if longest > most else ""


def _as_example(query: Query) -> Example:
    if query.prompt is not None:
        return Example(document=f"{query.prompt} {query.answer}")
    return Example((*query.messages, Message("assistant", query.answer)))


def _bytes(example: Example) -> int:
    texts = [example.document] if example.document is not None else [message.content for message in example.messages]
    return sum(len(text.encode()) for text in texts)


class FittingTaskset:
    """A task set without the tasks that are too long for the model; any task of it can still be chosen by its id.

    Args:
        tasks: All tasks.
        problem_of: What is wrong with a task; empty if nothing is.
    """

    def __init__(self, tasks: Taskset[Any, Any], problem_of: Callable[[Task[Any, Any]], str]) -> None:
        self._tasks, self._problem_of = tasks, problem_of

    @property
    def name(self) -> str:
        """Of the whole task set."""
        return self._tasks.name

    @cached_property
    def task_ids(self) -> tuple[str, ...]:
        """The ids of the tasks that fit, in order; a warning lists the others. Raises TaskError if there are none."""
        problems = {task.task_id: self._problem_of(task) for task in self._tasks}
        warn_of({task_id: problem for task_id, problem in problems.items() if problem}, self.name, len(problems))
        return tuple(task_id for task_id, problem in problems.items() if not problem)

    def __len__(self) -> int:
        return len(self.task_ids)

    def __iter__(self) -> Iterator[Task[Any, Any]]:
        return map(self._tasks.__getitem__, self.task_ids)

    def __getitem__(self, task_id: str) -> Task[Any, Any]:
        return self._tasks[task_id]


def warn_of(problems: dict[str, str], name: str, count: int) -> None:
    """Warn of tasks that are left out of a task set of `count`. Raises TaskError if that is every one."""
    if not problems:
        return
    shown = "; ".join(f"{task_id}: {problem}" for task_id, problem in list(problems.items())[:SHOWN])
    more = f"; and {len(problems) - SHOWN} more: {', '.join(list(problems)[SHOWN:])}" if len(problems) > SHOWN else ""
    if len(problems) == count:
        raise TaskError(f"no task of {name} fits the model: {shown}{more}")
    warnings.warn(printable(f"{len(problems)} of {count} tasks of {name} left out: {shown}{more}"), stacklevel=2)
