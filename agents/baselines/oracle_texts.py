"""The upper bound for synthetic passages: the self-edit that a policy would write if it knew the generator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from seal_env.agents.base import Agent, Info
from seal_env.errors import PolicyError, UnknownTaskError
from seal_env.tasks.knowledge.synthetic.draw import NAMES, capacity
from seal_env.tasks.knowledge.synthetic.names import Split, name
from seal_env.tasks.knowledge.synthetic.taskset import SPLITS, SYNTHETIC, synthetic_passage
from seal_env.tools.text.documents import MAX_TEXTS

ItemT = TypeVar("ItemT")

STATEMENT_SHARE: Final = 0.3
"""Share of the texts that are statements; the others are questions with their answers."""


class OracleTextsAgent(Agent):
    """The synthetic generator's own statements and questions, as many as the budget allows.

    It is an oracle, no policy: it looks the passage's facts up in the generator. Its questions are all direct, reversed and
    indirect ones in wordings for training, without those that the task evaluates. The evaluated questions of
    `synthetic-train` and `synthetic-eval` are in these wordings too, so the model has seen each fact asked for in the very
    words; those of `synthetic-reworded` are not.
    """

    requires = frozenset({"passages", "text_tools"})

    def act(self, observation: str, info: Info) -> str:
        """Write the calls `implications`, `self_qa` and `finetune`.

        Raises:
            PolicyError: For a passage that is not synthetic.
        """
        task_id = _synthetic_id(info)
        drawn, evaluated = synthetic_passage(task_id), {query.question for query in SYNTHETIC[task_id].queries}
        statements = list(dict.fromkeys(drawn.statements()))
        pairs = {each.question: each.answer for each in drawn.questions() if each.question not in evaluated}
        room = _room(info)
        stated = min(len(statements), max(int(room * STATEMENT_SHARE), room - len(pairs)))
        asked = [{"question": question, "answer": answer} for question, answer in _spread([*pairs.items()], room - stated)]
        calls = [("implications", {"texts": part}) for part in _parts(_spread(statements, stated))]
        calls += [("self_qa", {"pairs": part}) for part in _parts(asked)]
        return json.dumps([{"name": name, "arguments": given} for name, given in (*calls, ("finetune", {}))])


def _synthetic_id(info: Info) -> str:
    """The id of the synthetic passage that the agent writes about, found by its title in the task's set and seed."""
    shown, task_id = info["task"]["data"], str(info["task_id"])
    try:
        which, seed, _ = SYNTHETIC.parse(task_id.partition("+")[0])
        found = f"synthetic-{which}-{seed}-{_indices(SPLITS[which], seed)[shown['title']]}"
    except (UnknownTaskError, KeyError):
        raise PolicyError(f"the passage {shown.get('title')!r} of task {task_id!r} is not synthetic") from None
    return found


@lru_cache(maxsize=8)
def _indices(split: Split, seed: int) -> Mapping[str, int]:
    return {name(split, seed, index * NAMES): index for index in range(capacity(split))}


def _room(info: Info) -> int:
    """Texts that the budget of a segment allows beside the passage itself, with the default number of epochs."""
    budget, count = info["budget"], info["segment"]["count"]
    by_steps = budget["max_steps"] * budget["batch_size"] // count // max(1, budget["default_num_epochs"])
    return int(max(0, min(budget["max_examples"] // count, by_steps) - 1))


def _spread(items: Sequence[ItemT], count: int) -> list[ItemT]:
    """At most `count` items, evenly spread: consecutive ones are about the same fact."""
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def _parts(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Items as the lists of several calls."""
    return [items[start : start + MAX_TEXTS] for start in range(0, len(items), MAX_TEXTS)]
