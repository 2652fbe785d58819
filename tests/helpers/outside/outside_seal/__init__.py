"""A package that extends seal-env from outside: a domain, tools, an agent, a grader, an optimizer and a reward."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from seal_env.agents.base import Agent
from seal_env.domains.base import DomainOptions, DomainSpec
from seal_env.options import Options
from seal_env.panels import Panel
from seal_env.tasks.base import ListTaskset, TasksetEntry
from seal_env.tasks.knowledge.grading.base import Attempt
from seal_env.tools.base import Arguments, Draft, EditContext, Tool
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.types import Evaluation, Example, Query, Task

NAME, ENV_ID = "shouting", "Outside/Shouting-v0"


class RepeatArguments(Arguments):
    times: int = Field(ge=1, le=3, description="How often each word is written.")
    loud: bool = Field(description="Whether it is written in capitals.")


def repeat(draft: Draft, context: EditContext, given: RepeatArguments) -> Draft:
    words = [word.upper() if given.loud else word for word in context.segment]
    return replace(draft, candidates=tuple(" ".join([word] * given.times) for word in words))


REPEAT = Tool("repeat", "Writes each word of the task once or more.", RepeatArguments, repeat)


class ShoutingOptions(DomainOptions):
    prefix: str = "Say"
    """First word of every query."""


@dataclass(frozen=True)
class ShoutingDomain:
    """Words to shout: the answer to a word is the word in capitals."""

    prefix: str
    briefing: str = "The task is some words."
    queries_depend_on_seed: bool = False

    def segments(self, context: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (context,)

    def render(self, segment: tuple[str, ...]) -> str:
        return ", ".join(segment)

    def as_data(self, segment: tuple[str, ...]) -> dict[str, Any]:
        return {"words": list(segment)}

    def add_default_examples(self, segment: Any, candidates: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return candidates

    def render_example(self, example: str) -> Example:
        return Example(document=example)

    def queries(self, task: Task[Any, str], seed: int) -> tuple[Query, ...]:
        return tuple(Query(word, (), word.upper(), r"\w+", 4, f"{self.prefix} {word}:") for word in task.queries)

    def score(self, task: Task[Any, str], answers_Q: Any, seed: int) -> Evaluation:
        right = [answer.exact for answer in answers_Q]
        share = sum(right) / len(right)
        return Evaluation(share, share, tuple((answer.text,) for answer in answers_Q))

    def gold(self, task: Task[Any, str]) -> tuple[str, ...]:
        return tuple(word.upper() for word in task.queries)

    def panels(self, task: Task[Any, str], shown: Any) -> list[list[Panel]]:
        return [[Panel("words", ", ".join(task.context))]]


def load(subset: str, options: Any) -> ListTaskset[Any, str]:
    return ListTaskset(subset, tuple(Task(f"{subset}-{n}", ("lamp", f"word{n}"), ("lamp", "stone")) for n in range(3)))


def edit(times: int, epochs: int) -> str:
    training = {"strategy": "train_using_all_tokens", "learning_rate": 1e-3, "num_train_epochs": epochs}
    calls = {"repeat": {"times": times, "loud": True}, "training": training, "finetune": {}}
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls.items()])


SPEC = DomainSpec(
    name=NAME,
    summary="words to shout",
    tools=(REPEAT, TRAINING, FINETUNE),
    options=ShoutingOptions,
    load=load,
    make=lambda options, caches: ShoutingDomain(options.prefix),
    environments={ENV_ID: {"subset": "words"}},
    tasksets={"words": TasksetEntry("three tasks", lambda count: load("words", None))},
    train_set="words",
    held_out="words",
    partial_metric="loudness",
    default_self_edit=edit(2, 1),
    no_update=edit(1, 0),
    columns=lambda task: {"words": str(len(task.context))},
    validate=lambda taskset, free_answers: {},
    defaults={"model": "seal-tiny-text", "subset": "words", "lora_rank": 4, "default_num_epochs": 1},
)


class BatchArguments(Arguments):
    size: int = Field(ge=1, le=8, description="Examples of an optimizer step.", examples=[2])


BATCH = Tool(
    "batch",
    "Sets the batch size.",
    BatchArguments,
    lambda draft, context, given: replace(draft, recipe={**draft.recipe, "batch_size": given.size}),
    makes_examples=False,
)


class LoudOptions(Options):
    times: int = Field(1, ge=1, le=3)
    """How often each word is written."""


class LoudAgent(Agent):
    """Always shouts."""

    options = LoudOptions

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def act(self, observation: str, info: Mapping[str, Any]) -> str:
        assert info["task"]["data"]["words"]
        return edit(self.times, 1)


class FirstLetter:
    """Right if the first letter is."""

    def grade(self, question: str, gold: str, prediction: str) -> bool:
        return prediction[:1].lower() == gold[:1].lower()

    def grade_all(self, attempts: Any) -> list[bool]:
        return [self.grade(*Attempt(*attempt)) for attempt in attempts]
