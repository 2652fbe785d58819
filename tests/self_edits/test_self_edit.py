"""Compiling: the fold of the tools, the filter of examples, the budget, and the reply to the agent."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from seal_env.self_edits.compile import (
    FilteredExamples,
    Rules,
    apply_calls,
    compile_draft,
    describe_draft,
    filter_examples,
    optimizer_steps,
)
from seal_env.self_edits.parse_calls import MAX_REASON, parse
from seal_env.tasks.arc.domain import ArcDomain
from seal_env.tasks.arc.grid import GridPair
from seal_env.tasks.arc.training_set import build_candidates
from seal_env.tools.base import Draft, EditContext, Tool
from seal_env.types import Budget, Example, InvalidSelfEdit, Message, Outcome, Recipe, SelfEdit, ToolCall, TrainingConfig
from tests.helpers.tools import ARC_NAMES, ARC_TOOLS, EXAMPLES, KNOWLEDGE_TOOLS

PAIRS = tuple(GridPair(((n, 1), (0, 2)), ((1, n), (2, 0))) for n in range(3, 6))
CONTEXT = EditContext(PAIRS, 5, ArcDomain())
AUGMENT, TRAINING, FINETUNE = (ToolCall(name, EXAMPLES[name]) for name in ARC_NAMES)
NO_AUGMENTATION = ToolCall("augment", dict.fromkeys(EXAMPLES["augment"], False))


def fold(*calls: ToolCall, draft: Draft | None = None) -> Draft:
    result = apply_calls(draft or Draft(), calls, CONTEXT, ARC_TOOLS)
    assert isinstance(result, Draft), result
    return result


def refused(*calls: ToolCall, draft: Draft | None = None, tools: Sequence[Tool[Any]] = ARC_TOOLS) -> InvalidSelfEdit:
    result = apply_calls(draft or Draft(), calls, CONTEXT, tools)
    assert isinstance(result, InvalidSelfEdit), result
    assert len(result.reason) <= MAX_REASON
    return result


def training(**changed: Any) -> ToolCall:
    return ToolCall("training", EXAMPLES["training"] | changed)


def chat(text: str) -> Example:
    return Example((Message("user", text), Message("assistant", "")))


def kept(count: int) -> FilteredExamples:
    return FilteredExamples(tuple(chat(str(n)) for n in range(count)), (7,) * count)


def rules(budget: Budget | None = None) -> Rules:
    return Rules(budget or Budget(), Recipe(), ARC_TOOLS)


def compiled(count: int, epochs: int, budget: Budget | None = None) -> SelfEdit | InvalidSelfEdit:
    draft = Draft(tuple(range(count)), TrainingConfig(num_train_epochs=epochs), finetune=True)
    return compile_draft(draft, kept(count), rules(budget))


class Counter:
    """Counts one token a character and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, examples: Sequence[Example]) -> list[int]:
        texts = [example.messages[0].content for example in examples]
        self.asked += texts
        return [len(text) for text in texts]


def test_the_calls_set_the_draft() -> None:
    draft = fold(AUGMENT, TRAINING, FINETUNE)
    switches = {name.split("_")[1]: on for name, on in EXAMPLES["augment"].items()}
    assert draft == Draft(build_candidates(PAIRS, **switches, seed=5), TrainingConfig(**EXAMPLES["training"]), finetune=True)


def test_one_step_and_three_steps_give_the_same_draft() -> None:
    assert fold(FINETUNE, draft=fold(TRAINING, draft=fold(AUGMENT))) == fold(AUGMENT, TRAINING, FINETUNE)


def test_later_calls_replace_earlier_ones() -> None:
    assert fold(AUGMENT, TRAINING, NO_AUGMENTATION, training(num_train_epochs=9)) == fold(
        NO_AUGMENTATION, training(num_train_epochs=9)
    )


PAIR = {"question": "Who?", "answer": "she"}
NOT_KNOWN = 'The tool "Augmnt" is not known. Did you mean augment? The tools are augment, training, finetune.'


@pytest.mark.parametrize(
    ("call", "tools", "outcome", "reason"),
    [
        (ToolCall("Augmnt", {}), ARC_TOOLS, Outcome.UNKNOWN_TOOL, NOT_KNOWN),
        (
            ToolCall("self_qa", {"pairs": [PAIR | {"source": "here"}]}),
            KNOWLEDGE_TOOLS,
            Outcome.INVALID_ARGUMENTS,
            'The argument "source" of self_qa.pairs[0] is not known; it takes question, answer.',
        ),
        (
            ToolCall("self_qa", {"pairs": [{"question": "Who?"}]}),
            KNOWLEDGE_TOOLS,
            Outcome.INVALID_ARGUMENTS,
            "The argument pairs[0] of self_qa needs answer (a text of at most 4000 characters) too.",
        ),
        (
            ToolCall("self_qa", {"pairs": [PAIR, PAIR | {"question": 3}]}),
            KNOWLEDGE_TOOLS,
            Outcome.INVALID_ARGUMENTS,
            "The argument pairs[1].question of self_qa is not valid: expected a text of at most 4000 characters, got 3.",
        ),
    ],
)
def test_a_mistake_is_named_by_its_path_and_with_what_there_is(
    call: ToolCall, tools: Sequence[Tool[Any]], outcome: Outcome, reason: str
) -> None:
    edit = refused(call, tools=tools)
    assert (edit.outcome, edit.reason) == (outcome, reason)


@pytest.mark.parametrize(("name", "meant"), [("AUGMENT", "augment"), ("fine-tune", "finetune"), ("train", "training")])
def test_a_misspelt_tool_gets_the_right_name(name: str, meant: str) -> None:
    assert f"Did you mean {meant}?" in refused(ToolCall(name, {})).reason


def test_a_misspelt_argument_is_named_before_what_is_missing_and_that_before_wrong_values() -> None:
    misspelt = {"strategy": "x", "lr": 0.1, "num_train_epochs": 2}
    assert '"lr" of training is not known' in refused(ToolCall("training", misspelt)).reason
    assert "needs learning_rate" in refused(ToolCall("training", {"strategy": "x", "num_train_epochs": 2})).reason


def test_a_tool_that_this_environment_lacks_is_unknown() -> None:
    assert refused(AUGMENT, tools=ARC_TOOLS[1:]).outcome is Outcome.UNKNOWN_TOOL


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (training(learning_rate=5), ["learning_rate", "got 5", "a number above 0 and at most 1"]),
        (training(learning_rate=0), ["learning_rate", "got 0", "above 0"]),
        (training(learning_rate=True), ["learning_rate", "got true"]),
        (training(learning_rate="1e-4"), ["learning_rate", 'got "1e-4"']),
        (training(learning_rate=10**60), ["learning_rate", "..."]),
        (training(num_train_epochs=21), ["num_train_epochs", "got 21", "a whole number from 0 to 20"]),
        (training(num_train_epochs=-1), ["num_train_epochs", "got -1"]),
        (training(num_train_epochs=2.5), ["num_train_epochs", "got 2.5"]),
        (training(num_train_epochs=True), ["num_train_epochs", "got true"]),
        (training(strategy="all"), ["strategy", 'got "all"', '"train_using_all_tokens" or "train_using_output_tokens"']),
        (training(strategy="x" * 60_000), ["strategy", "xxx..."]),
        (training(momentum=0.9), ["momentum", "it takes strategy, learning_rate, num_train_epochs"]),
        (training(**{"k" * 60_000: 0}), ["kkk...", "is not known"]),
        (
            ToolCall("training", {"strategy": "train_using_all_tokens"}),
            ["needs learning_rate (a number", "num_train_epochs"],
        ),
        (ToolCall("augment", EXAMPLES["augment"] | {"use_size_augmentations": 1}), ["use_size", "true or false", "got 1"]),
        (ToolCall("augment", {}), ["use_basic_augmentations (true or false)", "use_repeat_augmentations (true or false)"]),
        (ToolCall("finetune", {"now": True}), ["now", "it takes no arguments"]),
    ],
)
def test_a_wrong_argument_is_named_with_its_value_and_what_is_legal(call: ToolCall, parts: list[str]) -> None:
    edit = refused(call)
    assert edit.outcome is Outcome.INVALID_ARGUMENTS
    assert [part for part in (call.name, *parts) if part not in edit.reason] == []


def test_no_tool_runs_if_one_call_is_wrong() -> None:
    broken = EditContext(None, 0, ArcDomain())  # augment would raise on it
    edit = apply_calls(Draft(), [AUGMENT, training(learning_rate=5)], broken, ARC_TOOLS)
    assert isinstance(edit, InvalidSelfEdit)


def test_our_own_mistakes_raise() -> None:
    with pytest.raises(TypeError):
        apply_calls(Draft(), [AUGMENT], EditContext(None, 0, ArcDomain()), ARC_TOOLS)


def test_finetune_must_be_last() -> None:
    assert (
        refused(AUGMENT, FINETUNE, TRAINING).reason == "The call of finetune must be the last one, but call 3 is training."
    )
    assert refused(FINETUNE, FINETUNE).outcome is Outcome.INVALID_ARGUMENTS


def test_nothing_follows_a_closed_draft() -> None:
    assert refused(TRAINING, draft=fold(AUGMENT, FINETUNE)).outcome is Outcome.INVALID_ARGUMENTS


def test_examples_of_max_tokens_or_more_are_dropped() -> None:
    examples = filter_examples([999, 1000, 1001], lambda n: chat("x" * n), Counter(), Budget(max_tokens=1000), 0)
    assert examples.lengths_E == (999,)


def test_short_examples_are_tokenized_only_when_kept() -> None:
    counter = Counter()
    examples = filter_examples(range(1, 600), lambda n: chat("x" * n), counter, Budget(max_tokens=800, max_examples=4), 0)
    doubtful = {length for length in map(len, counter.asked) if length >= 800 - 256}
    assert doubtful == set(range(544, 600))
    assert len(counter.asked) <= len(doubtful) + 4
    assert examples.lengths_E == tuple(len(example.messages[0].content) for example in examples.examples_E)


def test_the_length_bound_counts_bytes() -> None:
    counter = Counter()
    filter_examples(["日" * 300], chat, counter, Budget(max_tokens=1000), 0)
    assert counter.asked == ["日" * 300]
    assert filter_examples(["日" * 300], chat, lambda examples: [1000], Budget(max_tokens=1000), 0) == FilteredExamples(
        (), ()
    )


def test_all_examples_are_kept_shuffled_below_the_cap() -> None:
    texts = [str(n) for n in range(50)]
    examples, lengths = filter_examples(texts, chat, Counter(), Budget(), 0)
    order = [example.messages[0].content for example in examples]
    assert sorted(order) == sorted(texts) != order
    assert lengths == tuple(map(len, order))


def test_the_seed_decides_which_examples_are_kept() -> None:
    def chosen(seed: int) -> FilteredExamples:
        return filter_examples(list(map(str, range(50))), chat, Counter(), Budget(max_examples=9), seed)

    assert chosen(0) == chosen(0)
    assert set(chosen(0).examples_E) != set(chosen(1).examples_E)
    assert len(chosen(0).examples_E) == 9


def test_no_candidates_give_no_examples_and_count_nothing() -> None:
    counter = Counter()
    assert filter_examples([], chat, counter, Budget(), 0) == FilteredExamples((), ())
    assert counter.asked == []


@pytest.mark.parametrize(
    ("n_examples", "epochs", "steps"), [(250, 3, 375), (3, 2, 4), (1, 1, 1), (0, 5, 0), (9, 0, 0), (75, 10, 380)]
)
def test_optimizer_steps_count_the_last_smaller_batch(n_examples: int, epochs: int, steps: int) -> None:
    assert optimizer_steps(n_examples, epochs, batch_size=2) == steps


def test_a_self_edit_holds_what_the_inner_loop_needs() -> None:
    draft = replace(fold(AUGMENT, TRAINING, FINETUNE), candidates=tuple(range(10)))
    assert compile_draft(draft, kept(3), rules()) == SelfEdit(
        kept(3).examples_E, TrainingConfig(), 4, 21, 10, training_tokens=42
    )


def test_without_a_training_call_the_defaults_hold() -> None:
    edit = compile_draft(Draft((1,), finetune=True), kept(1), rules())
    assert isinstance(edit, SelfEdit)
    assert edit.training == TrainingConfig()


def test_no_epochs_are_legal() -> None:
    edit = compiled(5, epochs=0)
    assert isinstance(edit, SelfEdit)
    assert edit.optimizer_steps == 0


@pytest.mark.parametrize(
    ("draft", "examples", "outcome"),
    [
        (Draft((1,), TrainingConfig()), kept(1), Outcome.MISSING_FINETUNE),
        (Draft(finetune=True), None, Outcome.EMPTY_DATA),
        (Draft((), finetune=True), kept(0), Outcome.EMPTY_DATA),
        (Draft((1, 2), finetune=True), kept(0), Outcome.EMPTY_DATA),
    ],
)
def test_what_is_missing_is_an_outcome(draft: Draft, examples: FilteredExamples | None, outcome: Outcome) -> None:
    edit = compile_draft(draft, examples, rules())
    assert isinstance(edit, InvalidSelfEdit)
    assert edit.outcome is outcome


@pytest.mark.parametrize(
    ("count", "epochs", "fits"), [(250, 3, True), (250, 4, False), (187, 4, True), (188, 4, False), (75, 10, True)]
)
def test_the_budget_is_the_published_one(count: int, epochs: int, fits: bool) -> None:
    assert isinstance(compiled(count, epochs), SelfEdit) is fits is (epochs * count // 2 <= 375)


@pytest.mark.parametrize(("count", "epochs", "max_steps"), [(250, 4, 375), (7, 5, 10), (250, 20, 375), (8, 1, 3), (3, 3, 0)])
def test_what_is_said_to_fit_fits_and_one_more_does_not(count: int, epochs: int, max_steps: int) -> None:
    budget = Budget(max_steps=max_steps)
    edit = compiled(count, epochs, budget)
    assert isinstance(edit, InvalidSelfEdit)
    assert edit.outcome is Outcome.OVER_BUDGET
    found = re.search(r"fits is (\d+) epochs .*, or (\d+) examples", edit.reason)
    assert found is not None
    most_epochs, most_examples = map(int, found.groups())
    assert isinstance(compiled(count, most_epochs, budget), SelfEdit)
    assert not isinstance(compiled(count, most_epochs + 1, budget), SelfEdit)
    assert most_examples == 0 or isinstance(compiled(most_examples, epochs, budget), SelfEdit)
    assert not isinstance(compiled(most_examples + 1, epochs, budget), SelfEdit)


@pytest.mark.parametrize(("count", "epochs", "most"), [(10, 3, 200), (10, 20, 1399), (1, 20, 139), (5, 1, 0)])
def test_tokens_said_to_fit_fit_and_more_do_not(count: int, epochs: int, most: int) -> None:
    budget = Budget(max_training_tokens=most)
    edit = compiled(count, epochs, budget)
    assert isinstance(edit, InvalidSelfEdit)
    assert edit.outcome is Outcome.OVER_BUDGET
    found = re.search(r"read (\d+) tokens of (\d+)\..* fits is (\d+) epochs of .* of (\d+) tokens", edit.reason)
    assert found is not None
    tokens, said, fitting_epochs, fitting_tokens = map(int, found.groups())
    assert (tokens, said, fitting_tokens) == (epochs * count * 7, most, most // epochs)
    assert isinstance(compiled(count, fitting_epochs, budget), SelfEdit)
    assert not isinstance(compiled(count, fitting_epochs + 1, budget), SelfEdit)


def test_padding_that_carries_loss_counts_as_tokens() -> None:
    uneven = FilteredExamples((chat("a"), chat("b"), chat("c")), (10, 1, 1))
    draft = Draft((1, 2, 3), TrainingConfig(num_train_epochs=2), finetune=True)
    plain, padded = (compile_draft(draft, uneven, rules()._replace(recipe=Recipe(pad_loss=pad))) for pad in (False, True))
    assert isinstance(plain, SelfEdit)
    assert isinstance(padded, SelfEdit)
    assert (plain.training_tokens, padded.training_tokens) == (24, 60)


def test_replies_say_what_there_is_what_it_costs_and_what_is_missing() -> None:
    assert describe_draft(Draft(), None, rules()) == (
        "No examples are made yet: call augment.\n"
        "No training is set yet; by default: train_using_output_tokens, learning rate 0.0001, 2 epochs.\n"
        "Call finetune to start the update and end the episode."
    )
    draft = Draft(tuple(range(300)), TrainingConfig("train_using_all_tokens", 0.003, 3))
    assert describe_draft(draft, kept(64), rules()) == (
        "The augment tool made 300 examples and 64 are kept, with 448 tokens.\n"
        "Training: train_using_all_tokens, learning rate 0.003, 3 epochs.\n"
        "Training will take 96 optimizer steps. 279 of 375 are left.\n"
        "Call finetune to start the update and end the episode."
    )


def test_a_reply_says_by_how_much_the_draft_is_over_the_budget() -> None:
    draft = Draft(tuple(range(250)), TrainingConfig(num_train_epochs=4))
    reply = describe_draft(draft, kept(250), rules())
    edit = compile_draft(replace(draft, finetune=True), kept(250), rules())
    assert isinstance(edit, InvalidSelfEdit)
    assert edit.reason in reply
    assert "500 optimizer steps of 375" in reply


def test_a_reply_says_that_no_examples_are_left() -> None:
    assert "all 2 have 8192 tokens or more" in describe_draft(Draft((1, 2)), kept(0), rules())


def test_a_whole_action_compiles() -> None:
    calls = parse(json.dumps([{"name": name, "arguments": EXAMPLES[name]} for name in ARC_NAMES]))
    assert calls == (AUGMENT, TRAINING, FINETUNE)
