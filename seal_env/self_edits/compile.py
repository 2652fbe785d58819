"""Compile an agent's tool calls into a self-edit.

A self-edit is what the inner loop needs and nothing more: training examples and a training config. Calls are folded left
to right over a draft; the fold is pure, so the same calls on the same context give the same self-edit. Anything the agent
got wrong comes back as InvalidSelfEdit; only our own mistakes raise.

    calls -> apply_calls -> Draft -> filter_examples -> FilteredExamples; both -> compile_draft -> SelfEdit
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from seal_env.self_edits.parse_calls import invalid
from seal_env.self_edits.validate import check_calls
from seal_env.tools.base import Draft, EditContext, Tool
from seal_env.types import Budget, Example, InvalidSelfEdit, Outcome, Recipe, SelfEdit, ToolCall, TrainingConfig

TEMPLATE_TOKENS = 256
"""Room for the tokens that a chat template adds to the messages of an example."""


class FilteredExamples(NamedTuple):
    """Training examples after the token filter, the shuffle and the cap, and their lengths in tokens."""

    examples_E: tuple[Example, ...]
    lengths_E: tuple[int, ...]

    def and_then(self, others: FilteredExamples) -> FilteredExamples:
        """These, and others behind them."""
        return FilteredExamples((*self.examples_E, *others.examples_E), (*self.lengths_E, *others.lengths_E))


class Rules(NamedTuple):
    """What holds for every self-edit of an environment.

    Attributes:
        budget: what a self-edit may cost.
        recipe: how updates are done where no tool overrides it.
        tools: the tools that may be called.
        default_training: the training config of a self-edit that sets none.
    """

    budget: Budget
    recipe: Recipe
    tools: tuple[Tool[Any], ...]
    default_training: TrainingConfig = TrainingConfig()


def apply_calls(
    draft: Draft, calls: Sequence[ToolCall], context: EditContext, tools: Sequence[Tool[Any]]
) -> Draft | InvalidSelfEdit:
    """Fold the calls over the draft. All or nothing: no tool runs unless every call is valid.

    Of several calls that replace one another only the last one runs, since each may take a while.

    Args:
        draft: the draft so far.
        calls: as parsed from the action, not yet validated.
        context: what the tools may look at.
        tools: those that may be called.

    Returns:
        The new draft, or the first thing that is wrong with a call.
    """
    if draft.finetune:
        return invalid(Outcome.INVALID_ARGUMENTS, "The finetune call has ended this self-edit; no call can follow it.")
    checked = check_calls(calls, tools)
    if isinstance(checked, InvalidSelfEdit):
        return checked
    last = {tool.name: index for index, (tool, _) in enumerate(checked)}
    for index, (tool, arguments) in enumerate(checked):
        if not tool.replaces or index == last[tool.name]:
            draft = tool.apply(draft, context, arguments)
    return draft


def filter_examples(
    candidates: Sequence[Any],
    render: Callable[[Any], Example],
    count_tokens: Callable[[Sequence[Example]], list[int]],
    budget: Budget,
    seed: int,
) -> FilteredExamples:
    """Render the candidates, drop those of `max_tokens` tokens or more, shuffle, take the first `max_examples`.

    A tokenizer spends at least one UTF-8 byte on a token, so most chats are short enough without being counted; only the
    rest, and then those that remain, are tokenized.

    Args:
        candidates: training examples in the domain's own form.
        render: the domain's `render_example`.
        count_tokens: the inner loop's `count_tokens`.
        budget: gives `max_tokens` and `max_examples`.
        seed: of the shuffle.
    """
    examples = [render(candidate) for candidate in candidates]
    doubtful = [index for index, example in enumerate(examples) if _bytes(example) >= budget.max_tokens - TEMPLATE_TOKENS]
    lengths = dict(zip(doubtful, _count(count_tokens, [examples[index] for index in doubtful]), strict=True))
    fitting = [index for index in range(len(examples)) if lengths.get(index, 0) < budget.max_tokens]
    order = np.random.default_rng(seed).permutation(len(fitting))[: budget.max_examples]
    chosen = [fitting[position] for position in order.tolist()]
    uncounted = [index for index in chosen if index not in lengths]
    lengths.update(zip(uncounted, _count(count_tokens, [examples[index] for index in uncounted]), strict=True))
    return FilteredExamples(tuple(examples[index] for index in chosen), tuple(lengths[index] for index in chosen))


def optimizer_steps(n_examples: int, epochs: int, batch_size: int) -> int:
    """Steps that training takes: the last batch of an epoch may be smaller than the others."""
    return epochs * -(-n_examples // batch_size)


def tokens_of_an_epoch(lengths_E: Sequence[int], recipe: Recipe) -> int:
    """Tokens that one pass over the examples reads; with `pad_loss` each is as long as the longest."""
    return len(lengths_E) * max(lengths_E, default=0) if recipe.pad_loss else sum(lengths_E)


def affordable_epochs(budget: Budget, batch_size: int) -> int:
    """The most epochs with which training on `max_examples` examples is within the budget."""
    return _most_passes(budget, batch_size) // budget.max_examples


def compile_draft(draft: Draft, filtered: FilteredExamples | None, rules: Rules) -> SelfEdit | InvalidSelfEdit:
    """Compile a closed draft into a self-edit.

    The budget of steps is SEAL's: epochs x examples // batch size may not exceed `max_steps`. It counts a smaller last batch
    of an epoch in part, so `optimizer_steps` may be a little more. Steps bound neither time nor memory where texts are long;
    epochs x tokens of the examples, which may not exceed `max_training_tokens`, does.

    Args:
        draft: the draft.
        filtered: its examples, None without candidates.
        rules: of the environment.

    Returns:
        The self-edit; or MISSING_FINETUNE, EMPTY_DATA or OVER_BUDGET with a reason.

    Raises:
        TypeError: if a tool overrides a field that Recipe does not have.
    """
    if not draft.finetune:
        return invalid(Outcome.MISSING_FINETUNE, "The self-edit is not closed. Call finetune to end the episode.")
    if filtered is None or not filtered.examples_E:
        return invalid(Outcome.EMPTY_DATA, f"No examples are left to train on: {_why_empty(draft, rules)}.")
    training, recipe = draft.training or rules.default_training, replace(rules.recipe, **draft.recipe)
    n_examples, epochs = len(filtered.examples_E), training.num_train_epochs
    over = _over_budget(filtered, epochs, recipe, rules.budget)
    if over:
        return invalid(Outcome.OVER_BUDGET, over)
    return SelfEdit(
        examples_E=filtered.examples_E,
        training=training,
        optimizer_steps=optimizer_steps(n_examples, epochs, recipe.batch_size),
        tokens=sum(filtered.lengths_E),
        candidates=len(draft.candidates or ()),
        recipe=draft.recipe,
        training_tokens=epochs * tokens_of_an_epoch(filtered.lengths_E, recipe),
        lora=draft.lora,
    )


def describe_draft(draft: Draft, filtered: FilteredExamples | None, rules: Rules, rehearsed: int = 0) -> str:
    """The reply to the agent about an open draft: what it has, what it will cost, what is missing. Deterministic.

    Args:
        draft: the draft.
        filtered: its examples, None without candidates.
        rules: of the environment.
        rehearsed: how many of the examples, the last ones, are documents of earlier tasks.
    """
    lines = []
    training = draft.training or rules.default_training
    setting = f"{training.strategy}, learning rate {training.learning_rate:g}, {training.num_train_epochs} epochs"
    if filtered is None:
        lines.append(f"No examples are made yet: call {_makers(rules.tools)}.")
    elif not filtered.examples_E:
        lines.append(f"No examples are left to train on: {_why_empty(draft, rules)}.")
    else:
        remaining = len(filtered.examples_E) - rehearsed
        made, tokens = len(draft.candidates or ()), sum(filtered.lengths_E[:remaining])
        makers = _makers(rules.tools)
        lines.append(f"The {makers} tool made {made} examples and {remaining} are kept, with {tokens} tokens.")
        if draft.rehearse:
            tokens = sum(filtered.lengths_E[remaining:])
            lines.append(f"Of earlier tasks {rehearsed} documents with {tokens} tokens are rehearsed.")
    lines.append(f"Training: {setting}." if draft.training else f"No training is set yet; by default: {setting}.")
    if filtered is not None and filtered.examples_E:
        recipe = replace(rules.recipe, **draft.recipe)
        lines.append(_cost_line(filtered, training.num_train_epochs, recipe, rules.budget))
    lines.append("Call finetune to start the update and end the episode.")
    return "\n".join(lines)


def _count(count_tokens: Callable[[Sequence[Example]], list[int]], examples: Sequence[Example]) -> list[int]:
    return list(count_tokens(examples)) if examples else []


def _bytes(example: Example) -> int:
    texts = [example.document] if example.document is not None else [message.content for message in example.messages]
    return sum(len(text.encode()) for text in texts)


def _cost(n_examples: int, epochs: int, batch_size: int) -> int:
    return epochs * n_examples // batch_size


def _most_passes(budget: Budget, batch_size: int) -> int:
    """The largest epochs x examples within the budget."""
    return (budget.max_steps + 1) * batch_size - 1


def _cost_line(filtered: FilteredExamples, epochs: int, recipe: Recipe, budget: Budget) -> str:
    over = _over_budget(filtered, epochs, recipe, budget)
    if over:
        return over
    n_examples, most = len(filtered.examples_E), budget.max_steps
    left = most - _cost(n_examples, epochs, recipe.batch_size)
    steps = optimizer_steps(n_examples, epochs, recipe.batch_size)
    return f"Training will take {steps} optimizer steps. {left} of {most} are left."


def _over_budget(filtered: FilteredExamples, epochs: int, recipe: Recipe, budget: Budget) -> str:
    """What is over the budget, and what would fit; empty if nothing is."""
    n_examples, batch_size = len(filtered.examples_E), recipe.batch_size
    cost, most = _cost(n_examples, epochs, batch_size), _most_passes(budget, batch_size)
    if cost > budget.max_steps:
        return (
            f"Training will take {cost} optimizer steps of {budget.max_steps}. That is over the budget: use fewer epochs or "
            f"fewer augmentations. What fits is {most // n_examples} epochs of these {n_examples} examples, or "
            f"{most // epochs} examples with {epochs} epochs."
        )
    tokens = tokens_of_an_epoch(filtered.lengths_E, recipe)
    if epochs * tokens > budget.max_training_tokens:
        return (
            f"Training will read {epochs * tokens} tokens of {budget.max_training_tokens}. That is over the budget: use "
            f"fewer epochs, or fewer or shorter examples. What fits is {budget.max_training_tokens // tokens} epochs of "
            f"these {n_examples} examples, or examples of {budget.max_training_tokens // epochs} tokens in all with "
            f"{epochs} epochs."
        )
    return ""


def _makers(tools: Sequence[Tool[Any]]) -> str:
    """The tools that make examples: `augment`; `implications, rewrite or self_qa`."""
    *others, last = [tool.name for tool in tools if tool.makes_examples] or ["a tool that makes examples"]
    return f"{', '.join(others)} or {last}" if others else last


def _why_empty(draft: Draft, rules: Rules) -> str:
    if draft.candidates is None:
        return f"call {_makers(rules.tools)} before finetune"
    if not draft.candidates:
        return f"the {_makers(rules.tools)} tool could make none of this task"
    return f"all {len(draft.candidates)} have {rules.budget.max_tokens} tokens or more; use other augmentations"
