"""Plug in a kind of task of your own: a phone book that the model has to learn by heart.

    python examples/own_domain.py

A domain says how its tasks are loaded, what an agent reads of them, what the model learns from, and how answers are scored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from pydantic import Field

import seal_env
from seal_env.domains.base import DomainOptions, DomainSpec
from seal_env.panels import Panel
from seal_env.tasks.base import ListTaskset, TasksetEntry
from seal_env.tools.common.finetune import FINETUNE
from seal_env.tools.common.training import TRAINING
from seal_env.types import Answer, Evaluation, Example, Query, Task

Entry = tuple[str, str]
"""A name and a number."""
Book = tuple[Entry, ...]
NAMES = ("Mira", "Tavok", "Orvel", "Zemilu", "Kesta", "Rulan", "Pilor", "Gatesa")


class PhoneBookOptions(DomainOptions):
    """Settings of this domain: `gym.make("PhoneBook-v0", entries=8)`."""

    entries: int = Field(4, ge=1, le=len(NAMES))
    """Entries of a book."""


def load(subset: str, options: PhoneBookOptions) -> ListTaskset[Book, Entry]:
    """Five books. What an agent may see is a task's context; the queries score the updated model."""
    return ListTaskset(subset, tuple(draw(f"{subset}-{seed}", seed, options.entries) for seed in range(5)))


def draw(task_id: str, seed: int, entries: int) -> Task[Book, Entry]:
    """A book with other numbers for each seed."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(100, 1000, entries).tolist()
    book = tuple((str(name), str(number)) for name, number in zip(rng.permutation(NAMES), numbers, strict=False))
    return Task(task_id, context=book, queries=book)


def question(name: str) -> str:
    """What the model is asked, without the book."""
    return f"Question: What is the number of {name}?\nAnswer:"


@dataclass(frozen=True)
class PhoneBookDomain:
    """How books are rendered and scored; the protocol is `seal_env.types.TaskDomain`."""

    briefing: str = "The task is a phone book. The model learns its entries and is then asked for the numbers."
    queries_depend_on_seed: bool = False

    def segments(self, context: Book) -> tuple[Book, ...]:
        """One self-edit for the whole book."""
        return (context,)

    def render(self, segment: Book) -> str:
        """What the agent reads."""
        return "\n".join(f"{name}: {number}" for name, number in segment)

    def as_data(self, segment: Book) -> dict[str, Any]:
        """The same as data, in `info["task"]["data"]`."""
        return {"numbers": dict(segment)}

    def add_default_examples(self, segment: Book, candidates: tuple[Entry, ...] | None) -> Book:
        """What is learned from: the examples that tools made, none here, and all entries."""
        return (*(candidates or ()), *segment)

    def render_example(self, example: Entry) -> Example:
        """An entry as the model learns it."""
        name, number = example
        return Example(document=f"{question(name)} {number}")

    def queries(self, task: Task[Book, Entry], seed: int) -> tuple[Query, ...]:
        """A question for each entry; an answer is digits, four tokens at most."""
        return tuple(Query(name, (), number, r"[0-9]+", 4, question(name)) for name, number in task.queries)

    def score(self, task: Task[Book, Entry], answers_Q: Sequence[Answer], seed: int) -> Evaluation:
        """The share of right numbers, and the share of right digits as partial credit."""
        golds, texts = self.gold(task), [answer.text or "" for answer in answers_Q]
        right = [text == gold for text, gold in zip(texts, golds, strict=True)]
        digits = [
            a == b for text, gold in zip(texts, golds, strict=True) for a, b in zip(text.ljust(3)[:3], gold, strict=True)
        ]
        return Evaluation(sum(right) / len(right), sum(digits) / len(digits), tuple((text,) for text in texts))

    def gold(self, task: Task[Book, Entry]) -> tuple[str, ...]:
        """The right answers."""
        return tuple(number for _, number in task.queries)

    def panels(self, task: Task[Book, Entry], shown: Mapping[str, Evaluation | None] | None) -> list[list[Panel]]:
        """What pictures and tables show."""
        return [[Panel("name", name), Panel("number", number)] for name, number in task.context]


def self_edit(learning_rate: float, epochs: int) -> str:
    """Tool calls."""
    training = {"strategy": "train_using_all_tokens", "learning_rate": learning_rate, "num_train_epochs": epochs}
    return json.dumps([{"name": "training", "arguments": training}, {"name": "finetune", "arguments": {}}])


SPEC = DomainSpec(
    name="phone_book",
    summary="phone books to learn by heart",
    tools=(TRAINING, FINETUNE),
    options=PhoneBookOptions,
    load=load,
    make=lambda options, caches: PhoneBookDomain(),
    environments={"PhoneBook-v0": {}},
    tasksets={"books": TasksetEntry("five books", lambda count: load("books", PhoneBookOptions()).head(count or 5))},
    train_set="books",
    held_out="books",
    partial_metric="digit_accuracy",
    default_self_edit=self_edit(1e-3, 10),
    no_update=self_edit(1e-3, 0),
    columns=lambda task: {"entries": str(len(task.context))},
    validate=lambda taskset, free_answers: {},
    defaults={"model": "seal-tiny-text", "subset": "books", "lora_rank": 8, "lora_alpha": 512.0, "batch_size": 1},
)


def main() -> None:
    """Ask for the numbers of one book, untrained and after 20 epochs."""
    seal_env.register_domain(SPEC)
    env = gymnasium.make("PhoneBook-v0", max_turns=1)
    for epochs in (0, 20):
        env.reset(seed=0, options={"task_id": "books-0"})
        _, reward, _, _, info = env.step(self_edit(5e-4, epochs))
        print(f"{epochs:2} epochs: reward {reward:.2f}, {info['predictions_after']} for {info['gold']}")


if __name__ == "__main__":
    main()
