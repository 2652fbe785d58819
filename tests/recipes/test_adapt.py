"""seal-tiny's stages of adaptation: their adapters learn as the inner loop's do."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from recipes.adapt import PHASES, Adaptation, AdaptSettings
from recipes.adapt_source import AdaptSource
from recipes.fast_weights import pad_tasks
from recipes.self_edit_data import EpisodeSettings
from recipes.stage import MAX_POSITIONS, Losses, TrainSettings, build_model
from recipes.stream import StreamSettings
from recipes.tokenizer import build_tokenizer

TINY = TrainSettings(steps=2, warmup=1, width=32, layers=1, heads=2, inner_width=32, checkpoint_every=2)
FEW = AdaptSettings(
    tasks=3,
    chunks=2,
    ask_always=True,
    accumulate=1,
    inner_weight=0.5,
    self_edits=1,
    optimizer=TINY,
    episodes=EpisodeSettings(max_examples=8, max_steps=32, queries=2),
    stream=StreamSettings(tasks=1, small_steps=0, wide_from=0),
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer(MAX_POSITIONS)


class Steps(Adaptation):
    """Adaptation that draws what it reads."""

    def __init__(self, tokenizer: Any, settings: AdaptSettings) -> None:
        super().__init__(build_model(tokenizer, TINY), int(tokenizer.pad_token_id), settings)
        self.source = AdaptSource(tokenizer, settings)

    def make(self, number: int) -> tuple[Losses, int]:
        return self.step(self.prepare(self.source(number)))


def adaptation(tokenizer: Any, settings: AdaptSettings = FEW) -> Steps:
    return Steps(tokenizer, settings)


def test_adapters_learn_as_they_would_alone(tokenizer: Any) -> None:
    """Each task's adapter after some steps is what PEFT and AdamW make of its batches, one task at a time."""
    state = adaptation(tokenizer, replace(FEW, tasks=8, chunks=3))
    state.make(0)
    begun, first = list(state.episodes), deepcopy(state.fast.weights)  # the rate of the first step is 0
    for number in range(1, 4):
        state.make(number)
    lasting = [task for task, episode in enumerate(begun) if state.episodes[task] is episode]
    for task in lasting:
        alone = trained_alone(state, begun[task], {name: (a[task], b[task]) for name, (a, b) in first.items()})
        for name, (a, b) in state.fast.weights.items():
            for letter, weight in zip("AB", (a, b), strict=True):
                expected = alone[f"base_model.model.{name}.lora_{letter}.default.weight"]
                torch.testing.assert_close(weight[task], expected, atol=1e-6, rtol=1e-3)
    assert len(lasting) >= 2


def trained_alone(state: Steps, episode: Any, adapter: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Any:
    """The adapter's parameters after the steps that the episode has taken."""
    config = LoraConfig(r=16, lora_alpha=256, target_modules=[name.rsplit(".", 1)[-1] for name in adapter])
    wrapped: Any = get_peft_model(deepcopy(state.model), config)
    parameters = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, (a, b) in adapter.items():
            parameters[f"base_model.model.{name}.lora_A.default.weight"].copy_(a)
            parameters[f"base_model.model.{name}.lora_B.default.weight"].copy_(b)
    optimizer = torch.optim.AdamW(parameters.values(), weight_decay=0)
    for rows, rate in list(zip(episode.batches_S, episode.rates_S, strict=False))[: episode.step]:
        ids, labels = pad_tasks([rows], pad=0)
        optimizer.zero_grad()
        wrapped(input_ids=ids[0], labels=labels[0]).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return parameters


@pytest.mark.parametrize("change", [{"chunks": 1}, {"chunks": 3}, {"inner_weight": 3.0}])
def test_adapters_depend_on_neither_chunks_nor_weights(tokenizer: Any, change: dict[str, Any]) -> None:
    state, other = adaptation(tokenizer), adaptation(tokenizer, replace(FEW, **change))
    for number in range(3):
        state.make(number)
        other.make(number)
    for weight, expected in zip(state.fast.flat(), other.fast.flat(), strict=True):
        torch.testing.assert_close(weight, expected, atol=1e-6, rtol=1e-3)
    assert any(b.any() for _, b in state.fast.weights.values())


def test_the_base_model_gets_the_gradients_of_all_losses(tokenizer: Any) -> None:
    norms = []
    changes: list[dict[str, Any]] = [{}, {"plain_weight": 0.0}, {"self_edit_weight": 0.0}, {"inner_weight": 0.01}]
    for change in changes:
        state = adaptation(tokenizer, replace(FEW, **change))
        state.make(0)
        norms.append(float(sum(p.grad.norm() for p in state.model.parameters())))
    assert min(norms) > 0
    assert len(set(norms)) == 4


def test_several_steps_of_the_adapters_make_one_of_the_base_model(tokenizer: Any) -> None:
    state = adaptation(tokenizer, replace(FEW, accumulate=3, tasks=8))
    state.make(0)
    assert max(episode.step for episode in state.episodes if episode is not None) == 3


@pytest.mark.parametrize("ask_always", [True, False])
def test_queries_are_asked_always_or_after_the_last_step(tokenizer: Any, ask_always: bool) -> None:
    """With no other loss, the base model has gradients where a query was asked."""
    silent = replace(FEW, tasks=1, inner_weight=0.0, plain_weight=0.0, self_edit_weight=0.0, ask_always=ask_always)
    state, asked, last = adaptation(tokenizer, silent), [], []
    for number in range(12):
        state.model.zero_grad()
        state.make(number)
        episode = state.episodes[0]
        assert episode is not None
        last.append(episode.done)
        asked.append(any(p.grad is not None and bool(p.grad.any()) for p in state.model.parameters()))
    assert asked == [ask_always or done for done in last]
    assert set(last) == {True, False}


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_runs(tokenizer: Any, phase: str) -> None:
    settings = PHASES[phase]
    small: dict[str, Any] = {"tasks": 2, "self_edits": 1, "stream": replace(settings.stream, tasks=1)}
    losses, tokens = adaptation(tokenizer, replace(settings, **small)).make(0)
    assert tokens > 100
    assert all(losses[kind] > 0 for kind in ("inner", "plain", "self-edit"))
    assert any(losses[kind] > 0 for kind in ("early", "late"))


def test_a_finished_task_gives_its_place_to_a_new_one_with_a_fresh_adapter(tokenizer: Any) -> None:
    state = adaptation(tokenizer)
    for number in range(3):
        state.make(number)
    finished, going = state.episodes[0], state.episodes[1]
    assert finished is not None
    assert going is not None
    finished.step, going.step = len(finished.batches_S), 0
    state.source.left_S[:2] = 0, len(going.batches_S)
    state.make(3)
    assert state.episodes[0] is not finished
    assert state.episodes[0] is not None
    assert state.episodes[0].step == 1
    assert state.episodes[1] is going
    assert [bool(b[0].any()) for _, b in state.fast.weights.values()] == [False] * len(state.fast.weights)
