"""Compile an agent's tool calls into a self-edit.

A self-edit is what the inner loop needs and nothing more: training examples and a training config. Calls are folded left
to right over a draft; the fold is pure, so the same calls on the same context give the same self-edit. Anything the agent
got wrong comes back as InvalidSelfEdit; only our own mistakes raise.

    action -> calls -> apply_calls -> draft -> filter_examples -> kept; draft and kept -> compile_draft -> SelfEdit
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from seal_env.self_edits.parse_calls import invalid
from seal_env.self_edits.validate import check_calls
from seal_env.tools.base import Draft, EditContext, Tool
from seal_env.types import Budget, Example, InvalidSelfEdit, Outcome, Recipe, SelfEdit, ToolCall, TrainingConfig

TEMPLATE_TOKENS = 256
"""No chat template adds this many tokens to the three messages of an example."""


class FilteredExamples(NamedTuple):
    """Training examples after the token filter, the shuffle and the cap, and their lengths in tokens."""

    examples_E: tuple[Example, ...]
    lengths_E: tuple[int, ...]


class Rules(NamedTuple):
    """What holds for every self-edit of an environment. usual: the training where no `training` call sets one."""

    budget: Budget
    recipe: Recipe
    tools: tuple[Tool[Any], ...]
    usual: TrainingConfig = TrainingConfig()


def apply_calls(
    draft: Draft, calls: Sequence[ToolCall], context: EditContext, tools: Sequence[Tool[Any]]
) -> Draft | InvalidSelfEdit:
    """Fold the calls over the draft. All or nothing: no tool runs unless every call is valid."""
    if draft.finetune:
        return invalid(Outcome.INVALID_ARGUMENTS, "The finetune call has ended this self-edit; no call can follow it.")
    checked = check_calls(calls, tools)
    if isinstance(checked, InvalidSelfEdit):
        return checked
    for tool, arguments in checked:
        draft = tool.apply(draft, context, arguments)
    return draft


def filter_examples(
    candidates: Sequence[Any],
    word: Callable[[Any], Example],
    count_tokens: Callable[[Sequence[Example]], list[int]],
    budget: Budget,
    seed: int,
) -> FilteredExamples:
    """Word the candidates, drop those of `max_tokens` tokens or more, shuffle, keep the first `max_examples`.

    A tokenizer spends at least one UTF-8 byte on a token, so most chats are short enough without being counted; only the
    rest, and then the kept ones, are tokenized.
    """
    examples = [word(candidate) for candidate in candidates]
    doubtful = [index for index, example in enumerate(examples) if _bytes(example) >= budget.max_tokens - TEMPLATE_TOKENS]
    lengths = dict(zip(doubtful, _count(count_tokens, [examples[index] for index in doubtful]), strict=True))
    fitting = [index for index in range(len(examples)) if lengths.get(index, 0) < budget.max_tokens]
    order = np.random.default_rng(seed).permutation(len(fitting))[: budget.max_examples]
    kept = [fitting[position] for position in order.tolist()]
    uncounted = [index for index in kept if index not in lengths]
    lengths.update(zip(uncounted, _count(count_tokens, [examples[index] for index in uncounted]), strict=True))
    return FilteredExamples(tuple(examples[index] for index in kept), tuple(lengths[index] for index in kept))


def optimizer_steps(n_examples: int, epochs: int, batch_size: int) -> int:
    """Steps that training takes: every epoch's last batch may be smaller than the others."""
    return epochs * -(-n_examples // batch_size)


def compile_draft(draft: Draft, kept: FilteredExamples | None, rules: Rules) -> SelfEdit | InvalidSelfEdit:
    """A closed draft and its kept examples (None without candidates) -> self-edit.

    The budget is SEAL's: epochs x examples // batch size may not exceed `max_steps`. It counts a smaller last batch of an
    epoch in part, so `optimizer_steps` may be a little more.
    """
    budget, recipe = rules.budget, rules.recipe
    if not draft.finetune:
        return invalid(Outcome.MISSING_FINETUNE, "The self-edit is not closed. Call finetune to end the episode.")
    if kept is None or not kept.examples_E:
        return invalid(Outcome.EMPTY_DATA, f"No examples are left to train on: {_why_empty(draft, rules)}.")
    training = draft.training or rules.usual
    n_examples = len(kept.examples_E)
    if _cost(n_examples, training.num_train_epochs, recipe) > budget.max_steps:
        return invalid(Outcome.OVER_BUDGET, _over_budget(n_examples, training.num_train_epochs, rules))
    return SelfEdit(
        examples_E=kept.examples_E,
        training=training,
        optimizer_steps=optimizer_steps(n_examples, training.num_train_epochs, recipe.batch_size),
        tokens=sum(kept.lengths_E),
        candidates=len(draft.candidates or ()),
    )


def describe_draft(draft: Draft, kept: FilteredExamples | None, rules: Rules) -> str:
    """The reply to the agent about an open draft: what it has, what it will cost, what is missing. Deterministic."""
    lines = []
    training = draft.training or rules.usual
    setting = f"{training.strategy}, learning rate {training.learning_rate:g}, {training.num_train_epochs} epochs"
    if kept is None:
        lines.append(f"No examples are made yet: call {_makers(rules.tools)}.")
    elif not kept.examples_E:
        lines.append(f"No examples are left to train on: {_why_empty(draft, rules)}.")
    else:
        made, n_kept, tokens = len(draft.candidates or ()), len(kept.examples_E), sum(kept.lengths_E)
        makers = _makers(rules.tools)
        lines.append(f"The {makers} tool made {made} examples and {n_kept} are kept, with {tokens} tokens.")
    lines.append(f"Training: {setting}." if draft.training else f"No training is set yet; by default: {setting}.")
    if kept is not None and kept.examples_E:
        lines.append(_cost_line(len(kept.examples_E), training.num_train_epochs, rules))
    lines.append("Call finetune to start the update and end the episode.")
    return "\n".join(lines)


def _count(count_tokens: Callable[[Sequence[Example]], list[int]], examples: Sequence[Example]) -> list[int]:
    return list(count_tokens(examples)) if examples else []


def _bytes(example: Example) -> int:
    texts = [example.document] if example.document is not None else [message.content for message in example.messages]
    return sum(len(text.encode()) for text in texts)


def _cost(n_examples: int, epochs: int, recipe: Recipe) -> int:
    return epochs * n_examples // recipe.batch_size


def _cost_line(n_examples: int, epochs: int, rules: Rules) -> str:
    cost, most = _cost(n_examples, epochs, rules.recipe), rules.budget.max_steps
    if cost > most:
        return _over_budget(n_examples, epochs, rules)
    steps = optimizer_steps(n_examples, epochs, rules.recipe.batch_size)
    return f"Training will take {steps} optimizer steps. {most - cost} of {most} are left."


def _over_budget(n_examples: int, epochs: int, rules: Rules) -> str:
    budget, recipe = rules.budget, rules.recipe
    most = (budget.max_steps + 1) * recipe.batch_size - 1  # the largest epochs x examples within the budget
    return (
        f"Training will take {_cost(n_examples, epochs, recipe)} optimizer steps of {budget.max_steps}. That is over the "
        f"budget: use fewer epochs or fewer augmentations. What fits is {most // n_examples} epochs of these {n_examples} "
        f"examples, or {most // epochs} examples with {epochs} epochs."
    )


def _makers(tools: Sequence[Tool[Any]]) -> str:
    """The tools that make examples: `augment`; `implications, rewrite or self_qa`."""
    *others, last = [tool.name for tool in tools if tool.name not in ("training", "finetune")]
    return f"{', '.join(others)} or {last}" if others else last


def _why_empty(draft: Draft, rules: Rules) -> str:
    if draft.candidates is None:
        return f"call {_makers(rules.tools)} before finetune"
    if not draft.candidates:
        return f"the {_makers(rules.tools)} tool could make none of this task"
    return f"all {len(draft.candidates)} have {rules.budget.max_tokens} tokens or more; use other augmentations"
