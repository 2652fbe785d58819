"""What the domains of text pairs share: tools, options and the columns of their task lists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from seal_env.domains.base import DomainOptions
from seal_env.domains.knowledge import TOOLS as TEXT_TOOLS
from seal_env.models.catalog import TEXT_MODEL_NAME
from seal_env.tasks.pairs.domain import PairsDomain, Scorer
from seal_env.tasks.pairs.task import Examples, Pair
from seal_env.tools.text.augment_pairs import AUGMENT_PAIRS
from seal_env.types import Answer, Task, Taskset

TOOLS: Final = (AUGMENT_PAIRS, *TEXT_TOOLS)
DEFAULTS: Final[Mapping[str, Any]] = {
    "model": TEXT_MODEL_NAME,
    "max_tokens": 2048,
    "max_steps": 1000,
    "lora_rank": 32,
    "lora_alpha": 64.0,
    "batch_size": 1,
    "default_learning_rate": 1e-3,
    "default_num_epochs": 10,
    "schedule": "linear",
}
RECIPE: Final[Mapping[str, Any]] = {"warmup_steps": 0}
_TRAINING: Final = {"strategy": "train_using_all_tokens", "learning_rate": 1e-4, "num_train_epochs": 0}


def _action(**calls: Mapping[str, Any]) -> str:
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


DEFAULT_SELF_EDIT: Final = _action(augment={"num_orders": 2}, finetune={})
NO_UPDATE: Final = _action(augment={"num_orders": 1}, training=_TRAINING, finetune={})


class PairsOptions(DomainOptions):
    """Settings of tasks of text pairs."""

    in_context: bool = True
    """Whether the solved examples are in the prompt of every query."""
    learn_examples: bool = True
    """Whether the solved examples are training documents beside those of the self-edit."""
    max_answer_tokens: int = Field(64, ge=1)
    """Most tokens of an answer."""

    def domain(self, score_answers: Scorer) -> PairsDomain:
        """The domain with these options and `score_answers` to decide on answers."""
        return PairsDomain(score_answers, self.in_context, self.learn_examples, self.max_answer_tokens)


def columns(task: Task[Examples, Pair]) -> Mapping[str, str]:
    """What a list of tasks shows of each."""
    return {"examples": str(len(task.context)), "queries": str(len(task.queries)), "first input": task.context[0].input[:60]}


def validate(taskset: Taskset[Any, Any], domain: PairsDomain) -> Mapping[str, Sequence[str]]:
    """Problems by task id: a gold answer that is not right, an empty one that is, a query that is a solved example."""
    return {task.task_id: problems for task in taskset if (problems := _problems(task, domain))}


def _problems(task: Task[Examples, Pair], domain: PairsDomain) -> list[str]:
    queries = domain.queries(task, 0)
    right = domain.score(task, [Answer(query.query_id, True, query.answer, 1.0) for query in queries], 0)
    empty = domain.score(task, [Answer(query.query_id, False, "", -1.0) for query in queries], 0)
    shown = {pair.input for pair in task.context}
    problems = [f"query {index} is a solved example" for index, pair in enumerate(task.queries) if pair.input in shown]
    if right.accuracy != 1.0:
        problems.append(f"its own answers score {right.accuracy:g}, not 1")
    if empty.accuracy != 0.0:
        problems.append(f"empty answers score {empty.accuracy:g}, not 0")
    return problems
